//! Which builds of before are kept: going back to their inputs is then no new build. And what they needed is not.

use std::cmp::Reverse;

use onlay_api::conditions::BuildConditionType;
use onlay_api::names;

use super::decision::{Action, Decision};
use super::observed::{Build, Observed, PartOfBuild};
use super::status::final_condition;
use super::target::Target;
use super::{delete_jobs, run};
use crate::build::extras::OfPool;

/// Builds of before that are kept, besides those whose image a node runs or shall run.
pub(super) const HISTORY: usize = 10;

/// Deletes the oldest builds of before, where there are too many. Their images stay in the registry.
pub(super) fn retire(observed: &Observed<'_>, target: &Target<'_>, decision: &mut Decision) {
    let mut history: Vec<&Build<'_>> =
        observed.builds.iter().filter(|build| is_past(build, observed, target)).collect();
    history
        .sort_by_key(|build| Reverse((build.build.status.as_ref().and_then(|status| status.build_end), build.name())));
    for build in history.into_iter().skip(HISTORY) {
        let uid = build.build.metadata.uid.clone().unwrap_or_default();
        decision.act(Action::DeleteBuild { name: build.name().to_owned(), uid });
    }
}

/// Deletes the Jobs that go on although their builds have failed or were given up: who wrote that may have died before this.
pub(super) fn retire_jobs(observed: &Observed<'_>, decision: &mut Decision) {
    for build in observed.builds.iter().filter(|build| !build.is_leaving(observed.config)) {
        let is_vain = |type_| matches!(type_, BuildConditionType::Failed | BuildConditionType::Interrupted);
        if final_condition(build.build).is_some_and(is_vain) {
            let goes_on = |part: &&PartOfBuild<'_>| part.job.is_some_and(|job| run::goes_on(job, build.build));
            delete_jobs(build.parts.iter().filter(goes_on), decision);
        }
    }
}

/// Deletes the ConfigMaps of builds that have ended: who wrote that may have died before this.
pub(super) fn retire_config_maps(observed: &Observed<'_>, decision: &mut Decision) {
    let has_ended = |build: &&Build<'_>| !build.is_leaving(observed.config) && super::has_ended(build.build);
    observed.builds.iter().filter(has_ended).for_each(|build| config_maps(build, decision));
}

/// Deletes what only the pods of a build read.
pub(super) fn config_maps(build: &Build<'_>, decision: &mut Decision) {
    for part in build.parts.iter().filter(|part| part.has_config_map) {
        decision.act(Action::DeleteConfigMap(part.part.config_map.clone()));
    }
}

/// Deletes the copy of the cluster's entitlements when no build is left that needs it.
pub(super) fn retire_copy(observed: &Observed<'_>, decision: &mut Decision) {
    let is_copied = observed.provided.entitlements.of_pool == Some(OfPool::Build);
    if is_copied && observed.builds.iter().all(|build| final_condition(build.build).is_some()) {
        let pool = &observed.config.spec.machine_config_pool.name;
        decision.act(Action::DeleteSecret(names::entitlement_of(pool)));
    }
}

/// Whether a build has ended, and nobody needs it now.
fn is_past(build: &Build<'_>, observed: &Observed<'_>, target: &Target<'_>) -> bool {
    let image = build.build.status.as_ref().and_then(|status| status.digested_image_push_spec.as_deref());
    let is_used = image.is_some_and(|image| observed.images_in_use.contains(image));
    let has_ended = final_condition(build.build).is_some();
    has_ended && !is_used && build.name() != target.name && !build.is_leaving(observed.config)
}
