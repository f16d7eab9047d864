//! The status of a build: exactly one condition is True, and a final one is never touched again.

use jiff::{SignedDuration, Timestamp};
use onlay_api::conditions::{self, BuildConditionType};
use onlay_api::machine_os_build::{BuilderReference, MachineOSBuild, MachineOSBuildStatus};
use onlay_api::reference::ObjectStatusReference;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{self, StrDeserializer};

use super::decision::{Event, Object};
use crate::build::part::Part;
use crate::build::spec::Cause;

/// Conditions that end a build.
const FINAL: [BuildConditionType; 3] =
    [BuildConditionType::Succeeded, BuildConditionType::Interrupted, BuildConditionType::Failed];
/// The reason of an interruption by a person.
pub(super) const JOB_DELETED: &str = "JobDeleted";

/// The final condition that a build has reached.
pub(super) fn final_condition(build: &MachineOSBuild) -> Option<BuildConditionType> {
    let conditions = &build.status.as_ref()?.conditions;
    FINAL.into_iter().find(|type_| conditions::is_true(conditions, *type_))
}

/// Why a build has failed; none if it has not, or that is not known.
pub(super) fn cause(build: &MachineOSBuild) -> Option<Cause> {
    let failed = conditions::find(&build.status.as_ref()?.conditions, BuildConditionType::Failed)?;
    let reason: StrDeserializer<'_, value::Error> = failed.reason.as_str().into_deserializer();
    Cause::deserialize(reason).ok()
}

/// Whether a person has interrupted a build, so that it is not taken up again by itself.
pub(super) fn is_for_good(build: &MachineOSBuild) -> bool {
    let conditions = build.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let interrupted = conditions::find(conditions, BuildConditionType::Interrupted);
    final_condition(build) == Some(BuildConditionType::Interrupted)
        && interrupted.is_some_and(|condition| condition.reason == JOB_DELETED)
}

/// Whether a build is in a state.
pub(super) fn is_in(build: &MachineOSBuild, type_: BuildConditionType) -> bool {
    build.status.as_ref().is_some_and(|status| conditions::is_true(&status.conditions, type_))
}

/// What is told on a build when it comes into a state.
pub(super) fn event(build: String, type_: BuildConditionType, note: String) -> Event {
    let reason = match type_ {
        BuildConditionType::Prepared => "BuildPrepared",
        BuildConditionType::Building => "BuildRunning",
        BuildConditionType::Succeeded => "BuildSucceeded",
        BuildConditionType::Interrupted => "BuildInterrupted",
        BuildConditionType::Failed => "BuildFailed",
    };
    Event { on: Object::Build(build), warning: type_ == BuildConditionType::Failed, reason, note }
}

/// The message of a condition of a build.
pub(super) fn message(build: &MachineOSBuild, type_: BuildConditionType) -> &str {
    let conditions = build.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions::find(conditions, type_).map(|condition| condition.message.as_str()).unwrap_or_default()
}

/// The state a build comes into.
pub(super) struct Turn<'a> {
    /// The condition that is True.
    pub(super) type_: BuildConditionType,
    /// Why: one word.
    pub(super) reason: &'a str,
    /// Why: words for people.
    pub(super) message: String,
    /// The image, if it was pushed.
    pub(super) image: Option<String>,
}

impl Turn<'static> {
    /// It waits for its pods.
    pub(super) const fn prepared(message: String) -> Self {
        Self { type_: BuildConditionType::Prepared, reason: "Prepared", message, image: None }
    }

    /// It is being built.
    pub(super) const fn building(message: String) -> Self {
        Self { type_: BuildConditionType::Building, reason: "Building", message, image: None }
    }
}

/// The status of a build in a new state; none if it is in that state already, or in a final one.
pub(super) fn turn(
    build: &MachineOSBuild,
    turn: Turn<'_>,
    namespace: &str,
    now: Timestamp,
) -> Option<MachineOSBuildStatus> {
    if final_condition(build).is_some() {
        return None;
    }
    let old = build.status.clone().unwrap_or_default();
    let mut new = old.clone();
    let generation = build.metadata.generation;
    for type_ in BuildConditionType::ALL {
        if *type_ == turn.type_ {
            conditions::set(&mut new.conditions, *type_, true, turn.reason, turn.message.clone(), now, generation);
        } else {
            let (reason, message) = not(*type_);
            conditions::set(&mut new.conditions, *type_, false, reason, message, now, generation);
        }
    }
    let start = *new.build_start.get_or_insert(now);
    if FINAL.contains(&turn.type_) {
        // The schema wants the end after the start, and times are whole seconds.
        new.build_end = Some(now.max(start + SignedDuration::from_secs(1)));
    }
    new.digested_image_push_spec = turn.image.or(new.digested_image_push_spec);
    if new.builder.is_none() {
        // The ConfigMaps cannot be named here: the schema takes no empty group.
        new.related_objects = Part::of(build).into_iter().map(|part| job(part, namespace)).collect();
        let job = new.related_objects.first().cloned();
        new.builder = Some(BuilderReference { image_builder_type: "Job".to_owned(), job });
    }
    (new != old).then_some(new)
}

fn job(part: Part, namespace: &str) -> ObjectStatusReference {
    ObjectStatusReference {
        group: "batch".to_owned(),
        resource: "jobs".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: part.job,
    }
}

/// Reason and message of a condition that is False.
fn not(type_: BuildConditionType) -> (&'static str, &'static str) {
    match type_ {
        BuildConditionType::Prepared => ("NotPrepared", "the build does not wait"),
        BuildConditionType::Building => ("NotBuilding", "no pod is building"),
        BuildConditionType::Succeeded => ("NotSucceeded", "no image was pushed"),
        BuildConditionType::Interrupted => ("NotInterrupted", "the build was not given up"),
        BuildConditionType::Failed => ("NotFailed", "the build has not failed"),
    }
}
