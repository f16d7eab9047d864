use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use onlay_api::conditions::BuildConditionType;
use onlay_core::build::spec::Spec;
use onlay_testkit::objects;
use serde_json::{Value, json};

use crate::world::World;

/// The kind Proxy, as small as can be: a part of a cluster that onlay does not install.
fn definition() -> CustomResourceDefinition {
    let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    serde_json::from_value(json!({
        "metadata": {"name": "proxies.config.openshift.io"},
        "spec": {
            "group": "config.openshift.io",
            "scope": "Cluster",
            "names": {"kind": "Proxy", "listKind": "ProxyList", "plural": "proxies", "singular": "proxy"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": free, "status": free}}},
            }],
        },
    }))
    .unwrap()
}

/// The object `cluster`, with what is in force in its status.
async fn cluster_proxy(world: &World, status: Value) {
    objects::define(&world.client, &[definition()]).await.unwrap();
    let kind = GroupVersionKind::gvk("config.openshift.io", "v1", "Proxy");
    let api: Api<DynamicObject> =
        Api::all_with(world.client.clone(), &ApiResource::from_gvk_with_plural(&kind, "proxies"));
    let object = json!({
        "apiVersion": "config.openshift.io/v1", "kind": "Proxy", "metadata": {"name": "cluster"},
        "spec": {"httpProxy": "http://asked-for:3128"},
    });
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status("cluster", &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn the_proxies_of_the_cluster_are_those_of_its_builds() {
    let world = World::new().await;
    let (proxy, direct) = ("http://proxy:3128", ".svc,10.0.0.0/8");
    cluster_proxy(&world, json!({"httpProxy": proxy, "httpsProxy": proxy, "noProxy": direct})).await;
    world.config("FROM configs AS final\nRUN true\n").await;

    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    let asked: Spec = serde_json::from_str(&world.asked(&job).await.unwrap()).unwrap();
    let expected = [("http", proxy), ("https", proxy), ("no", direct)].into_iter().flat_map(|(name, value)| {
        let name = format!("{name}_proxy");
        [(name.to_uppercase(), value.to_owned()), (name, value.to_owned())]
    });
    assert_eq!(asked.extras.environment, expected.collect());
}
