use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::events::v1::Event;
use kube::{Api, ResourceExt};
use onlay_api::conditions::{BuildConditionType, ConditionStatus, OSConfigConditionType, find};
use onlay_api::names::{CURRENT_BUILD_ANNOTATION, REBUILD_ANNOTATION, SERVES_ANNOTATION};
use onlay_api::{MachineConfigPool, MachineOSBuild, MachineOSConfig};
use onlay_core::build::spec::{Cause, Failure, Outcome, Step};
use onlay_testkit::{RegistryServer, wait};
use serde_json::json;

use crate::world::World;

pub const AUTOFS: &str = "FROM configs AS final\nRUN apt-get install -y autofs\n";

/// An image that differs from others by a digit, in the registry. The name does not matter: it is served by digest.
pub async fn image(world: &World, digit: char) -> String {
    world.registry.push_empty("os/image:played", &json!({"digit": digit})).await.unwrap()
}

fn message(build: &MachineOSBuild, type_: BuildConditionType) -> String {
    find(&build.status.as_ref().unwrap().conditions, type_).unwrap().message.clone()
}

fn serves(config: &MachineOSConfig) -> Option<&str> {
    config.annotations().get(SERVES_ANNOTATION).map(String::as_str)
}

pub fn current(config: &MachineOSConfig) -> Option<&str> {
    config.status.as_ref()?.current_image_pull_spec.as_deref()
}

pub fn says(config: &MachineOSConfig, type_: OSConfigConditionType, status: ConditionStatus, reason: &str) -> bool {
    let conditions = config.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    find(conditions, type_).is_some_and(|condition| condition.status == status && condition.reason == reason)
}

pub async fn told(world: &World, reason: &str, words: &str) {
    let events: Api<Event> = Api::namespaced(world.client.clone(), "default");
    wait::until(&format!("Event {reason}: {words}"), std::time::Duration::from_secs(30), async || {
        let all = events.list(&Default::default()).await.map_err(|error| error.to_string())?.items;
        let found = all.iter().any(|event| {
            event.reason.as_deref() == Some(reason) && event.note.as_deref().is_some_and(|note| note.contains(words))
        });
        Ok::<_, String>(found.then_some(()))
    })
    .await
    .unwrap();
}

/// Waits for an Event of a build.
async fn told_on(world: &World, build: &str, reason: &str) {
    let events: Api<Event> = Api::namespaced(world.client.clone(), "default");
    wait::until(&format!("Event {reason} of {build}"), std::time::Duration::from_secs(30), async || {
        let all = events.list(&Default::default()).await.map_err(|error| error.to_string())?.items;
        let found = all.iter().any(|event| {
            event.reason.as_deref() == Some(reason)
                && event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(build)
        });
        Ok::<_, String>(found.then_some(()))
    })
    .await
    .unwrap();
}

/// Plays the Job of the build that is prepared, up to its push.
pub async fn push(world: &World, digit: char) -> MachineOSBuild {
    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    world.pod_runs(&job).await;
    world.build(BuildConditionType::Building).await;
    let image = image(world, digit).await;
    world.ends(&job, &Outcome::Pushed { image: image.clone() }).await;
    world.sees("the new image", |config| current(config) == Some(&image)).await;
    build
}

