//! The next step of a MachineOSConfig: make a build, follow its Job, serve its image, give it up, try it again.
//!
//! Source of the rules: the compatible API. A build is named after everything that its image depends on, so a build of the
//! right name is the right build. Exactly one condition of a build is True, and Succeeded, Interrupted and Failed are
//! final: what shall be tried again is a new object.

mod ask;
mod base;
mod course;
mod cure;
mod decision;
mod join;
mod measure;
mod observed;
mod presence;
mod pursue;
mod retire;
mod run;
mod serve;
mod source;
mod start;
mod status;
mod target;
mod wish;

#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use onlay_api::conditions::{BuildConditionType, ConditionType};
use onlay_api::machine_os_build::MachineOSBuild;
use onlay_api::machine_os_config::MachineOSConfig;
use onlay_api::names;

pub use ask::offline;
pub use decision::{Action, Decision, Event, Object, Search};
pub use join::Join;
pub use measure::Measure;
pub use observed::{Base, Build, Credentials, Material, MaterialState, Observed, PartOfBuild, Standing};
pub use run::{newest_of, runs};

use super::spec::Failure;
use presence::Presence;
use pursue::Step;
use status::Turn;
use target::Target;

/// Annotation on a MachineOSBuild: a digest of the credentials that it was given.
pub const CREDENTIALS_ANNOTATION: &str = "onlay.dev/credentials";

/// How soon something that is not watched is looked at again.
const POLL: SignedDuration = SignedDuration::from_secs(10);
/// How soon an object that is on its way out is looked at again.
const SOON: SignedDuration = SignedDuration::from_secs(1);

/// Whether the last try of a build failed.
pub fn has_failed(build: &MachineOSBuild) -> bool {
    status::final_condition(build) == Some(BuildConditionType::Failed)
}

/// Whether a build is in a final state.
pub fn has_ended(build: &MachineOSBuild) -> bool {
    status::final_condition(build).is_some()
}

/// Whether a person asks to build once more.
pub fn rebuild_is_asked(config: &MachineOSConfig) -> bool {
    config.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(names::REBUILD_ANNOTATION))
}

/// The next step of a MachineOSConfig.
pub fn decide(observed: &Observed<'_>, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    if observed.config.metadata.deletion_timestamp.is_some() {
        return decision;
    }
    match Target::of(observed) {
        Ok(target) => {
            interrupt_others(observed, &target, now, &mut decision);
            follow(observed, &target, now, &mut decision);
            retire::retire(observed, &target, &mut decision);
            base::note(observed, &target, now, &mut decision);
        }
        Err(obstacle) => {
            pursue::all(observed, now, &mut decision);
            serve::wait(observed, &obstacle, None, now, &mut decision);
            decision.look_again(now + POLL);
        }
    }
    observed.ask_again.into_iter().for_each(|at| decision.look_again(at));
    retire::retire_jobs(observed, &mut decision);
    retire::retire_config_maps(observed, &mut decision);
    retire::retire_copy(observed, &mut decision);
    decision
}

/// Gives up the builds of earlier inputs.
fn interrupt_others(observed: &Observed<'_>, target: &Target<'_>, now: Timestamp, decision: &mut Decision) {
    let is_other = |build: &&Build<'_>| build.name() != target.name && build.goes_on(observed.config);
    for other in observed.builds.iter().filter(is_other) {
        let message = format!("given up for {}, since what the image is built from has changed", target.name);
        let turn = Turn { type_: BuildConditionType::Interrupted, reason: "Superseded", message, image: None };
        end(observed, other, turn, now, decision);
        delete_jobs(&other.parts, decision);
        let note = format!("{} is given up for {}", other.name(), target.name);
        decision.tell(Object::Config, "BuildInterrupted", note);
    }
}

/// Goes on with the build of the target.
fn follow(observed: &Observed<'_>, target: &Target<'_>, now: Timestamp, decision: &mut Decision) {
    let Some(build) = observed.builds.iter().find(|build| build.name() == target.name) else {
        return start::build(observed, target, now, decision);
    };
    if build.is_leaving(observed.config) {
        serve::building(observed, target, "the build before is being deleted", now, decision);
        return decision.look_again(now + SOON);
    }
    if observed.rebuild_is_due() {
        match wish::granted_by(observed, build.build) {
            Some(at) => decision.act(Action::Annotate(wish::note(at))),
            None => return wish::grant(observed, target, build, now, decision),
        }
    }
    match status::final_condition(build.build) {
        Some(BuildConditionType::Succeeded) => {
            built(observed, target, build, now, decision);
        }
        Some(BuildConditionType::Failed) if credentials_changed(observed, build) => {
            again(observed, target, build, "the secrets or registry authorities have changed", now, decision);
        }
        Some(BuildConditionType::Failed) => {
            let message = status::message(build.build, BuildConditionType::Failed);
            serve::failed(observed, target, message, now, decision);
            decision.look_again(now + POLL);
        }
        Some(_) if status::is_for_good(build.build) => serve::interrupted(observed, target, now, decision),
        Some(_) => again(observed, target, build, "it was given up before, and is wanted again", now, decision),
        None => advance(observed, target, build, now, decision),
    }
}

