//! What repeats a build that has failed, and what a person is told to do.

use onlay_api::names;
use rstest::rstest;

use super::super::*;
use super::world::{IMAGE, World, material, usable};
use crate::build::extras::Contents;
use crate::build::pull_secret::Hidden;
use crate::build::spec::{Cause, Failure};

const SAME: (&str, &str) = ("a.b.trusted-c", "a.b.trusted-c");
const SECRETS: (&str, &str) = ("a.b.trusted-c", "a.d.trusted-c");
const AUTHORITIES: (&str, &str) = ("a.b.trusted-c", "a.b.trusted-d");
const FIRST_AUTHORITIES: (&str, &str) = ("a.b", "a.b.trusted-c");

#[rstest]
#[case::nothing_is_other(Some(Cause::AccessDenied), SAME, false)]
#[case::a_registry_refused(Some(Cause::AccessDenied), SECRETS, true)]
#[case::a_registry_is_not_trusted(Some(Cause::CertificateNotTrusted), AUTHORITIES, true)]
#[case::a_stranger_is_told_that_there_is_no_such_image(Some(Cause::ImageNotFound), SECRETS, true)]
#[case::a_command_failed(Some(Cause::InstructionFailed), SECRETS, false)]
#[case::a_command_that_trusts_others_now_failed(Some(Cause::InstructionFailed), AUTHORITIES, true)]
#[case::a_command_that_trusts_somebody_now_failed(Some(Cause::InstructionFailed), FIRST_AUTHORITIES, true)]
#[case::the_input_is_wrong(Some(Cause::InputRefused), AUTHORITIES, false)]
#[case::the_image_is_wrong(Some(Cause::ImageRefused), AUTHORITIES, false)]
#[case::the_base_is_wrong(Some(Cause::BaseImageNotOstree), SECRETS, false)]
#[case::it_takes_too_long(Some(Cause::TimedOut), SECRETS, false)]
#[case::a_server_was_away(Some(Cause::NetworkFailed), SECRETS, true)]
#[case::nobody_knows_why(Some(Cause::BuilderFailed), SECRETS, true)]
#[case::another_version_knew_why(None, SECRETS, true)]
fn other_credentials_may_help_where(
    #[case] cause: Option<Cause>,
    #[case] (given, now): (&str, &str),
    #[case] expected: bool,
) {
    assert_eq!(cure::by_other_credentials(cause, given, now), expected);
}

fn authorities(body: &str) -> Option<Contents> {
    let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    Some(Hidden([("ca-bundle.crt".to_owned(), pem.into_bytes())].into()))
}

#[test]
fn a_renewed_secret_leaves_a_build_whose_command_failed_and_its_log() {
    let mut world = World::new();
    world.provided.trusted_ca = authorities("MAMCAQE=");
    world.settle();
    world.fail(Failure::new(Cause::InstructionFailed, "correct it"));
    for number in 0..3 {
        world.credentials.push = material("push-secret", usable(&format!("renewed {number}")));
        world.settle();
    }
    assert_eq!((World::state(world.only_build()).0, world.made(), world.jobs.len()), ("Failed", 1, 1));
    world.provided.trusted_ca = authorities("MAMCAQI=");
    world.settle();
    assert_eq!((World::state(world.only_build()).0, world.made()), ("Prepared", 2), "commands trust it");
}

#[test]
fn a_renewed_secret_leaves_a_containerfile_that_cannot_be_read() {
    let mut world = World::new();
    world.containerfile("FROM configs\nBOGUS x\n");
    world.credentials.push = material("push-secret", MaterialState::Missing);
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Failed");
    world.credentials.push = material("push-secret", usable("1"));
    world.settle();
    assert_eq!(world.made(), 1);
}

const ASK: &str = "; if it is mended at the registry, build once more: kubectl annotate machineosconfig worker \
                   machineconfiguration.openshift.io/rebuild=; the whole log: kubectl logs";
const DELETE: &str = "; no more tries follow, delete the MachineOSBuild to try again; the whole log: kubectl logs";
const NONE: &str = "what was said; the whole log: kubectl logs";

#[rstest]
#[case(Cause::AccessDenied, ASK)]
#[case(Cause::CertificateNotTrusted, ASK)]
#[case(Cause::ImageNotFound, ASK)]
#[case(Cause::NetworkFailed, DELETE)]
#[case(Cause::MachineFailed, DELETE)]
#[case(Cause::InstructionFailed, NONE)]
#[case(Cause::ImageRefused, NONE)]
fn a_build_that_failed_says_how_to_make_another_one(#[case] cause: Cause, #[case] words: &str) {
    let mut world = World::new();
    world.settle();
    world.fail(Failure::new(cause, "what was said"));
    let message = World::state(world.only_build()).1;
    assert!(message.starts_with("what was said") && message.contains(words), "{message}");
    // In each case a person may ask for it, without another input.
    world.annotate(names::REBUILD_ANNOTATION);
    world.settle();
    world.succeed(IMAGE);
    assert_eq!((world.served().0, world.made()), (Some(IMAGE), 2));
}
