use rstest::rstest;

use super::*;
use crate::render::desired::Owner;

fn entry(what: What) -> Entry {
    Entry { mode: 0o644, user: Owner::Id(0), group: Owner::Id(0), what }
}

fn plan() -> Plan {
    let entries = [
        ("/etc/new.d", entry(What::Directory)),
        ("/etc/new.d/file", entry(What::File(b"ours\n".to_vec()))),
        ("/etc/new.d/link", entry(What::Link("file".to_owned()))),
        ("/usr/lib/onlay/base/etc/motd", entry(What::CopyOf("/etc/motd".into()))),
    ];
    let entries = entries.into_iter().map(|(path, entry)| (path.into(), entry)).collect();
    let node_only = vec!["/usr/local/lib/systemd/system/local.service".to_owned()];
    Plan { entries, node_only, ..Plan::default() }
}

fn desired(units: &[DesiredUnit]) -> Desired {
    Desired { units: units.to_vec(), ..Desired::default() }
}

fn enabled(name: &str) -> DesiredUnit {
    DesiredUnit { name: name.to_owned(), enabled: Some(true), ..DesiredUnit::default() }
}

/// An image that is as it should be.
fn fine() -> Facts {
    let paths = [
        ("/etc/new.d", Found::Directory),
        ("/etc/new.d/file", Found::file(b"ours\n", 0o644)),
        ("/etc/new.d/link", Found::Link("file".to_owned())),
        ("/usr/lib/onlay/base/etc/motd", Found::file(b"shipped\n", 0o600)),
    ];
    Facts {
        kernels: BTreeMap::from([("6.1.0".to_owned(), true)]),
        paths: paths.into_iter().map(|(path, found)| (path.into(), found)).collect(),
        units: ["autofs.service", "getty@.service", "hidden.service"].map(str::to_owned).into(),
        masks: ["hidden.service"].map(str::to_owned).into(),
        ..Facts::default()
    }
}

fn words(facts: &Facts, units: &[DesiredUnit]) -> Vec<String> {
    check(&plan(), &desired(units), facts).iter().map(Finding::to_string).collect()
}

#[rstest]
#[case::no_units(&[])]
#[case::a_unit_of_the_image(&[enabled("autofs.service")])]
#[case::a_unit_that_only_nodes_have(&[enabled("local.service")])]
#[case::an_instance_of_a_template(&[enabled("getty@tty1.service")])]
#[case::a_unit_that_is_not_enabled(&[DesiredUnit { enabled: Some(false), ..enabled("nosuch.service") }])]
#[case::a_unit_that_shall_be_masked(&[DesiredUnit { masked: Some(true), ..enabled("nosuch.service") }])]
#[case::a_unit_that_shall_be_unmasked(&[DesiredUnit { masked: Some(false), ..enabled("hidden.service") }])]
fn an_image_as_it_should_be_passes(#[case] units: &[DesiredUnit]) {
    assert_eq!(words(&fine(), units), [""; 0]);
    assert_eq!(failure(&[]), None);
}

#[rstest]
#[case::none(&[], "kernel: there is no /usr/lib/modules/*/vmlinuz; let no instruction remove the kernel")]
#[case::several(&[("6.1.0", true), ("6.12.0", false)],
    "kernel: there are 2: /usr/lib/modules/6.1.0/vmlinuz /usr/lib/modules/6.12.0/vmlinuz; nobody could tell")]
#[case::without_an_initramfs(&[("6.1.0", false)], "kernel: /usr/lib/modules/6.1.0/vmlinuz has no initramfs.img beside it; make")]
fn a_node_boots_one_kernel(#[case] kernels: &[(&str, bool)], #[case] expected: &str) {
    let kernels = kernels.iter().map(|(version, initramfs)| ((*version).to_owned(), *initramfs)).collect();
    let found = words(&Facts { kernels, ..fine() }, &[]);
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
}

