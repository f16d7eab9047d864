use onlay_api::conditions::{ConditionStatus, OSConfigConditionType};
use onlay_api::names;
use serde_json::{Value, json};

use super::world::{IMAGE, World};
use crate::build::spec::{Cause, Failure, Outcome};

/// A world whose pool has this policy for its builds.
pub(super) fn with_policy(build: Value) -> World {
    let mut world = World::new();
    let policy = json!({"metadata": {"name": "worker"}, "spec": {"build": build}});
    world.policy = Some(serde_json::from_value(policy).unwrap());
    world
}

/// The node that the newest Job prefers.
fn preferred(world: &World) -> Option<String> {
    let pod = world.jobs.values().next_back()?.spec.clone()?.template.spec?;
    let affinity = pod.affinity?.node_affinity?;
    let terms = affinity.preferred_during_scheduling_ignored_during_execution?;
    terms.first()?.preference.match_fields.clone()?.first()?.values.clone()?.pop()
}

#[test]
fn a_build_is_told_what_the_policy_says() {
    let mut world = with_policy(json!({"cache": {"sizeLimit": "1Gi"}, "timeoutSeconds": 600, "retries": 1}));
    world.settle();
    assert_eq!(world.asked().cache_limit, Some(1 << 30));
    let job = world.jobs.values().next().unwrap().spec.clone().unwrap();
    assert_eq!((job.active_deadline_seconds, job.backoff_limit), (Some(600), Some(1)));
}

#[test]
fn a_policy_changes_no_image() {
    let mut world = World::new();
    world.settle();
    let without = world.only_build().metadata.name.clone();
    let mut world = with_policy(json!({"cache": {"type": "None"}, "nodeSelector": {"a": "b"}}));
    world.settle();
    assert_eq!(world.only_build().metadata.name, without);
    assert_eq!(world.asked().cache_limit, None);
}

#[test]
fn a_policy_that_cannot_be_read_is_told_and_waited_for() {
    let mut world = with_policy(json!({"cache": {"sizeLimit": "1GB"}}));
    world.settle();
    let (status, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "PolicyUnusable"));
    assert!(message.starts_with("LayeringPolicy worker: spec.build.cache.sizeLimit: \"1GB\" is no size"), "{message}");
    assert!(world.jobs.is_empty());
    world.policy = None;
    world.settle();
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn tries_are_counted_up_to_what_the_policy_says() {
    let mut world = with_policy(json!({"retries": 1}));
    world.settle();
    world.run_pod();
    world.end_job("", 1);
    world.settle();
    assert!(World::state(world.only_build()).1.ends_with("(try 2 of 2)"), "{}", World::state(world.only_build()).1);
}

#[test]
fn a_build_that_takes_too_long_names_the_field() {
    let mut world = with_policy(json!({"timeoutSeconds": 600}));
    world.settle();
    world.end_job_for("DeadlineExceeded");
    world.now += jiff::SignedDuration::from_mins(1);
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    assert!(message.contains("600 s, which spec.build.timeoutSeconds of the pool's LayeringPolicy"), "{message}");
}

#[test]
fn a_build_that_takes_too_long_after_a_try_that_failed_tells_both() {
    let mut world = with_policy(json!({"timeoutSeconds": 600}));
    world.settle();
    world.run_pod();
    world.settle();
    world.end_pod(Some(&Outcome::Failed(Failure::new(Cause::NetworkFailed, "the mirror is away"))));
    world.end_job_for("DeadlineExceeded");
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    for words in ["600 s, which spec.build.timeoutSeconds", "the last try before failed: the mirror is away"] {
        assert!(message.contains(words), "{message}");
    }
    assert!(!message.contains("no more tries follow"), "{message}");
}

#[test]
fn the_next_build_goes_where_the_last_one_has_left_something() {
    let mut world = World::new();
    world.settle();
    assert_eq!(preferred(&world), None);
    world.succeed(IMAGE);
    let first = world.jobs.keys().next().cloned();
    world.containerfile("FROM configs\nRUN other\n");
    world.settle();
    let second = world.jobs.iter().find(|(name, _)| Some(*name) != first.as_ref()).unwrap();
    world.jobs = [(second.0.clone(), second.1.clone())].into();
    assert_eq!(preferred(&world).as_deref(), Some("worker-0"));
}

#[test]
fn builds_after_one_that_a_person_asked_for_know_when_that_was() {
    let mut world = World::new();
    world.settle();
    assert_eq!(world.asked().rebuilt, None);
    world.succeed(IMAGE);
    world.annotate(names::REBUILD_ANNOTATION);
    world.settle();
    let when = world.annotation(names::REBUILT_ANNOTATION).unwrap().to_owned();
    world.succeed(IMAGE);
    world.config_maps.clear();
    world.containerfile("FROM configs\nRUN other\n");
    world.settle();
    assert_eq!(world.asked().rebuilt, Some(when));
}