#[tokio::test]
async fn an_image_is_built_served_and_followed_through_changes() {
    let world = World::new().await;
    world.config(AUTOFS).await;
    let build = world.build(BuildConditionType::Prepared).await;
    let name = build.name_any();
    assert_eq!(build.spec.rendered_image_push_spec, format!("{}/os/image:{name}", world.registry.address()));
    assert_eq!(build.annotations()["onlay.dev/base-image"], world.base, "the tag is resolved");
    let job = world.job(&build).await;
    assert_eq!(job.annotations()["machineconfiguration.openshift.io/machine-os-build"], name);
    assert!(world.asked(&job).await.is_some());

    push(&world, '1').await;
    let done = world.build(BuildConditionType::Succeeded).await;
    let status = done.status.as_ref().unwrap();
    assert_eq!(status.digested_image_push_spec, Some(image(&world, '1').await));
    assert!(status.build_start < status.build_end);
    assert_eq!(status.builder.as_ref().unwrap().job.as_ref().unwrap().name, job.name_any());
    let target = world.all::<MachineConfigPool>().get("worker").await.unwrap().spec.configuration.unwrap().name;
    let config = world.sees("the target", |config| serves(config) == Some(&target)).await;
    assert_eq!(config.annotations()[CURRENT_BUILD_ANNOTATION], name);
    assert!(says(&config, OSConfigConditionType::ImageReady, ConditionStatus::True, "Built"));
    assert_eq!(config.status.as_ref().unwrap().observed_generation, config.metadata.generation);
    let secret = world.node_secrets().get("pull-worker").await.unwrap();
    assert!(String::from_utf8_lossy(&secret.data.unwrap()[".dockerconfigjson"].0).contains(world.registry.address()));
    assert_eq!(world.asked(&job).await, None);
    told(&world, "BuildSucceeded", &image(&world, '1').await).await;
    for state in ["BuildPrepared", "BuildRunning", "BuildSucceeded"] {
        told_on(&world, &name, state).await;
    }
    world.counts("onlay_builds_total{pool=\"worker\",result=\"succeeded\",reason=\"Ready\"} 1").await;
    world.counts("onlay_build_duration_seconds_count{pool=\"worker\"} 1").await;
    world.counts("onlay_build_queue_duration_seconds_count{pool=\"worker\"} 1").await;
    world.counts("onlay_build_image_size_bytes{pool=\"worker\"} 0").await;

    world.machine_config("50-arguments", json!({"kernelArguments": ["audit=0"]})).await;
    world.sees("another target, the same image", |config| serves(config).is_some_and(|serves| serves != target)).await;
    assert_eq!(world.all::<MachineOSBuild>().list(&Default::default()).await.unwrap().items.len(), 1);

    world.ask_to_rebuild().await;
    world.build(BuildConditionType::Prepared).await;
    world.sees("the wish to be granted", |config| !config.annotations().contains_key(REBUILD_ANNOTATION)).await;
    push(&world, '2').await;
}

#[tokio::test]
async fn a_newer_containerfile_interrupts_and_a_failure_is_told_and_corrected() {
    let world = World::new().await;
    world.config(AUTOFS).await;
    let first = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&first).await;
    world.pod_runs(&job).await;
    world.build(BuildConditionType::Building).await;
    world.config("FROM configs AS final\nRUN apt-get install -y nosuch\n").await;
    let interrupted = world.build(BuildConditionType::Interrupted).await;
    assert_eq!(interrupted.name_any(), first.name_any());
    wait::until("the Job to be deleted", std::time::Duration::from_secs(30), async || {
        let job = world.own::<Job>().get_opt(&job.name_any()).await.map_err(|error| error.to_string())?;
        let leaving = job.is_none_or(|job| job.metadata.deletion_timestamp.is_some());
        Ok::<_, String>(leaving.then_some(()))
    })
    .await
    .unwrap();

    let second = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&second).await;
    world.pod_runs(&job).await;
    let step = Some(Step { line: 2, instruction: "RUN apt-get install -y nosuch".to_owned(), exit_code: Some(100) });
    let output = vec!["E: Unable to locate package nosuch".to_owned()];
    let message_of_pod = "correct it in the Containerfile".to_owned();
    let failure = Failure { cause: Cause::InstructionFailed, message: message_of_pod, step, output };
    world.ends(&job, &Outcome::Failed(failure)).await;
    let failed = world.build(BuildConditionType::Failed).await;
    let words = message(&failed, BuildConditionType::Failed);
    assert!(words.contains("line 2: `RUN apt-get install -y nosuch` ended with exit code 100"), "{words}");
    assert!(words.contains("E: Unable to locate package nosuch"), "{words}");
    told(&world, "BuildFailed", "line 2").await;
    world.counts("onlay_builds_total{pool=\"worker\",result=\"failed\",reason=\"InstructionFailed\"} 1").await;
    world.counts("onlay_builds_total{pool=\"worker\",result=\"interrupted\",reason=\"Superseded\"} 1").await;
    let is_told = |config: &MachineOSConfig| {
        says(config, OSConfigConditionType::ImageReady, ConditionStatus::False, "BuildFailed")
    };
    world.sees("the failure", is_told).await;

    world.config("FROM configs AS final\nBOGUS x\n").await;
    wait::until("the unreadable Containerfile to fail", std::time::Duration::from_secs(30), async || {
        let builds =
            world.all::<MachineOSBuild>().list(&Default::default()).await.map_err(|error| error.to_string())?;
        let is_it = |build: &&MachineOSBuild| {
            build.status.is_some() && message(build, BuildConditionType::Failed).contains("line 2: `BOGUS x`")
        };
        Ok::<_, String>(builds.items.iter().find(is_it).map(|_| ()))
    })
    .await
    .unwrap();

    world.config("FROM configs AS final\nRUN true\n").await;
    push(&world, '3').await;
}

