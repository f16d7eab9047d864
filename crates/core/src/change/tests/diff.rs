use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::change::diff::{Delta, Detail, MAX_TEXT, Presence, between, same_image};
use crate::render::desired::DropIn;

/// A description on few lines: what changes, then each aspect.
fn words(old: &World, new: &World) -> Vec<String> {
    let mut lines = Vec::new();
    for change in between(old.state(), new.state()).changes {
        let described = change.describe();
        lines.push(format!("{:?} {}", described.presence, described.subject).to_lowercase());
        lines.extend(described.details.iter().map(detail));
    }
    lines
}

fn detail(detail: &Detail) -> String {
    let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let what = match &detail.delta {
        Delta::Value { old, new } => format!("{} -> {}", said(old), said(new)),
        Delta::Entries { reordered: true, .. } => "in another order".to_owned(),
        Delta::Entries { added, removed, .. } => format!("+{} -{}", added.join(","), removed.join(",")),
        Delta::Text(text) => format!("+{} -{} lines", text.added, text.removed),
        Delta::Bytes { old, new } => {
            let size = |blob: &Option<_>| blob.as_ref().map_or(-1, |blob: &crate::change::diff::Blob| blob.size as i64);
            format!("{} -> {} bytes", size(old), size(new))
        }
    };
    format!("  {}: {what}", detail.aspect)
}

type Edit = fn(&mut World);

#[rstest]
#[case::nothing(|_: &mut World| (), &[])]
#[case::contents_of_a_file(|new: &mut World| new.desired.files[0].contents = b"hello\nyou\n".into(),
    &["changed file /etc/motd", "  contents: +1 -0 lines"])]
#[case::contents_that_are_no_text(|new: &mut World| new.desired.files[0].contents = vec![0, 1, 2],
    &["changed file /etc/motd", "  contents: 6 -> 3 bytes"])]
#[case::contents_that_a_terminal_obeys(|new: &mut World| new.desired.files[0].contents = b"\x1b[2J".into(),
    &["changed file /etc/motd", "  contents: 6 -> 4 bytes"])]
#[case::mode_and_owner_of_a_file(
    |new: &mut World| {
        new.desired.files[0].mode = 0o4600;
        new.desired.files[0].user = Owner::Name("core".into());
        new.desired.files[0].group = Owner::Id(7);
    },
    &["changed file /etc/motd", "  mode: 0644 -> 4600", "  user: root -> core", "  group: root -> 7"])]
#[case::a_file_comes(|new: &mut World| new.desired.files.push(file("/etc/issue", "a\nb\n")),
    &["added file /etc/issue", "  kind: - -> file", "  mode: - -> 0644", "  user: - -> root", "  group: - -> root",
      "  contents: +2 -0 lines"])]
#[case::a_file_leaves(|new: &mut World| new.desired.files.clear(),
    &["removed file /etc/motd", "  kind: file -> -", "  mode: 0644 -> -", "  user: root -> -", "  group: root -> -",
      "  contents: +0 -1 lines"])]
#[case::a_file_becomes_a_link(
    |new: &mut World| { new.desired.files.clear(); new.desired.links.push(link("/etc/motd", "/run/motd")); },
    &["changed link /etc/motd", "  kind: file -> link", "  mode: 0644 -> -", "  target: - -> /run/motd",
      "  contents: +0 -1 lines"])]
#[case::mode_of_a_directory(|new: &mut World| new.desired.directories[0].mode = 0o700,
    &["changed directory /etc/auto.d", "  mode: 0755 -> 0700"])]
#[case::target_of_a_link(|new: &mut World| new.desired.links[0].target = "/usr/share/zoneinfo/Europe/Oslo".into(),
    &["changed link /etc/localtime", "  target: /usr/share/zoneinfo/UTC -> /usr/share/zoneinfo/Europe/Oslo"])]
#[case::a_unit_is_disabled(|new: &mut World| new.desired.units[0].enabled = Some(false),
    &["changed unit autofs.service", "  state: enabled -> disabled"])]
#[case::a_unit_is_left_to_its_preset(|new: &mut World| new.desired.units[0].enabled = None,
    &["changed unit autofs.service", "  state: enabled -> -"])]
