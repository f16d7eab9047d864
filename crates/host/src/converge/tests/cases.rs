use camino::Utf8Path;
use rstest::rstest;

use super::{Machine, me, my_group};
use crate::converge::{Reach, Site, converge, look, refusals};
use crate::record::{Directory, Link, Owner, Record};
use crate::root::Root;

#[test]
fn files_get_contents_and_mode_and_their_parents() {
    let machine = Machine::new(&[]);
    let mut record = Record::default();
    record.tree.files.insert("/etc/auto.master.d/a.autofs".into(), machine.file("/data /etc/auto.data\n", 0o600));
    let outcome = machine.converge_all(&record);
    assert_eq!(outcome.changed, ["/etc/auto.master.d/a.autofs"]);
    let snapshot = machine.snapshot();
    assert_eq!(snapshot["etc/auto.master.d/a.autofs"], (0o600, "/data /etc/auto.data\n".into()));
    assert_eq!(snapshot["etc/auto.master.d"], (0o755, "dir".into()));
}

#[test]
fn a_look_changes_nothing() {
    let machine = Machine::new(&[("etc/a", "old")]);
    let before = machine.snapshot();
    let found = look(machine.site(), &machine.files(&[("/etc/a", "new"), ("/etc/b/c", "new")])).unwrap();
    assert_eq!(found.changed, ["/etc/a", "/etc/b/c"]);
    assert_eq!(machine.snapshot(), before);
    assert!(!machine.exists("etc/onlay"));
}

#[rstest]
#[case::back_as_the_image_ships_it(&[("usr/etc/a", "shipped")], Some("shipped"))]
#[case::gone_when_the_image_has_none(&[], None)]
#[case::back_from_the_base_when_the_image_carries_the_configuration(
    &[("usr/etc/a", "baked"), ("usr/lib/onlay/base/etc/a", "base"), ("usr/lib/onlay/baked", "/etc/a\n")], Some("base"))]
#[case::gone_when_only_the_configuration_put_it_into_the_image(
    &[("usr/etc/a", "baked"), ("usr/lib/onlay/baked", "/etc/a\n")], None)]
fn a_file_that_leaves_is(#[case] image: &[(&str, &str)], #[case] expected: Option<&str>) {
    let machine = Machine::new(image);
    machine.put("etc/a", "shipped");
    machine.converge_all(&machine.files(&[("/etc/a", "ours")]));
    machine.converge_all(&Record::default());
    assert_eq!(machine.text("etc/a").as_deref(), expected);
}

#[test]
fn outside_etc_what_stood_there_comes_back() {
    let machine =
        Machine::new(&[("opt", "-> var/opt"), ("var/opt/tool.conf", "theirs"), ("var/lib/x", "-> elsewhere")]);
    let before = machine.snapshot();
    let record = machine.files(&[("/opt/tool.conf", "1"), ("/var/lib/x", "1"), ("/var/new/deep/file", "1")]);
    machine.converge_all(&record);
    assert_eq!(machine.text("var/opt/tool.conf").as_deref(), Some("1"));
    machine.converge_all(&machine.files(&[("/opt/tool.conf", "2")]));
    assert!(!machine.exists("var/new"));
    machine.converge_all(&Record::default());
    assert_eq!(machine.snapshot(), before);
    assert_eq!(machine.state.list("originals").unwrap(), Vec::<String>::new());
}

#[test]
fn a_file_that_a_person_makes_after_it_left_stays() {
    let machine = Machine::new(&[]);
    machine.converge_all(&machine.files(&[("/etc/a", "ours")]));
    machine.converge_all(&Record::default());
    machine.put("etc/a", "by hand");
    machine.converge_all(&Record::default());
    assert_eq!(machine.text("etc/a").as_deref(), Some("by hand"));
}

#[test]
fn two_names_of_one_place_are_one_place() {
    let machine = Machine::new(&[("opt", "-> var/opt"), ("var/opt", "dir")]);
    machine.converge_all(&machine.files(&[("/opt/a", "x")]));
    let outcome = machine.converge_all(&machine.files(&[("/var/opt/a", "x")]));
    assert!(outcome.is_clean());
    assert_eq!(machine.text("var/opt/a").as_deref(), Some("x"));
}

