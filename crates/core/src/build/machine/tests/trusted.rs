//! Authorities that builds trust besides the machine's.

use onlay_api::conditions::{ConditionStatus, OSConfigConditionType};
use rstest::rstest;
use serde_json::json;

use super::super::*;
use super::policies::with_policy;
use super::world::{IMAGE, World};
use crate::build::extras::Contents;
use crate::build::pull_secret::Hidden;
use crate::build::spec::{Cause, Failure};

fn certificate(body: &str) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

fn bundle(text: &str) -> Option<Contents> {
    Some(Hidden([("ca-bundle.crt".to_owned(), text.as_bytes().to_vec())].into()))
}

#[test]
fn the_usual_config_map_is_given_if_it_is_filled() {
    let mut world = World::new();
    world.provided.trusted_ca = Some(Hidden([].into()));
    world.settle();
    assert_eq!(world.asked().extras.trusted_ca, None);
    let mut world = World::new();
    world.provided.trusted_ca = bundle(&certificate("MAMCAQE="));
    world.settle();
    assert_eq!(world.asked().extras.trusted_ca.as_deref(), Some("onlay-trusted-ca"));
}

#[test]
fn a_build_without_commands_talks_to_registries_too() {
    let mut world = World::new();
    world.containerfile("");
    world.provided.trusted_ca = bundle(&certificate("MAMCAQE="));
    world.settle();
    assert_eq!(world.asked().extras.trusted_ca.as_deref(), Some("onlay-trusted-ca"));
}

#[test]
fn other_authorities_make_no_build() {
    let mut world = World::new();
    world.settle();
    let (before, marked) = (world.asked().build, world.asked().extras.mark());
    for body in ["MAMCAQE=", "MAMCAQI="] {
        world.provided.trusted_ca = bundle(&certificate(body));
        world.settle();
        assert_eq!(world.only_build().metadata.name.as_deref(), Some(before.as_str()));
    }
    world.succeed(IMAGE);
    world.provided.trusted_ca = None;
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Succeeded");
    let mut world = World::new();
    world.provided.trusted_ca = bundle(&certificate("MAMCAQE="));
    world.settle();
    assert_eq!((world.asked().build, world.asked().extras.mark()), (before, marked));
}

#[test]
fn other_authorities_repeat_a_build_that_failed() {
    let mut world = World::new();
    world.settle();
    world.fail(Failure::new(Cause::CertificateNotTrusted, "x509: certificate signed by unknown authority"));
    assert_eq!(World::state(world.only_build()).0, "Failed");
    world.provided.trusted_ca = bundle(&certificate("MAMCAQE="));
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Prepared");
    world.fail(Failure::new(Cause::CertificateNotTrusted, "x509: certificate signed by unknown authority"));
    world.provided.trusted_ca = bundle("broken");
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Failed", "nothing to try it with");
    world.provided.trusted_ca = bundle(&certificate("MAMCAQI="));
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Prepared");
}

const NAMED: &str = "ConfigMap onlay/corporate-ca (spec.build.trustedCA of LayeringPolicy worker) ";

#[rstest]
#[case::missing(
    None,
    "does not exist; create it: `kubectl create configmap corporate-ca -n onlay --from-file=ca-bundle.crt=…`"
)]
#[case::without_the_key(
    Some(Hidden([("ca.crt".to_owned(), Vec::new())].into())),
    "has no key ca-bundle.crt, and has ca.crt; write certificates in PEM there"
)]
#[case::without_a_certificate(
    bundle("nothing\n"),
    "has no certificate in key ca-bundle.crt; write certificates in PEM there (-----BEGIN CERTIFICATE----- …)"
)]
#[case::broken(bundle(&certificate("AAAA")), "has a broken certificate in key ca-bundle.crt, number 1 of 1; correct it")]
fn one_that_the_policy_names_and_that_cannot_be_used_is_told_and_waited_for(
    #[case] found: Option<Contents>,
    #[case] words: &str,
) {
    let mut world = with_policy(json!({"trustedCA": {"name": "corporate-ca"}}));
    world.provided.trusted_ca = found;
    world.settle();
    let (status, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "TrustedCAUnusable"));
    assert_eq!(message, format!("{NAMED}{words}"));
    assert!(world.builds.is_empty());
    world.provided.trusted_ca = bundle(&certificate("MAMCAQE="));
    world.settle();
    assert_eq!(world.asked().extras.trusted_ca.as_deref(), Some("corporate-ca"));
}

#[test]
fn what_is_wrong_with_the_usual_one_is_told_without_a_policy() {
    let mut world = World::new();
    world.provided.trusted_ca = bundle("nothing\n");
    world.settle();
    let (_, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!(reason, "TrustedCAUnusable");
    assert!(message.starts_with("ConfigMap onlay/onlay-trusted-ca has no certificate"), "{message}");
}

#[test]
fn a_registry_that_cannot_be_asked_for_want_of_them_hides_them_not() {
    let mut world = with_policy(json!({"trustedCA": {"name": "corporate-ca"}}));
    world.base = Base::Unknown { why: "its certificate is not trusted".to_owned() };
    world.settle();
    let (_, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!(reason, "TrustedCAUnusable");
    assert!(message.starts_with(NAMED), "{message}");
}

#[test]
fn authorities_that_are_missing_do_not_hurt_an_image_that_is_built() {
    let mut world = with_policy(json!({"trustedCA": {"name": "corporate-ca"}}));
    world.provided.trusted_ca = bundle(&certificate("MAMCAQE="));
    world.settle();
    world.succeed(IMAGE);
    world.provided.trusted_ca = None;
    world.settle();
    assert_eq!((world.served().0, world.ready().0), (Some(IMAGE), ConditionStatus::True));
    assert_eq!(world.config_condition(OSConfigConditionType::Valid).1, "TrustedCAUnusable", "but it is told");
}
