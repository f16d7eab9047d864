use rstest::rstest;

use super::*;
use crate::render::desired::DropIn;

/// A base image like those of ostree systems.
struct Tree(BTreeMap<Utf8PathBuf, BaseEntry>);

impl Base for Tree {
    fn entry(&self, path: &Utf8Path) -> Option<BaseEntry> {
        if path == "/" { Some(BaseEntry::Directory) } else { self.0.get(path).cloned() }
    }
}

fn base() -> Tree {
    let directories =
        ["/etc", "/etc/ssh", "/etc/systemd", "/etc/systemd/system", "/usr", "/usr/lib", "/usr/etc", "/var", "/run"];
    let links = [
        ("/lib", "usr/lib"),
        ("/home", "var/home"),
        ("/opt", "/var/opt"),
        ("/usr/local", "../var/usrlocal"),
        ("/etc/conf", "ssh"),
        ("/etc/up", "../usr/lib"),
        ("/etc/mtab", "/proc/self/mounts"),
        ("/etc/loop", "loop"),
    ];
    let files = ["/etc/motd", "/etc/ssh/sshd_config"];
    let mut tree = BTreeMap::new();
    tree.extend(directories.map(|path| (path.into(), BaseEntry::Directory)));
    tree.extend(links.map(|(path, target)| (path.into(), BaseEntry::Link(target.to_owned()))));
    tree.extend(files.map(|path| (path.into(), BaseEntry::File)));
    Tree(tree)
}

fn with_file(path: &str) -> Desired {
    let (user, group) = (Owner::Id(0), Owner::Name("ssh".to_owned()));
    let file = DesiredFile { path: path.to_owned(), mode: 0o640, user, group, contents: b"x".to_vec() };
    Desired { files: vec![file], ..Desired::default() }
}

fn with_directory(path: &str) -> Desired {
    let directory = DesiredDirectory { path: path.to_owned(), mode: 0o700, user: Owner::Id(0), group: Owner::Id(0) };
    Desired { directories: vec![directory], ..Desired::default() }
}

fn paths(plan: &Plan) -> Vec<&str> {
    plan.entries.keys().map(|path| path.as_str()).collect()
}

#[test]
fn an_empty_configuration_has_an_empty_layer() {
    assert_eq!(plan(&Desired::default(), &base()), Ok(Plan::default()));
}

#[test]
fn a_new_file_comes_with_the_directories_it_needs_and_no_others() {
    let plan = plan(&with_file("/etc/auto.master.d/x/shared.autofs"), &base()).unwrap();
    let expected = [
        "/etc/auto.master.d",
        "/etc/auto.master.d/x",
        "/etc/auto.master.d/x/shared.autofs",
        "/usr/lib/onlay",
        "/usr/lib/onlay/baked",
    ];
    assert_eq!(paths(&plan), expected);
    let entry = &plan.entries[Utf8Path::new("/etc/auto.master.d/x/shared.autofs")];
    let group = Owner::Name("ssh".to_owned());
    assert_eq!(*entry, Entry { mode: 0o640, user: Owner::Id(0), group, what: What::File(b"x".to_vec()) });
    let baked = &plan.entries[Utf8Path::new(BAKED)];
    assert_eq!(baked.what, What::File(b"/etc/auto.master.d/x/shared.autofs\n".to_vec()));
}

#[test]
fn what_the_base_has_is_kept() {
    let plan = plan(&with_file("/etc/motd"), &base()).unwrap();
    let copy = &plan.entries[Utf8Path::new("/usr/lib/onlay/base/etc/motd")];
    assert_eq!(copy.what, What::CopyOf("/etc/motd".into()));
    assert!(plan.entries.contains_key(Utf8Path::new("/usr/lib/onlay/base/etc")));
}

#[test]
fn a_link_of_the_base_in_the_place_of_a_file_is_kept_and_replaced() {
    let plan = plan(&with_file("/etc/mtab"), &base()).unwrap();
    assert!(plan.entries.contains_key(Utf8Path::new("/etc/mtab")));
    assert!(plan.entries.contains_key(Utf8Path::new("/usr/lib/onlay/base/etc/mtab")));
}

#[rstest]
#[case::relative("/etc/conf/sshd_config", "/etc/ssh/sshd_config")]
#[case::through_another_tree("/etc/up/tmpfiles.d/a.conf", "/usr/lib/tmpfiles.d/a.conf")]
#[case::from_the_root("/lib/a", "/usr/lib/a")]
fn links_of_the_base_are_followed(#[case] path: &str, #[case] real: &str) {
    let plan = plan(&with_file(path), &base()).unwrap();
    assert_eq!(plan.baked, [real]);
}

#[rstest]
#[case::home("/home/core/.ssh/config")]
#[case::an_absolute_link("/opt/a")]
#[case::a_link_out_of_usr("/usr/local/bin/a")]
#[case::var("/var/lib/a")]
#[case::another_place("/srv/a")]
fn what_is_not_in_etc_or_usr_is_the_nodes_alone(#[case] path: &str) {
    let plan = plan(&with_file(path), &base()).unwrap();
    assert_eq!((plan.entries.len(), plan.node_only.as_slice()), (0, &[path.to_owned()][..]));
}

#[test]
fn a_directory_keeps_its_own_mode_and_the_one_of_the_base_is_followed() {
    let plan = plan(&with_directory("/etc/conf"), &base()).unwrap();
    assert_eq!(paths(&plan), ["/etc/ssh"]);
    assert_eq!(plan.entries[Utf8Path::new("/etc/ssh")].mode, 0o700);
}

#[test]
fn units_and_drop_ins_lie_where_systemd_looks() {
    let dropins = vec![DropIn { name: "10-a.conf".to_owned(), contents: "[Service]\n".to_owned() }];
    let own = DesiredUnit { name: "a.service".to_owned(), contents: Some("[Unit]\n".to_owned()), ..Default::default() };
    let of_image =
        DesiredUnit { name: "kubelet.service".to_owned(), enabled: Some(true), dropins, ..Default::default() };
    let plan = plan(&Desired { units: vec![own, of_image], ..Desired::default() }, &base()).unwrap();
    let expected = ["/etc/systemd/system/a.service", "/etc/systemd/system/kubelet.service.d/10-a.conf"];
    assert_eq!(plan.baked, expected);
}

#[rstest]
#[case::file_over_directory(with_file("/etc/ssh"), "/etc/ssh is a directory in the base image and a file")]
#[case::directory_over_file(with_directory("/etc/motd"), "/etc/motd is a file in the base image and a directory")]
#[case::below_a_file(with_file("/etc/motd/a"), "/etc/motd/a cannot exist, since /etc/motd is no directory")]
#[case::in_a_circle(with_file("/etc/loop/a"), "the way to /etc/loop/a lead in a circle")]
fn what_does_not_fit_is_refused(#[case] desired: Desired, #[case] words: &str) {
    let error = plan(&desired, &base()).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
}