#[case::a_unit_is_masked(|new: &mut World| new.desired.units[0].masked = Some(true),
    &["changed unit autofs.service", "  mask: - -> masked"])]
#[case::a_unit_gets_contents(|new: &mut World| new.desired.units[0].contents = Some("[Unit]\n".into()),
    &["changed unit autofs.service", "  contents: +1 -0 lines"])]
#[case::a_drop_in_comes(
    |new: &mut World| new.desired.units[0].dropins.push(DropIn { name: "10-a.conf".into(), contents: "[Unit]\nA=1\n".into() }),
    &["changed unit autofs.service", "  drop-in 10-a.conf: +2 -0 lines"])]
#[case::a_unit_leaves(|new: &mut World| new.desired.units.clear(), &["removed unit autofs.service", "  state: enabled -> -"])]
#[case::keys(|new: &mut World| new.desired.ssh_authorized_keys = vec!["ssh-rsa two".into()],
    &["changed ssh keys of core", "  entries: +ssh-rsa two -ssh-ed25519 AAAA one"])]
#[case::arguments(|new: &mut World| new.desired.kernel_arguments = vec!["audit=0".into(), "audit=0".into()],
    &["changed kernel arguments", "  entries: +audit=0 -quiet"])]
#[case::arguments_in_another_order(|new: &mut World| new.desired.kernel_arguments.reverse(),
    &["changed kernel arguments", "  entries: in another order"])]
#[case::extensions(|new: &mut World| new.spec.extensions.push("kerberos".into()),
    &["changed extensions", "  entries: +kerberos -"])]
#[case::a_kernel(|new: &mut World| new.spec.kernel_type = Some("realtime".into()),
    &["changed kernel type", "  value: default -> realtime"])]
#[case::the_default_kernel_by_another_word(|new: &mut World| new.spec.kernel_type = None, &[])]
#[case::fips(|new: &mut World| new.spec.fips = Some(true), &["changed fips mode", "  value: off -> on"])]
#[case::fips_that_is_not_said(|new: &mut World| new.spec.fips = None, &[])]
#[case::an_image_in_the_configuration(|new: &mut World| new.spec.os_image_url = Some("other@sha256:bb".into()),
    &["changed osimageurl", "  value: registry.example.com/os/worker@sha256:aaaa -> other@sha256:bb"])]
#[case::an_image_of_extensions(|new: &mut World| new.spec.base_os_extensions_container_image = Some("ext@sha256:bb".into()),
    &["added baseosextensionscontainerimage", "  value: - -> ext@sha256:bb"])]
#[case::another_image(|new: &mut World| new.image = Some("registry.example.com/os/worker@sha256:bb"),
    &["changed image",
      "  value: registry.example.com/os/worker@sha256:aaaa -> registry.example.com/os/worker@sha256:bb"])]
#[case::another_name_of_the_image(|new: &mut World| new.image = Some("mirror.example.com/os@sha256:aaaa"), &[])]
#[case::an_image_that_is_not_known(|new: &mut World| new.image = None, &[])]
fn what_differs(#[case] edit: Edit, #[case] expected: &[&str]) {
    assert_eq!(words(&world(), &world().edited(edit)), expected);
}

#[test]
fn changes_come_in_a_fixed_order() {
    let subjects: Vec<String> =
        between(empty().state(), world().state()).changes.iter().map(|change| change.subject()).collect();
    assert_eq!(
        subjects,
        [
            "osImageURL",
            "kernel arguments",
            "extensions",
            "directory /etc/auto.d",
            "link /etc/localtime",
            "file /etc/motd",
            "unit autofs.service",
            "SSH keys of core"
        ]
    );
}

fn only_delta(old: &str, new: &str) -> Delta {
    let (old, new) = (empty().edited(|world| world.desired.files.push(file("/etc/a", old))), {
        empty().edited(|world| world.desired.files.push(file("/etc/a", new)))
    });
    let diff = between(old.state(), new.state());
    let described = diff.changes[0].describe();
    assert_eq!((described.presence, described.details.len()), (Presence::Changed, 1));
    described.details[0].delta.clone()
}

