//! What is counted when a build has ended.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use onlay_api::conditions::BuildConditionType;

use super::observed::{Build, Observed};
use super::run::{self, newest_of, started};
use super::status::Turn;
use crate::build::base::RESOLVED_ANNOTATION;

/// What is counted when a build has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// Name of the pool.
    pub pool: String,
    /// How it ended: `succeeded`, `interrupted` or `failed`.
    pub result: &'static str,
    /// The reason of the condition.
    pub reason: String,
    /// From the MachineOSBuild to the end.
    pub duration: SignedDuration,
    /// From the MachineOSBuild to the start of the first builder; none if none has started.
    pub queue: Option<SignedDuration>,
    /// The pods whose logs say more.
    pub pods: Vec<String>,
    /// The base image, by digest; none if no image was pushed.
    pub base: Option<String>,
    /// The images that were pushed, by digest and by architecture.
    pub images: BTreeMap<String, String>,
}

/// What is counted when a build comes into a state; none if that is not the end of it.
pub(super) fn of(observed: &Observed<'_>, build: &Build<'_>, turn: &Turn<'_>, now: Timestamp) -> Option<Measure> {
    let result = match turn.type_ {
        BuildConditionType::Prepared | BuildConditionType::Building => return None,
        BuildConditionType::Succeeded => "succeeded",
        BuildConditionType::Interrupted => "interrupted",
        BuildConditionType::Failed => "failed",
    };
    let metadata = &build.build.metadata;
    let created = metadata.creation_timestamp.as_ref().map_or(now, |created| created.0);
    let since = |at: Timestamp| at.duration_since(created).max(SignedDuration::ZERO);
    let annotations = metadata.annotations.as_ref();
    let base = annotations.and_then(|annotations| annotations.get(RESOLVED_ANNOTATION));
    let newest = build.parts.iter().filter_map(|part| newest_of(part.pods.iter().copied()));
    let pushed = build.parts.iter().filter_map(|part| Some((part.part.architecture.clone(), run::pushed(part)?)));
    Some(Measure {
        pool: observed.config.spec.machine_config_pool.name.clone(),
        result,
        reason: turn.reason.to_owned(),
        duration: since(now),
        queue: build.parts.iter().flat_map(|part| &part.pods).filter_map(|pod| started(pod)).min().map(since),
        pods: newest.filter(|_| has_log(turn)).filter_map(name).collect(),
        base: base.filter(|_| turn.image.is_some()).cloned(),
        images: if turn.image.is_some() { pushed.collect() } else { BTreeMap::new() },
    })
}

/// Whether there is a log to read: the pod of a build that is given up goes away with it.
fn has_log(turn: &Turn<'_>) -> bool {
    turn.type_ != BuildConditionType::Interrupted
}

fn name(pod: &Pod) -> Option<String> {
    pod.metadata.name.clone()
}
