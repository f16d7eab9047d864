//! Secrets that go away or are renewed, a person who asks for another build while one runs, and what a ConfigMap can hold.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::PostParams;
use onlay_api::MachineOSBuild;
use onlay_api::conditions::{BuildConditionType, ConditionStatus, OSConfigConditionType};
use onlay_api::names::REBUILD_ANNOTATION;
use onlay_core::build::spec::{Cause, Failure, Outcome};
use onlay_testkit::{RegistryServer, wait};

use crate::stories::{push, says, told};
use crate::world::{NAMESPACE, PATIENCE, World};

const FIRST: &str = "FROM configs AS final\nRUN first\n";
const SECOND: &str = "FROM configs AS final\nRUN second\n";

/// What nodes pull with.
async fn of_nodes(world: &World) -> ByteString {
    let secret = world.node_secrets().get("pull-worker").await.unwrap();
    secret.data.unwrap()[".dockerconfigjson"].clone()
}

async fn valid_is(world: &World, status: ConditionStatus, reason: &str) {
    world.sees(reason, |config| says(config, OSConfigConditionType::Valid, status, reason)).await;
}

#[tokio::test]
async fn a_secret_that_is_away_is_told_and_one_that_is_renewed_reaches_nodes_though_the_newest_build_failed() {
    let world = World::new().await;
    world.config(FIRST).await;
    push(&world, '1').await;
    let first = of_nodes(&world).await;
    world.own::<Secret>().delete("push-secret", &Default::default()).await.unwrap();
    valid_is(&world, ConditionStatus::False, "CredentialsUnusable").await;
    told(&world, "CredentialsUnusable", "Secret onlay/push-secret (spec.renderedImagePushSecret) does not exist").await;
    world
        .sees("the image to be served", |config| {
            says(config, OSConfigConditionType::ImageReady, ConditionStatus::True, "Built")
        })
        .await;
    assert_eq!(of_nodes(&world).await, first);

    world.secret("push-secret", &world.registry.docker_config(RegistryServer::PASSWORD)).await;
    valid_is(&world, ConditionStatus::True, "Usable").await;
    world.config(SECOND).await;
    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    world.pod_runs(&job).await;
    world.build(BuildConditionType::Building).await;
    world.ends(&job, &Outcome::Failed(Failure::new(Cause::InstructionFailed, "correct it"))).await;
    let failed = world.build(BuildConditionType::Failed).await;
    world.secret("push-secret", &world.registry.docker_config("renewed")).await;
    wait::until("the renewed secret to reach nodes", PATIENCE, async || {
        Ok::<_, String>((of_nodes(&world).await != first).then_some(()))
    })
    .await
    .unwrap();
    let still = world.all::<MachineOSBuild>().get(&failed.name_any()).await.unwrap();
    assert_eq!((still.uid(), still.status), (failed.uid(), failed.status), "the evidence");
}

#[tokio::test]
async fn a_person_who_asks_for_another_build_while_one_runs_gets_it() {
    let world = World::new().await;
    world.config(FIRST).await;
    let first = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&first).await;
    world.pod_runs(&job).await;
    world.build(BuildConditionType::Building).await;
    world.ask_to_rebuild().await;
    world.sees("the wish to be granted", |config| !config.annotations().contains_key(REBUILD_ANNOTATION)).await;
    told(&world, "BuildRepeated", "is made anew: a person asked to build once more").await;
    let second = push(&world, '1').await;
    assert_eq!(second.name_any(), first.name_any());
    assert_ne!(second.uid(), first.uid());
    world.counts("onlay_builds_total{pool=\"worker\",result=\"interrupted\",reason=\"Superseded\"} 1").await;
    world.counts("onlay_builds_total{pool=\"worker\",result=\"succeeded\",reason=\"Ready\"} 1").await;
}

/// So much a build is told, see the limit in onlay_core::build::machine.
#[tokio::test]
async fn a_config_map_holds_a_mebibyte_of_values_and_no_more() {
    let world = World::new().await;
    let config_map = |bytes: usize| ConfigMap {
        metadata: ObjectMeta { name: Some(format!("large-{bytes}")), ..ObjectMeta::default() },
        data: Some([("spec.json".to_owned(), "x".repeat(70_000))].into()),
        binary_data: Some([("configuration.json.gz".to_owned(), ByteString(vec![0; bytes - 70_000]))].into()),
        ..ConfigMap::default()
    };
    let create = async |bytes: usize| {
        let made = world.own::<ConfigMap>().create(&PostParams::default(), &config_map(bytes)).await;
        made.map(|made| made.namespace()).map_err(|error| error.to_string())
    };
    assert_eq!(create(1 << 20).await, Ok(Some(NAMESPACE.to_owned())));
    let refused = create((1 << 20) + 1).await.unwrap_err();
    assert!(refused.contains("may not be more than 1048576 bytes"), "{refused}");
}
