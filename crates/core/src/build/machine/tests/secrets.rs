//! Secrets that go away or are renewed: what nodes pull with, and what is said of it.

use onlay_api::conditions::{ConditionStatus, OSConfigConditionType};
use rstest::rstest;

use super::super::*;
use super::world::{IMAGE, REPOSITORY, World, entry, material, usable};
use crate::build::spec::{Cause, Failure};

const OTHER: &str = "FROM configs AS final\nRUN other\n";

fn built() -> World {
    let mut world = World::new();
    world.settle();
    world.succeed(IMAGE);
    world
}

fn builds(world: &mut World) {
    world.containerfile(OTHER);
    world.settle();
    world.run_pod();
    world.settle();
}

fn fails(world: &mut World) {
    world.containerfile(OTHER);
    world.settle();
    world.forget_jobs();
    world.fail(Failure::new(Cause::InstructionFailed, "no"));
}

fn is_interrupted(world: &mut World) {
    builds(world);
    world.jobs.clear();
    world.settle();
}

fn without_base(world: &mut World) {
    world.base = Base::Unknown { why: "the registry does not answer".to_owned() };
    world.settle();
}

fn loses_the_secret(world: &mut World) {
    world.credentials.push = material("push-secret", MaterialState::Missing);
    world.node_entries.clear();
    world.settle();
}

const WITH_ONE: &str = r#"{"auths":{"registry.example.com":{"auth":"1"}}}"#;
const WITH_TWO: &str = r#"{"auths":{"registry.example.com":{"auth":"2"}}}"#;

#[rstest]
#[case::is_the_newest_one(|_: &mut World| (), "Built")]
#[case::is_followed_by_one_that_is_built(builds, "Building")]
#[case::is_followed_by_one_that_failed(fails, "BuildFailed")]
#[case::is_followed_by_one_that_was_interrupted(is_interrupted, "BuildInterrupted")]
fn a_secret_that_is_away_is_told_and_taken_from_no_node_whose_image(#[case] then: fn(&mut World), #[case] ready: &str) {
    let mut world = built();
    then(&mut world);
    loses_the_secret(&mut world);
    assert_eq!(world.node_credentials(), WITH_ONE);
    let (valid, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!((valid, reason.as_str()), (ConditionStatus::False, "CredentialsUnusable"));
    assert!(message.contains("Secret onlay/push-secret (spec.renderedImagePushSecret) does not exist"), "{message}");
    assert_eq!((world.ready().1.as_str(), world.told("CredentialsUnusable")), (ready, 1), "told once");
    world.credentials.push = material("push-secret", usable("1"));
    world.settle();
    assert_eq!(world.config_condition(OSConfigConditionType::Valid).1, "Usable");
}

#[rstest]
#[case::is_the_newest_one(|_: &mut World| ())]
#[case::is_followed_by_one_that_is_built(builds)]
#[case::is_followed_by_one_that_failed(fails)]
#[case::is_followed_by_one_that_was_interrupted(is_interrupted)]
#[case::is_on_a_base_that_nobody_knows_now(without_base)]
fn a_secret_that_is_renewed_reaches_nodes_whose_image(#[case] then: fn(&mut World)) {
    let mut world = built();
    then(&mut world);
    assert_eq!(world.node_credentials(), WITH_ONE);
    let made = world.made();
    world.credentials.push = material("push-secret", usable("renewed"));
    world.node_entries.insert(REPOSITORY.to_owned(), entry("registry.example.com", "2"));
    world.settle();
    assert_eq!((world.node_credentials().as_str(), world.made()), (WITH_TWO, made));
}

#[test]
fn nodes_pull_an_image_with_what_is_for_its_registry_until_another_one_is_there() {
    const IMAGE_THERE: &str = "there.example.com/os@sha256:33";
    const THERE: &str = r#"{"auths":{"there.example.com":{"auth":"3"}}}"#;
    let mut world = built();
    world.config.spec.rendered_image_push_spec = "there.example.com/os:latest".to_owned();
    world.node_entries.insert("there.example.com/os".to_owned(), entry("there.example.com", "3"));
    world.settle();
    assert_eq!(world.node_credentials(), WITH_ONE);
    world.forget_jobs();
    world.succeed(IMAGE_THERE);
    assert_eq!((world.served().0, world.node_credentials().as_str()), (Some(IMAGE_THERE), THERE));
}

#[test]
fn nodes_have_a_secret_without_an_entry_for_an_image_that_anybody_may_pull() {
    let mut world = World::new();
    world.node_entries.clear();
    world.settle();
    assert!(world.node_secret.is_none(), "there is no image yet");
    world.succeed(IMAGE);
    assert_eq!(world.node_credentials(), r#"{"auths":{}}"#);
}

#[test]
fn what_nodes_had_from_another_config_of_the_name_is_not_kept() {
    let mut world = built();
    world.config.metadata.uid = Some("uid-of-another-config".to_owned());
    world.config.status = None;
    (world.config.metadata.annotations, world.builds, world.jobs) = Default::default();
    world.node_entries.clear();
    world.settle();
    world.succeed(IMAGE);
    assert_eq!(world.node_credentials(), r#"{"auths":{}}"#);
}
