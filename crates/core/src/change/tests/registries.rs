use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::change::diff::between;
use crate::change::disruption::{Because, Disruption, Rebuild, Step, assess, in_force};

const PATH: &str = "/etc/containers/registries.conf";

const OLD: &str = r#"
unqualified-search-registries = ["one.example.com", "two.example.com"]
[[registry]]
prefix = "a.example.com"
location = "a.example.com"
[[registry.mirror]]
location = "mirror.example.com/a"
"#;

/// What a change of the file costs, and what in it does more than add.
fn cost(old: Option<&str>, new: Option<&str>) -> (Disruption, Option<String>) {
    let with =
        |text: Option<&str>| empty().edited(|world| world.desired.files.extend(text.map(|text| file(PATH, text))));
    let (old, new) = (with(old), with(new));
    let diff = between(old.state(), new.state());
    let assessment = assess(&diff, &in_force(None, &host()), &host(), Rebuild::NotLayered);
    let Because::Registries { more, .. } = &assessment.costs[0].because else { panic!("{assessment:?}") };
    (assessment.total.clone(), more.clone())
}

fn reload(drain: bool) -> Disruption {
    Disruption::Live { drain, steps: vec![Step::Reload("crio.service".into())] }
}

#[rstest]
#[case::a_comment(&format!("# new\n{OLD}"))]
#[case::a_mirror_for_all(&format!("{OLD}[[registry.mirror]]\nlocation = \"other.example.com/a\"\n"))]
#[case::a_mirror_for_digests(
    &format!("{OLD}[[registry.mirror]]\nlocation = \"b.example.com\"\npull-from-mirror = \"digest-only\"\n"))]
#[case::a_mirror_before_the_others(
    &OLD.replace("[[registry.mirror]]", "[[registry.mirror]]\nlocation = \"b.example.com\"\n[[registry.mirror]]"))]
#[case::a_search_entry(&OLD.replace("\"two.example.com\"", "\"two.example.com\", \"three.example.com\""))]
#[case::a_registry_with_a_mirror(
    &format!("{OLD}[[registry]]\nlocation = \"b.example.com\"\n[[registry.mirror]]\nlocation = \"c.example.com\"\n"))]
#[case::a_registry_for_digests(
    &format!("{OLD}[[registry]]\nlocation = \"b.example.com\"\nmirror-by-digest-only = true\nblocked = false\n"))]
#[case::what_is_so_by_default(&OLD.replace("location = \"a.", "blocked = false\nlocation = \"a."))]
fn additions_take_a_reload(#[case] new: &str) {
    assert_eq!(cost(Some(OLD), Some(new)), (reload(false), None));
}

#[rstest]
#[case::a_registry_leaves(
    r#"unqualified-search-registries = ["one.example.com", "two.example.com"]"#,
    "registry a.example.com is removed"
)]
#[case::a_mirror_leaves(&OLD.replace("[[registry.mirror]]\nlocation = \"mirror.example.com/a\"\n", ""),
    "registry a.example.com: mirrors are removed, altered or in another order")]
#[case::a_mirror_is_altered(&OLD.replace("mirror.example.com/a", "mirror.example.com/b"),
    "registry a.example.com: mirrors are removed, altered or in another order")]
#[case::a_registry_is_blocked(&OLD.replace("location = \"a.", "blocked = true\nlocation = \"a."),
    "registry a.example.com: blocked differs")]
#[case::a_registry_moves(&OLD.replace("location = \"a.", "location = \"b."),
    "registry a.example.com: its settings differ")]
#[case::a_registry_comes_blocked(&format!("{OLD}[[registry]]\nlocation = \"b.example.com\"\nblocked = true\n"),
    "registry b.example.com is added with the setting blocked")]
#[case::a_registry_comes_that_points_elsewhere(
    &format!("{OLD}[[registry]]\nprefix = \"b.example.com\"\nlocation = \"c.example.com\"\n"),
    "registry b.example.com is added with the setting location")]
#[case::a_search_entry_leaves(&OLD.replace(", \"two.example.com\"", ""),
    "search entries are removed or in another order")]
#[case::search_entries_change_places(
    &OLD.replace(r#""one.example.com", "two.example.com""#, r#""two.example.com", "one.example.com""#),
    "search entries are removed or in another order")]
#[case::a_setting_for_all(&format!("short-name-mode = \"enforcing\"\n{OLD}"), "settings for all registries differ")]
#[case::no_toml("[[registry", "the new file cannot be read: ")]
#[case::a_registry_without_a_name(
    "[[registry]]\nblocked = true\n",
    "the new file cannot be read: a registry has neither prefix nor location"
)]
#[case::a_registry_twice(&format!("{OLD}[[registry]]\nlocation = \"a.example.com\"\n"),
    "the new file cannot be read: registry a.example.com is named twice")]
