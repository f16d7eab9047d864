//! What the pods of a build leave as their last word, and what the Job makes of it.

use jiff::SignedDuration;
use onlay_api::conditions::ConditionStatus;
use rstest::rstest;

use super::world::{IMAGE, World};
use crate::build::spec::{Cause, Failure, Outcome};

#[rstest]
#[case::it_says_nothing_yet(None)]
#[case::its_time_ends_in_that_moment(Some("DeadlineExceeded"))]
fn an_image_that_was_pushed_counts_however_its_job_ends(#[case] reason: Option<&str>) {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.settle();
    world.end_pod(Some(&Outcome::Pushed { image: IMAGE.to_owned() }));
    if let Some(reason) = reason {
        world.end_job_for(reason);
    }
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Succeeded");
    assert_eq!(world.served().0, Some(IMAGE));
    assert_eq!((world.told("BuildPrepared"), world.told("BuildRunning")), (1, 1), "it never goes back");
    world.end_job("Complete", 0);
    assert!(!world.step(), "the Job's own words change nothing");
}

#[test]
fn a_try_that_fails_is_told_while_the_next_one_waits_and_runs() {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.settle();
    world.end_pod(Some(&Outcome::Failed(Failure::new(Cause::NetworkFailed, "mirror away"))));
    world.end_job("", 1);
    world.settle();
    let tells = |world: &World, words: &str| {
        let (state, message) = World::state(world.only_build());
        assert_eq!((state, world.told("BuildPrepared")), ("Building", 1), "it never goes back");
        assert!(
            message.contains(words) && message.contains("(try 2 of 4; the last one failed: mirror away)"),
            "{message}"
        );
    };
    tells(&world, "the Job decides what follows");
    world.now += SignedDuration::from_secs(1);
    world.run_pod();
    world.settle();
    tells(&world, "builds on node worker-0");
}

#[test]
fn a_pod_that_left_no_word_fails_after_a_while() {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.settle();
    world.end_pod(None);
    world.end_job("Failed", 4);
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Building", "the word may still come");
    world.now += SignedDuration::from_secs(10);
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    let words = [
        "BackoffLimitExceeded",
        "exit code 137 (OOMKilled)",
        "spec.build.resources",
        "delete the MachineOSBuild to try again",
    ];
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
}

/// One try, which ends as said.
fn a_try(world: &mut World, outcome: Option<&Outcome>) {
    world.run_pod();
    world.settle();
    world.end_pod(outcome);
    world.now += SignedDuration::from_secs(10);
}

fn reason(world: &World) -> String {
    let conditions = &world.only_build().status.as_ref().unwrap().conditions;
    let is_true = conditions.iter().find(|condition| condition.status == ConditionStatus::True);
    is_true.unwrap().reason.clone()
}

fn away() -> Outcome {
    Outcome::Failed(Failure::new(Cause::NetworkFailed, "mirror away"))
}

