//! Registries that misbehave: what a build says of them, and that it succeeds when they behave again.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use onlay_builder::Deadline;
use onlay_core::build::spec::{Cause, EXIT_DEFINITIVE, EXIT_TRANSIENT};
use onlay_testkit::spoiled_registry::{Fault, Method, Wrong};
use rstest::rstest;

use crate::world::{OSTREE, World, configuration, run};

/// More requests than any build sends.
const ALL: usize = 1000;
const BASE: (Method, &str) = (Method::GET, "/os/base/manifests/");
const BLOB: (Method, &str) = (Method::GET, "/os/base/blobs/");
const UPLOAD: (Method, &str) = (Method::POST, "/os/image/blobs/uploads/");
const LAYER: (Method, &str) = (Method::PATCH, "/os/image/blobs/uploads/");
const IMAGE: (Method, &str) = (Method::PUT, "/os/image/manifests/");
/// Seconds that a build has which waits for a registry: in an eighth of it something has to move.
const TIMEOUT: i64 = 160;

fn spoil(world: &World, (method, path): (Method, &'static str), times: usize, wrong: Wrong) {
    world.front.as_ref().unwrap().spoil(Some(Fault { method, path: path.into(), times, wrong }));
}

#[rstest]
#[case::refuses_the_base_401(BASE, Wrong::Status(401, &[]), Cause::AccessDenied, "pull-secret")]
#[case::refuses_the_base_403(BASE, Wrong::Status(403, &[]), Cause::AccessDenied, "pull-secret")]
#[case::breaks_at_the_base_500(BASE, Wrong::Status(500, &[]), Cause::NetworkFailed, "500")]
#[case::is_busy_at_the_base_503(BASE, Wrong::Status(503, &[]), Cause::NetworkFailed, "503")]
#[case::truncates_the_base(BLOB, Wrong::Truncated, Cause::NetworkFailed, "EOF")]
#[case::sends_another_base(BLOB, Wrong::Changed, Cause::NetworkFailed, "igest")]
#[case::drops_the_connection_at_the_base(BASE, Wrong::Dropped, Cause::NetworkFailed, "EOF")]
#[case::drops_the_connection_at_the_layer(LAYER, Wrong::Dropped, Cause::NetworkFailed, "uploads")]
#[case::drops_the_connection_at_the_manifest(IMAGE, Wrong::Dropped, Cause::NetworkFailed, "EOF")]
#[case::refuses_the_image_401(UPLOAD, Wrong::Status(401, &[]), Cause::AccessDenied, "push-secret")]
#[case::refuses_the_image_403(UPLOAD, Wrong::Status(403, &[]), Cause::AccessDenied, "push-secret")]
#[case::breaks_at_the_image_500(UPLOAD, Wrong::Status(500, &[]), Cause::NetworkFailed, "500")]
#[case::refuses_the_manifest_403(IMAGE, Wrong::Status(403, &[]), Cause::AccessDenied, "push-secret")]
#[case::breaks_at_the_manifest_500(IMAGE, Wrong::Status(500, &[]), Cause::NetworkFailed, "500")]
#[case::is_busy_at_the_manifest_429(IMAGE, Wrong::Status(429, &[("retry-after", "1")]), Cause::NetworkFailed, "429")]
fn a_registry_that(
    #[case] requests: (Method, &'static str),
    #[case] wrong: Wrong,
    #[case] cause: Cause,
    #[case] words: &str,
) {
    let mut world = World::new(OSTREE).with_front();
    spoil(&world, requests, ALL, wrong);
    let built = world.build(configuration(&[("/etc/a", "a")], &[], &[]), None);
    let (failure, exit_code) = built.failure();
    let expected = if cause == Cause::NetworkFailed { EXIT_TRANSIENT } else { EXIT_DEFINITIVE };
    assert_eq!((failure.cause, exit_code), (cause, expected), "{}", failure.message);
    assert!(failure.message.contains(words) && failure.message.contains(world.address()), "{}", failure.message);
    assert!(world.front.as_ref().unwrap().left() < ALL, "nothing was spoiled");

    world.front.as_ref().unwrap().spoil(None);
    let built = world.build(configuration(&[("/etc/a", "a")], &[], &[]), None);
    assert!(built.image().starts_with(&format!("{}/os/image@sha256:", world.address())));
}

#[rstest]
#[case::at_the_base(BLOB, "failed to pull ", "/os/base@sha256:")]
#[case::at_the_upload(LAYER, "failed to push to ", "/os/image:worker-5d56")]
#[case::at_the_manifest(IMAGE, "failed to push to ", "/os/image:worker-5d56")]
fn a_registry_that_stalls_is_given_up(
    #[case] requests: (Method, &'static str),
    #[case] tried: &str,
    #[case] image: &str,
) {
    let mut world = World::new(OSTREE).with_front();
    spoil(&world, requests, ALL, Wrong::Stalled);
    world.deadline = Some(Deadline::of_job(Timestamp::now(), TIMEOUT));
    let built = world.build(configuration(&[("/etc/a", "a")], &[], &[]), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::NetworkFailed, EXIT_TRANSIENT), "{}", failure.message);
    let address = world.address();
    for words in [tried, &format!("{address}{image}"), &format!("check that registry {address} works"), " for 20 s"] {
        assert!(failure.message.contains(words), "{}", failure.message);
    }

    world.front.as_ref().unwrap().spoil(None);
    world.deadline = Some(Deadline::of_job(Timestamp::now(), TIMEOUT));
    world.build(configuration(&[("/etc/a", "a")], &[], &[]), None).image();
}

