use rstest::rstest;

use super::*;

fn accounts() -> Accounts {
    let mut accounts = Accounts::default();
    accounts.add("root:x:0:0:::\nsssd:x:990:985:::\n", "root:x:0:\nsssd:x:985:\n");
    accounts
}

fn left(path: &str, what: Kind) -> Left {
    Left { path: path.into(), mode: 0o750, user: 990, group: 985, what }
}

#[rstest]
#[case::a_directory("/var/lib/sss", Kind::Directory, "d /var/lib/sss 0750 sssd sssd -")]
#[case::a_name_with_signs("/var/lib/a b%\"c", Kind::Directory, "d \"/var/lib/a b%%\\\"c\" 0750 sssd sssd -")]
#[case::a_log_directory("/var/log/nginx", Kind::Directory, "d /var/log/nginx 0750 sssd sssd -")]
#[case::a_link("/var/lib/link", Kind::Link("../100% x".to_owned()), "L /var/lib/link - - - - ../100%% x")]
#[case::a_file("/var/lib/f", Kind::File(3), "C /var/lib/f 0750 sssd sssd - /usr/lib/onlay/var/lib/f")]
fn what_is_left_is_told(#[case] path: &str, #[case] what: Kind, #[case] line: &str) {
    let moves = what != Kind::Directory;
    let declaration = declare(&[left(path, what)], &accounts(), &[]);
    assert_eq!((declaration.lines, declaration.lost), (vec![line.to_owned()], vec![]));
    assert_eq!(declaration.moved, if moves { vec![Utf8PathBuf::from(path)] } else { vec![] });
}

#[test]
fn an_owner_without_a_name_is_told_by_number() {
    let left = Left { user: 7, group: 8, mode: 0o2755, ..left("/var/lib/x", Kind::Directory) };
    assert_eq!(declare(&[left], &accounts(), &[]).lines, ["d /var/lib/x 2755 7 8 -"]);
}

#[rstest]
#[case::the_packages_own_declaration("/var/lib/sss", "d /var/lib/sss 0755 root root -")]
#[case::one_of_boot_only("/var/lib/sss", "# a comment\nD!\t/var/lib/sss/ 0755")]
#[case::one_in_quotes("/var/lib/a b", "q \"/var/lib/a b\" 0755")]
#[case::notes_of_a_package_manager("/var/lib/dpkg/info/x.list", "")]
#[case::notes_of_a_helper("/var/lib/systemd/deb-systemd-helper-enabled/x.service", "")]
#[case::the_home_of_root("/var/roothome/.cache/x", "")]
fn what_others_tell_or_nobody_asks_for_is_not_told(#[case] path: &str, #[case] tmpfiles: &str) {
    let declaration = declare(&[left(path, Kind::Directory)], &accounts(), &[tmpfiles.to_owned()]);
    assert_eq!(declaration, Declaration::default());
}

#[rstest]
#[case::one_that_removes("r /var/lib/sss")]
#[case::one_that_only_sets_a_mode("z /var/lib/sss 0700")]
#[case::another_path("d /var/lib/sss/db 0755")]
fn a_line_that_makes_nothing_there_tells_nothing(#[case] tmpfiles: &str) {
    let declaration = declare(&[left("/var/lib/sss", Kind::Directory)], &accounts(), &[tmpfiles.to_owned()]);
    assert_eq!(declaration.lines.len(), 1);
}

#[test]
fn what_is_too_much_is_named_by_its_largest_file() {
    let files = [left("/var/opt/a", Kind::File(MOST)), left("/var/opt/b", Kind::File(1))];
    let lost = declare(&files, &accounts(), &[]).lost;
    assert_eq!(lost, [Lost::TooLarge { path: "/var/opt/a".into(), bytes: MOST + 1 }]);
    let lost = declare(&files[..1], &accounts(), &[]).lost;
    assert_eq!(lost, []);
}

#[test]
fn a_socket_is_lost() {
    let lost = declare(&[left("/var/lib/x.sock", Kind::Other)], &accounts(), &[]).lost;
    assert_eq!(lost, [Lost::Special("/var/lib/x.sock".into())]);
}
