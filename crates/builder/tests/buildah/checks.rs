//! What a build refuses to push, since nodes could not use it.

use std::collections::BTreeMap;

use onlay_api::names;
use onlay_core::build::spec::{Cause, EXIT_DEFINITIVE, Outcome};
use rstest::rstest;
use serde_json::{Value, json};

use crate::images::newest;
use crate::world::{OSTREE, World, configuration};

fn wanted(unit: &str) -> Value {
    let mut wanted = configuration(&[("/etc/new/file", "ours\n")], &[], &[]);
    wanted["systemd"]["units"] = json!([{"name": unit, "enabled": true}]);
    wanted
}

#[rstest]
#[case::without_a_kernel("rm /usr/lib/modules/6.1.0/vmlinuz", &["kernel: there is no /usr/lib/modules/*/vmlinuz"])]
#[case::with_two_kernels(
    "mkdir /usr/lib/modules/6.12.0 && cp /usr/lib/modules/6.1.0/vmlinuz /usr/lib/modules/6.12.0",
    &["kernel: there are 2: /usr/lib/modules/6.1.0/vmlinuz /usr/lib/modules/6.12.0/vmlinuz"]
)]
#[case::without_an_initramfs("rm /usr/lib/modules/*/initramfs.img", &["vmlinuz has no initramfs.img beside it"])]
#[case::with_a_directory_over_a_file("rm /etc/new/file && mkdir /etc/new/file", &["configuration: /etc/new/file is no file"])]
#[case::with_a_file_behind_a_link(
    "rm -r /etc/new && mkdir /etc/old && ln -s old /etc/new",
    &["configuration: /etc/new is no directory", "configuration: /etc/new/file of a MachineConfig is gone"]
)]
#[case::without_an_enabled_unit("rm /usr/lib/systemd/system/shipped.service", &["units: shipped.service is enabled"])]
#[case::with_an_enabled_unit_masked(
    "mkdir -p /etc/systemd/system && ln -s /dev/null /etc/systemd/system/shipped.service",
    &["/etc/systemd/system/shipped.service masks it"]
)]
#[case::with_too_much_in_var(
    "mkdir -p /var/opt/x && cp /lib/*/libc.so.6 /var/opt/x/a && echo b > /var/opt/x/b",
    &["var: the files that the build leaves in /var are 2 MiB, of which nodes that exist get nothing but copies of 1 MiB \
       together; the largest is /var/opt/x/a: remove it"]
)]
#[case::with_a_pipe_in_var("mkfifo /var/lib/pipe", &["var: /var/lib/pipe is a device, a pipe or a socket"])]
#[case::with_an_account_that_has_no_name_for_systemd(
    "echo a.b:x:900:0:::/bin/false >> /etc/passwd",
    &["accounts: the user \"a.b\" cannot be declared"]
)]
fn an_image_is_refused(#[case] command: &str, #[case] words: &[&str]) {
    let mut world = World::new(OSTREE);
    let built = world.build(wanted("shipped.service"), Some(&format!("FROM configs AS final\nRUN {command}\n")));
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::ImageRefused, EXIT_DEFINITIVE), "{failure:?}");
    assert_eq!(failure.message.matches("\n- ").count(), words.len(), "{}", failure.message);
    assert!(words.iter().all(|words| failure.message.contains(words)), "{}", failure.message);
    assert!(!world.has_image(), "the image was pushed");
}

#[test]
fn a_unit_that_nothing_brings_is_refused_without_a_containerfile_too() {
    let mut world = World::new(OSTREE);
    let built = world.build(wanted("nosuch.service"), None);
    let (failure, _) = built.failure();
    assert_eq!(failure.cause, Cause::ImageRefused);
    assert!(failure.message.contains("units: nosuch.service is enabled by a MachineConfig"), "{}", failure.message);
}

/// On one path the MachineConfig beats the Containerfile, and whoever reads the log learns of both.
#[test]
fn what_a_containerfile_does_to_the_configuration_is_undone_and_told() {
    let mut world = World::new(OSTREE);
    let origins = r#"{"paths": {"/etc/motd": {"contents": [1]}}, "units": {"our.service": {"contents": [0, 1]}}}"#;
    world.origins = BTreeMap::from([
        (names::SOURCES_ANNOTATION.to_owned(), r#"["50-a", "60-b"]"#.to_owned()),
        (names::ORIGINS_ANNOTATION.to_owned(), origins.to_owned()),
    ]);
    let unit = ("our.service", "[Service]\nExecStart=/bin/true\n");
    let wanted = configuration(&[("/etc/motd", "ours\n"), ("/etc/new", "ours\n")], &[], &[unit]);
    let text = "FROM configs AS final\nRUN echo theirs > /etc/motd && echo theirs > /etc/new && rm /etc/systemd/system/our.service\n";
    let (log, outcome) = world.build_apart("true", wanted, text);
    let Outcome::Pushed { image } = &outcome else { panic!("{outcome:?}: {log}") };
    for line in [
        "warning: the Containerfile changes /etc/motd: nodes get what MachineConfig 60-b says",
        "warning: the Containerfile changes /etc/new: nodes get what the rendered configuration says",
        "warning: the Containerfile removes /etc/systemd/system/our.service: nodes get what MachineConfigs 50-a, 60-b say",
    ] {
        assert!(log.lines().any(|said| said.ends_with(line)), "{line}: {log}");
    }
    assert_eq!(newest(&world.layers(image), "etc/motd").as_deref(), Some("ours\n"));
}