#[rstest]
#[case::a_line_in_the_middle(
    "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
    "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
    "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
)]
#[case::a_last_line_without_an_end("a\n", "a\nb", "@@ -1 +1,2 @@\n a\n+b\n\\ No newline at end of file\n")]
#[case::ends_of_lines("a\r\n", "a\n", "@@ -1 +1 @@\n-a\r\n+a\n")]
fn texts_are_shown_as_a_unified_diff(#[case] old: &str, #[case] new: &str, #[case] expected: &str) {
    let Delta::Text(text) = only_delta(old, new) else { panic!("no text") };
    assert_eq!(text.unified, expected);
}

#[test]
fn texts_that_would_take_long_are_shown_as_sizes() {
    let long = |line: &str| line.repeat(MAX_TEXT / line.len() + 1);
    assert!(matches!(only_delta(&long("a\n"), &long("b\n")), Delta::Bytes { .. }));
    let many = |line: &str| (0..3000).map(|number| format!("{line} {number}\n")).collect::<String>();
    assert!(matches!(only_delta(&many("a"), &many("b")), Delta::Bytes { .. }));
    let one_more = many("a") + "b\n";
    assert!(matches!(only_delta(&many("a"), &one_more), Delta::Text(_)));
}

#[rstest]
#[case::the_same_reference(IMAGE, IMAGE, true)]
#[case::the_same_digest_in_another_registry(IMAGE, "mirror.example.com/os@sha256:aaaa", true)]
#[case::another_digest(IMAGE, "registry.example.com/os/worker@sha256:bbbb", false)]
#[case::a_tag_tells_nothing_about_a_digest("registry.example.com/os/worker:1", IMAGE, false)]
fn images(#[case] old: &str, #[case] new: &str, #[case] same: bool) {
    assert_eq!(same_image(old, new), same);
}

pub(super) fn any_world() -> impl Strategy<Value = World> {
    let texts = || prop::collection::vec("[ab]", 0..3);
    let files =
        prop::collection::btree_map("/etc/(motd|containers/policy.json|nmstate/openshift/[ab])", "[xy]\n", 0..4);
    let units = prop::collection::btree_map("[ab].service", any::<Option<bool>>(), 0..3);
    (files, units, texts(), texts(), texts(), any::<bool>()).prop_map(
        |(files, units, keys, arguments, extensions, fips)| {
            empty().edited(|world| {
                world.desired.files = files.iter().map(|(path, text)| file(path, text)).collect();
                let named = |(name, enabled): (&String, &Option<bool>)| DesiredUnit { enabled: *enabled, ..unit(name) };
                world.desired.units = units.iter().map(named).collect();
                world.desired.ssh_authorized_keys = keys;
                world.desired.kernel_arguments = arguments;
                world.spec.extensions = extensions;
                world.spec.fips = Some(fips);
            })
        },
    )
}

/// Applies a unified diff whose context is the whole file, which is what becomes of short files.
fn patched(old: &str, unified: &str) -> String {
    let (mut rest, mut new) = (old.to_owned(), String::new());
    for line in unified.lines().filter(|line| !line.starts_with("@@")) {
        let (sign, text) = line.split_at(1);
        if sign != "+" {
            rest = rest.strip_prefix(&format!("{text}\n")).unwrap().to_owned();
        }
        if sign != "-" {
            new.push_str(&format!("{text}\n"));
        }
    }
    new + &rest
}

proptest! {
    #[test]
    fn nothing_differs_from_itself(world in any_world()) {
        prop_assert_eq!(between(world.state(), world.state()).changes, []);
    }

    #[test]
    fn both_directions_name_the_same_things(a in any_world(), b in any_world()) {
        let names = |old: &World, new: &World| -> Vec<String> {
            between(old.state(), new.state()).changes.iter().map(|change| change.subject()).collect()
        };
        prop_assert_eq!(names(&a, &b), names(&b, &a));
    }

    #[test]
    fn nothing_is_left_out(a in any_world(), b in any_world()) {
        let differs = a.desired != b.desired || a.spec != b.spec;
        prop_assert_eq!(!between(a.state(), b.state()).changes.is_empty(), differs);
    }

    #[test]
    fn a_text_diff_leads_from_one_to_the_other(old in "([ab]\n){0,4}", new in "([ab]\n){0,4}") {
        if old != new {
            let Delta::Text(text) = only_delta(&old, &new) else { panic!("no text") };
            prop_assert_eq!(patched(&old, &text.unified), new);
        }
    }
}