#[tokio::test]
async fn inputs_that_are_missing_or_wrong_are_told_and_waited_for() {
    let world = World::new().await;
    let secrets = world.own::<k8s_openapi::api::core::v1::Secret>();
    secrets.delete("push-secret", &Default::default()).await.unwrap();
    world.config(AUTOFS).await;
    let unusable = |config: &MachineOSConfig, reason: &str, words: &str| {
        let conditions = config.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let valid = find(conditions, OSConfigConditionType::Valid);
        valid.is_some_and(|valid| {
            valid.status == ConditionStatus::False && valid.reason == reason && valid.message.contains(words)
        })
    };
    // Without a secret the registry is asked without a name, and says no.
    world.sees("a refusal", |config| unusable(config, "BaseImageUnknown", "401")).await;
    told(&world, "BaseImageUnknown", "check the credentials").await;

    world.secret("push-secret", &world.registry.docker_config("guess")).await;
    world.sees("a refusal", |config| unusable(config, "BaseImageUnknown", "401")).await;

    let plain = world.registry.push_empty("os/plain:1", &json!({})).await.unwrap();
    world.machine_config("10-base", json!({"osImageURL": plain})).await;
    world.secret("push-secret", &world.registry.docker_config(RegistryServer::PASSWORD)).await;
    let failed = world.build(BuildConditionType::Failed).await;
    let words = message(&failed, BuildConditionType::Failed);
    assert!(words.contains(&plain) && words.contains("ostree.final-diffid"), "{words}");

    world.machine_config("10-base", json!({"osImageURL": world.base})).await;
    push(&world, '4').await;
}

