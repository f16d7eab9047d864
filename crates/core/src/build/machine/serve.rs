//! The MachineOSConfig's own words: is it usable, and which image does it serve.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use onlay_api::conditions::{self, Condition, ConditionStatus, OSConfigConditionType};
use onlay_api::machine_os_config::MachineOSConfigStatus;
use onlay_api::names;
use onlay_api::reference::ObjectStatusReference;

use super::decision::{Action, Decision, Object};
use super::observed::Observed;
use super::target::{Obstacle, Target};
use super::{base, start};
use crate::build::inputs::repository;
use crate::build::part;
use crate::build::pull_secret::{self, Hidden};

/// What a MachineOSConfig is to say.
struct Words<'a> {
    valid: (ConditionStatus, &'static str, String),
    ready: Option<(ConditionStatus, &'a str, String)>,
    image: Option<&'a str>,
    build: Option<&'a str>,
}

/// Whether everything that the MachineOSConfig names exists and can be used; else what is missing. An image that is there is
/// served all the same.
fn valid(observed: &Observed<'_>, target: &Target<'_>) -> (ConditionStatus, &'static str, String) {
    match start::credentials(observed, target) {
        Ok(_) => (ConditionStatus::True, "Usable", "everything that it names exists and can be used".to_owned()),
        Err(Obstacle { valid, reason, message }) => (valid, reason, message.into_owned()),
    }
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
    let ready = (target.is_some() || !says_still(observed)).then_some(ready);
    let valid = (*valid, *reason, message.clone().into_owned());
    write(observed, Words { valid, ready, image: None, build: None }, now, decision);
}

fn conditions_of<'a>(observed: &Observed<'a>) -> &'a [Condition] {
    observed.config.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

/// Whether what is said of the image is true although it is not known what should be built: it is served, or a build goes on.
fn says_still(observed: &Observed<'_>) -> bool {
    let ready = conditions::find(conditions_of(observed), OSConfigConditionType::ImageReady);
    let is_on_its_way = observed.builds.iter().any(|build| build.goes_on(observed.config));
    ready.is_some_and(|ready| ready.status == ConditionStatus::True || is_on_its_way)
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
    let words = Words { valid: valid(observed, target), ready: Some(ready), image: None, build: Some(&target.name) };
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
    let words = Words { valid: valid(observed, target), ready: Some(ready), image: None, build: Some(&target.name) };
    write(observed, words, now, decision);
}

/// A person has interrupted the build of the target.
pub(super) fn interrupted(observed: &Observed<'_>, target: &Target<'_>, now: Timestamp, decision: &mut Decision) {
    let message =
        format!("{}: its Job was deleted; its condition Interrupted says how to build once more", target.name);
    let ready = (ConditionStatus::False, "BuildInterrupted", message);
    let words = Words { valid: valid(observed, target), ready: Some(ready), image: None, build: Some(&target.name) };
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
    let ready = (ConditionStatus::True, "Built", format!("{image} serves {}", target.rendered));
    let words =
        Words { valid: valid(observed, target), ready: Some(ready), image: Some(image), build: Some(&target.name) };
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

/// Writes what nodes pull an image with. Where the build's secrets have nothing for that now, they keep what they have: it may
/// be that a secret is away for a while.
fn node_secret(observed: &Observed<'_>, image: &str, decision: &mut Decision) {
    let entry = observed.node_entries.get(repository(image));
    let wanted = pull_secret::derive(observed.config, entry, &observed.settings.node_secrets_namespace);
    let ours = observed.node_secret.filter(|have| have.metadata.owner_references == wanted.metadata.owner_references);
    let is_kept = |have: &Secret| have.data == wanted.data || (entry.is_none() && have.data.is_some());
    if !ours.is_some_and(is_kept) {
        decision.act(Action::NodeSecret(Box::new(Hidden(wanted))));
    }
}

fn write(observed: &Observed<'_>, words: Words<'_>, now: Timestamp, decision: &mut Decision) {
    let old = observed.config.status.clone().unwrap_or_default();
    // Nodes have it before they are told of the image.
    if let Some(image) = words.image.or(old.current_image_pull_spec.as_deref()) {
        node_secret(observed, image, decision);
    }
    let (is_valid, reason, message) = words.valid.clone();
    let is_news = says_otherwise(observed, OSConfigConditionType::Valid, reason, &message);
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
    if is_news && is_valid == ConditionStatus::False {
        decision.warn(Object::Config, reason, message);
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