#[test]
fn a_registry_that_stalls_at_another_image_of_the_containerfile_is_given_up() {
    let mut world = World::new(OSTREE).with_front();
    let other = format!("{}/os/base:1", world.address());
    spoil(&world, (Method::GET, "/os/base/manifests/1"), ALL, Wrong::Stalled);
    world.deadline = Some(Deadline::of_job(Timestamp::now(), TIMEOUT));
    let text = format!("FROM {other} AS tool\nFROM configs AS final\nCOPY --from=tool /etc/motd /usr/share/seen\n");
    let built = world.build(configuration(&[], &[], &[]), Some(&text));
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::NetworkFailed, EXIT_TRANSIENT), "{}", failure.describe());
    let step = failure.step.as_ref().unwrap();
    assert!(step.line == 1 && step.instruction.contains(&other), "{step:?}");
}

#[rstest]
#[case::at_the_base(BLOB, 64 << 10)]
#[case::at_the_upload(LAYER, 128 << 10)]
fn a_registry_that_is_slow_is_waited_for(#[case] requests: (Method, &'static str), #[case] piece: usize) {
    let mut world = World::new(OSTREE).with_front();
    spoil(&world, requests, ALL, Wrong::Slow { piece, pause: Duration::from_millis(600) });
    world.deadline = Some(Deadline::of_job(Timestamp::now(), TIMEOUT));
    // More than the kernel takes at once, and nothing that gets small when it is packed.
    let text = "FROM configs AS final\nRUN for i in 1 2 3 4 5 6 7 8; do cat /usr/bin/*; done > /usr/share/large\n";
    world.build(configuration(&[("/etc/a", "a")], &[], &[]), Some(text)).image();
    assert!(world.front.as_ref().unwrap().left() < ALL, "nothing was slow");
}

#[rstest]
#[case::for_the_base(BASE)]
#[case::for_the_image(UPLOAD)]
fn a_registry_that_is_asked_too_often_is_asked_again_when_it_says(#[case] requests: (Method, &'static str)) {
    let mut world = World::new(OSTREE).with_front();
    spoil(&world, requests, 1, Wrong::Status(429, &[("retry-after", "1")]));
    world.build(configuration(&[], &[], &[]), None).image();
    assert_eq!(world.front.as_ref().unwrap().left(), 0);
}

#[test]
fn a_registry_that_names_another_digest_does_not_change_which_image_nodes_get() {
    let mut world = World::new(OSTREE).with_front();
    spoil(&world, IMAGE, ALL, Wrong::OtherDigest);
    let built = world.build(configuration(&[], &[], &[]), None);
    let digest = built.image().rsplit_once('@').unwrap().1.to_owned();
    world.front.as_ref().unwrap().spoil(None);
    assert_eq!(world.build(configuration(&[], &[], &[]), None).image().rsplit_once('@').unwrap().1, digest);
}

#[test]
fn a_disk_that_is_full_is_told_and_the_build_tried_again() {
    let mut world = World::new(OSTREE);
    let store = world.path("work-1/store");
    fs::create_dir_all(&store).unwrap();
    run(&["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", store.as_str()]);
    let built = world.build(configuration(&[], &[], &[]), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::MachineFailed, EXIT_TRANSIENT), "{}", failure.message);
    for words in ["no space left on device", "check space", "spec.build.resources"] {
        assert!(failure.message.to_lowercase().contains(&words.to_lowercase()), "{}", failure.message);
    }
    world.build(configuration(&[], &[], &[]), None).image();
}
