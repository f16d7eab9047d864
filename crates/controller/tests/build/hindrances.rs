//! What is in the way of a build: a namespace that is missing, what others have made.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams};
use onlay_api::MachineOSBuild;
use onlay_api::conditions::BuildConditionType;
use onlay_core::build::spec::Outcome;
use onlay_testkit::{objects, wait};
use serde_json::json;

use crate::stories::{AUTOFS, current, image, push, told};
use crate::world::{NAMESPACE, NODE_SECRETS, World};

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
