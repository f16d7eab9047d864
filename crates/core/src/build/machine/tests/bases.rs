use onlay_api::conditions::{ConditionStatus, OSConfigConditionType};
use onlay_api::names;

use super::super::*;
use super::world::{IMAGE, World};
use crate::build::base::{ASKED_ANNOTATION, RESOLVED_ANNOTATION};

const TAG: &str = "registry.example.com/os/base:1";
const MOVED: &str = "registry.example.com/os/base@sha256:bb";
const WORDS: &str = "the tag registry.example.com/os/base:1 moved from sha256:aa to sha256:bb";

fn built() -> World {
    let mut world = World::new();
    world.settle();
    world.succeed(IMAGE);
    world
}

fn base(image: &str, standing: Standing) -> Base {
    Base::Known { asked: TAG.to_owned(), image: image.to_owned(), fault: None, standing }
}

fn away() -> Standing {
    Standing::Unanswered { why: "registry registry.example.com does not answer".to_owned() }
}

fn resolved(world: &World) -> (ConditionStatus, String, String) {
    world.config_condition(OSConfigConditionType::BaseImageResolved)
}

#[test]
fn a_tag_that_moved_makes_a_new_build_that_says_so() {
    let mut world = built();
    let first = world.only_build().metadata.name.clone().unwrap();
    assert_eq!(resolved(&world).1, "LookedUp");
    world.base = base(MOVED, Standing::Answered);
    world.settle();
    assert_eq!((world.builds.len(), world.told("BaseImageMoved")), (2, 1));
    let (_, second) = world.builds.iter().find(|(name, _)| **name != first).unwrap();
    assert_eq!(second.metadata.annotations.as_ref().unwrap()[names::REASON_FOR_BUILD_ANNOTATION], WORDS);
    let started = world.events.iter().rfind(|event| event.reason == "BuildStarted").unwrap();
    assert!(started.note.ends_with(&format!(" on {MOVED}: {WORDS}")), "{}", started.note);
    assert_eq!(world.annotation(RESOLVED_ANNOTATION), Some(MOVED));
    assert_eq!(resolved(&world).2, format!("{TAG} is {MOVED}"));
    assert_eq!(world.served(), (Some(IMAGE), Some("rendered-worker-1")), "until the new image is there");
}

#[test]
fn a_tag_that_moves_back_is_served_without_a_build() {
    let mut world = built();
    let before = world.base.clone();
    world.base = base(MOVED, Standing::Answered);
    world.settle();
    world.base = before;
    world.settle();
    assert_eq!((world.builds.len(), world.told("BaseImageMoved")), (2, 2));
    assert_eq!(world.ready().0, ConditionStatus::True);
}

#[test]
fn another_tag_is_no_move() {
    let mut world = built();
    world.base = Base::Known {
        asked: "registry.example.com/os/base:2".to_owned(),
        image: MOVED.to_owned(),
        fault: None,
        standing: Standing::Answered,
    };
    world.settle();
    assert_eq!((world.builds.len(), world.told("BaseImageMoved")), (2, 0));
    assert_eq!(world.annotation(ASKED_ANNOTATION), Some("registry.example.com/os/base:2"));
}

#[test]
fn a_registry_that_is_away_stops_nothing_and_is_told_once_with_the_time() {
    let mut world = built();
    let Base::Known { image, .. } = world.base.clone() else { unreachable!() };
    let since = world.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    world.base = base(&image, away());
    world.settle();
    world.now += SignedDuration::from_mins(10);
    world.settle();
    let (status, reason, message) = resolved(&world);
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "BaseImageNotLookedUp"));
    assert!(message.contains(&format!("since {since};")) && message.ends_with("does not answer"), "{message}");
    assert_eq!(world.told("BaseImageNotLookedUp"), 1);
    assert_eq!(world.ready().0, ConditionStatus::True);
    world.containerfile("FROM configs\nRUN other\n");
    world.settle();
    assert_eq!(world.builds.len(), 2, "what is known is built upon");
}

#[test]
fn a_person_who_asks_to_build_once_more_waits_for_the_registry() {
    let mut world = built();
    let first = world.only_build().metadata.uid.clone();
    let answered = world.base.clone();
    let Base::Known { image, .. } = answered.clone() else { unreachable!() };
    world.base = base(&image, away());
    world.annotate(names::REBUILD_ANNOTATION);
    world.settle();
    assert_eq!(world.only_build().metadata.uid, first);
    assert!(world.annotation(names::REBUILD_ANNOTATION).is_some());
    world.base = answered;
    world.settle();
    assert_ne!(world.only_build().metadata.uid, first);
    assert_eq!(world.annotation(names::REBUILD_ANNOTATION), None);
}

#[test]
fn what_is_named_otherwise_says_so() {
    let mut world = built();
    let Base::Known { image, .. } = world.base.clone() else { unreachable!() };
    for (standing, reason) in [(Standing::Pinned, "Pinned"), (Standing::Digest, "NamedByDigest")] {
        world.base = base(&image, standing);
        world.settle();
        assert_eq!((resolved(&world).0, resolved(&world).1.as_str()), (ConditionStatus::True, reason));
    }
    world.base = Base::Unknown { why: "no node has reported its image".to_owned() };
    world.settle();
    assert_eq!((resolved(&world).0, resolved(&world).1.as_str()), (ConditionStatus::False, "BaseImageUnknown"));
}
