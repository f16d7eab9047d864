//! Places and meanings, as yaml.v3 v3.0.1 of the real tool has them.

use rstest::rstest;

use super::{Content, Document, Id, Scalar, load, scalar};

/// Each node as `LINE:COLUMN VALUE`, outermost first, keys before values.
fn places(document: &Document, node: Id, out: &mut Vec<String>) {
    let Some(found) = document.node(node) else { return };
    let place = format!("{}:{}", found.place.line, found.place.column);
    match &found.content {
        Content::Scalar(text, _) => out.push(format!("{place} {text}")),
        Content::Alias(_) => out.push(format!("{place} *")),
        Content::List(entries) => {
            out.push(format!("{place} []"));
            entries.iter().for_each(|entry| places(document, *entry, out));
        }
        Content::Map(pairs) => {
            out.push(format!("{place} {{}}"));
            for (key, value) in pairs {
                places(document, *key, out);
                places(document, *value, out);
            }
        }
    }
}

#[rstest]
#[case::values_that_are_not_there("a:\nb: ~\n", "1:1 {}|1:1 a|1:3 |2:1 b|2:4 ~")]
#[case::entries_that_are_not_there("-\n- x\n-", "1:1 []|1:2 |2:3 x|3:2 ")]
#[case::list_at_the_indent_of_its_key("a:\n- x\n- y", "1:1 {}|1:1 a|2:1 []|2:3 x|3:3 y")]
#[case::lists_in_lists("- - x\n  - y\n-\n  - z", "1:1 []|1:3 []|1:5 x|2:5 y|4:3 []|4:5 z")]
#[case::map_in_a_list("- k: v\n  l: w", "1:1 []|1:3 {}|1:3 k|1:6 v|2:3 l|2:6 w")]
#[case::anchors_and_aliases("a: &x\n  b: 1\nc: *x", "1:1 {}|1:1 a|1:4 {}|2:3 b|2:6 1|3:1 c|3:4 *")]
#[case::tags("a: !!str b\nc: !t\n  d: e", "1:1 {}|1:1 a|1:4 b|2:1 c|2:4 {}|3:3 d|3:6 e")]
#[case::anchor_of_nothing("a: &x\nb: c", "1:1 {}|1:1 a|1:4 |2:1 b|2:4 c")]
#[case::blocks("a: |\n  x\nb: &y >-\n  z\n", "1:1 {}|1:1 a|1:4 x\n|3:1 b|3:4 z")]
#[case::block_on_the_next_line("a: # c\n  |\n  x\n", "1:1 {}|1:1 a|2:3 x\n")]
#[case::flow(
    "a: {b: 1, c: , d: [x, y: z]}",
    "1:1 {}|1:1 a|1:4 {}|1:5 b|1:8 1|1:11 c|1:14 |1:16 d|1:19 []|1:20 x|1:23 {}|1:23 y|1:26 z"
)]
#[case::question_marks("? a\n: b\n? c\nd: e", "1:1 {}|1:3 a|2:3 b|3:3 c|4:1 |4:1 d|4:4 e")]
#[case::comments("# c\na: # d\n  # e\n  b # f", "2:1 {}|2:1 a|4:3 b")]
#[case::columns_are_characters("é: \"ü\" \n", "1:1 {}|1:1 é|1:4 ü")]
#[case::returns_end_lines("a: b\r\nc: d\r\n", "1:1 {}|1:1 a|1:4 b|2:1 c|2:4 d")]
#[case::mark_of_the_byte_order("\u{feff}a: b", "1:1 {}|1:1 a|1:4 b")]
#[case::only_the_first_document("---\na: b\n---\nc: [", "2:1 {}|2:1 a|2:4 b")]
fn nodes_are_where_the_real_tool_has_them(#[case] text: &str, #[case] expected: &str) {
    let document = load(text).expect("is YAML");
    let mut found = Vec::new();
    places(&document, document.root.expect("has a root"), &mut found);
    assert_eq!(found.join("|"), expected);
}

#[rstest]
#[case("", Scalar::Null)]
#[case("~", Scalar::Null)]
#[case("NULL", Scalar::Null)]
#[case("True", Scalar::Flag(true))]
#[case("yes", Scalar::Text)]
#[case("0644", Scalar::Whole(0o644))]
#[case("0o644", Scalar::Whole(0o644))]
#[case("-0o17", Scalar::Whole(-0o17))]
#[case("0x1A4", Scalar::Whole(420))]
#[case("0b11", Scalar::Whole(3))]
#[case("1_000", Scalar::Whole(1000))]
#[case("+12", Scalar::Whole(12))]
#[case("08", Scalar::Real(8.0))]
#[case("0o9", Scalar::Text)]
#[case("420.7", Scalar::Real(420.7))]
#[case(".5", Scalar::Real(0.5))]
#[case("1e3", Scalar::Real(1000.0))]
#[case("1e999", Scalar::Text)]
#[case("18446744073709551615", Scalar::Whole(18_446_744_073_709_551_615))]
#[case("-9223372036854775809", Scalar::Real(-9_223_372_036_854_775_809.0))]
#[case("12:30", Scalar::Text)]
#[case("2001-01-01", Scalar::Text)]
#[case("\"12\"", Scalar::Text)]
#[case("!!int \"12\"", Scalar::Whole(12))]
#[case("!!str 12", Scalar::Text)]
#[case("!!float 1", Scalar::Real(1.0))]
#[case("!!binary aGk=", Scalar::Binary(b"hi".to_vec()))]
#[case("!foo 12", Scalar::Text)]
fn scalars_say_what_they_look_like(#[case] text: &str, #[case] expected: Scalar) {
    let document = load(&format!("a: {text}")).expect("is YAML");
    let Some(Content::Map(pairs)) = document.root().map(|root| &root.content) else { panic!("no map") };
    assert_eq!(scalar(document.node(pairs[0].1).expect("has a value")), Ok(expected));
}

#[rstest]
#[case("!!bool yes")]
#[case("!!int x")]
#[case("!!null x")]
#[case("!!binary a")]
fn tags_and_texts_can_disagree(#[case] text: &str) {
    let document = load(&format!("a: {text}")).expect("is YAML");
    let Some(Content::Map(pairs)) = document.root().map(|root| &root.content) else { panic!("no map") };
    assert!(scalar(document.node(pairs[0].1).expect("has a value")).is_err());
}