#[test]
fn a_directory_that_is_not_empty_is_never_replaced() {
    let machine = Machine::new(&[("etc/a/theirs", "kept")]);
    let outcome = machine.converge(&machine.files(&[("/etc/a", "file"), ("/etc/b", "file")]));
    assert_eq!(outcome.failed[0].what, "/etc/a");
    assert_eq!(machine.text("etc/a/theirs").as_deref(), Some("kept"));
    assert_eq!(machine.text("etc/b").as_deref(), Some("file"));
}

#[test]
fn a_file_becomes_a_directory_and_a_file_again() {
    let machine = Machine::new(&[]);
    machine.converge_all(&machine.files(&[("/etc/a", "1")]));
    machine.converge_all(&machine.files(&[("/etc/a/b", "2")]));
    let outcome = machine.converge_all(&machine.files(&[("/etc/a", "3")]));
    assert!(!outcome.changed.is_empty());
    assert_eq!(machine.text("etc/a").as_deref(), Some("3"));
}

#[test]
fn links_and_second_names() {
    let machine = Machine::new(&[("etc/localtime", "-> /usr/share/zoneinfo/UTC")]);
    let mut record = machine.files(&[("/etc/z", "x")]);
    let link = |target: &str, hard| Link { target: target.into(), hard, user: me(), group: my_group() };
    record.tree.links.insert("/etc/localtime".into(), link("/usr/share/zoneinfo/CET", false));
    record.tree.links.insert("/etc/a".into(), link("/etc/z", true));
    machine.converge_all(&record);
    assert_eq!(machine.target("etc/localtime").as_deref(), Some("/usr/share/zoneinfo/CET"));
    assert_eq!(machine.text("etc/a").as_deref(), Some("x"));
    record.tree.files.insert("/etc/z".into(), machine.file("y", 0o644));
    machine.converge_all(&record);
    assert_eq!(machine.text("etc/a").as_deref(), Some("y"));
}

