//! Builds that go on while it cannot be said what should be built.

use jiff::SignedDuration;
use onlay_api::conditions::{ConditionStatus, OSConfigConditionType};
use rstest::rstest;

use super::super::*;
use super::world::{IMAGE, World};
use crate::build::spec::{Cause, Failure, Outcome};

/// A build whose pod runs, and then something that keeps its target from being known.
fn world(change: fn(&mut World)) -> World {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.settle();
    change(&mut world);
    world.settle();
    assert_eq!((World::state(world.only_build()).0, world.ready().1.as_str()), ("Building", "Building"));
    world
}

fn mistyped(world: &mut World) {
    world.base = Base::Unknown { why: "no such image".to_owned() };
}

#[rstest]
#[case::since_the_base_image_is_mistyped(mistyped, "BaseImageUnknown")]
#[case::since_the_pool_is_deleted(|world: &mut World| world.pool = None, "PoolMissing")]
#[case::since_nothing_is_rendered(|world: &mut World| world.rendered = None, "NotRendered")]
fn a_build_goes_on(#[case] change: fn(&mut World), #[case] reason: &str) {
    let mut world = world(change);
    world.progress = Some("step 2 of 3: RUN true".to_owned());
    world.settle();
    assert!(World::state(world.only_build()).1.starts_with("step 2 of 3"), "{:?}", World::state(world.only_build()));
    world.end_pod(Some(&Outcome::Pushed { image: IMAGE.to_owned() }));
    world.end_job("Complete", 0);
    world.settle();
    let build = world.only_build();
    assert_eq!(World::state(build), ("Succeeded", format!("pushed {IMAGE}")));
    assert_eq!(build.status.as_ref().unwrap().digested_image_push_spec.as_deref(), Some(IMAGE));
    assert_eq!((world.config_maps.len(), world.measures.len(), world.told("BuildSucceeded")), (0, 1, 2));
    assert_eq!(world.served(), (None, None), "for what it would be served is not known");
    assert_eq!(world.config_condition(OSConfigConditionType::Valid).1, reason);
    assert_eq!(world.ready().1, reason, "no build goes on any more");
}

#[test]
fn a_build_that_has_succeeded_meanwhile_is_served_and_not_given_up() {
    let mut world = world(mistyped);
    world.end_pod(Some(&Outcome::Pushed { image: IMAGE.to_owned() }));
    world.end_job("Complete", 0);
    world.settle();
    let first = world.only_build().metadata.name.clone().unwrap();
    world.base = World::new().base;
    world.settle();
    assert_eq!((world.served().0, world.ready().0), (Some(IMAGE), ConditionStatus::True));
    world.containerfile("FROM configs\nRUN other\n");
    world.settle();
    assert_eq!(World::state(&world.builds[&first]).0, "Succeeded");
}

#[test]
fn a_build_that_fails_meanwhile_says_so() {
    let mut world = world(mistyped);
    world.end_pod(Some(&Outcome::Failed(Failure::new(Cause::AccessDenied, "push refused"))));
    world.end_job("Failed", 1);
    world.settle();
    assert_eq!((World::state(world.only_build()).0, world.config_maps.len()), ("Failed", 0));
    world.base = World::new().base;
    world.settle();
    assert_eq!(world.ready().1, "BuildFailed");
}

#[test]
fn a_build_whose_job_is_deleted_meanwhile_is_interrupted() {
    let mut world = world(mistyped);
    world.jobs.clear();
    world.settle();
    assert_eq!((World::state(world.only_build()).0, world.config_maps.len()), ("Interrupted", 0));
}

#[test]
fn nothing_is_begun_or_made_anew_meanwhile() {
    let mut world = World::new();
    world.step();
    mistyped(&mut world);
    world.settle();
    assert_eq!((world.builds.len(), world.jobs.len()), (1, 0));

    let mut world = self::world(mistyped);
    world.pods.clear();
    world.end_job("Complete", 0);
    world.now += SignedDuration::from_secs(20);
    world.settle();
    assert_eq!((World::state(world.only_build()).0, world.told("BuildRepeated")), ("Building", 0));
    world.base = World::new().base;
    world.settle();
    assert_eq!(world.told("BuildRepeated"), 1);
}
