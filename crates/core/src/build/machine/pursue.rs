//! What is done for a build that has not ended, whatever its MachineOSConfig asks for now: it is followed to its end.

use jiff::Timestamp;
use onlay_api::conditions::BuildConditionType;

use super::course::{self, Course};
use super::decision::{Decision, Object, Search};
use super::observed::{Build, Observed, PartOfBuild};
use super::run;
use super::status::{self, Turn};
use super::{SOON, come_into, cure, delete_jobs, end, join, newest_of, wish};
use crate::build::spec::Failure;

/// What became of a build, for its MachineOSConfig to say; or what is left to do for it.
#[derive(Debug)]
pub(super) enum Step<'b, 'a> {
    /// These parts have no Job yet.
    Start(Vec<&'b PartOfBuild<'a>>),
    /// Something else is in its way.
    Held(String),
    /// Nothing is known yet.
    Ending,
    /// A Job says that it succeeded, and the registry does not have what it should have pushed.
    Lost,
    /// It goes on.
    Going(String),
    /// Its image is there, by digest.
    Built(String),
    /// It has failed for good.
    Failed(String),
    /// A person has deleted its Job.
    Interrupted,
}

/// Follows the builds that have not ended while it cannot be said what should be built. None of them is begun or made anew.
pub(super) fn all(observed: &Observed<'_>, now: Timestamp, decision: &mut Decision) {
    for build in observed.builds.iter().filter(|build| build.goes_on(observed.config)) {
        let _served_later = step(observed, build, now, decision);
    }
}

/// Follows a build that has not ended.
pub(super) fn step<'b, 'a>(
    observed: &Observed<'_>,
    build: &'b Build<'a>,
    now: Timestamp,
    decision: &mut Decision,
) -> Step<'b, 'a> {
    search(build, now, decision);
    match course::of(build, now) {
        Course::Start(parts) => Step::Start(parts),
        Course::Ending => {
            decision.look_again(now + SOON);
            Step::Ending
        }
        Course::Held(part) => {
            decision.look_again(now + SOON);
            let (job, namespace) = (&part.part.job, &observed.settings.namespace);
            Step::Held(format!(
                "Job {job} is not of this build; if it stays, delete it: kubectl delete job -n {namespace} {job}"
            ))
        }
        Course::Lost => Step::Lost,
        Course::Deleted => deleted(observed, build, now, decision),
        // A build that has begun does not go back: another try of it waits as a part of building.
        Course::Waiting(message) if status::is_in(build.build, BuildConditionType::Building) => {
            going(observed, build, Turn::building(message), now, decision)
        }
        Course::Waiting(message) => going(observed, build, Turn::prepared(message), now, decision),
        Course::Building(message) => going(observed, build, Turn::building(message), now, decision),
        Course::Pushed(images) => join::pushed(observed, build, &images, now, decision),
        Course::Failed(part, failure) => failed(observed, build, part, failure, now, decision),
    }
}

/// Asks registries for what nobody else can tell.
fn search(build: &Build<'_>, now: Timestamp, decision: &mut Decision) {
    for part in &build.parts {
        match run::search_at(build.build, part, now) {
            Some(at) if at <= now => decision.searches.push(Search::of(build.build, &part.part)),
            Some(at) => decision.look_again(at),
            None => {}
        }
    }
}

/// Notes that a build goes on.
pub(super) fn going<'b, 'a>(
    observed: &Observed<'_>,
    build: &Build<'_>,
    turn: Turn<'_>,
    now: Timestamp,
    decision: &mut Decision,
) -> Step<'b, 'a> {
    let message = turn.message.clone();
    come_into(observed, build, turn, now, decision);
    Step::Going(message)
}

/// Ends a build of which a part has failed. The status is written first: without its Jobs, nobody could say why.
fn failed<'b, 'a>(
    observed: &Observed<'_>,
    build: &Build<'_>,
    part: &PartOfBuild<'_>,
    mut failure: Failure,
    now: Timestamp,
    decision: &mut Decision,
) -> Step<'b, 'a> {
    failure.message.push_str(&cure::way_out(observed, failure.cause));
    let has_ended = part.job.is_some_and(run::has_ended);
    let newest = newest_of(part.pods.iter().copied()).filter(|_| has_ended);
    if let Some(pod) = newest.and_then(|pod| pod.metadata.name.as_deref()) {
        let namespace = &observed.settings.namespace;
        failure.message.push_str(&format!("; the whole log: kubectl logs -n {namespace} {pod}"));
    }
    if let [_, _, ..] = build.parts.as_slice() {
        failure.message = format!("for {}: {}", part.part.architecture, failure.message);
    }
    let step = fail(observed, build, &failure, now, decision);
    delete_jobs(build.parts.iter().filter(|other| other.part != part.part || !has_ended), decision);
    step
}

/// Ends a build that has failed.
pub(super) fn fail<'b, 'a>(
    observed: &Observed<'_>,
    build: &Build<'_>,
    failure: &Failure,
    now: Timestamp,
    decision: &mut Decision,
) -> Step<'b, 'a> {
    let message = failure.describe();
    let reason = failure.cause.as_str();
    let turn = Turn { type_: BuildConditionType::Failed, reason, message: message.clone(), image: None };
    end(observed, build, turn, now, decision);
    decision.warn(Object::Config, "BuildFailed", format!("{}: {message}", build.name()));
    Step::Failed(message)
}

/// Gives up a build, since a person has deleted its Job.
fn deleted<'b, 'a>(
    observed: &Observed<'_>,
    build: &Build<'_>,
    now: Timestamp,
    decision: &mut Decision,
) -> Step<'b, 'a> {
    let what = if run::is_forgotten(build.build, now) {
        "its Job was deleted, or has ended longer than a day ago, and its registry does not have what it should have pushed"
    } else {
        "its Job was deleted"
    };
    let message = format!("{what}; to build once more: {}", wish::command(observed.config));
    let turn = Turn {
        type_: BuildConditionType::Interrupted,
        reason: status::JOB_DELETED,
        message: message.clone(),
        image: None,
    };
    end(observed, build, turn, now, decision);
    decision.warn(Object::Config, "BuildInterrupted", format!("{}: {message}", build.name()));
    delete_jobs(&build.parts, decision);
    Step::Interrupted
}