#[rstest]
#[case::that_leaves_no_word(&[Some(away()), None, None, None], "BackoffLimitExceeded", "MachineFailed", &[
    "exit code 137 (OOMKilled)", "spec.build.resources", "; an earlier try failed: mirror away",
])]
#[case::that_leaves_one(&[None, None, None, Some(away())], "BackoffLimitExceeded", "NetworkFailed", &["mirror away"])]
#[case::that_leaves_another_one(
    &[Some(Outcome::Failed(Failure::new(Cause::MachineFailed, "disk full"))), Some(away())],
    "BackoffLimitExceeded", "NetworkFailed", &["mirror away"],
)]
#[case::whose_time_was_over(&[Some(away()), None], "DeadlineExceeded", "TimedOut", &[
    "spec.build.timeoutSeconds", "; an earlier try failed: mirror away",
])]
fn the_cause_is_that_of_the_last_try(
    #[case] tries: &[Option<Outcome>],
    #[case] end: &str,
    #[case] cause: &str,
    #[case] words: &[&str],
) {
    let mut world = World::new();
    world.settle();
    tries.iter().for_each(|outcome| a_try(&mut world, outcome.as_ref()));
    world.end_job_for(end);
    world.settle();
    world.now += SignedDuration::from_secs(10);
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!((state, reason(&world).as_str()), ("Failed", cause), "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
}

#[test]
fn the_word_of_the_last_try_may_come_after_the_end_of_its_job() {
    let mut world = World::new();
    world.settle();
    a_try(&mut world, Some(&away()));
    world.run_pod();
    world.settle();
    world.end_job("Failed", 2);
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Building", "its word is awaited");
    world.end_pod(Some(&Outcome::Failed(Failure::new(Cause::AccessDenied, "push refused"))));
    world.settle();
    assert_eq!(reason(&world), "AccessDenied");
}

#[test]
fn a_try_without_a_word_is_told_by_how_it_ended() {
    let mut world = World::new();
    world.settle();
    a_try(&mut world, Some(&away()));
    a_try(&mut world, None);
    world.end_job("", 2);
    world.run_pod();
    world.settle();
    let (_, message) = World::state(world.only_build());
    assert!(message.ends_with(" (try 3 of 4; the last one ended with exit code 137 (OOMKilled))"), "{message}");
}

#[test]
fn a_lost_word_is_found_in_the_registry() {
    let mut world = World::new();
    world.settle();
    world.end_job("Complete", 0);
    world.pushed = Ok(Some(IMAGE.to_owned()));
    world.settle();
    assert_eq!(world.served().0, Some(IMAGE));
}

#[test]
fn a_lost_word_is_looked_for_behind_that_of_an_earlier_try() {
    let mut world = World::new();
    world.settle();
    a_try(&mut world, Some(&away()));
    world.pushed = Ok(Some(IMAGE.to_owned()));
    world.end_job("Complete", 1);
    world.settle();
    assert_eq!(world.served().0, Some(IMAGE));
}

#[test]
fn a_registry_that_is_away_has_not_lost_what_a_job_has_pushed() {
    let mut world = World::new();
    world.settle();
    world.end_job("Complete", 0);
    world.pushed = Err("connection refused".to_owned());
    world.now += SignedDuration::from_secs(20);
    (0..15).for_each(|_| _ = world.step());
    let uid = world.only_build().metadata.uid.clone();
    let (state, message) = World::state(world.only_build());
    assert_eq!((state, world.told("BuildRepeated")), ("Building", 0));
    assert!(message.ends_with("was pushed is not known, its registry is asked again: connection refused"), "{message}");
    assert!(world.ready().2.ends_with("connection refused"), "{:?}", world.ready());
    world.pushed = Ok(Some(IMAGE.to_owned()));
    world.now += SignedDuration::from_secs(10);
    world.settle();
    assert_eq!((world.served().0, &world.only_build().metadata.uid), (Some(IMAGE), &uid));
}

/// Without its Job, a build counts as interrupted by a person.
#[rstest]
fn a_controller_that_dies_while_it_makes_a_build_anew_does_so_afterwards(#[values(0, 1, 2, 3)] writes: usize) {
    let mut world = World::new();
    world.settle();
    world.end_job("Complete", 0);
    world.now += SignedDuration::from_secs(20);
    world.step();
    world.dies_after = Some(writes);
    world.settle();
    assert_eq!((World::state(world.only_build()).0, world.told("BuildInterrupted")), ("Prepared", 0));
}

#[test]
fn nobody_asks_what_a_build_has_pushed_that_has_ended() {
    let mut world = World::new();
    world.settle();
    world.succeed(IMAGE);
    world.pods.clear();
    assert!(!world.step(), "its status says it");
    world.now += SignedDuration::from_hours(30);
    world.pushed = Err("away".to_owned());
    world.settle();
    world.jobs.clear();
    assert!(!world.step(), "its status says it");
}

/// The controller was away while the Job ended, and was deleted a day later.
#[rstest]
#[case::that_has_pushed(Ok(Some(IMAGE.to_owned())), "Succeeded", "")]
#[case::that_has_not(Ok(None), "Interrupted", "has ended longer than a day ago")]
#[case::that_nobody_can_say_it_of(Err("away".to_owned()), "Building", "its registry is asked again: away")]
fn a_job_that_is_gone_by_itself(
    #[case] pushed: Result<Option<String>, String>,
    #[case] state: &str,
    #[case] words: &str,
) {
    let mut world = World::new();
    world.settle();
    world.now += SignedDuration::from_hours(25);
    world.jobs.clear();
    world.pushed = pushed;
    (0..5).for_each(|_| _ = world.step());
    let (is, message) = World::state(world.only_build());
    assert_eq!(is, state);
    assert!(message.contains(words), "{message}");
}

#[test]
fn a_job_that_was_made_less_than_a_day_ago_is_not_gone_by_itself() {
    let mut world = World::new();
    world.settle();
    world.pushed = Ok(Some(IMAGE.to_owned()));
    world.jobs.clear();
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Interrupted");
}

#[test]
fn a_lost_word_that_the_registry_does_not_know_runs_the_job_again() {
    let mut world = World::new();
    world.settle();
    world.end_job("Complete", 0);
    world.now += SignedDuration::from_secs(10);
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Prepared");
    assert!(world.jobs.values().all(|job| job.status.is_none()), "a new Job");
    world.succeed(IMAGE);
    assert_eq!(world.served().0, Some(IMAGE));
}
