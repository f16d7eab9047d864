use std::fs;
use std::os::unix::fs::PermissionsExt;

use jiff::Timestamp;
use onlay_builder::Deadline;
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
    let mut output = failure.output.clone();
    output.sort_unstable();
    assert_eq!(
        output,
        ["E: no such thing", "fine"],
        "buildah copies the command's two streams side by side, in any order"
    );
}

/// A script before buildah, which cannot be made to lose words: where it fails for the first time, what the command printed and
/// what the inner process around it said are left out, as buildah 1.28.2 was seen to do on a busy machine.
const LOSES_WORDS: &str = r#"#!/bin/sh
/usr/bin/buildah "$@" > "$0.log" 2>&1
code=$?
if [ $code = 42 ] && [ ! -e "$0.lost" ]; then
  : > "$0.lost"
  sed -i -e '/^E: no such thing$/d' -e '0,/^subprocess exited/{/^subprocess exited/d}' "$0.log"
fi
cat "$0.log"
exit $code
"#;

#[test]
fn words_that_buildah_loses_are_had_by_another_try() {
    let mut world = World::new(OSTREE);
    let script = world.path("bin/buildah");
    fs::create_dir_all(world.path("bin")).unwrap();
    fs::write(&script, LOSES_WORDS).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    world.extras.environment =
        [("PATH".to_owned(), format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", world.path("bin")))].into();
    let text = "FROM configs AS final\nRUN echo E: no such thing >&2; exit 42\n";
    let built = world.build(nothing(), Some(text));
    assert!(fs::exists(world.path("bin/buildah.lost")).unwrap(), "nothing was lost");
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::InstructionFailed, EXIT_DEFINITIVE), "{}", failure.describe());
    assert_eq!(failure.message, "correct it in the Containerfile");
    assert_eq!(failure.output, ["E: no such thing"]);
    let log = fs::read_to_string(world.path("bin/buildah.log")).unwrap();
    assert_eq!(
        log.matches("\nsubprocess exited with status 42").count(),
        2,
        "by these two it is known what was lost: {log}"
    );
}

/// The processes that run whose command line has these words.
fn running(words: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let lines = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(words)).collect()
}

#[test]
fn a_command_that_never_ends_is_named_with_its_line_and_its_last_words_and_does_not_go_on() {
    let mut world = World::new(OSTREE);
    let pipe = format!("/run/never-{}", std::process::id());
    let text = format!(
        "FROM configs AS final\nENV A=b\nRUN mkfifo {pipe}; i=0; while :; do i=$((i+1)); echo line $i; \\\n  \
         if [ $i = 30 ]; then cat {pipe}; fi; done\n"
    );
    world.deadline = Some(Deadline::of_job(Timestamp::now(), 45));
    let built = world.build(nothing(), Some(&text));
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::TimedOut, EXIT_DEFINITIVE), "{}", failure.describe());
    let step = failure.step.as_ref().unwrap();
    assert_eq!((step.line, step.exit_code), (3, None));
    assert!(step.instruction.starts_with("RUN mkfifo "), "{step:?}");
    assert_eq!(failure.output, (11..=30).map(|number| format!("line {number}")).collect::<Vec<_>>());
    for words in ["the 45 s are over", "spec.build.timeoutSeconds of the pool's LayeringPolicy"] {
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    assert_eq!(running(&pipe), [] as [String; 0]);

    world.deadline = Some(Deadline::of_job(Timestamp::UNIX_EPOCH, 30));
    let built = world.build(nothing(), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::TimedOut, EXIT_DEFINITIVE), "{}", failure.describe());
    assert!(failure.message.contains("1970-01-01T00:00:30Z by that of the controller"), "{}", failure.message);
    assert!(!world.has_image());
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
