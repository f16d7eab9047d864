use jiff::{SignedDuration, Timestamp};
use kube::core::Status;
use rstest::rstest;
use serde_json::json;

use super::{Category, Failures, chain, shortened, way_out};

#[derive(Debug, thiserror::Error)]
#[error("failed to write Pod a")]
struct Outer(#[source] Inner);

#[derive(Debug, thiserror::Error)]
#[error("connection refused")]
struct Inner;

#[test]
fn an_error_is_told_with_its_causes() {
    assert_eq!(chain(&Outer(Inner)), "failed to write Pod a: connection refused");
}

#[rstest]
#[case::a_conflict_is_no_failure_of_anybody(409, Category::Conflict)]
#[case::a_missing_right_is_named(403, Category::Forbidden)]
#[case::a_schema_violation_is_refused(422, Category::Refused)]
#[case::a_busy_server_is_unreachable(503, Category::Unreachable)]
fn categories_follow_the_status(#[case] code: u16, #[case] category: Category) {
    let status = Status { code, ..Status::default() };
    assert_eq!(Category::of(&kube::Error::Api(status.boxed())), category);
}

#[rstest]
#[case::an_object_that_is_gone("machineosbuilds", "worker-1", Category::Conflict, None)]
#[case::a_namespace(
    "namespaces",
    "onlay-node-secrets",
    Category::NamespaceMissing,
    Some("create it: `kubectl create namespace onlay-node-secrets`")
)]
#[case::a_kind("", "", Category::Refused, None)]
fn what_is_not_found_is_told_apart(
    #[case] kind: &str,
    #[case] name: &str,
    #[case] category: Category,
    #[case] words: Option<&str>,
) {
    let status = json!({"code": 404, "reason": "NotFound", "details": {"kind": kind, "name": name}});
    let status: Status = serde_json::from_value(status).unwrap();
    let error = kube::Error::Api(status.boxed());
    assert_eq!((Category::of(&error), way_out(&error).as_deref()), (category, words));
}

/// What is told of failures, each so many milliseconds after the first one.
#[rstest]
#[case::what_people_can_mend_at_once(&[(0, Category::Forbidden, "a"), (9000, Category::Forbidden, "a")], &[0])]
#[case::what_changes_once_more(&[(0, Category::Forbidden, "a"), (9000, Category::Forbidden, "b")], &[0, 1])]
#[case::no_conflict_that_passes(&[(0, Category::Conflict, "a"), (4900, Category::Conflict, "a")], &[])]
#[case::a_conflict_that_stays_once(
    &[(0, Category::Conflict, "a"), (5000, Category::Conflict, "a"), (9000, Category::Conflict, "a")], &[1]
)]
#[case::a_conflict_that_stays_in_other_words(&[(0, Category::Conflict, "a"), (5000, Category::Conflict, "b")], &[1])]
#[case::no_conflict_that_has_just_begun(&[(0, Category::Unreachable, "a"), (9000, Category::Conflict, "b")], &[0])]
fn people_are_told(#[case] failures: &[(i64, Category, &str)], #[case] told: &[usize]) {
    let (mut before, mut new) = (None, Vec::new());
    for (number, (at, category, note)) in failures.iter().enumerate() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(*at);
        let (failures, is_new) = Failures::and(before, *category, note, now);
        new.extend(is_new.then_some(number));
        before = Some(failures);
    }
    assert_eq!(new, told);
}

#[rstest]
#[case::at_first(0, 200)]
#[case::for_a_while(3000, 3000)]
#[case::for_long(3_600_000, 30_000)]
fn a_conflict_is_tried_again_ever_less_often(#[case] failing: i64, #[case] wait: i64) {
    let failing = SignedDuration::from_millis(failing);
    assert_eq!(Category::Conflict.retry(failing), Some(SignedDuration::from_millis(wait)));
}

#[test]
fn long_notes_are_cut_between_characters() {
    let note = shortened(&"ü".repeat(1000));
    assert!(note.len() <= 1024 && note.ends_with('…'), "{} bytes", note.len());
}
