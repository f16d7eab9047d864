use kube::api::{ListParams, Patch, PatchParams, PostParams};
use onlay_api::{MachineOSBuild, MachineOSConfig};
use serde_json::{Value, json};

use crate::world::{cluster, config, object, older_config, refused, v1, v1alpha1};

/// What of an object a person wrote.
fn written(object: &kube::api::DynamicObject) -> Value {
    json!([object.metadata.name, object.metadata.annotations, object.data["spec"]])
}

#[tokio::test]
async fn what_is_written_in_one_version_is_read_in_both() {
    let client = cluster().await;
    let older = older_config("both", "FROM configs AS final\nRUN true\n");
    let made = v1alpha1(&client, "MachineOSConfig").create(&PostParams::default(), &object(&older)).await.unwrap();
    assert_eq!(written(&made), json!(["both", null, older["spec"]]));
    let stored = kube::Api::<MachineOSConfig>::all(client.clone()).get("both").await.unwrap();
    assert_eq!(stored.spec.container_file[0].content, "FROM configs AS final\nRUN true\n");
    assert_eq!(stored.spec.rendered_image_push_secret.name, "builder-dockercfg-123");
    let again = v1alpha1(&client, "MachineOSConfig").get("both").await.unwrap();
    assert_eq!(written(&again), written(&made));
}

#[tokio::test]
async fn a_change_in_one_version_loses_nothing_of_the_other() {
    let client = cluster().await;
    let digest = format!("quay.io/os/base@sha256:{}", "a".repeat(64));
    let mut older = older_config("changed", "FROM configs AS final\n");
    older["spec"]["buildInputs"]["baseOSImagePullspec"] = json!(digest);
    older["spec"]["buildInputs"]["containerFile"][0]["containerfileArch"] = json!("x86_64");
    v1alpha1(&client, "MachineOSConfig").create(&PostParams::default(), &object(&older)).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"renderedImagePushSpec": "quay.io/os/other:1"}}));
    v1(&client, "MachineOSConfig").patch("changed", &PatchParams::default(), &patch).await.unwrap();
    let read = v1alpha1(&client, "MachineOSConfig").get("changed").await.unwrap();
    older["spec"]["buildInputs"]["renderedImagePushspec"] = json!("quay.io/os/other:1");
    assert_eq!(read.data["spec"], older["spec"]);
}

#[tokio::test]
async fn status_and_builds_are_converted_too() {
    let client = cluster().await;
    let builds = kube::Api::<MachineOSBuild>::all(client.clone());
    let build = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineOSBuild", "metadata": {"name": "built"},
        "spec": {
            "machineConfig": {"name": "rendered-built-1"}, "machineOSConfig": {"name": "built"},
            "renderedImagePushSpec": "quay.io/os/image:built",
        },
    });
    builds.create(&PostParams::default(), &serde_json::from_value(build).unwrap()).await.unwrap();
    let job = json!({"group": "batch", "resource": "jobs", "namespace": "default", "name": "build-built"});
    let status = json!({
        "buildStart": "2026-01-01T00:00:00Z", "builder": {"imageBuilderType": "Job", "job": job},
        "conditions": [{"type": "Building", "status": "True", "reason": "Building", "message": "step 1 of 2",
                        "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    });
    builds.patch_status("built", &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.unwrap();
    let read = v1alpha1(&client, "MachineOSBuild").get("built").await.unwrap();
    assert_eq!(read.data["spec"]["desiredConfig"]["name"], "rendered-built-1");
    assert_eq!(
        read.data["status"]["builderReference"],
        json!({"imageBuilderType": "PodImageBuilder", "buildPod": job})
    );
    assert_eq!(read.data["status"]["conditions"], status["conditions"]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_with_its_field() {
    let client = cluster().await;
    let long = older_config("long", &format!("FROM configs AS final\n{}", "#".repeat(5000)));
    let message = refused(v1alpha1(&client, "MachineOSConfig").create(&PostParams::default(), &object(&long)).await);
    assert!(
        message.contains("MachineOSConfig long: spec.buildInputs.containerFile[0].content: 5022 characters"),
        "{message}"
    );
    let mut twice = older_config("twice", "FROM configs AS final");
    let file = |arch: &str| json!({"containerfileArch": arch, "content": "FROM configs AS final"});
    twice["spec"]["buildInputs"]["containerFile"] = json!([file("arm64"), file("aarch64")]);
    let message = refused(v1alpha1(&client, "MachineOSConfig").create(&PostParams::default(), &object(&twice)).await);
    assert!(message.contains("spec.buildInputs.containerFile[1].containerfileArch"), "{message}");
    assert_eq!(v1(&client, "MachineOSConfig").get_opt("twice").await.unwrap(), None);
}

#[tokio::test]
async fn a_list_has_one_version() {
    let client = cluster().await;
    v1(&client, "MachineOSConfig").create(&PostParams::default(), &object(&config("listed-1"))).await.unwrap();
    let older = older_config("listed-2", "");
    v1alpha1(&client, "MachineOSConfig").create(&PostParams::default(), &object(&older)).await.unwrap();
    let list = v1alpha1(&client, "MachineOSConfig").list(&ListParams::default()).await.unwrap();
    let listed: Vec<_> =
        list.items.iter().filter(|each| each.metadata.name.as_deref().unwrap().starts_with("listed")).collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|each| each.data["spec"]["buildInputs"].is_object()));
}
