use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rstest::rstest;

use crate::rollout::candidates::{Grant, Member, Role, grant, max_unavailable};
use crate::rollout::wait::WaitReason;

#[rstest]
#[case::one_if_nothing_is_written(None, 10, Ok(1))]
#[case::a_number_is_taken(Some(IntOrString::Int(3)), 10, Ok(3))]
#[case::zero_is_one(Some(IntOrString::Int(0)), 10, Ok(1))]
#[case::no_percentage_is_one(Some(IntOrString::String("0%".into())), 10, Ok(1))]
#[case::a_negative_number_is_an_error(Some(IntOrString::Int(-3)), 10, Err(WaitReason::MaxUnavailable("-3".into())))]
#[case::more_than_all_are_all(Some(IntOrString::Int(9)), 4, Ok(4))]
#[case::more_than_all_of_them_are_all(Some(IntOrString::String("150%".into())), 4, Ok(4))]
#[case::one_of_a_pool_without_nodes(Some(IntOrString::String("50%".into())), 0, Ok(1))]
#[case::a_percentage_is_rounded_down(Some(IntOrString::String("25%".into())), 7, Ok(1))]
#[case::a_small_percentage_is_one(Some(IntOrString::String("10%".into())), 3, Ok(1))]
#[case::all_of_them(Some(IntOrString::String("100%".into())), 4, Ok(4))]
#[case::a_number_as_text(Some(IntOrString::String("2".into())), 4, Ok(2))]
#[case::words_are_an_error(Some(IntOrString::String("some".into())), 4, Err(WaitReason::MaxUnavailable("some".into())))]
fn how_many_may_be_out(
    #[case] written: Option<IntOrString>,
    #[case] size: usize,
    #[case] max: Result<usize, WaitReason>,
) {
    assert_eq!(max_unavailable(written.as_ref(), size), max);
}

/// Members as words: `a:candidate`, with `out`, `broken` and `controller` as further flags.
fn members(words: &'static str) -> Vec<Member<'static>> {
    words
        .split_whitespace()
        .map(|word| {
            let mut flags = word.split(':');
            let name = flags.next().unwrap();
            let flags: Vec<_> = flags.collect();
            let has = |flag| flags.contains(&flag);
            let role = match () {
                () if has("candidate") => Role::Candidate,
                () if has("coming") => Role::Coming,
                () if has("failed") => Role::Failed,
                () => Role::Resting,
            };
            let broken = has("broken");
            Member { name, out: has("out") || broken, broken, role, runs_controller: has("controller") }
        })
        .collect()
}

#[rstest]
#[case::one_at_a_time("a:candidate b:candidate c", 1, &["a"])]
#[case::two_if_two_may_be_out("a:candidate b:candidate c:candidate", 2, &["a", "b"])]
#[case::a_node_that_is_out_takes_a_slot("a:candidate b:out", 1, &[])]
#[case::a_node_that_we_took_out_goes_on("a:candidate b:candidate:out", 1, &["b"])]
#[case::a_broken_node_needs_no_slot("a:candidate b:candidate:broken c:out", 1, &["b"])]
#[case::a_broken_node_takes_a_slot_from_others("a:candidate b:candidate:broken", 1, &["b"])]
#[case::a_failed_node_stops_the_others("a:candidate b:failed c:candidate:out", 2, &[])]
#[case::a_failed_node_does_not_stop_the_cure_of_a_broken_one("a:candidate:broken b:failed", 1, &["a"])]
#[case::the_controllers_node_waits_for_the_others("a:candidate:controller b:coming", 2, &[])]
#[case::the_controllers_node_goes_last("a:candidate:controller b c:failed:broken", 2, &[])]
#[case::the_controllers_node_goes_in_the_end("a:candidate:controller b", 1, &["a"])]
fn who_may_go(#[case] words: &'static str, #[case] max: usize, #[case] go: &[&str]) {
    let grants = grant(&members(words), &Ok(max));
    let gone: Vec<&str> =
        grants.iter().filter_map(|grant| if let Grant::Go(name) = grant { Some(*name) } else { None }).collect();
    assert_eq!(gone, go, "{grants:?}");
}

#[rstest]
#[case::for_a_slot("a:candidate b:out", "waiting for b: at most 1 of the pool may be out of service")]
#[case::for_many(
    "a:candidate b:out c:out d:out e:out f:out",
    "waiting for b, c, d and 2 more: at most 1 of the pool may be out of service"
)]
#[case::for_the_one_that_was_let_go_first(
    "b:candidate a:candidate",
    "waiting for b: at most 1 of the pool may be out of service"
)]
#[case::behind_a_failure("a:candidate b:failed", "the rollout stopped: b failed on the same target")]
#[case::behind_all_others("a:candidate:controller b:coming", "runs the controller, so it goes after b")]
fn what_a_node_waits_for(#[case] words: &'static str, #[case] text: &str) {
    let grants = grant(&members(words), &Ok(1));
    let Some(Grant::Wait("a", reason)) = grants.iter().find(|grant| matches!(grant, Grant::Wait("a", _))) else {
        panic!("a does not wait: {grants:?}");
    };
    assert_eq!(reason.to_string(), text);
}

#[test]
fn nobody_goes_while_max_unavailable_cannot_be_read() {
    let max = Err(WaitReason::MaxUnavailable("lots".to_owned()));
    let grants = grant(&members("a:candidate"), &max);
    assert_eq!(grants, [Grant::Wait("a", WaitReason::MaxUnavailable("lots".to_owned()))]);
}
