use rstest::rstest;

use super::{Category, chain, shortened};

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
    let status = kube::core::Status { code, ..kube::core::Status::default() };
    assert_eq!(Category::of(&kube::Error::Api(status.boxed())), category);
}

#[test]
fn long_notes_are_cut_between_characters() {
    let note = shortened(&"ü".repeat(1000));
    assert!(note.len() <= 1024 && note.ends_with('…'), "{} bytes", note.len());
}
