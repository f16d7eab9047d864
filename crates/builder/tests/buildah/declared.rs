//! What is declared for accounts and `/var`, as systemd understands it. Written for systemd 252 (Debian 12).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use camino::Utf8Path;
use onlay_core::build::accounts::{Accounts, SYSUSERS, undeclared};
use onlay_core::build::var::{Kind, Left, TMPFILES, copy_of, declare};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n";
const GROUP: &str = "root:x:0:\nusers:x:100:\n";
const SSSD: &str = "sssd:x:990:985:User for sssd:/:/sbin/nologin\n";

fn accounts(passwd: &str, group: &str) -> Accounts {
    let mut accounts = Accounts::default();
    accounts.add(&format!("{PASSWD}{passwd}"), &format!("{GROUP}{group}"));
    accounts
}

fn left(path: &str, what: Kind) -> Left {
    Left { path: path.into(), mode: 0o750, user: 990, group: 985, what }
}

#[test]
fn systemd_makes_the_same_accounts_of_it_beside_a_package_that_leaves_the_number_open() {
    let passwd = format!("{SSSD}app:x:991:100:50% \"off\":/home/app:/bin/sh\n");
    let package = "u sssd - \"x\" /\n";
    let undeclared = undeclared(&accounts("", ""), &accounts(&passwd, "sssd:x:985:app\n"), &[package.to_owned()]);
    assert_eq!(undeclared.untold, []);
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("etc/passwd", PASSWD);
    write("etc/group", GROUP);
    write(SYSUSERS.trim_start_matches('/'), &(undeclared.lines.join("\n") + "\n"));
    write("usr/lib/sysusers.d/sssd.conf", package);
    let output = Command::new("systemd-sysusers").arg("--root").arg(root.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
    // Every user of systemd-sysusers has a home and a shell, root too.
    let made_users: String =
        read("etc/passwd").split_inclusive('\n').filter(|line| !line.starts_with("root:")).collect();
    let (mut made, mut expected) = (Accounts::default(), Accounts::default());
    made.add(&made_users, &read("etc/group"));
    expected.add(&passwd, &format!("{GROUP}sssd:x:985:app\n"));
    assert_eq!(made, expected);
}

#[test]
fn systemd_makes_the_same_of_it() {
    let owned = |path: &str, what| Left { user: 0, group: 0, ..left(path, what) };
    let everything = [
        left("/var/lib/sss", Kind::Directory),
        owned("/var/lib/a b%\"c", Kind::Directory),
        owned("/var/lib/link", Kind::Link("../100% \\x".to_owned())),
        owned("/var/lib/sss/f", Kind::File(3)),
    ];
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    let write = |path: &str, text: &str| {
        fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        fs::write(at(path), text).unwrap();
    };
    let declaration = declare(&everything, &accounts("sssd:x:990:985:::\n", "sssd:x:985:\n"), &[]);
    write(TMPFILES, &(declaration.lines.join("\n") + "\n"));
    write("/etc/passwd", "root:x:0:0:::\nsssd:x:990:985:::\n");
    write("/etc/group", "root:x:0:\nsssd:x:985:\n");
    write(copy_of(Utf8Path::new("/var/lib/sss/f")).as_str(), "new");
    let create = || {
        let output = Command::new("systemd-tmpfiles").arg("--root").arg(root.path()).arg("--create").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    create();
    for left in &everything {
        let made = fs::symlink_metadata(at(left.path.as_str())).unwrap_or_else(|error| panic!("{left:?}: {error}"));
        assert_eq!((made.uid(), made.gid()), (left.user, left.group), "{left:?}");
        match &left.what {
            Kind::Link(target) => assert_eq!(at(left.path.as_str()).read_link().unwrap().to_str(), Some(&**target)),
            _ => assert_eq!(made.permissions().mode() & 0o7777, left.mode, "{left:?}"),
        }
    }
    assert_eq!(fs::read_to_string(at("/var/lib/sss/f")).unwrap(), "new");
    // What the node has since made of it stays.
    write("/var/lib/sss/f", "changed");
    create();
    assert_eq!(fs::read_to_string(at("/var/lib/sss/f")).unwrap(), "changed");
}
