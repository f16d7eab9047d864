//! What a MachineOSConfig says of its base image: what it stands for, since when nobody can say, and that its tag moved.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use onlay_api::conditions::{self, Condition, ConditionStatus, OSConfigConditionType};

use super::decision::{Decision, Object};
use super::observed::{Base, Observed, Standing};
use super::target::Target;
use crate::build::base::watch::{Found, Moved};
use crate::build::base::{ASKED_ANNOTATION, FAULT_ANNOTATION, LOOKED_UP_ANNOTATION, RESOLVED_ANNOTATION, remembered};
use crate::build::part;

/// The type of the condition.
pub(super) const TYPE: OSConfigConditionType = OSConfigConditionType::BaseImageResolved;
/// Its reason where a registry was asked and has not answered.
const NOT_LOOKED_UP: &str = "BaseImageNotLookedUp";

/// Status, reason and message of the condition.
pub(super) fn words(observed: &Observed<'_>, now: Timestamp) -> (ConditionStatus, &'static str, String) {
    use ConditionStatus::{False, True};
    let (asked, image, standing) = match &observed.base {
        Base::Unknown { why } => return (False, "BaseImageUnknown", why.clone()),
        Base::Known { asked, image, standing, .. } => (asked, image, standing),
    };
    match standing {
        Standing::Digest => (True, "NamedByDigest", format!("{image} is named by digest")),
        Standing::Pinned => {
            (True, "Pinned", format!("{asked} is pinned to {image}, until a person asks to build once more"))
        }
        Standing::Answered => (True, "LookedUp", format!("{asked} is {image}")),
        Standing::Unanswered { why } => {
            let since = since(observed).unwrap_or(now).strftime("%Y-%m-%dT%H:%M:%SZ");
            (False, NOT_LOOKED_UP, format!("what {asked} is, is not known since {since}; {image} counts on: {why}"))
        }
    }
}

/// Since when it is not known what the base image is.
fn since(observed: &Observed<'_>) -> Option<Timestamp> {
    let old = old(observed)?;
    (old.status == ConditionStatus::False).then_some(old.last_transition_time)
}

fn old<'a>(observed: &Observed<'a>) -> Option<&'a Condition> {
    conditions::find(&observed.config.status.as_ref()?.conditions, TYPE)
}

/// Why the target is built: a tag that stands for another image than before.
pub(super) fn moved(observed: &Observed<'_>, target: &Target<'_>) -> Option<String> {
    let before = before(observed, target);
    Moved::between(before.as_ref(), target.asked, target.base).map(|moved| moved.to_string())
}

fn before(observed: &Observed<'_>, target: &Target<'_>) -> Option<Found> {
    let builds = observed.builds.iter().map(|build| build.build);
    remembered(Some(observed.config), builds, target.asked, &BTreeSet::new())
}

/// Notes what the base image of the target is, and tells what is new about it.
pub(super) fn note(observed: &Observed<'_>, target: &Target<'_>, now: Timestamp, decision: &mut Decision) {
    let architectures = part::write(&observed.architectures);
    let wanted = [
        (ASKED_ANNOTATION, Some(target.asked)),
        (RESOLVED_ANNOTATION, Some(target.base)),
        (FAULT_ANNOTATION, target.fault),
        (LOOKED_UP_ANNOTATION, Some(architectures.as_str())),
    ];
    let have = |key: &str| observed.config.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let stale = wanted.into_iter().filter(|(key, value)| have(key) != *value);
    let stale: BTreeMap<_, _> = stale.map(|(key, value)| (key, value.map(str::to_owned))).collect();
    if !stale.is_empty() {
        decision.annotate(stale);
    }
    if let Some(moved) = moved(observed, target) {
        decision.tell(Object::Config, "BaseImageMoved", moved);
    }
    let (_, reason, message) = words(observed, now);
    if reason == NOT_LOOKED_UP && old(observed).is_none_or(|old| old.reason != reason) {
        decision.warn(Object::Config, reason, message);
    }
}
