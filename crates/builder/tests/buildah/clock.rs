//! Certificates and package lists of another hour, as they look when a clock is wrong: what a build says of them, and that it
//! succeeds when they are valid.

use jiff::{SignedDuration, Timestamp};
use onlay_core::build::spec::{Cause, EXIT_TRANSIENT};
use onlay_testkit::{RegistryServer, Validity};
use rstest::rstest;
use serde_json::Value;

use crate::base;
use crate::extras::kubelet_mounts;
use crate::world::{Built, OSTREE, World, configuration};

fn nothing() -> Value {
    configuration(&[], &[], &[])
}

/// The build failed for its time alone, and says so.
fn assert_not_valid_now(built: &Built) {
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::NotValidNow, EXIT_TRANSIENT), "{}", failure.describe());
    assert!(failure.message.contains("check the clocks of the build's node"), "{}", failure.message);
    assert!(!failure.message.contains("ConfigMap"), "{}", failure.message);
}

/// Which of its requests a build sends to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Pull,
    Push,
}

/// Puts a proxy with a certificate before the registry of this base image.
fn front(mut world: World, base: &str, at: At, validity: Option<Validity>) -> World {
    base.clone_into(&mut world.base);
    let mut world = world.with_front_valid(validity);
    if at == At::Push {
        base.clone_into(&mut world.base);
        world.write_secret("pull", RegistryServer::PASSWORD);
    }
    world
}

#[rstest]
#[case::is_over_at_the_pull(At::Pull, Validity::hours(-2, -1), "failed to pull ", " is after ")]
#[case::is_yet_to_come_at_the_pull(At::Pull, Validity::hours(1, 2), "failed to pull ", " is before ")]
#[case::is_over_at_the_push(At::Push, Validity::hours(-2, -1), "failed to push to ", " is after ")]
#[case::is_yet_to_come_at_the_push(At::Push, Validity::hours(1, 2), "failed to push to ", " is before ")]
fn a_registry_the_time_of_whose_certificate(
    #[case] at: At,
    #[case] validity: Validity,
    #[case] tried: &str,
    #[case] said: &str,
) {
    let world = World::new(OSTREE);
    let base = world.base.clone();
    let mut world = front(world, &base, at, Some(validity));
    let built = world.build(nothing(), None);
    assert_not_valid_now(&built);
    let message = &built.failure().0.message;
    for words in [tried, world.address(), said] {
        assert!(message.contains(words), "{message}");
    }

    let mut world = front(world, &base, at, None);
    world.build(nothing(), None).image();
}

#[test]
fn a_command_that_meets_a_certificate_of_another_hour_is_tried_again() {
    let mut world = World::on(&base::image_with(OSTREE, &["/usr/bin/openssl"]));
    kubelet_mounts(&world, "trusted-ca", &[("ca-bundle.crt", world.registry.authority())]);
    world.extras.trusted_ca = Some("corporate-ca".to_owned());
    let mut build = |validity: Option<Validity>| {
        let server = world.registry.spoiled(validity).unwrap();
        let text = format!(
            "FROM configs AS final\nRUN openssl s_client -connect {} -verify_return_error -brief < /dev/null\n",
            server.address()
        );
        world.build(nothing(), Some(&text))
    };
    let built = build(Some(Validity::hours(1, 2)));
    assert_not_valid_now(&built);
    let failure = built.failure().0;
    assert_eq!(failure.step.as_ref().map(|step| step.line), Some(2), "{failure:?}");
    assert!(failure.output.iter().any(|line| line.contains("certificate is not yet valid")), "{failure:?}");
    build(None).image();
}

/// apt, and its ways to a repository of files.
const APT: [&str; 4] =
    ["/usr/bin/apt-get", "/usr/lib/apt/methods/copy", "/usr/lib/apt/methods/file", "/usr/lib/apt/methods/store"];
/// Looks for package lists on a system without dpkg and its tables, and without a user for apt.
const UPDATE: &str = "apt-get update -o APT::Sandbox::User=root -o Dir::State::status=/dev/null \
                      -o Dir::dpkg::cputable=/dev/null -o Dir::dpkg::tupletable=/dev/null";

/// A repository without packages, valid from one hour to another, counted from now.
fn repository(from: i64, until: i64) -> Value {
    let at = |hours| (Timestamp::now() + SignedDuration::from_hours(hours)).strftime("%a, %d %b %Y %T UTC");
    let release = format!(
        "Suite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\nDate: {}\nValid-Until: {}\nSHA256:\n \
         e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages\n",
        at(from),
        at(until)
    );
    let files = [
        ("/etc/repository/dists/stable/Release", release.as_str()),
        ("/etc/repository/dists/stable/main/binary-amd64/Packages", ""),
        ("/etc/apt/sources.list", "deb %5Btrusted=yes%5D file:/etc/repository stable main\n"),
    ];
    configuration(&files, &[], &[])
}

#[rstest]
#[case::is_over(repository(-2, -1), " is expired (invalid since ")]
#[case::is_yet_to_come(repository(1, 2), " is not valid yet (invalid for another ")]
fn a_package_list_whose_time(#[case] repository_of_another_hour: Value, #[case] words: &str) {
    let mut world = World::on(&base::image_with(OSTREE, &APT));
    let text = format!("FROM configs AS final\nRUN {UPDATE}\n");
    let built = world.build(repository_of_another_hour, Some(&text));
    assert_not_valid_now(&built);
    let failure = built.failure().0;
    assert_eq!(failure.step.as_ref().map(|step| step.line), Some(2), "{failure:?}");
    assert!(failure.output.iter().any(|line| line.contains(words)), "{failure:?}");
    world.build(repository(-1, 2), Some(&text)).image();
}