#[test]
fn directories_get_their_mode_and_go_when_they_are_empty() {
    let machine = Machine::new(&[("usr/etc/shipped", "dir"), ("etc/shipped", "dir")]);
    let before = machine.snapshot();
    let mut record = Record::default();
    for path in ["/etc/shipped", "/etc/ours/deep"] {
        record.tree.directories.insert(path.into(), Directory { mode: 0o700, user: me(), group: my_group() });
    }
    machine.converge_all(&record);
    assert_eq!(machine.snapshot()["etc/ours/deep"].0, 0o700);
    machine.converge_all(&Record::default());
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn an_owner_that_does_not_exist_is_named_and_nothing_is_written() {
    let machine = Machine::new(&[]);
    let mut record = machine.files(&[("/etc/a", "x")]);
    record.tree.files.get_mut(Utf8Path::new("/etc/a")).unwrap().user = Owner::Name("ldap".into());
    let outcome = machine.converge(&record);
    assert_eq!(outcome.failed[0].to_string(), "/etc/a: user ldap exists neither on the machine nor in its image");
    assert!(!machine.exists("etc/a"));
}

#[test]
fn owners_are_found_in_the_image_that_boots_next() {
    let machine = Machine::new(&[]);
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    machine.put("usr/etc/passwd", &format!("ldap:x:{uid}:{gid}::/:/bin/false\n"));
    machine.put("usr/etc/group", &format!("ldap:x:{gid}:\n"));
    let mut record = machine.files(&[("/etc/a", "x")]);
    let file = record.tree.files.get_mut(Utf8Path::new("/etc/a")).unwrap();
    (file.user, file.group) = (Owner::Name("ldap".into()), Owner::Name("ldap".into()));
    machine.converge_all(&record);
}

#[test]
fn keys_of_an_account_lie_below_its_home() {
    let machine = Machine::new(&[("home", "-> var/home"), ("var/home/core", "dir")]);
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    machine.put("etc/passwd", &format!("core:x:{uid}:{gid}::/home/core:/bin/sh\n"));
    let mut record = Record::default();
    record.tree.authorized_keys.insert("core".into(), vec!["ssh-ed25519 AAAA a".into(), "ssh-ed25519 BBBB b".into()]);
    machine.converge_all(&record);
    let snapshot = machine.snapshot();
    assert_eq!(
        snapshot["var/home/core/.ssh/authorized_keys"],
        (0o600, "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n".into())
    );
    assert_eq!(snapshot["var/home/core/.ssh"].0, 0o700);
    machine.converge_all(&Record::default());
    assert!(!machine.exists("var/home/core/.ssh"));
}

#[test]
fn paths_of_the_image_are_compared_and_never_written() {
    let machine = Machine::new(&[("usr/lib/a", "1")]);
    machine.converge_all(&machine.files(&[("/usr/lib/a", "1")]));
    let outcome = machine.converge(&machine.files(&[("/usr/lib/a", "2")]));
    assert_eq!(outcome.failed[0].what, "/usr/lib/a");
    assert_eq!(machine.text("usr/lib/a").as_deref(), Some("1"));
}

#[test]
fn another_deployments_tree_is_changed_below_etc_only() {
    let machine = Machine::new(&[("var/lib/a", "theirs")]);
    let site = Site { reach: Reach::Etc, ..machine.site() };
    let outcome = converge(site, &machine.files(&[("/etc/a", "x"), ("/var/lib/a", "x")])).unwrap();
    assert_eq!(outcome.changed, ["/etc/a"]);
    assert_eq!(machine.text("var/lib/a").as_deref(), Some("theirs"));
    assert_eq!(machine.state.list("originals").unwrap(), Vec::<String>::new());
}

#[test]
fn damaged_contents_are_not_installed() {
    let machine = Machine::new(&[]);
    let record = machine.files(&[("/etc/a", "x")]);
    let digest = &record.tree.files[Utf8Path::new("/etc/a")].sha256;
    std::fs::write(machine.state.root.path().join("content").join(digest), "y").unwrap();
    assert!(machine.converge(&record).failed[0].reason.contains("is damaged"));
    assert!(!machine.exists("etc/a"));
}

#[rstest]
#[case::a_file_where_the_image_has_a_directory("usr/etc/a", "dir", "/etc/a: is a directory in the new image")]
#[case::a_file_below_a_file_of_the_image(
    "usr/etc/b",
    "x",
    "/etc/b/c: cannot be put into the new image: /etc/b is a file"
)]
#[case::a_directory_where_the_image_has_a_file("usr/etc/d", "x", "/etc/d: is a file in the new image")]
fn what_the_merge_into_the_next_image_would_choke_on_is_refused(
    #[case] path: &str,
    #[case] made: &str,
    #[case] says: &str,
) {
    let (booted, next) = (Machine::new(&[]), Machine::new(&[(path, made)]));
    let mut record = booted.files(&[("/etc/a", "1"), ("/etc/b/c", "1")]);
    record.tree.directories.insert("/etc/d".into(), Directory { mode: 0o755, user: me(), group: my_group() });
    let site = Site { image: &next.root, ..booted.site() };
    let refused: Vec<_> = refusals(site, &record).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].starts_with(says), "{refused:?}");
    let fits = Site { image: &booted.root, ..booted.site() };
    assert_eq!(refusals(fits, &record).unwrap(), vec![]);
}

#[test]
fn a_list_of_held_paths_that_is_damaged_is_an_error_that_names_it() {
    let machine = Machine::new(&[("etc/onlay/held.json", "{")]);
    let error = converge(machine.site(), &Record::default()).unwrap_err();
    assert!(error.to_string().contains("/etc/onlay/held.json"), "{error}");
}

#[test]
fn a_sub_root_resolves_its_own_links() {
    let machine = Machine::new(&[("sysroot/dep/etc/a", "-> /etc/b"), ("sysroot/dep/etc/b", "x")]);
    let sub: Root = machine.root.sub(Utf8Path::new("/sysroot/dep")).unwrap();
    assert_eq!(sub.read(Utf8Path::new("/etc/a")).unwrap().unwrap(), b"x");
    assert_eq!(sub.real(Utf8Path::new("/etc/a")).unwrap(), "/etc/a");
}