/// Serves the image of a build that succeeded, unless its registry has lost it.
fn built(observed: &Observed<'_>, target: &Target<'_>, build: &Build<'_>, now: Timestamp, decision: &mut Decision) {
    let status = build.build.status.as_ref();
    let image = status.and_then(|status| status.digested_image_push_spec.as_deref()).unwrap_or_default();
    match presence::of(observed, image, status.and_then(|status| status.build_end), now, decision) {
        Presence::There => serve::image(observed, target, image, now, decision),
        Presence::Awaited => {
            let message = format!("its registry is asked whether it still has {image}");
            serve::building(observed, target, &message, now, decision);
        }
        Presence::Gone => again(observed, target, build, &presence::lost(image), now, decision),
    }
}

/// Deletes a build that has ended; the next look makes it anew.
fn again(
    observed: &Observed<'_>,
    target: &Target<'_>,
    build: &Build<'_>,
    why: &str,
    now: Timestamp,
    decision: &mut Decision,
) {
    let (name, uid) = (build.name().to_owned(), build.build.metadata.uid.clone().unwrap_or_default());
    let ended = status::final_condition(build.build).map_or_else(String::new, |ended| format!(" ({})", ended.as_str()));
    let note = format!("{name}{ended} is made anew: {why}");
    // In this order: a build that stays without its Job counts as interrupted by a person.
    decision.act(Action::DeleteBuild { name, uid });
    delete_jobs(&build.parts, decision);
    decision.tell(Object::Config, "BuildRepeated", note);
    serve::building(observed, target, &format!("made anew: {why}"), now, decision);
}

/// Whether a build that has failed may succeed with the credentials and authorities that there are now.
fn credentials_changed(observed: &Observed<'_>, build: &Build<'_>) -> bool {
    let annotations = build.build.metadata.annotations.as_ref();
    let given = annotations.and_then(|annotations| annotations.get(CREDENTIALS_ANNOTATION));
    let cause = status::cause(build.build);
    observed.fingerprint().is_ok_and(|now| given.is_some_and(|given| cure::by_other_credentials(cause, given, &now)))
}

/// Goes on with a build that has not ended.
fn advance(observed: &Observed<'_>, target: &Target<'_>, build: &Build<'_>, now: Timestamp, decision: &mut Decision) {
    if let Some(failure) = &target.refusal {
        return fail(observed, target, build, failure, now, decision);
    }
    match pursue::step(observed, build, now, decision) {
        Step::Start(parts) => start::jobs(observed, target, build, &parts, now, decision),
        Step::Ending => {}
        Step::Lost => {
            let why = "its Job says that it succeeded, and its registry does not have what it should have pushed";
            again(observed, target, build, why, now, decision);
        }
        Step::Held(message) | Step::Going(message) => serve::building(observed, target, &message, now, decision),
        Step::Built(image) => serve::image(observed, target, &image, now, decision),
        Step::Failed(message) => serve::failed(observed, target, &message, now, decision),
        Step::Interrupted => serve::interrupted(observed, target, now, decision),
    }
}

/// Deletes the Jobs of parts of a build, as far as there are some.
fn delete_jobs<'b, 'a: 'b>(parts: impl IntoIterator<Item = &'b PartOfBuild<'a>>, decision: &mut Decision) {
    let with_job = parts.into_iter().filter(|part| part.job.is_some());
    with_job.for_each(|part| decision.act(Action::DeleteJob(part.part.job.clone())));
}

/// Brings a build into a state; tells and counts what is new about it.
fn come_into(observed: &Observed<'_>, build: &Build<'_>, turn: Turn<'_>, now: Timestamp, decision: &mut Decision) {
    let is_new = !status::is_in(build.build, turn.type_);
    let (type_, message) = (turn.type_, turn.message.clone());
    let measure = measure::of(observed, build, &turn, now);
    let Some(status) = status::turn(build.build, turn, &observed.settings.namespace, now) else { return };
    let name = build.name().to_owned();
    decision.act(Action::BuildStatus { name: name.clone(), status: Box::new(status) });
    if is_new {
        decision.act(Action::Tell(status::event(name, type_, message)));
        measure.into_iter().for_each(|measure| decision.act(Action::Count(Box::new(measure))));
    }
}

fn fail(
    observed: &Observed<'_>,
    target: &Target<'_>,
    build: &Build<'_>,
    failure: &Failure,
    now: Timestamp,
    decision: &mut Decision,
) {
    if let Step::Failed(message) = pursue::fail(observed, build, failure, now, decision) {
        serve::failed(observed, target, &message, now, decision);
    }
}

/// Brings a build into a final state. What only the pod needed goes away; the Job stays for its log.
fn end(observed: &Observed<'_>, build: &Build<'_>, turn: Turn<'_>, now: Timestamp, decision: &mut Decision) {
    // In this order: a build that has not ended has what its pods read, whatever becomes of the controller.
    come_into(observed, build, turn, now, decision);
    retire::config_maps(build, decision);
}
