use super::*;
use crate::finding::Source;
use crate::input::field::steps;
use rstest::rstest;
use serde_json::json;

fn values(text: &str) -> Vec<Value> {
    load(text).unwrap().iter().map(|document| document.value(0).unwrap()).collect()
}

fn broken(text: &str) -> Broken {
    match load(text) {
        Err(broken) => broken,
        Ok(documents) => documents[0].value(0).unwrap_err(),
    }
}

#[rstest]
#[case::several_documents("a: 1\n---\nb: 2\n", vec![json!({"a": 1}), json!({"b": 2})])]
#[case::documents_that_say_nothing("---\n---\na: 1\n---\n# nothing\n", vec![json!({"a": 1})])]
#[case::nothing_at_all("", vec![])]
#[case::crlf("a: 1\r\nb: |\r\n  x\r\n", vec![json!({"a": 1, "b": "x\n"})])]
#[case::json_with_tabs("{\n\t\"a\": [1,\n\t\t\"x\\u00e9\"]\n}", vec![json!({"a": [1, "xé"]})])]
#[case::aliases("a: &x {b: 1}\nc: *x\n", vec![json!({"a": {"b": 1}, "c": {"b": 1}})])]
#[case::merge_keys("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", vec![json!({"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}})])]
#[case::tags_of_quoted_texts(
    "a: !!int \"0644\"\nb: !!binary ZGF0YToseA==\nc: !!bool \"yes\"\nd: !!null \"\"\ne: !!float \"1.5\"\n",
    vec![json!({"a": 420, "b": "data:,x", "c": true, "d": null, "e": 1.5})]
)]
#[case::tags("a: !!str 5\nb: !!int 7\n", vec![json!({"a": "5", "b": 7})])]
#[case::quotes("a: \"yes\"\nb: 'no'\n", vec![json!({"a": "yes", "b": "no"})])]
fn a_text_says(#[case] text: &str, #[case] expected: Vec<Value>) {
    assert_eq!(values(text), expected);
}

#[rstest]
#[case::a_tab_as_indent("a:\n\tb: 1\n", "is no YAML", 2)]
#[case::a_quote_without_end("a: 1\nb: \"x\n", "is no YAML", 3)]
#[case::a_key_twice("a: 1\nb: 2\na: 3\n", "\"a\" is there twice, first in line 1", 3)]
#[case::an_alias_in_its_anchor("a: &x\n  - *x\n", "within its own anchor", 2)]
#[case::an_alias_of_nothing("a: *x\n", "is no YAML", 1)]
#[case::an_unknown_tag("a: !!timestamp 2020-01-01\n", "the tag \"timestamp\" is not read here", 1)]
#[case::no_base64("a: !!binary hello\n", "is no text in base64", 1)]
#[case::no_number("a: !!int \"x\"\n", "\"x\" is no int", 1)]
#[case::a_number_that_json_does_not_have("a: .inf\n", "no number that JSON has", 1)]
#[case::a_list_as_key("? [a]\n: 1\n", "is no key", 1)]
fn a_broken_text_says_why_and_where(#[case] text: &str, #[case] says: &str, #[case] line: usize) {
    let broken = broken(text);
    let (found, _) = Source::new("x", text).position(broken.span.start);
    assert!(broken.what.contains(says), "{}", broken.what);
    assert_eq!(found, line, "{}", broken.what);
}

#[test]
fn aliases_that_multiply_and_values_that_nest_without_end_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(broken(&text).what.contains("fewer aliases"));
    let deep = "[".repeat(100_000);
    assert!(!broken(&deep).what.is_empty());
    let closed = format!("a: {}{}", "[".repeat(140), "]".repeat(140));
    assert!(broken(&closed).what.contains("nested"), "{}", broken(&closed).what);
}

#[rstest]
#[case::a_value("storage.files[1].mode", "420", true)]
#[case::a_list("storage.files", "files", true)]
#[case::an_entry("storage.files[1]", "path", true)]
#[case::an_entry_by_path("storage.files[/etc/b].mode", "420", true)]
#[case::a_field_that_is_not_there("storage.files[1].user.name", "path", false)]
#[case::a_block("systemd.units[0].contents", "contents", true)]
#[case::a_field_of_the_object("metadata.name", "x", true)]
fn a_field_is_found(#[case] field: &str, #[case] shown: &str, #[case] is_whole: bool) {
    let text = "metadata: {name: x}\nspec:\n  config:\n    storage:\n      files:\n        - path: /etc/a\n        - path: /etc/b\n          \
                mode: 420\n    systemd:\n      units:\n        - name: a.service\n          contents: |\n            [Unit\n";
    let documents = load(text).unwrap();
    let found = documents[0].locate(0, &steps(field));
    assert_eq!((&text[found.span.clone()], found.is_whole), (shown, is_whole));
}

#[test]
fn the_line_of_a_block_is_found() {
    let text = "a: 1\nspec:\n  config:\n    x: |\n      one\n      two\n";
    let found = load(text).unwrap()[0].locate(0, &steps("x"));
    assert_eq!(Source::new("x", text).position(found.block.unwrap()).0, 4);
}