#[case::lists_that_are_none("registry = 1", "the new file cannot be read: registry is no list")]
#[case::tables_that_are_none("registry = [1]", "the new file cannot be read: registry is no list of tables")]
#[case::a_prefix_that_is_no_text("[[registry]]\nprefix = 1\n", "the new file cannot be read: a prefix is no text")]
fn everything_else_drains_first(#[case] new: &str, #[case] why: &str) {
    let (disruption, more) = cost(Some(OLD), Some(new));
    assert_eq!(disruption, reload(true));
    assert!(more.as_deref().is_some_and(|more| more.starts_with(why)), "{more:?}");
}

#[test]
fn a_file_that_comes_or_goes_is_compared_with_an_empty_one() {
    assert_eq!(cost(None, Some(OLD)), (reload(false), None));
    assert_eq!(cost(Some("# nothing\n"), None), (reload(false), None));
    assert_eq!(cost(Some(OLD), None).0, reload(true));
}

/// Nesting that a reader could follow until its stack is at its end.
#[rstest]
#[case::lists(&format!("a = {}", "[".repeat(100_000)))]
#[case::closed_lists(&format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000)))]
#[case::keys(&format!("{}a = 1", "a.".repeat(100_000)))]
#[case::headers(&format!("[{}a]", "a.".repeat(100_000)))]
#[case::lists_over_lines(&format!("a = {}", "[\n".repeat(100_000)))]
#[case::behind_a_string(&format!("a = [\"\\\"#\", {}", "[".repeat(100_000)))]
#[case::behind_a_long_string(&format!("a = [\"\"\"x\"\"\"\", {}", "[".repeat(100_000)))]
#[case::behind_a_literal_string(&format!("a = ['\\', {}", "[".repeat(100_000)))]
#[case::behind_a_comment(&format!("# \"\na = {}", "[".repeat(100_000)))]
#[case::tables_of_long_keys(
    &format!("{}1{}", format!("{}a = {{", "a.".repeat(100)).repeat(100), "}".repeat(100)).replace("{1", "{ a = 1")
)]
fn deep_nesting_is_an_answer(#[case] new: &str) {
    assert_eq!(cost(Some(OLD), Some(new)).0, reload(true));
}

#[test]
fn brackets_in_strings_and_comments_are_not_nesting() {
    let text = "[.".repeat(9);
    let strings = format!("x = '{text}'\ny = \"\\\"{text}\"\nz = \"\"\"\n{text}\"\"\"\"\n");
    let new = format!("# {text}\n{OLD}[[registry.mirror]]\nlocation = \"b.example.com\"\n{strings}");
    assert_eq!(cost(Some(OLD), Some(&new)), (reload(false), None));
}

#[test]
fn what_is_no_file_drains_first() {
    let old = empty().edited(|world| world.desired.files.push(file(PATH, OLD)));
    let new = empty().edited(|world| world.desired.links.push(link(PATH, "/run/registries.conf")));
    let diff = between(old.state(), new.state());
    let assessment = assess(&diff, &in_force(None, &host()), &host(), Rebuild::NotLayered);
    assert_eq!(assessment.total, reload(true));
    assert_eq!(
        assessment.costs[0].because.to_string(),
        "node disruption policy: files /etc/containers/registries.conf; it does more than add mirrors or search \
         entries: the new file cannot be read: it is no file"
    );
}

fn conf(search: &[String], mirrors: &[String]) -> String {
    let tables: String = mirrors.iter().map(|mirror| format!("[[registry.mirror]]\nlocation = {mirror:?}\n")).collect();
    format!("unqualified-search-registries = {search:?}\n[[registry]]\nlocation = \"a.example.com\"\n{tables}")
}

proptest! {
    /// Inserting anywhere is an addition, and taking the same back is not.
    #[test]
    fn additions_go_one_way(
        entries in prop::collection::btree_set("[a-z]{1,4}", 2..6),
        keep in prop::collection::vec(any::<bool>(), 6),
        search in any::<bool>(),
    ) {
        let all: Vec<String> = entries.into_iter().collect();
        let some: Vec<String> = all.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(entry, _)| entry.clone()).collect();
        prop_assume!(some.len() < all.len());
        let text = |entries: &[String]| if search { conf(entries, &[]) } else { conf(&[], entries) };
        prop_assert_eq!(cost(Some(&text(&some)), Some(&text(&all))).0, reload(false));
        prop_assert_eq!(cost(Some(&text(&all)), Some(&text(&some))).0, reload(true));
    }
}

proptest! {
    /// Whatever is there: an answer.
    #[test]
    fn any_text_is_an_answer(text in r#"([a\[\]{}=.,"'\n\\ ]|"""|'''|#){0,60}"#) {
        let (disruption, more) = cost(Some(OLD), Some(&text));
        prop_assert_eq!(disruption, reload(more.is_some()));
    }
}
