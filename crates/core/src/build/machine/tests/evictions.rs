//! Pods of builds that their node evicts.

use jiff::SignedDuration;
use onlay_api::conditions::ConditionStatus;
use rstest::rstest;

use super::world::World;

#[test]
fn an_evicted_pod_is_told_while_the_next_one_runs_and_is_no_failed_try() {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.evict_pod();
    world.run_pod();
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Building");
    assert!(
        message.ends_with("; node worker-0 evicted pod build-x: The node was low on resource: memory"),
        "{message}"
    );
}

/// Whichever write was the last one of a controller that died: nobody has deleted a Job here.
#[rstest]
fn a_controller_that_dies_while_it_ends_an_evicted_build_says_why_it_failed(#[values(0, 1, 2, 3, 4, 5)] writes: usize) {
    let mut world = World::new();
    world.settle();
    for _ in 0..4 {
        world.run_pod();
        world.evict_pod();
        world.now += SignedDuration::from_secs(1);
    }
    world.dies_after = Some(writes);
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert!(state == "Failed" && message.contains("the last of 4 times"), "{state} {message}");
    assert_eq!((world.jobs.len(), world.config_maps.len()), (0, 0), "nothing is left");
}

/// The Job alone would go on until its time is over.
#[test]
fn a_build_that_is_evicted_at_every_try_fails_and_says_what_it_needs() {
    let mut world = World::new();
    world.settle();
    for _ in 0..4 {
        world.settle();
        assert_eq!(world.jobs.len(), 1);
        world.run_pod();
        world.evict_pod();
        world.now += SignedDuration::from_secs(1);
    }
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    for words in [
        "node worker-0 evicted pod build-x: The node was low on resource: memory, the last of 4 times",
        "spec.build.resources",
        "delete the MachineOSBuild to try again",
    ] {
        assert!(message.contains(words), "{message}");
    }
    assert!(!message.contains("kubectl logs"), "the pods go away with the Job: {message}");
    assert!(world.jobs.is_empty(), "no Job goes on");
    assert_eq!(world.ready().0, ConditionStatus::False);
    world.now += SignedDuration::from_hours(1);
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Failed", "nothing begins again by itself");
}
