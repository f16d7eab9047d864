use jiff::SignedDuration;
use rstest::rstest;

use super::super::*;
use super::world::{IMAGE, World};
use crate::build::spec::Cause;

#[test]
fn a_build_that_ends_is_counted_once_with_its_times() {
    let mut world = World::new();
    world.settle();
    world.now += SignedDuration::from_secs(30);
    world.run_pod();
    world.settle();
    world.now += SignedDuration::from_secs(60);
    world.succeed(IMAGE);
    world.settle();
    let [measure] = world.measures.as_slice() else { panic!("{:?}", world.measures) };
    assert_eq!((measure.pool.as_str(), measure.result, measure.reason.as_str()), ("worker", "succeeded", "Ready"));
    let queue = measure.queue.unwrap().as_secs();
    assert!((30..40).contains(&queue), "{queue}");
    assert!(measure.duration.as_secs() >= 90, "{:?}", measure.duration);
    assert_eq!(measure.pods, ["build-x"]);
    assert_eq!(measure.base.as_deref(), Some("registry.example.com/os/base@sha256:aa"));
    assert_eq!(measure.images, [("amd64".to_owned(), IMAGE.to_owned())].into());
}

#[test]
fn a_build_that_fails_is_counted_by_its_cause() {
    let mut world = World::new();
    world.settle();
    world.fail(Failure::new(Cause::AccessDenied, "no"));
    let [measure] = world.measures.as_slice() else { panic!("{:?}", world.measures) };
    assert_eq!((measure.result, measure.reason.as_str(), measure.images.len()), ("failed", "AccessDenied", 0));
}

#[test]
fn a_build_that_is_given_up_is_counted_and_its_log_is_not_read() {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.settle();
    world.containerfile("FROM configs\nRUN other\n");
    world.settle();
    let [measure] = world.measures.as_slice() else { panic!("{:?}", world.measures) };
    assert_eq!((measure.result, measure.reason.as_str(), measure.pods.len()), ("interrupted", "Superseded", 0));
}

#[rstest]
#[case::ahead(1)]
#[case::behind(-1)]
fn the_clock_of_a_node_changes_nothing_of_its_build(#[case] hours: i64) {
    let mut world = World::new();
    world.settle();
    let right = world.now;
    world.now += SignedDuration::from_hours(hours);
    world.run_pod();
    world.now = right;
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Building");
    world.now += SignedDuration::from_secs(60);
    world.succeed(IMAGE);
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Succeeded");
    let measure = &world.measures[0];
    assert!(measure.queue.unwrap() >= SignedDuration::ZERO && measure.duration.as_secs() < 120, "{measure:?}");
}
