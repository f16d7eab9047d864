use std::collections::BTreeSet;

use rstest::rstest;

use super::{Install, is_unit_name, preset};

fn links(unit: &str, text: &str) -> BTreeSet<String> {
    Install::parse([text]).links(unit)
}

#[rstest]
#[case::wanted_and_required("a.service", "[Unit]\nWants=x\n[Install]\nWantedBy=multi-user.target b.target\nRequiredBy=c.target",
    &["b.target.wants/a.service", "c.target.requires/a.service", "multi-user.target.wants/a.service"])]
#[case::upheld("a.service", "[Install]\nUpheldBy=b.service", &["b.service.upholds/a.service"])]
#[case::alias_of_its_own_name_is_no_link("a.service", "[Install]\nAlias=a.service dbus-a.service", &["dbus-a.service"])]
#[case::an_empty_value_forgets_earlier_ones("a.service", "[Install]\nWantedBy=x.target\nWantedBy=\nWantedBy=y.target", &["y.target.wants/a.service"])]
#[case::other_sections_do_not_count("a.service", "[Install]\n[Service]\nWantedBy=x.target", &[])]
#[case::a_template_without_instance_is_not_enabled("a@.service", "[Install]\nWantedBy=x.target", &[])]
#[case::a_template_is_enabled_as_its_default_instance("getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1",
    &["getty.target.wants/getty@tty1.service"])]
#[case::an_instance_is_enabled_as_itself("getty@tty2.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1",
    &["getty.target.wants/getty@tty2.service"])]
#[case::specifiers("a-b@c.service", "[Install]\nWantedBy=%p-%i.target %j.target %%.target\nAlias=%N.socket",
    &["a-b-c.target.wants/a-b@c.service", "b.target.wants/a-b@c.service", "a-b@c.socket"])]
#[case::a_line_that_goes_on("a.service", "[Install]\nWantedBy=x.target \\\n# between\n  y.target", &["x.target.wants/a.service", "y.target.wants/a.service"])]
#[case::no_way_out_of_the_directory("a.service", "[Install]\nAlias=../../x.service\nWantedBy=../x.target /y.target", &[])]
fn links_of_an_install_section(#[case] unit: &str, #[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(links(unit, text), expected.iter().map(|link| (*link).to_owned()).collect());
}

#[test]
fn drop_ins_are_read_after_the_unit() {
    let install = Install::parse(["[Install]\nWantedBy=x.target", "[Install]\nWantedBy=\nAlso=b.socket"]);
    assert_eq!((install.wanted_by, install.also), (Vec::<String>::new(), vec!["b.socket".to_owned()]));
}

#[rstest]
#[case::first_match_wins(&["enable a.service", "disable *"], "a.service", Some(true))]
#[case::patterns(&["# text\ndisable ssh*.s[eo]*\nenable *"], "sshd.socket", Some(false))]
#[case::question_mark_and_range(&["disable tty[0-3]?.service"], "tty2a.service", Some(false))]
#[case::negated_set(&["disable tty[!0-3].service"], "tty2.service", None)]
#[case::nothing_matches(&["enable b.service", "nonsense a.service"], "a.service", None)]
fn presets(#[case] texts: &[&str], #[case] unit: &str, #[case] expected: Option<bool>) {
    assert_eq!(preset(texts.iter().copied(), unit), expected);
}

#[rstest]
#[case("autofs.service", true)]
#[case("a@b\\x2d.mount", true)]
#[case(".service", false)]
#[case("a", false)]
#[case("a.conf", false)]
#[case("../a.service", false)]
fn names_of_units(#[case] name: &str, #[case] is_one: bool) {
    assert_eq!(is_unit_name(name), is_one);
}
