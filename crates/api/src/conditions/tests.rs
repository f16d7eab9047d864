use rstest::rstest;

use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn updated(status: bool, reason: &str, now: &str) -> Vec<Condition> {
    let mut conditions = Vec::new();
    set(&mut conditions, NodeConditionType::Updated, status, reason, "why", at(now), Some(1));
    conditions
}

#[rstest]
#[case::same_status_keeps_the_time(true, "2025-01-01T00:00:00Z")]
#[case::other_status_moves_the_time(false, "2025-02-02T00:00:00Z")]
fn transition(#[case] status: bool, #[case] expected: &str) {
    let mut conditions = updated(true, "First", "2025-01-01T00:00:00Z");
    let now = at("2025-02-02T00:00:00.75Z");
    assert!(set(&mut conditions, NodeConditionType::Updated, status, "Second", "why", now, Some(2)));
    assert_eq!(conditions.len(), 1);
    assert_eq!(conditions[0].last_transition_time, at(expected));
    assert_eq!(conditions[0].reason, "Second");
    assert_eq!(conditions[0].observed_generation, Some(2));
}

#[test]
fn setting_the_same_again_changes_nothing() {
    let mut conditions = updated(true, "Same", "2025-01-01T00:00:00Z");
    let before = conditions.clone();
    let later = at("2025-02-02T00:00:00Z");
    assert!(!set(&mut conditions, NodeConditionType::Updated, true, "Same", "why", later, Some(1)));
    assert_eq!(conditions, before);
}

#[test]
fn types_do_not_disturb_each_other() {
    let mut conditions = updated(true, "Same", "2025-01-01T00:00:00Z");
    let now = at("2025-02-02T00:00:00Z");
    assert!(set(&mut conditions, NodeConditionType::Drained, ConditionStatus::Unknown, "Why", "", now, None));
    assert!(is_true(&conditions, NodeConditionType::Updated));
    assert!(!is_true(&conditions, NodeConditionType::Drained));
    assert_eq!(find(&conditions, NodeConditionType::Healthy), None);
}

#[test]
fn a_long_message_is_cut_to_what_the_schema_allows() {
    let mut conditions = Vec::new();
    let now = at("2025-02-02T00:00:00Z");
    set(&mut conditions, BuildConditionType::Failed, true, "Why", "ü".repeat(MAX_MESSAGE + 1), now, None);
    assert_eq!(conditions[0].message.chars().count(), MAX_MESSAGE);
    assert!(conditions[0].message.ends_with("ü…"));
}

#[test]
fn a_pool_condition_without_a_time_gets_one() {
    let mut conditions =
        vec![PoolCondition { type_: "Updated".to_owned(), status: ConditionStatus::True, ..PoolCondition::default() }];
    let now = at("2025-02-02T00:00:00.75Z");
    assert!(set_pool(&mut conditions, PoolConditionType::Updated, true, "", "", now));
    assert_eq!(conditions[0].last_transition_time, Some(at("2025-02-02T00:00:00Z")));
    assert!(!set_pool(&mut conditions, PoolConditionType::Updated, true, "", "", at("2026-01-01T00:00:00Z")));
    assert!(set_pool(&mut conditions, PoolConditionType::Updated, false, "", "", at("2026-01-01T00:00:00Z")));
    assert_eq!(conditions[0].last_transition_time, Some(at("2026-01-01T00:00:00Z")));
}

#[test]
fn a_nodes_conditions_fit_its_schema() {
    assert!(NodeConditionType::ALL.len() <= 20);
}

#[test]
fn conditions_read_as_other_tools_write_them() {
    let text =
        r#"{"type":"Updated","status":"False","reason":"R","message":"","lastTransitionTime":"2025-02-02T00:00:00Z"}"#;
    let condition: Condition = serde_json::from_str(text).unwrap();
    assert_eq!(condition.status, ConditionStatus::False);
    let written: serde_json::Value = serde_json::to_value(&condition).unwrap();
    assert_eq!(written["lastTransitionTime"], "2025-02-02T00:00:00Z");
    assert_eq!(written.get("observedGeneration"), None);
}
