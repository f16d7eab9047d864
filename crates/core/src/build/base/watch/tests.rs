use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const TAG: &str = "registry.example.com/os:1";
const DIGEST: &str = "registry.example.com/os@sha256:aa";
const NOW: Timestamp = Timestamp::constant(100_000, 0);

fn found(digest: &str) -> Found {
    Found { image: format!("registry.example.com/os@sha256:{digest}"), fault: None }
}

fn faulty() -> Found {
    Found { fault: Some("no label".to_owned()), ..found("bb") }
}

/// An answer some seconds ago.
fn answer(seconds: i64, said: Result<Found, &str>) -> Answer<Found> {
    Answer { at: NOW - SignedDuration::from_secs(seconds), said: said.map_err(str::to_owned) }
}

fn watch(tag: BaseImageTag) -> Watch {
    Watch { tag, ..Watch::of(None) }
}

const WATCH: BaseImageTag = BaseImageTag::Watch;
const PIN: BaseImageTag = BaseImageTag::Pin;

#[rstest]
#[case::of_nothing_that_is_known(TAG, WATCH, None, None, Some(0))]
#[case::soon_while_nothing_is_known(TAG, WATCH, None, Some(answer(2, Err("away"))), Some(8))]
#[case::when_the_controller_begins(TAG, WATCH, Some(found("aa")), None, Some(0))]
#[case::at_the_interval(TAG, WATCH, Some(found("aa")), Some(answer(60, Ok(found("aa")))), Some(3540))]
#[case::sooner_where_an_answer_is_missed(TAG, WATCH, Some(found("aa")), Some(answer(20, Err("away"))), Some(40))]
#[case::soon_where_nothing_can_be_built(TAG, WATCH, Some(faulty()), Some(answer(4, Ok(faulty()))), Some(6))]
#[case::overdue(TAG, WATCH, Some(found("aa")), Some(answer(4000, Ok(found("aa")))), Some(-400))]
#[case::when_the_clock_was_set_back(TAG, WATCH, Some(found("aa")), Some(answer(-3600, Ok(found("aa")))), Some(0))]
#[case::never_for_a_digest(DIGEST, WATCH, Some(found("aa")), None, None)]
#[case::once_for_a_digest(DIGEST, WATCH, None, None, Some(0))]
#[case::never_for_one_that_cannot_be_built_on(DIGEST, WATCH, Some(faulty()), None, None)]
#[case::once_for_a_pin(TAG, PIN, None, None, Some(0))]
#[case::never_for_a_pin_that_is_known(TAG, PIN, Some(found("aa")), None, None)]
#[case::soon_for_a_pin_on_which_nothing_can_be_built(TAG, PIN, Some(faulty()), Some(answer(4, Ok(faulty()))), Some(6))]
fn a_registry_is_asked(
    #[case] asked: &str,
    #[case] tag: BaseImageTag,
    #[case] remembered: Option<Found>,
    #[case] answer: Option<Answer<Found>>,
    #[case] seconds: Option<i64>,
) {
    let question = Question {
        asked,
        remembered: remembered.as_ref(),
        answer: answer.as_ref(),
        rebuild: None,
        failed: false,
        watch: watch(tag),
    };
    assert_eq!(question.due(NOW).map(|at| at.duration_since(NOW).as_secs()), seconds);
}

#[rstest]
#[case::at_once_for_a_person(TAG, PIN, Some(10), false, Some(0))]
#[case::at_once_for_a_person_who_watches(TAG, WATCH, Some(10), false, Some(0))]
#[case::not_for_a_person_who_has_an_answer(TAG, PIN, Some(70), false, None)]
#[case::not_for_a_digest(DIGEST, WATCH, Some(10), true, None)]
#[case::sooner_after_a_failure(TAG, WATCH, None, true, Some(0))]
#[case::not_after_a_failure_on_a_pin(TAG, PIN, None, true, None)]
fn a_registry_is_asked_by_what_became_of_the_builds(
    #[case] asked: &str,
    #[case] tag: BaseImageTag,
    #[case] rebuild: Option<i64>,
    #[case] failed: bool,
    #[case] seconds: Option<i64>,
) {
    let rebuild = rebuild.map(|seconds| NOW - SignedDuration::from_secs(seconds));
    let (known, answer) = (found("aa"), answer(60, Ok(found("aa"))));
    let question =
        Question { asked, remembered: Some(&known), answer: Some(&answer), rebuild, failed, watch: watch(tag) };
    assert_eq!(question.due(NOW).map(|at| at.duration_since(NOW).as_secs()), seconds);
}

