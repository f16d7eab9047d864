//! What is in the way of a build, and of no other one: lost pods, registries that say nothing, what others have made.

use std::net::TcpListener;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use onlay_api::conditions::{BuildConditionType, find};
use onlay_api::{MachineConfigPool, MachineOSBuild, MachineOSConfig};
use onlay_core::build::spec::Outcome;
use onlay_testkit::{objects, wait};
use serde_json::json;

use crate::stories::{AUTOFS, current, image, push, told};
use crate::world::{NAMESPACE, NODE_SECRETS, World};

/// A pool with a MachineOSConfig whose image is pushed to a place.
async fn make(world: &World, name: &str, place: &str) {
    let selector = |label: &str, value: &str| json!({"matchLabels": {label: value}});
    let spec = json!({
        "nodeSelector": selector("role", name),
        "machineConfigSelector": selector("machineconfiguration.openshift.io/role", "worker"),
    });
    objects::apply(&world.all::<MachineConfigPool>(), name, json!({"spec": spec})).await.unwrap();
    let spec = json!({
        "machineConfigPool": {"name": name},
        "imageBuilder": {"imageBuilderType": "Job"},
        "renderedImagePushSecret": {"name": "push-secret"},
        "renderedImagePushSpec": place,
    });
    objects::apply(&world.all::<MachineOSConfig>(), name, json!({"spec": spec})).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_says_nothing_about_a_lost_image_holds_up_no_other_pool() {
    let world = World::new().await;
    // It takes connections, and says nothing on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    make(&world, "slow", &format!("{}/os/slow:latest", silent.local_addr().unwrap())).await;
    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    world.job_ends(&job, true).await;
    let slow = world.build(BuildConditionType::Building).await;
    let message = &find(&slow.status.as_ref().unwrap().conditions, BuildConditionType::Building).unwrap().message;
    assert!(message.ends_with("was pushed is not known, its registry is asked"), "{message}");

    world.config(AUTOFS).await;
    push(&world, '1').await;
}

#[tokio::test]
async fn an_image_is_found_whose_pod_was_never_seen() {
    let world = World::new().await;
    world.config(AUTOFS).await;
    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    let name = format!("os/image:{}", build.name_any());
    let image = world.registry.push_empty(&name, &json!({})).await.unwrap();
    world.job_ends(&job, true).await;
    let done = world.build(BuildConditionType::Succeeded).await;
    assert_eq!(done.uid(), build.uid(), "it is not made anew");
    assert_eq!(done.status.unwrap().digested_image_push_spec, Some(image));
}

#[tokio::test]
async fn a_namespace_that_is_missing_is_told_and_waited_for() {
    let world = World::with(&[NAMESPACE]).await;
    world.config(AUTOFS).await;
    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    world.pod_runs(&job).await;
    let image = image(&world, '1').await;
    world.ends(&job, &Outcome::Pushed { image: image.clone() }).await;
    world.build(BuildConditionType::Succeeded).await;
    told(&world, "NamespaceMissing", "create it: `kubectl create namespace node-secrets`").await;
    objects::apply(&world.all::<Namespace>(), NODE_SECRETS, json!({})).await.unwrap();
    world.sees("the image", |config| current(config) == Some(&image)).await;
}

#[tokio::test]
async fn a_job_of_somebody_else_under_the_name_of_a_builds_is_told_and_waited_for() {
    let world = World::new().await;
    world.config(AUTOFS).await;
    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    world.config("FROM configs AS final\nRUN true\n").await;
    world.build(BuildConditionType::Interrupted).await;
    let jobs = world.own::<Job>();
    wait::until("the Job to be deleted", std::time::Duration::from_secs(30), async || {
        let job = jobs.get_opt(&job.name_any()).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(job.is_none().then_some(()))
    })
    .await
    .unwrap();
    world.all::<MachineOSBuild>().delete(&build.name_any(), &Default::default()).await.unwrap();
    let container = json!({"name": "a", "image": "a"});
    let pod = json!({"spec": {"containers": [container], "restartPolicy": "Never"}});
    let foreign = json!({"metadata": {"name": job.name_any()}, "spec": {"template": pod}});
    jobs.create(&PostParams::default(), &serde_json::from_value(foreign).unwrap()).await.unwrap();

    world.config(AUTOFS).await;
    told(&world, "WriteConflict", "it belongs to something else; if it stays, delete it").await;
    jobs.delete(&job.name_any(), &DeleteParams::background()).await.unwrap();
    push(&world, '1').await;
}