#[rstest]
#[case::a_file_that_is_gone("/etc/new.d/file", Found::Nothing, "is gone, or behind a link")]
#[case::a_file_with_other_contents("/etc/new.d/file", Found::file(b"theirs\n", 0o644), "has not the contents")]
#[case::a_file_with_another_mode("/etc/new.d/file", Found::file(b"ours\n", 0o600), "has mode 0600, not 0644")]
#[case::a_directory_in_place_of_a_file("/etc/new.d/file", Found::Directory, "is no file any more")]
#[case::a_file_in_place_of_a_directory("/etc/new.d", Found::file(b"", 0o644), "is no directory any more")]
#[case::a_file_in_place_of_a_link("/etc/new.d/link", Found::file(b"ours\n", 0o644), "is no link any more")]
#[case::a_link_to_somewhere_else("/etc/new.d/link", Found::Link("/dev/null".to_owned()), "has not the contents")]
#[case::a_pipe("/etc/new.d/file", Found::Other, "is no file any more")]
fn every_path_of_the_configuration_is_there(#[case] path: &str, #[case] there: Found, #[case] expected: &str) {
    let mut facts = fine();
    facts.paths.insert(path.into(), there);
    let found = words(&facts, &[]);
    assert!(found.len() == 1 && found[0].starts_with(&format!("configuration: {path} ")), "{found:?}");
    assert!(found[0].contains(expected) && found[0].contains("take it out of the MachineConfig"), "{found:?}");
}

#[test]
fn a_copy_of_what_the_base_had_may_be_anything() {
    let mut facts = fine();
    for found in [Found::file(b"newer\n", 0o644), Found::Nothing] {
        facts.paths.insert("/usr/lib/onlay/base/etc/motd".into(), found);
        assert_eq!(words(&facts, &[]), [""; 0]);
    }
}

#[rstest]
#[case::without_a_file(
    enabled("nosuch.service"),
    "units: nosuch.service is enabled by a MachineConfig, and there is no"
)]
#[case::an_instance_without_a_template(enabled("nosuch@a.service"), "units: nosuch@a.service is enabled")]
#[case::that_the_image_masks(
    enabled("hidden.service"),
    "units: hidden.service is enabled by a MachineConfig, and /etc/systemd/"
)]
#[case::to_be_unmasked_without_a_file(DesiredUnit { masked: Some(false), ..enabled("nosuch.service") }, "units: nosuch.service")]
fn every_enabled_unit_exists(#[case] unit: DesiredUnit, #[case] expected: &str) {
    let found = words(&fine(), &[unit]);
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
}

#[test]
fn what_nodes_would_not_get_is_told_with_its_path() {
    let untold = Untold { kind: "user", name: "a b".to_owned(), why: "its name is odd".to_owned() };
    let facts = Facts {
        left: vec!["/run/x".into()],
        accounts: Undeclared { lines: vec!["g a 9".to_owned()], untold: vec![untold] },
        var: Declaration {
            lost: vec![
                Lost::TooLarge { path: "/var/opt/big".into(), bytes: (30 << 20) - 5 },
                Lost::Special("/var/lib/s".into()),
            ],
            lines: vec!["d /var/lib/x 0755 root root -".to_owned()],
            ..Declaration::default()
        },
        ..fine()
    };
    let found = words(&facts, &[]).join("\n");
    let expected = [
        "leftovers: /run/x lies where",
        "var: the files that the build leaves in /var are 30 MiB",
        "of 1 MiB together; the largest is /var/opt/big: remove it",
        "var: /var/lib/s is a device",
        "accounts: the user \"a b\" cannot be declared for nodes that have accounts of their own, since its name is odd;",
        "declarations: `g a 9` is declared neither",
    ];
    assert!(expected.iter().all(|words| found.contains(words)) && !found.contains("/var/lib/x"), "{found}");
}

#[test]
fn a_failure_shows_the_first_findings_and_counts_the_rest() {
    let findings: Vec<_> = (0..10).map(|number| Finding::NoUnit(format!("a{number}.service"))).collect();
    let failure = failure(&findings).unwrap();
    assert_eq!(failure.cause, Cause::ImageRefused);
    assert!(failure.message.starts_with("the image was built and is not pushed"), "{}", failure.message);
    assert!(
        failure.message.contains("\n- units: a7.service is") && !failure.message.contains("a8"),
        "{}",
        failure.message
    );
    assert!(failure.message.ends_with("\n- and 2 more"), "{}", failure.message);
}
