use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};

use crate::world::{cluster, config, object, older_config, refused, v1, v1alpha1};

fn machine_config(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig",
        "metadata": {"name": name}, "spec": spec,
    })
}

#[tokio::test]
async fn a_containerfile_is_refused_in_both_versions_before_anything_is_stored() {
    let client = cluster().await;
    let text = "FROM configs AS final\nINSTALL tree\n";
    let says = "failed to read the Containerfile: line 2: `INSTALL tree`: INSTALL is no instruction";
    let mut newer = config("unknown-instruction");
    newer["spec"]["containerFile"] = json!([{"content": text}]);
    let older = older_config("unknown-instruction", text);
    for (api, value, field) in [
        (v1(&client, "MachineOSConfig"), newer, "spec.containerFile[0].content"),
        (v1alpha1(&client, "MachineOSConfig"), older, "spec.buildInputs.containerFile[0].content"),
    ] {
        let message = refused(api.create(&PostParams::default(), &object(&value)).await);
        assert!(message.contains(&format!("unknown-instruction: {field}: {says}")), "{message}");
    }
    assert_eq!(v1(&client, "MachineOSConfig").get_opt("unknown-instruction").await.unwrap(), None);
}

#[tokio::test]
async fn the_older_version_has_one_config_a_pool_too() {
    let client = cluster().await;
    let mut second = older_config("second", "");
    second["spec"]["machineConfigPool"]["name"] = json!("first");
    let message = refused(v1alpha1(&client, "MachineOSConfig").create(&PostParams::default(), &object(&second)).await);
    assert!(message.contains("metadata.name: must be the name of the pool, which is first"), "{message}");
}

#[tokio::test]
async fn a_machine_config_is_refused_in_the_words_of_render() {
    let client = cluster().await;
    let api = v1(&client, "MachineConfig");
    let old = machine_config("old-ignition", json!({"config": {"ignition": {"version": "2.2.0"}}}));
    let message = refused(api.create(&PostParams::default(), &object(&old)).await);
    assert!(message.contains("MachineConfig old-ignition: ignition.version: "), "{message}");
    let good = machine_config("later-broken", json!({"config": {"ignition": {"version": "3.5.0"}}}));
    api.create(&PostParams::default(), &object(&good)).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"kernelType": "fast"}}));
    let message = refused(api.patch("later-broken", &PatchParams::default(), &patch).await);
    assert!(message.contains("spec.kernelType: "), "{message}");
}

#[tokio::test]
async fn a_rendered_configuration_cannot_be_made_by_hand() {
    let client = cluster().await;
    let name = "rendered-worker-0123456789abcdef0123456789abcdef";
    let value = machine_config(name, json!({"config": {"ignition": {"version": "3.5.0"}}}));
    let message = refused(v1(&client, "MachineConfig").create(&PostParams::default(), &object(&value)).await);
    assert!(message.contains("metadata.name: names that begin with `rendered-`"), "{message}");
}

#[tokio::test]
async fn what_is_absent_is_accepted_with_a_warning() {
    let client = cluster().await;
    let body = serde_json::to_vec(&config("alone")).unwrap();
    let request = Request::new("/apis/machineconfiguration.openshift.io/v1/machineosconfigs");
    let request = request.create(&PostParams::default(), body).unwrap();
    let answer = client.send(request.map(kube::client::Body::from)).await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let warnings: Vec<_> =
        answer.headers().get_all("warning").iter().map(|each| each.to_str().unwrap().to_owned()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("MachineConfigPool alone does not exist yet"), "{warnings:?}");
    assert!(warnings[1].contains("Secret push in namespace default does not exist yet"), "{warnings:?}");
}
