//! The MachineOSConfig's own words: is it usable, and which image does it serve.

use std::collections::BTreeMap;

use jiff::Timestamp;
use onlay_api::conditions::{self, Condition, ConditionStatus, OSConfigConditionType};
use onlay_api::machine_os_config::MachineOSConfigStatus;
use onlay_api::names;
use onlay_api::reference::ObjectStatusReference;

use super::base;
use super::decision::{Action, Decision, Object};
use super::observed::Observed;
use super::target::{Obstacle, Target};
use crate::build::part;
use crate::build::pull_secret::{self, Hidden};

/// What a MachineOSConfig is to say.
struct Words<'a> {
    valid: (ConditionStatus, &'a str, String),
    ready: Option<(ConditionStatus, &'a str, String)>,
    image: Option<&'a str>,
    build: Option<&'a str>,
}

fn usable() -> (ConditionStatus, &'static str, String) {
    (ConditionStatus::True, "Usable", "everything that it names exists and can be used".to_owned())
}

/// Nothing can be built now. What was built before is still served, if it is not known to be for something else.
pub(super) fn wait(
    observed: &Observed<'_>,
    obstacle: &Obstacle,
    target: Option<&Target<'_>>,
    now: Timestamp,
    decision: &mut Decision,
) {
    let Obstacle { valid, reason, message } = obstacle;
    let ready = (ConditionStatus::False, *reason, "nothing can be built, see condition Valid".to_owned());
    let ready = (target.is_some() || !says_anything(observed)).then_some(ready);
    let valid = (*valid, *reason, message.clone().into_owned());
    let news = says_otherwise(observed, OSConfigConditionType::Valid, reason, message);
    write(observed, Words { valid, ready, image: None, build: None }, now, decision);
    if news && obstacle.valid == ConditionStatus::False {
        decision.warn(Object::Config, obstacle.reason, message.clone());
    }
}

fn conditions_of<'a>(observed: &Observed<'a>) -> &'a [Condition] {
    observed.config.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

fn says_anything(observed: &Observed<'_>) -> bool {
    conditions::find(conditions_of(observed), OSConfigConditionType::ImageReady).is_some()
}

fn says_otherwise(observed: &Observed<'_>, type_: OSConfigConditionType, reason: &str, message: &str) -> bool {
    let old = conditions::find(conditions_of(observed), type_);
    old.is_none_or(|old| old.reason != reason || old.message != message)
}

/// The image of the target is on its way.
pub(super) fn building(
    observed: &Observed<'_>,
    target: &Target<'_>,
    message: &str,
    now: Timestamp,
    decision: &mut Decision,
) {
    let ready = (ConditionStatus::False, "Building", format!("{}: {message}", target.name));
    let words = Words { valid: usable(), ready: Some(ready), image: None, build: Some(&target.name) };
    write(observed, words, now, decision);
}

/// The image of the target cannot be built.
pub(super) fn failed(
    observed: &Observed<'_>,
    target: &Target<'_>,
    message: &str,
    now: Timestamp,
    decision: &mut Decision,
) {
    let ready = (ConditionStatus::False, "BuildFailed", format!("{}: {message}", target.name));
    let words = Words { valid: usable(), ready: Some(ready), image: None, build: Some(&target.name) };
    write(observed, words, now, decision);
}

/// A person has interrupted the build of the target.
pub(super) fn interrupted(observed: &Observed<'_>, target: &Target<'_>, now: Timestamp, decision: &mut Decision) {
    let message =
        format!("{}: its Job was deleted; its condition Interrupted says how to build once more", target.name);
    let ready = (ConditionStatus::False, "BuildInterrupted", message);
    let words = Words { valid: usable(), ready: Some(ready), image: None, build: Some(&target.name) };
    write(observed, words, now, decision);
}

/// The image of the target is there.
///
/// The annotation that says which configuration it serves is written after the status: who finds the name there finds
/// the image in the status.
pub(super) fn image(
    observed: &Observed<'_>,
    target: &Target<'_>,
    image: &str,
    now: Timestamp,
    decision: &mut Decision,
) {
    node_secret(observed, decision);
    let ready = (ConditionStatus::True, "Built", format!("{image} serves {}", target.rendered));
    let words = Words { valid: usable(), ready: Some(ready), image: Some(image), build: Some(&target.name) };
    write(observed, words, now, decision);
    let architectures = part::write(&target.containerfiles.keys().cloned().collect());
    let wanted = [
        (names::CURRENT_BUILD_ANNOTATION, target.name.as_str()),
        (names::SERVES_ANNOTATION, target.rendered),
        (names::ARCHITECTURES_ANNOTATION, architectures.as_str()),
    ];
    let annotations = observed.config.metadata.annotations.as_ref();
    let stale = wanted.into_iter().filter(|(key, value)| {
        annotations.and_then(|annotations| annotations.get(*key)).is_none_or(|have| have != value)
    });
    let stale: BTreeMap<_, _> = stale.map(|(key, value)| (key, Some(value.to_owned()))).collect();
    if !stale.is_empty() {
        decision.act(Action::Annotate(stale));
    }
}

fn node_secret(observed: &Observed<'_>, decision: &mut Decision) {
    let entry = observed.node_entry.as_ref();
    let wanted = pull_secret::derive(observed.config, entry, &observed.settings.node_secrets_namespace);
    let have = observed.node_secret;
    let same = have.is_some_and(|have| {
        have.data == wanted.data && have.metadata.owner_references == wanted.metadata.owner_references
    });
    if !same {
        decision.act(Action::NodeSecret(Box::new(Hidden(wanted))));
    }
}

fn write(observed: &Observed<'_>, words: Words<'_>, now: Timestamp, decision: &mut Decision) {
    let old = observed.config.status.clone().unwrap_or_default();
    let generation = observed.config.metadata.generation;
    let mut new = MachineOSConfigStatus { observed_generation: generation, ..old.clone() };
    set(&mut new.conditions, OSConfigConditionType::Valid, words.valid, now, generation);
    set(&mut new.conditions, base::TYPE, base::words(observed, now), now, generation);
    if let Some(ready) = words.ready {
        set(&mut new.conditions, OSConfigConditionType::ImageReady, ready, now, generation);
    }
    if let Some(image) = words.image {
        new.current_image_pull_spec = Some(image.to_owned());
    }
    if let Some(build) = words.build {
        new.machine_os_build = Some(ObjectStatusReference {
            group: names::GROUP.to_owned(),
            resource: "machineosbuilds".to_owned(),
            namespace: None,
            name: build.to_owned(),
        });
    }
    if new != old {
        decision.act(Action::ConfigStatus(Box::new(new)));
    }
}

fn set(
    conditions: &mut Vec<Condition>,
    type_: OSConfigConditionType,
    (status, reason, message): (ConditionStatus, &str, String),
    now: Timestamp,
    generation: Option<i64>,
) {
    conditions::set(conditions, type_, status, reason, message, now, generation);
}