fn known(asked: &str, found: Found, standing: Standing) -> Base {
    let Found { image, fault } = found;
    Base::Known { asked: asked.to_owned(), image, fault, standing }
}

fn unanswered() -> Standing {
    Standing::Unanswered { why: "away".to_owned() }
}

fn awaited() -> Standing {
    Standing::Unanswered { why: format!("the registry of {TAG} has not answered yet") }
}

#[rstest]
#[case::the_answer(WATCH, None, Some(found("aa")), Ok(found("bb")), known(TAG, found("bb"), Standing::Answered))]
#[case::what_it_was_without_one(WATCH, None, Some(found("aa")), Err("away"), known(TAG, found("aa"), unanswered()))]
#[case::nothing_without_both(WATCH, None, None, Err("away"), Base::Unknown { why: "away".to_owned() })]
#[case::what_it_was_where_it_is_pinned(
    PIN,
    None,
    Some(found("aa")),
    Ok(found("bb")),
    known(TAG, found("aa"), Standing::Pinned)
)]
#[case::the_first_answer_where_it_is_pinned(
    PIN,
    None,
    None,
    Ok(found("bb")),
    known(TAG, found("bb"), Standing::Pinned)
)]
#[case::the_answer_for_a_person(
    PIN,
    Some(0),
    Some(found("aa")),
    Ok(found("bb")),
    known(TAG, found("bb"), Standing::Answered)
)]
#[case::what_it_was_without_an_answer_for_a_person(
    PIN,
    Some(0),
    Some(found("aa")),
    Err("away"),
    known(TAG, found("aa"), unanswered())
)]
#[case::what_it_was_before_the_answer_for_a_person(
    PIN,
    Some(1),
    Some(found("aa")),
    Ok(found("bb")),
    known(TAG, found("aa"), awaited())
)]
#[case::no_pin_on_which_nothing_can_be_built(
    PIN,
    None,
    Some(faulty()),
    Ok(found("cc")),
    known(TAG, found("cc"), Standing::Pinned)
)]
fn a_tag_stands_for(
    #[case] tag: BaseImageTag,
    #[case] rebuild: Option<i64>,
    #[case] remembered: Option<Found>,
    #[case] said: Result<Found, &str>,
    #[case] expected: Base,
) {
    let answer = answer(0, said);
    let question = Question {
        asked: TAG,
        remembered: remembered.as_ref(),
        answer: Some(&answer),
        rebuild: rebuild.map(|seconds| NOW + SignedDuration::from_secs(seconds)),
        failed: false,
        watch: watch(tag),
    };
    assert_eq!(question.base(), expected);
}

#[test]
fn a_digest_is_what_it_says() {
    let remembered = found("aa");
    let question = Question {
        asked: DIGEST,
        remembered: Some(&remembered),
        answer: None,
        rebuild: Some(NOW),
        failed: false,
        watch: watch(WATCH),
    };
    assert_eq!(question.base(), known(DIGEST, remembered.clone(), Standing::Digest));
}

#[rstest]
#[case::nothing(json!({}), WATCH, 3600)]
#[case::a_pin(json!({"build": {"baseImageTag": "Pin"}}), PIN, 3600)]
#[case::an_interval(json!({"build": {"pollIntervalSeconds": 60}}), WATCH, 60)]
fn a_policy_says(#[case] spec: Value, #[case] tag: BaseImageTag, #[case] seconds: i64) {
    let policy = serde_json::from_value(json!({"metadata": {"name": "worker"}, "spec": spec})).unwrap();
    assert_eq!(Watch::of(Some(&policy)), Watch { tag, interval: SignedDuration::from_secs(seconds) });
}

#[test]
fn a_tag_that_moved_is_told_by_both_digests() {
    let (before, now) = (found("aa"), found("bb"));
    let moved = Moved::between(Some(&before), TAG, &now.image).map(|moved| moved.to_string());
    assert_eq!(moved.as_deref(), Some("the tag registry.example.com/os:1 moved from sha256:aa to sha256:bb"));
    assert_eq!(Moved::between(Some(&before), TAG, &before.image), None);
    assert_eq!(Moved::between(None, TAG, &now.image), None);
}