#[tokio::test]
async fn a_policy_with_every_field_makes_a_job_that_the_server_takes() {
    let world = World::new().await;
    let build = json!({
        "baseImageTag": "Watch",
        "pollIntervalSeconds": 3600,
        "cache": {"type": "Volume", "persistentVolumeClaim": {"claimName": "build-cache"}, "sizeLimit": "50Gi"},
        "resources": {"limits": {"cpu": 2, "memory": "4Gi"}, "requests": {"cpu": "500m"}},
        "nodeSelector": {"example.com/builds": "yes"},
        "tolerations": [{"key": "example.com/builds", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "system-node-critical",
        "timeoutSeconds": 600,
        "retries": 0,
    });
    world.policy(build).await;
    world.config(AUTOFS).await;
    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await.spec.unwrap();
    assert_eq!((job.active_deadline_seconds, job.backoff_limit), (Some(600), Some(0)));
    let pod = job.template.spec.unwrap();
    assert_eq!(pod.priority_class_name.as_deref(), Some("system-node-critical"));
    let limits = pod.containers[0].resources.clone().unwrap().limits.unwrap();
    assert_eq!(limits["cpu"].0, "2");
    let claims = pod.volumes.unwrap().into_iter().filter_map(|volume| volume.persistent_volume_claim);
    assert_eq!(claims.map(|claim| claim.claim_name).collect::<Vec<_>>(), ["build-cache"]);
}

#[tokio::test]
async fn a_tag_that_moves_is_built_on_and_a_registry_that_is_away_stops_nothing() {
    let mut world = World::new().await;
    world.policy(json!({"pollIntervalSeconds": 10})).await;
    world.config(AUTOFS).await;
    let first = push(&world, '1').await;
    world
        .sees("the tag to be looked up", |config| {
            says(config, OSConfigConditionType::BaseImageResolved, ConditionStatus::True, "LookedUp")
        })
        .await;

    let labels = json!({"ostree.final-diffid": "sha256:bb", "ostree.bootable": "1"});
    let moved = world.registry.push_empty("os/base:1", &labels).await.unwrap();
    let second = world.build(BuildConditionType::Prepared).await;
    assert_ne!(second.name_any(), first.name_any());
    assert_eq!(second.annotations()["onlay.dev/base-image"], moved);
    let digest = |image: &str| image.split_once('@').unwrap().1.to_owned();
    let tag = format!("{}/os/base:1", world.registry.address());
    let words = format!("the tag {tag} moved from {} to {}", digest(&world.base), digest(&moved));
    assert_eq!(second.annotations()["onlay.dev/reason"], words);
    told(&world, "BaseImageMoved", &words).await;
    push(&world, '2').await;

    world.registry.stop();
    let away = |config: &MachineOSConfig| {
        says(config, OSConfigConditionType::BaseImageResolved, ConditionStatus::False, "BaseImageNotLookedUp")
    };
    world.sees("the registry to be missed", away).await;
    told(&world, "BaseImageNotLookedUp", &format!("{moved} counts on")).await;
    world.config("FROM configs AS final\nRUN true\n").await;
    let third = world.build(BuildConditionType::Prepared).await;
    assert_eq!(third.annotations()["onlay.dev/base-image"], moved, "what was known is built upon");
}

#[tokio::test]
async fn a_pinned_tag_counts_as_it_was_until_a_person_asks() {
    let world = World::new().await;
    world.policy(json!({"pollIntervalSeconds": 10, "baseImageTag": "Pin"})).await;
    world.config(AUTOFS).await;
    push(&world, '1').await;
    let labels = json!({"ostree.final-diffid": "sha256:bb", "ostree.bootable": "1"});
    let moved = world.registry.push_empty("os/base:1", &labels).await.unwrap();
    world.config("FROM configs AS final\nRUN true\n").await;
    let second = push(&world, '2').await;
    assert_eq!(second.annotations()["onlay.dev/base-image"], world.base);

    world.ask_to_rebuild().await;
    let third = world.build(BuildConditionType::Prepared).await;
    assert_eq!(third.annotations()["onlay.dev/base-image"], moved);
    world
        .sees("the pin", |config| {
            says(config, OSConfigConditionType::BaseImageResolved, ConditionStatus::True, "Pinned")
                && config.annotations()["onlay.dev/base-image"] == moved
        })
        .await;
}

#[tokio::test]
async fn an_image_that_the_registry_has_lost_is_built_again() {
    let world = World::new().await;
    let other = "FROM configs AS final\nRUN true\n";
    world.config(AUTOFS).await;
    push(&world, '1').await;
    world.config(other).await;
    push(&world, '2').await;
    let ready = |config: &MachineOSConfig, image: &str| {
        says(config, OSConfigConditionType::ImageReady, ConditionStatus::True, "Built")
            && current(config) == Some(image)
    };

    let first = image(&world, '1').await;
    world.config(AUTOFS).await;
    world.sees("the first image again", |config| ready(config, &first)).await;
    let second = image(&world, '2').await;
    world.registry.delete(&second).await.unwrap();
    world.config(other).await;
    told(&world, "BuildRepeated", &format!("does not have {second} any more")).await;
    push(&world, '3').await;

    world.policy(json!({"pollIntervalSeconds": 10})).await;
    let third = image(&world, '3').await;
    world.sees("the third image", |config| ready(config, &third)).await;
    world.registry.delete(&third).await.unwrap();
    told(&world, "BuildRepeated", &format!("does not have {third} any more")).await;
    push(&world, '4').await;
}

/// Builds of before that are kept; so many are told in docs/user/build.md.
const HISTORY: usize = 10;

#[tokio::test]
async fn old_builds_go_away_and_the_newest_stay() {
    let world = World::new().await;
    let builds = world.all::<MachineOSBuild>();
    let (mut ended, mut images) = (Vec::new(), Vec::new());
    for digit in ('a'..).take(HISTORY + 4) {
        world.config(&format!("FROM configs AS final\nRUN echo {digit}\n")).await;
        let name = push(&world, digit).await.name_any();
        // Times are whole seconds, in which several builds may end.
        let status = builds.get(&name).await.unwrap().status.unwrap();
        ended.push((status.build_end.unwrap(), name));
        images.push(status.digested_image_push_spec.unwrap());
    }
    let (newest, mut past) = ended.pop().map(|(_, newest)| (newest, ended)).unwrap();
    past.sort();
    let kept = past.split_off(past.len() - HISTORY).into_iter().map(|(_, name)| name);
    let kept: BTreeSet<String> = kept.chain([newest]).collect();
    wait::until("the newest builds alone", std::time::Duration::from_secs(30), async || {
        let left = builds.list(&Default::default()).await.map_err(|error| error.to_string())?;
        let left: BTreeSet<String> = left.iter().map(ResourceExt::name_any).collect();
        if left == kept { Ok(Some(())) } else { Err(format!("{left:?} instead of {kept:?}")) }
    })
    .await
    .unwrap();
    for image in images {
        world.registry.config_of(&image, "amd64").await.unwrap();
    }
}
