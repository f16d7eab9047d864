use onlay_api::conditions::ConditionStatus;
use onlay_api::machine_config::MachineConfigSpec;

use super::super::*;
use super::world::{IMAGE, World, rendered, with_file};

const OTHER_IMAGE: &str = "registry.example.com/os/image@sha256:22";

fn built() -> World {
    let mut world = World::new();
    world.settle();
    world.succeed(IMAGE);
    world
}

/// Two images were built, the second one is served, and the inputs of the first one are there again.
fn back_to_the_first() -> World {
    let mut world = built();
    world.rendered = Some(rendered("rendered-worker-2", with_file("/etc/apt/sources.list")));
    world.settle();
    world.forget_jobs();
    world.settle();
    world.succeed(OTHER_IMAGE);
    assert_eq!(world.served().0, Some(OTHER_IMAGE));
    world.rendered = Some(rendered("rendered-worker-1", MachineConfigSpec::default()));
    world
}

fn loses(world: &mut World, image: &str) {
    world.registry = Ok([image.to_owned()].into());
}

#[test]
fn an_earlier_image_is_served_again_when_the_registry_has_it() {
    let mut world = back_to_the_first();
    world.step();
    let (status, _, message) = world.ready();
    assert_eq!(status, ConditionStatus::False);
    assert!(message.ends_with(&format!("its registry is asked whether it still has {IMAGE}")), "{message}");
    world.settle();
    assert_eq!((world.served().0, world.builds.len(), world.told("BuildRepeated")), (Some(IMAGE), 2, 0));
}

#[test]
fn an_earlier_image_that_the_registry_has_lost_is_built_again() {
    let mut world = back_to_the_first();
    loses(&mut world, IMAGE);
    world.forget_jobs();
    world.settle();
    assert_eq!((world.told("BuildRepeated"), world.jobs.len()), (1, 1));
    let told = world.events.iter().rfind(|event| event.reason == "BuildRepeated").unwrap();
    assert!(told.note.ends_with(&format!("its registry does not have {IMAGE} any more")), "{}", told.note);
    assert_eq!(world.served().0, Some(OTHER_IMAGE), "until it is there");
    world.succeed(IMAGE);
    assert_eq!((world.served().0, world.told("BuildRepeated")), (Some(IMAGE), 1), "the old answer does not count");
}

#[test]
fn a_registry_that_is_away_or_refuses_has_lost_nothing() {
    let mut world = back_to_the_first();
    world.registry = Err("401 Unauthorized".to_owned());
    world.settle();
    assert_eq!((world.served().0, world.told("BuildRepeated")), (Some(IMAGE), 0));
}

#[test]
fn the_image_that_is_served_is_looked_for_at_the_interval() {
    let mut world = built();
    loses(&mut world, IMAGE);
    world.now += SignedDuration::from_mins(50);
    world.settle();
    assert!(world.presences.is_empty(), "it was pushed less than an hour ago");
    world.now += SignedDuration::from_mins(20);
    world.forget_jobs();
    world.settle();
    assert_eq!((world.told("BuildRepeated"), world.jobs.len()), (1, 1));
    assert_eq!(world.served().0, Some(IMAGE), "nodes that have it keep it");
    world.succeed(OTHER_IMAGE);
    assert_eq!(world.served().0, Some(OTHER_IMAGE));
}

#[test]
fn the_image_that_is_served_is_kept_while_the_registry_is_away() {
    let mut world = built();
    world.registry = Err("away".to_owned());
    world.now += SignedDuration::from_hours(2);
    world.settle();
    let asked = world.presences[IMAGE].at;
    assert_eq!((world.ready().0, world.told("BuildRepeated")), (ConditionStatus::True, 0));
    world.now += SignedDuration::from_secs(70);
    world.settle();
    assert!(world.presences[IMAGE].at > asked, "it is asked again after a minute");
}

#[test]
fn an_image_whose_build_was_deleted_is_built_when_the_registry_has_lost_it() {
    let mut world = built();
    loses(&mut world, IMAGE);
    world.builds.clear();
    world.jobs.clear();
    world.settle();
    let build = world.only_build();
    let reason = &build.metadata.annotations.as_ref().unwrap()[onlay_api::names::REASON_FOR_BUILD_ANNOTATION];
    assert_eq!(*reason, format!("its registry does not have {IMAGE} any more"));
    world.succeed(OTHER_IMAGE);
    assert_eq!(world.served().0, Some(OTHER_IMAGE));
}
