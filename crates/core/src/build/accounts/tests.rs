use rstest::rstest;

use super::*;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n";
const GROUP: &str = "root:x:0:\nusers:x:100:\n";

fn accounts(passwd: &str, group: &str) -> Accounts {
    let mut accounts = Accounts::default();
    accounts.add(&format!("{PASSWD}{passwd}"), &format!("{GROUP}{group}"));
    accounts
}

fn lines(passwd: &str, group: &str, sysusers: &str) -> Vec<String> {
    let undeclared = undeclared(&accounts("", ""), &accounts(passwd, group), &[sysusers.to_owned()]);
    assert_eq!(undeclared.untold, []);
    undeclared.lines
}

const SSSD: &str = "sssd:x:990:985:User for sssd:/:/sbin/nologin\n";

#[rstest]
#[case::nothing_new("", "", "", &[])]
#[case::a_user_with_its_group(SSSD, "sssd:x:985:\n", "", &["g sssd 985", "u sssd 990:sssd \"User for sssd\" / /sbin/nologin"])]
#[case::a_user_of_a_group_of_the_base("app:x:991:100::/home/app:/bin/sh\n", "", "", &["u app 991:users - /home/app /bin/sh"])]
#[case::a_group_alone("", "render:x:105:\n", "", &["g render 105"])]
#[case::members("app:x:991:100:::\n", "render:x:105:app,root,ghost\n", "",
    &["g render 105", "u app 991:users - - /bin/sh", "m app render", "m root render"])]
#[case::one_that_a_package_declares_with_its_number(SSSD, "sssd:x:985:\n", "# why\ng sssd 985\nu sssd 990:985 \"x\" /\n", &[])]
#[case::one_whose_group_comes_with_it("a:x:9:9:::\n", "a:x:9:\n", "u a 9 -\n", &[])]
#[case::one_whose_number_a_package_leaves_open("a:x:9:9:::\n", "a:x:9:\n", "u a - \"A\" /\n", &["g a 9", "u a 9:a - - /bin/sh"])]
#[case::one_that_a_package_declares_with_another_number("", "a:x:9:\n", "g a 10\n", &["g a 9"])]
#[case::members_that_a_package_declares("", "users:x:100:\na:x:9:root\n", "g a 9\nm root a\n", &[])]
#[case::a_comment_with_signs("a:x:9:100:50% \"off\" \\o/:/:/bin/sh\n", "", "", &["u a 9:users \"50%% \\\"off\\\" \\\\o/\" / /bin/sh"])]
#[case::a_broken_line("a:x:nine:9:::\nb:x\n", "c:x\n", "", &[])]
fn what_a_build_adds_is_told(
    #[case] passwd: &str,
    #[case] group: &str,
    #[case] sysusers: &str,
    #[case] expected: &[&str],
) {
    assert_eq!(lines(passwd, group, sysusers), expected);
}

#[test]
fn a_member_that_the_base_does_not_have_is_told_of_its_own_group() {
    let base = accounts("core:x:1000:1000:::\n", "core:x:1000:\nwheel:x:10:\n");
    let built = accounts("core:x:1000:1000:::\n", "core:x:1000:\nwheel:x:10:core\n");
    assert_eq!(undeclared(&base, &built, &[]).lines, ["m core wheel"]);
}

#[rstest]
#[case::a_name_with_a_space("a b:x:9:100:::\n", "a b", "its name is not made of")]
#[case::a_name_that_begins_with_a_digit("9a:x:9:100:::\n", "9a", "its name is not made of")]
#[case::the_number_of_nobody_at_all("a:x:65535:100:::\n", "a", "the number 65535 means none")]
#[case::a_group_without_a_name("a:x:9:7:::\n", "a", "its group 7 has no name")]
#[case::a_name_with_a_dot("a.b:x:9:100:::\n", "a.b", "its name is not made of")]
#[case::a_home_above_the_root("a:x:9:100::/a/../b:\n", "a", "its home \"/a/../b\" is no absolute path")]
#[case::a_home_that_is_no_path("a:x:9:100::home:\n", "a", "its home \"home\" is no absolute path")]
fn what_cannot_be_told_is_named(#[case] passwd: &str, #[case] name: &str, #[case] why: &str) {
    let found = undeclared(&accounts("", ""), &accounts(passwd, "z:x:8:a b,9a,a,a.b\n"), &[]);
    assert_eq!(found.lines, ["g z 8"]);
    assert_eq!((found.untold[0].kind, found.untold[0].name.as_str()), ("user", name));
    assert!(found.untold[0].why.contains(why), "{found:?}");
}

#[test]
fn what_is_told_leaves_nothing_to_tell() {
    let (base, built) = (accounts("", ""), accounts(SSSD, "sssd:x:985:root\n"));
    let package = "u sssd -\ng other 985\n".to_owned();
    let text = undeclared(&base, &built, std::slice::from_ref(&package)).lines.join("\n");
    assert_eq!(undeclared(&base, &built, &[package, text]), Undeclared::default());
}
