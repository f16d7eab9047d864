use std::fs;

use onlay_core::build::spec::{Cause, EXIT_DEFINITIVE, EXIT_TRANSIENT};
use onlay_testkit::Pki;
use rstest::rstest;

use crate::world::{OSTREE, World, configuration};

fn nothing() -> serde_json::Value {
    configuration(&[], &[], &[])
}

#[test]
fn a_failing_instruction_is_named_with_its_line_and_its_last_words() {
    let mut world = World::new(OSTREE);
    let text = "# a comment\nFROM configs AS final\nENV A=b\nRUN echo fine && \\\n  # why\n  echo E: no such thing >&2 && exit 42\n";
    let built = world.build(configuration(&[("/etc/a", "a")], &[], &[]), Some(text));
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::InstructionFailed, EXIT_DEFINITIVE));
    let step = failure.step.as_ref().unwrap();
    assert_eq!((step.line, step.exit_code), (4, Some(42)));
    assert!(step.instruction.starts_with("RUN echo fine && echo E:"), "{step:?}");
    assert_eq!(failure.output, ["fine", "E: no such thing"]);
}

#[test]
fn an_instruction_that_nobody_knows_is_named() {
    let mut world = World::new(OSTREE);
    let built = world.build(nothing(), Some("FROM configs\nBOGUS x\n"));
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::InputRefused, EXIT_DEFINITIVE));
    assert!(failure.message.contains("line 2: `BOGUS x`"), "{}", failure.message);
}

#[test]
fn a_registry_that_refuses_the_push_is_named_with_the_secret() {
    let mut world = World::new(OSTREE);
    world.write_secret("push", "guess");
    let built = world.build(nothing(), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::AccessDenied, EXIT_DEFINITIVE));
    let words =
        [&format!("{}/os/image:worker-5d56", world.registry.address()), "push-secret", "authentication required"];
    assert!(words.iter().all(|word| failure.message.contains(*word)), "{}", failure.message);
}

#[test]
fn a_registry_that_is_not_trusted_is_told() {
    let mut world = World::new(OSTREE);
    let other = Pki::ensure(&world.path("other")).unwrap();
    fs::write(world.path("ca/ca.crt"), other.ca_pem()).unwrap();
    let built = world.build(nothing(), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::CertificateNotTrusted, EXIT_DEFINITIVE));
    assert!(failure.message.contains("ConfigMap of registry authorities"), "{}", failure.message);
}

#[test]
fn a_registry_that_is_away_is_tried_again() {
    let mut world = World::new(OSTREE);
    world.registry.stop();
    let built = world.build(nothing(), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::NetworkFailed, EXIT_TRANSIENT));
    assert!(failure.message.contains("connection refused"), "{}", failure.message);
}

#[rstest]
#[case::without_labels("", "ostree.final-diffid (where the system's own layers end) and ostree.bootable")]
#[case::without_a_kernel("LABEL ostree.final-diffid=sha256:aa", "no label ostree.bootable (it has a kernel)")]
fn a_base_image_without_ostree_is_refused(#[case] labels: &str, #[case] words: &str) {
    let mut world = World::new(labels);
    let built = world.build(nothing(), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::BaseImageNotOstree, EXIT_DEFINITIVE));
    assert!(failure.message.contains(words), "{}", failure.message);
}

#[test]
fn a_configuration_that_does_not_fit_the_base_is_refused() {
    let mut world = World::new(OSTREE);
    let built = world.build(configuration(&[("/etc/ssh", "a")], &[], &[]), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::InputRefused, EXIT_DEFINITIVE));
    assert!(failure.message.contains("/etc/ssh is a directory in the base image"), "{}", failure.message);
}

#[test]
fn a_secret_of_another_kind_is_named() {
    let mut world = World::new(OSTREE);
    fs::remove_file(world.path("push/.dockerconfigjson")).unwrap();
    let built = world.build(nothing(), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::InputRefused, EXIT_DEFINITIVE));
    assert!(failure.message.contains("Secret push-secret") && failure.message.contains(".dockercfg"), "{failure:?}");
}
