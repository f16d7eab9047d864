//! The Rust types read and write what the schema allows, on the real API server.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use onlay_api::{
    LayeringPolicy, MachineConfig, MachineConfigNode, MachineConfigPool, MachineConfiguration, MachineOSBuild,
    MachineOSConfig,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::objects::full;
use crate::server::{kind_api, object, with_definitions};

/// Creates an object through its type, writes its status, and returns how it differs from the plain one.
async fn round_trip<K>(value: &Value) -> (Value, Value)
where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>,
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let api = Api::<K>::all(with_definitions().await);
    let typed: K = serde_json::from_value(value.clone()).unwrap();
    api.create(&PostParams::default(), &typed).await.unwrap();
    let name = value["metadata"]["name"].as_str().unwrap();
    if value.get("status").is_some() {
        let status = json!({"status": serde_json::to_value(&typed).unwrap()["status"]});
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
    let stored = serde_json::to_value(api.get(name).await.unwrap()).unwrap();
    let parts = |value: &Value| json!({"spec": value["spec"], "status": value["status"]});
    (parts(&stored), parts(value))
}

#[tokio::test]
async fn what_is_written_through_a_type_is_read_back_whole() {
    let (stored, sent) = round_trip::<MachineConfig>(&full("MachineConfig", "typed")).await;
    assert_eq!(stored, sent);
    let (stored, sent) = round_trip::<MachineConfigNode>(&full("MachineConfigNode", "typed")).await;
    assert_eq!(stored, sent);
    let (stored, sent) = round_trip::<MachineOSBuild>(&full("MachineOSBuild", "typed")).await;
    assert_eq!(stored, sent);
    let (stored, sent) = round_trip::<MachineConfiguration>(&full("MachineConfiguration", "typed")).await;
    assert_eq!(stored, sent);
    let (stored, sent) = round_trip::<LayeringPolicy>(&full("LayeringPolicy", "typed")).await;
    assert_eq!(stored, sent);
    let mut pool = full("MachineConfigPool", "typed");
    pool["status"]["unavailableMachineCount"] = json!(0);
    let (stored, sent) = round_trip::<MachineConfigPool>(&pool).await;
    assert_eq!(stored, sent);
    let mut config = full("MachineOSConfig", "typed");
    config["spec"]["containerFile"][0]["containerfileArch"] = json!("NoArch");
    let (stored, sent) = round_trip::<MachineOSConfig>(&config).await;
    assert_eq!(stored, sent);
}

/// One object that a type cannot read would hide all others of its kind from the controller.
#[tokio::test]
async fn odd_objects_that_the_schema_allows_can_be_listed() {
    let client = with_definitions().await;
    let kind = |kind: &str| json!({"apiVersion": "machineconfiguration.openshift.io/v1", "kind": kind});
    let with = |mut object: Value, name: &str, spec: Value| {
        object["metadata"] = json!({"name": name});
        if !spec.is_null() {
            object["spec"] = spec;
        }
        object
    };
    let odd = [
        ("MachineConfig", with(kind("MachineConfig"), "odd-without-spec", Value::Null)),
        ("MachineConfig", with(kind("MachineConfig"), "odd-null", json!({"kernelArguments": null}))),
        ("MachineConfigPool", with(kind("MachineConfigPool"), "odd-empty", json!({}))),
        (
            "MachineConfigPool",
            with(kind("MachineConfigPool"), "odd-huge", json!({"maxUnavailable": 99_999_999_999_i64})),
        ),
    ];
    for (kind, value) in &odd {
        kind_api(&client, kind).create(&PostParams::default(), &object(value)).await.unwrap();
    }
    let configs = Api::<MachineConfig>::all(client.clone()).list(&ListParams::default()).await.unwrap();
    let without = configs.items.iter().find(|config| config.metadata.name.as_deref() == Some("odd-without-spec"));
    assert_eq!(without.unwrap().spec, onlay_api::MachineConfigSpec::default());
    let pools = Api::<MachineConfigPool>::all(client).list(&ListParams::default()).await.unwrap();
    let huge = pools.items.iter().find(|pool| pool.metadata.name.as_deref() == Some("odd-huge"));
    assert_eq!(huge.unwrap().spec.max_unavailable, Some(IntOrString::Int(i32::MAX)));
}
