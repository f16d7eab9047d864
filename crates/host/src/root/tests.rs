use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::Utf8Path;
use rstest::rstest;

use super::gate::Gate;
use super::{Access, Kind, Root};

fn tree() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("usr/lib/systemd")).unwrap();
    std::fs::create_dir_all(dir.path().join("etc")).unwrap();
    std::fs::create_dir_all(dir.path().join("var")).unwrap();
    std::fs::write(dir.path().join("usr/lib/systemd/a.service"), "inside").unwrap();
    symlink("/usr/lib", dir.path().join("lib")).unwrap();
    symlink("var/opt", dir.path().join("opt")).unwrap();
    symlink("../../../../../../../../etc", dir.path().join("etc/up")).unwrap();
    let root = Root::open(dir.path().try_into().unwrap()).unwrap();
    (dir, root)
}

fn path(path: &str) -> &Utf8Path {
    Utf8Path::new(path)
}

#[test]
fn absolute_links_lead_to_places_inside_the_root() {
    let (_dir, root) = tree();
    assert_eq!(root.read(path("/lib/systemd/a.service")).unwrap().unwrap(), b"inside");
    assert_eq!(root.real(path("/lib/systemd/b.service")).unwrap(), "/usr/lib/systemd/b.service");
}

#[test]
fn no_number_of_parent_steps_leaves_the_root() {
    let (dir, root) = tree();
    root.write(path("/etc/up/escaped"), b"no", Access::mine(0o644)).unwrap();
    assert_eq!(std::fs::read(dir.path().join("etc/escaped")).unwrap(), b"no");
    assert_eq!(root.real(path("/etc/up/x")).unwrap(), "/etc/x");
}

#[test]
fn a_missing_directory_behind_a_link_is_made() {
    let (dir, root) = tree();
    root.write(path("/opt/tool/config"), b"x", Access::mine(0o600)).unwrap();
    assert_eq!(std::fs::read(dir.path().join("var/opt/tool/config")).unwrap(), b"x");
}

#[test]
fn links_that_lead_to_each_other_are_an_error() {
    let (dir, root) = tree();
    symlink("two", dir.path().join("one")).unwrap();
    symlink("one", dir.path().join("two")).unwrap();
    assert!(root.write(path("/one/x"), b"", Access::mine(0o600)).is_err());
}

#[test]
fn a_written_file_replaces_a_link_and_not_its_target() {
    let (dir, root) = tree();
    std::fs::write(dir.path().join("etc/target"), "kept").unwrap();
    symlink("target", dir.path().join("etc/name")).unwrap();
    root.write(path("/etc/name"), b"new", Access::mine(0o640)).unwrap();
    assert_eq!(std::fs::read(dir.path().join("etc/target")).unwrap(), b"kept");
    let meta = root.meta(path("/etc/name")).unwrap().unwrap();
    assert_eq!((meta.kind, meta.mode), (Kind::File, 0o640));
}

#[test]
fn setuid_bits_survive_the_change_of_owner() {
    let (dir, root) = tree();
    root.write(path("/etc/tool"), b"", Access::mine(0o4755)).unwrap();
    assert_eq!(std::fs::metadata(dir.path().join("etc/tool")).unwrap().permissions().mode() & 0o7777, 0o4755);
}

#[rstest]
#[case::relative("etc/x")]
#[case::the_root_itself("/")]
#[case::no_name_at_the_end("/etc/..")]
fn paths_that_name_nothing_are_refused(#[case] bad: &str) {
    let (_dir, root) = tree();
    assert!(root.write(path(bad), b"", Access::mine(0o600)).is_err());
}

#[test]
fn a_full_directory_is_not_removed() {
    let (_dir, root) = tree();
    assert!(!root.remove_empty(path("/usr/lib/systemd")).unwrap());
    root.remove(path("/usr/lib/systemd/a.service")).unwrap();
    assert!(root.remove_empty(path("/usr/lib/systemd")).unwrap());
    assert!(root.remove_empty(path("/usr/lib/systemd")).unwrap());
}

#[test]
fn a_write_that_is_killed_leaves_the_old_file_and_the_next_one_clears_the_rest() {
    let (dir, root) = tree();
    root.write(path("/etc/x"), b"old", Access::mine(0o600)).unwrap();
    let killed = Root::open(root.path()).unwrap().behind(&Gate::after(1));
    assert!(killed.write(path("/etc/x"), b"new", Access::mine(0o600)).is_err());
    assert_eq!(root.read(path("/etc/x")).unwrap().unwrap(), b"old");
    root.write(path("/etc/x"), b"new", Access::mine(0o600)).unwrap();
    let names: Vec<_> = std::fs::read_dir(dir.path().join("etc")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
