//! A person asks to build once more: another build is made, and one only, whatever there is.

use onlay_api::names;
use rstest::rstest;

use super::super::*;
use super::world::{IMAGE, World};
use crate::build::spec::{Cause, Failure};

const OTHER_IMAGE: &str = "registry.example.com/os/image@sha256:22";

fn begins(world: &mut World) {
    world.step();
}

fn waits(world: &mut World) {
    world.settle();
}

fn runs(world: &mut World) {
    world.settle();
    world.run_pod();
    world.settle();
}

fn succeeds(world: &mut World) {
    world.settle();
    world.succeed(IMAGE);
}

fn fails(world: &mut World) {
    world.settle();
    world.fail(Failure::new(Cause::InstructionFailed, "no"));
}

fn is_interrupted(world: &mut World) {
    runs(world);
    world.jobs.clear();
    world.settle();
}

fn loses_its_job(world: &mut World) {
    runs(world);
    world.jobs.clear();
}

fn ask(world: &mut World) {
    world.annotate(names::REBUILD_ANNOTATION);
}

#[test]
fn a_build_that_runs_is_given_up_for_the_one_that_is_asked_for() {
    let mut world = World::new();
    succeeds(&mut world);
    world.containerfile("FROM configs AS final\nRUN other\n");
    world.forget_jobs();
    runs(&mut world);
    let job = world.jobs.values().next().unwrap().metadata.owner_references.clone();
    ask(&mut world);
    world.settle();
    assert_eq!((world.made(), world.annotation(names::REBUILD_ANNOTATION)), (3, None));
    assert_ne!(world.jobs.values().next().unwrap().metadata.owner_references, job, "another Job");
    assert_eq!(world.asked().rebuilt.as_deref(), world.annotation(names::REBUILT_ANNOTATION));
    let repeated = world.events.iter().rfind(|event| event.reason == "BuildRepeated").unwrap();
    assert!(repeated.note.ends_with("is made anew: a person asked to build once more"), "{}", repeated.note);
    let counted = world.measures.iter().filter(|measure| measure.result == "interrupted").count();
    assert_eq!((counted, world.told("BuildInterrupted")), (1, 1), "it is counted and told");
    assert_eq!(world.served().0, Some(IMAGE), "until the new one is there");
    world.succeed(OTHER_IMAGE);
    assert_eq!((world.served().0, world.made()), (Some(OTHER_IMAGE), 3));
}

#[rstest]
#[case::begins(begins)]
#[case::waits(waits)]
#[case::runs(runs)]
#[case::has_succeeded(succeeds)]
#[case::has_failed(fails)]
#[case::was_interrupted(is_interrupted)]
#[case::has_lost_its_job(loses_its_job)]
fn a_controller_that_dies_at_any_write_makes_one_other_build_where_one(#[case] there: fn(&mut World)) {
    for writes in 0..12 {
        for later in 0..8 {
            let mut world = World::new();
            there(&mut world);
            ask(&mut world);
            for writes in [writes, later] {
                world.dies_after = Some(writes);
                world.step();
            }
            world.settle();
            assert_eq!((world.made(), world.jobs.len()), (2, 1), "after {writes} writes, and {later}");
            assert_eq!(world.annotation(names::REBUILD_ANNOTATION), None);
            assert_eq!(world.asked().rebuilt.as_deref(), world.annotation(names::REBUILT_ANNOTATION));
            world.succeed(OTHER_IMAGE);
            assert_eq!((world.served().0, world.made()), (Some(OTHER_IMAGE), 2));
        }
    }
}

#[test]
fn each_wish_makes_a_build_also_while_the_one_for_the_wish_before_runs() {
    let mut world = World::new();
    for made in 2..5 {
        runs(&mut world);
        ask(&mut world);
        world.settle();
        assert_eq!((world.made(), world.builds.len()), (made, 1));
    }
    world.succeed(IMAGE);
    assert_eq!((world.served().0, world.made()), (Some(IMAGE), 4));
}

/// The build of the first inputs was made for a wish, too: that one was granted long ago.
#[rstest]
#[case::while_time_goes_on(SignedDuration::from_hours(1))]
#[case::while_the_clock_is_set_back(SignedDuration::from_hours(-1))]
fn a_wish_for_earlier_inputs_is_granted(#[case] passes: SignedDuration) {
    let mut world = World::new();
    for text in ["first", "second", "first"] {
        world.forget_jobs();
        world.containerfile(&format!("FROM configs AS final\nRUN {text}\n"));
        world.settle();
        let before = world.made();
        world.forget_jobs();
        ask(&mut world);
        world.settle();
        assert_eq!((world.made(), world.annotation(names::REBUILD_ANNOTATION)), (before + 1, None), "{text}");
        world.succeed(IMAGE);
        world.now += passes;
    }
}

#[test]
fn a_build_runs_on_until_it_is_known_on_what_to_build_once_more() {
    let mut world = World::new();
    runs(&mut world);
    let Base::Known { asked, image, fault, standing } = world.base.clone() else { unreachable!() };
    let why = "the registry does not answer".to_owned();
    let base = |standing| Base::Known { asked: asked.clone(), image: image.clone(), fault: fault.clone(), standing };
    world.base = base(Standing::Unanswered { why });
    ask(&mut world);
    world.settle();
    assert_eq!((world.made(), World::state(world.only_build()).0), (1, "Building"));
    assert!(world.annotation(names::REBUILD_ANNOTATION).is_some(), "the wish stays");
    world.base = base(standing);
    world.settle();
    assert_eq!((world.made(), world.annotation(names::REBUILD_ANNOTATION)), (2, None));
}
