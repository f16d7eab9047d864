use rstest::rstest;
use serde_json::{Value, json};

use super::{has, without_nulls};

#[rstest]
#[case::equal_fields_need_no_write(json!({"a": 1, "b": 2}), json!({"a": 1}), true)]
#[case::another_value_needs_a_write(json!({"a": 1}), json!({"a": 2}), false)]
#[case::a_missing_field_needs_a_write(json!({}), json!({"a": {"b": 1}}), false)]
#[case::an_empty_object_that_is_missing_needs_a_write(json!({}), json!({"a": {}}), false)]
#[case::null_needs_a_write_while_the_field_is_there(json!({"a": {"b": 1}}), json!({"a": {"b": null}}), false)]
#[case::null_needs_no_write_when_the_field_is_gone(json!({"a": {}}), json!({"a": {"b": null}}), true)]
#[case::null_below_a_missing_object_needs_no_write(json!({}), json!({"a": {"b": null}}), true)]
#[case::an_empty_list_that_is_missing_needs_no_write(json!({}), json!({"a": []}), true)]
#[case::lists_are_compared_whole(json!({"a": [1, 2]}), json!({"a": [1]}), false)]
#[case::order_of_lists_counts(json!({"a": [1, 2]}), json!({"a": [2, 1]}), false)]
#[case::items_of_lists_have_no_more_fields(json!({"a": [{"x": 1, "y": 2}]}), json!({"a": [{"x": 1}]}), false)]
#[case::conditions_of_other_managers_are_left_alone(
    json!({"c": [{"type": "A", "status": "True"}, {"type": "B", "status": "False"}]}),
    json!({"c": [{"type": "B", "status": "False"}]}),
    true
)]
#[case::a_condition_that_differs_needs_a_write(
    json!({"c": [{"type": "B", "status": "True"}]}),
    json!({"c": [{"type": "B", "status": "False"}]}),
    false
)]
fn writes_only_what_differs(#[case] observed: Value, #[case] desired: Value, #[case] nothing_to_do: bool) {
    assert_eq!(has(&observed, &desired), nothing_to_do);
}

#[test]
fn nulls_are_not_sent() {
    assert_eq!(without_nulls(json!({"a": null, "b": {"c": null, "d": [{"e": null}]}})), json!({"b": {"d": [{}]}}));
}
