//! What the real API server makes of our definitions: the same structure, and the columns of `kubectl get`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::objects::full;
use crate::server::{kind_api, object, with_definitions};
use crate::structure::{PLURALS, differences, group, reference};

#[tokio::test]
async fn the_server_keeps_the_structure() {
    let client = with_definitions().await;
    let api = Api::<CustomResourceDefinition>::all(client);
    for plural in PLURALS {
        let definition = api.get(&format!("{plural}.{}", group(plural))).await.unwrap();
        let conditions = definition.status.clone().and_then(|status| status.conditions).unwrap_or_default();
        let broken: Vec<_> = conditions.iter().filter(|condition| condition.type_ == "NonStructuralSchema").collect();
        assert!(broken.is_empty(), "{plural}: {broken:?}");
        assert_eq!(differences(plural, &serde_json::to_value(&definition).unwrap()), Vec::<String>::new(), "{plural}");
    }
}

/// The table that `kubectl get` prints for one object.
async fn table(client: &Client, plural: &str, name: &str) -> Value {
    let path = format!("/apis/{}/v1/{plural}", group(plural));
    let fields = format!("metadata.name={name}");
    let mut request = Request::new(path).list(&ListParams::default().fields(&fields)).unwrap();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io".parse().unwrap();
    request.headers_mut().insert("accept", accept);
    client.request(request).await.unwrap()
}

/// Name, type and priority of the columns that the compatible definition gives to `kubectl get`.
fn expected_columns(plural: &str) -> Vec<Value> {
    let columns = reference(plural)["spec"]["versions"][0]["additionalPrinterColumns"].as_array().cloned();
    let columns = columns.unwrap_or_else(|| vec![json!({"name": "Age", "type": "date"})]);
    let own =
        columns.iter().map(|column| json!([column["name"], column["type"], column["priority"].as_i64().unwrap_or(0)]));
    std::iter::once(json!(["Name", "string", 0])).chain(own).collect()
}

async fn cells(client: &Client, kind: &str, plural: &str, value: &Value) -> Vec<(String, Value)> {
    let name = value["metadata"]["name"].as_str().unwrap();
    let api = kind_api(client, kind);
    api.create(&PostParams::default(), &object(value)).await.unwrap();
    if value.get("status").is_some() {
        let patch = Patch::Merge(json!({"status": value["status"]}));
        api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }
    let table = table(client, plural, name).await;
    let definitions = table["columnDefinitions"].as_array().unwrap();
    let found: Vec<_> =
        definitions.iter().map(|column| json!([column["name"], column["type"], column["priority"]])).collect();
    assert_eq!(found, expected_columns(plural), "{kind}");
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    let named =
        definitions.iter().zip(cells).map(|(column, cell)| (column["name"].as_str().unwrap().to_owned(), cell.clone()));
    named.filter(|(name, _)| name != "Age" && name != "Name").collect()
}

#[tokio::test]
async fn the_columns_of_kubectl_get_are_the_compatible_ones() {
    let client = with_definitions().await;
    let cells = async |kind: &str, plural: &str| cells(&client, kind, plural, &full(kind, "shown")).await;
    let line = |cells: &[(String, Value)]| {
        let shown = cells.iter().filter(|(_, cell)| !cell.is_null());
        shown.map(|(name, cell)| format!("{name}={}", cell.to_string().trim_matches('"'))).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        line(&cells("MachineConfigPool", "machineconfigpools").await),
        "Config=rendered-worker-1 Updated=False Updating=True Degraded=False MachineCount=3 ReadyMachineCount=2 \
         UpdatedMachineCount=1 DegradedMachineCount=0"
    );
    assert_eq!(
        line(&cells("MachineConfigNode", "machineconfignodes").await),
        "PoolName=worker DesiredConfig=rendered-worker-1 CurrentConfig=rendered-worker-0 Updated=True \
         UpdatedFilesAndOS=False"
    );
    assert_eq!(line(&cells("MachineOSBuild", "machineosbuilds").await), "Building=True");
    assert_eq!(line(&cells("MachineOSConfig", "machineosconfigs").await), "");
    assert_eq!(line(&cells("MachineConfig", "machineconfigs").await), "IgnitionVersion=3.5.0");
    assert_eq!(line(&cells("MachineConfiguration", "machineconfigurations").await), "");
}

#[tokio::test]
async fn a_new_pool_has_empty_columns() {
    let client = with_definitions().await;
    let pool = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool",
        "metadata": {"name": "new"}, "spec": {},
    });
    let cells = cells(&client, "MachineConfigPool", "machineconfigpools", &pool).await;
    assert!(cells.iter().all(|(_, cell)| cell.is_null()), "{cells:?}");
}

#[tokio::test]
async fn the_server_writes_the_default_architecture_and_keeps_unknown_ignition() {
    let client = with_definitions().await;
    let config = full("MachineOSConfig", "defaulted");
    let created = kind_api(&client, "MachineOSConfig").create(&PostParams::default(), &object(&config)).await.unwrap();
    assert_eq!(created.data["spec"]["containerFile"][0]["containerfileArch"], "NoArch");
    let mut config = full("MachineConfig", "free");
    config["spec"]["config"]["anything"] = json!({"deep": [1, 2]});
    let created = kind_api(&client, "MachineConfig").create(&PostParams::default(), &object(&config)).await.unwrap();
    assert_eq!(created.data["spec"]["config"]["anything"]["deep"], json!([1, 2]));
}
