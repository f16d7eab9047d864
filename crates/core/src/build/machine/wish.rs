//! A person's wish to build once more. It is granted by one build, which is made after it.
//!
//! Source of the rule: in the compatible API the annotation deletes the build that there is, whether it runs or has ended, and
//! another one takes its place. The build that is made for a wish bears the time of that; then the wish is taken away, and
//! the time is noted in its place. So who finds the build and the wish, since a controller died between the two writes, knows that the
//! one is for the other.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use onlay_api::conditions::BuildConditionType;
use onlay_api::machine_os_build::MachineOSBuild;
use onlay_api::machine_os_config::MachineOSConfig;
use onlay_api::names;

use super::decision::Decision;
use super::observed::{Build, Observed};
use super::status::{self, Turn};
use super::target::Target;
use super::{again, end};

/// Why a build is made that a person asked for.
pub(super) const WHY: &str = "a person asked to build once more";

/// The command by which a person asks to build once more.
pub(super) fn command(config: &MachineOSConfig) -> String {
    let name = config.metadata.name.as_deref().unwrap_or_default();
    format!("kubectl annotate machineosconfig {name} {}=", names::REBUILD_ANNOTATION)
}

/// When a wish that is granted now counts as granted: after every one before, whatever the clock says.
pub(super) fn granted_now(observed: &Observed<'_>, now: Timestamp) -> Timestamp {
    let next = |last: Timestamp| last.checked_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
    last_granted(observed).map_or(now, |last| now.max(next(last)))
}

/// What takes the place of a wish when it is granted.
pub(super) fn note(at: Timestamp) -> BTreeMap<&'static str, Option<String>> {
    BTreeMap::from([(names::REBUILD_ANNOTATION, None), (names::REBUILT_ANNOTATION, Some(at.to_string()))])
}

/// When the wish that there is was granted by this build, if that was not noted yet.
pub(super) fn granted_by(observed: &Observed<'_>, build: &MachineOSBuild) -> Option<Timestamp> {
    let at = rebuilt(&build.metadata)?;
    last_granted(observed).is_none_or(|last| last < at).then_some(at)
}

/// When a person last asked for what the builder of the target makes now.
pub(super) fn of_target(observed: &Observed<'_>, target: &Target<'_>, now: Timestamp) -> Option<String> {
    if !observed.rebuild_is_due() {
        return observed.config.metadata.annotations.as_ref()?.get(names::REBUILT_ANNOTATION).cloned();
    }
    let build = observed.builds.iter().find(|build| build.name() == target.name);
    let granted = build.and_then(|build| granted_by(observed, build.build));
    Some(granted.unwrap_or_else(|| granted_now(observed, now)).to_string())
}

/// Gives up or forgets the build that there is; the next look makes another one for the wish.
pub(super) fn grant(
    observed: &Observed<'_>,
    target: &Target<'_>,
    build: &Build<'_>,
    now: Timestamp,
    decision: &mut Decision,
) {
    if build.build.status.is_some() && status::final_condition(build.build).is_none() {
        let message = format!("given up, since {WHY}");
        let turn = Turn { type_: BuildConditionType::Interrupted, reason: "Superseded", message, image: None };
        end(observed, build, turn, now, decision);
    }
    again(observed, target, build, WHY, now, decision);
}

fn last_granted(observed: &Observed<'_>) -> Option<Timestamp> {
    rebuilt(&observed.config.metadata)
}

fn rebuilt(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.annotations.as_ref()?.get(names::REBUILT_ANNOTATION)?.parse().ok()
}
