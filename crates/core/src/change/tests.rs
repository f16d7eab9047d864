use super::*;
use crate::render::desired::{DropIn, Owner};
use proptest::prelude::*;
use rstest::rstest;

const IMAGE: &str = "registry.example.com/os/worker@sha256:aaaa";

fn file(path: &str, contents: &str) -> DesiredFile {
    let owner = Owner::Id(0);
    DesiredFile { path: path.into(), mode: 0o644, user: owner.clone(), group: owner, contents: contents.into() }
}

fn unit(name: &str, enabled: bool) -> DesiredUnit {
    DesiredUnit { name: name.into(), enabled: Some(enabled), ..DesiredUnit::default() }
}

fn base() -> Desired {
    Desired {
        files: vec![file("/etc/motd", "hello\n")],
        units: vec![unit("autofs.service", true)],
        kernel_arguments: vec!["audit=0".into(), "quiet".into()],
        ssh_authorized_keys: vec!["ssh-ed25519 AAAA one".into()],
        ..Desired::default()
    }
}

fn link(path: &str) -> DesiredLink {
    DesiredLink { path: path.into(), target: "/usr/lib/motd".into(), user: Owner::Id(0), group: Owner::Id(0) }
}

#[rstest]
#[case::nothing(|_: &mut Desired| {}, &[])]
#[case::contents_of_a_file(|new: &mut Desired| new.files[0].contents = b"bye\n".into(), &["/etc/motd"])]
#[case::mode_of_a_file(|new: &mut Desired| new.files[0].mode = 0o600, &["/etc/motd"])]
#[case::owner_of_a_file(|new: &mut Desired| new.files[0].user = Owner::Name("core".into()), &["/etc/motd"])]
#[case::a_file_leaves(|new: &mut Desired| new.files.clear(), &["/etc/motd"])]
#[case::a_file_comes(|new: &mut Desired| new.files.push(file("/etc/issue", "")), &["/etc/issue"])]
#[case::a_file_becomes_a_link(|new: &mut Desired| { new.files.clear(); new.links.push(link("/etc/motd")); }, &["/etc/motd"])]
#[case::a_unit_is_disabled(|new: &mut Desired| new.units[0].enabled = Some(false), &["autofs.service"])]
#[case::a_unit_leaves(|new: &mut Desired| new.units.clear(), &["autofs.service"])]
#[case::a_drop_in_comes(
    |new: &mut Desired| new.units[0].dropins.push(DropIn { name: "10-a.conf".into(), contents: "[Unit]\n".into() }),
    &["autofs.service"]
)]
#[case::kernel_arguments_in_another_order(|new: &mut Desired| new.kernel_arguments.reverse(), &["kernel arguments"])]
#[case::another_key(|new: &mut Desired| new.ssh_authorized_keys.clear(), &["SSH keys of core"])]
fn differences(#[case] edit: fn(&mut Desired), #[case] named: &[&str]) {
    let (old, mut new) = (base(), base());
    edit(&mut new);
    let change = between(State { desired: &old, image: IMAGE }, State { desired: &new, image: IMAGE });
    let texts: Vec<String> = change.differences.iter().map(ToString::to_string).collect();
    assert_eq!(texts, named);
    assert_eq!(change.needs, if named.is_empty() { Needs::None } else { Needs::Reboot });
}

#[rstest]
#[case::the_same_reference(IMAGE, IMAGE, true)]
#[case::the_same_digest_in_another_registry(IMAGE, "mirror.example.com/os@sha256:aaaa", true)]
#[case::another_digest(IMAGE, "registry.example.com/os/worker@sha256:bbbb", false)]
#[case::a_tag_tells_nothing_about_a_digest("registry.example.com/os/worker:1", IMAGE, false)]
fn images(#[case] old: &str, #[case] new: &str, #[case] same: bool) {
    let desired = base();
    let change = between(State { desired: &desired, image: old }, State { desired: &desired, image: new });
    assert_eq!(change.differences.is_empty(), same);
    assert_eq!(change.needs, if same { Needs::None } else { Needs::Reboot });
}

proptest! {
    #[test]
    fn both_directions_name_the_same_things(
        old in prop::collection::btree_map("[a-c]", "[xy]", 0..3),
        new in prop::collection::btree_map("[a-c]", "[xy]", 0..3),
    ) {
        let desired = |files: &BTreeMap<String, String>| Desired {
            files: files.iter().map(|(path, contents)| file(path, contents)).collect(),
            ..Desired::default()
        };
        let (from, to) = (desired(&old), desired(&new));
        let (from, to) = (State { desired: &from, image: IMAGE }, State { desired: &to, image: IMAGE });
        prop_assert_eq!(between(from, to), between(to, from));
        prop_assert_eq!(between(from, to).needs == Needs::None, old == new);
    }
}
