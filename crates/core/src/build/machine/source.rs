//! Which text is the Containerfile of a build, the MachineOSConfig's or that of an object which the policy names; and which
//! secrets and authorities it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::str::Utf8Error;

use onlay_api::conditions::ConditionStatus;
use onlay_api::layering_policy::{BuildPolicy, ContainerfileKey};
use onlay_api::names::TRUSTED_CA_KEY;

use super::observed::Observed;
use super::target::Obstacle;
use crate::build::containerfile::{Containerfile, NeededSecret, excerpt};
use crate::build::extras::{Extras, Kind, RESERVED, SecretFile, named};
use crate::build::inputs::{self, NoContainerfile};
use crate::build::trust;

/// The text of the Containerfile for each architecture; none if there is nothing in it.
pub(super) fn texts<'a>(
    observed: &'a Observed<'_>,
    policy: &BuildPolicy,
    architectures: &BTreeSet<String>,
) -> Result<BTreeMap<String, Option<&'a str>>, Obstacle> {
    let of_policy = of_policy(observed, policy)?;
    let text = |architecture: &String| {
        let own = || inputs::containerfile_for(&observed.config.spec.container_file, architecture);
        Ok((architecture.clone(), of_policy.map_or_else(own, |text| Ok(Some(text)))?))
    };
    let missing = |error: NoContainerfile| {
        let name = observed.config.metadata.name.as_deref().unwrap_or_default();
        let message = format!("MachineOSConfig {name} {error}");
        Obstacle::new(ConditionStatus::False, "ContainerfileMissing", message)
    };
    let texts = architectures.iter().map(text).collect::<Result<BTreeMap<_, _>, _>>().map_err(missing)?;
    let written = |text: Option<&'a str>| text.filter(|text| !text.trim().is_empty());
    Ok(texts.into_iter().map(|(architecture, text)| (architecture, written(text))).collect())
}

/// The text of the object that the policy names.
fn of_policy<'a>(observed: &'a Observed<'_>, policy: &BuildPolicy) -> Result<Option<&'a str>, Obstacle> {
    let config = observed.config;
    let Some((kind, key)) = named(policy) else { return Ok(None) };
    let place = Place { observed, kind, key };
    if config.spec.container_file.iter().any(|file| !file.content.trim().is_empty()) {
        let name = config.metadata.name.as_deref().unwrap_or_default();
        let message = format!(
            "MachineOSConfig {name} has a Containerfile (spec.containerFile), and {} is another one; remove one of them",
            place.words()
        );
        return Err(Obstacle::new(ConditionStatus::False, "TwoContainerfiles", message));
    }
    place.text().map(Some).map_err(|why| {
        let message = format!("{} {why}", place.words());
        Obstacle::new(ConditionStatus::False, "ContainerfileUnusable", message)
    })
}

/// What is wrong with the ConfigMap of authorities, if anything.
pub(super) fn untrusted(observed: &Observed<'_>) -> Option<Obstacle> {
    let policy = observed.policy.and_then(|policy| policy.spec.build.clone()).unwrap_or_default();
    let found = observed.provided.trusted_ca.as_ref();
    let why = trust::authorities(&policy, found).err()?;
    let (name, namespace) = (trust::config_map(&policy), &observed.settings.namespace);
    let pool = &observed.config.spec.machine_config_pool.name;
    let named = policy.trusted_ca.as_ref().map(|_| format!(" (spec.build.trustedCA of LayeringPolicy {pool})"));
    let create =
        format!("; create it: `kubectl create configmap {name} -n {namespace} --from-file={TRUSTED_CA_KEY}=…`");
    let create = if found.is_none() { create } else { String::new() };
    let message = format!("ConfigMap {namespace}/{name}{} {why}{create}", named.unwrap_or_default());
    Some(Obstacle::new(ConditionStatus::False, "TrustedCAUnusable", message))
}

/// The first secret that is not there, or that the policy does not name; or what is wrong with the authorities.
pub(super) fn unmet(observed: &Observed<'_>, extras: &Extras, files: &[&Containerfile]) -> Option<Obstacle> {
    if let Some(obstacle) = untrusted(observed) {
        return Some(obstacle);
    }
    let pool = &observed.config.spec.machine_config_pool.name;
    let namespace = &observed.settings.namespace;
    for SecretFile { id, name, key } in &extras.secrets {
        let secret = format!("Secret {namespace}/{name} (spec.build.secrets, id {id}, of LayeringPolicy {pool})");
        let why = match observed.provided.secrets.get(name) {
            Some(keys) if keys.contains(key) => continue,
            Some(keys) => format!("has no key {key}; it has: {}", keys.iter().cloned().collect::<Vec<_>>().join(", ")),
            None => {
                let create = format!("kubectl create secret generic {name} -n {namespace} --from-file={key}=…");
                format!("does not exist; create it: `{create}`")
            }
        };
        return Some(Obstacle::new(ConditionStatus::False, "SecretMissing", format!("{secret} {why}")));
    }
    let is_named = |needed: &NeededSecret<'_>| extras.secrets.iter().any(|secret| secret.id == needed.id);
    let mut needed = files.iter().flat_map(|file| file.secrets());
    let NeededSecret { id, instruction } = needed.find(|needed| !is_named(needed))?;
    let message = format!(
        "line {} of the Containerfile: `{}`: LayeringPolicy {pool} names no secret with the id {id}; add it to \
         spec.build.secrets, or write required=false",
        instruction.line,
        excerpt(&instruction.text())
    );
    Some(Obstacle::new(ConditionStatus::False, "SecretNotNamed", message))
}

/// Where a Containerfile lies.
struct Place<'a, 'b, 'c> {
    observed: &'a Observed<'b>,
    kind: Kind,
    key: &'c ContainerfileKey,
}

impl<'a> Place<'a, '_, '_> {
    /// The object, and who names it.
    fn words(&self) -> String {
        let Self { observed, kind, key } = self;
        let pool = &observed.config.spec.machine_config_pool.name;
        let (kind, namespace, name) = (kind.as_str(), &observed.settings.namespace, &key.name);
        format!("{kind} {namespace}/{name} (spec.build.containerfile of LayeringPolicy {pool})")
    }

    fn text(&self) -> Result<&'a str, String> {
        let ContainerfileKey { name, key } = self.key;
        let Some(contents) = &self.observed.provided.containerfile else {
            let kind = if self.kind == Kind::ConfigMap { "configmap" } else { "secret generic" };
            let namespace = &self.observed.settings.namespace;
            let create = format!("kubectl create {kind} {name} -n {namespace} --from-file={key}=…");
            return Err(format!("does not exist; create it: `{create}`"));
        };
        let Some(text) = contents.0.get(key) else {
            let keys = contents.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(format!("has no key {key}; it has: {keys}"));
        };
        if let Some(reserved) = RESERVED.iter().find(|reserved| contents.0.contains_key(**reserved)) {
            return Err(format!("has the key {reserved}, which means something to the builder; remove it"));
        }
        std::str::from_utf8(text).map_err(|error| format!("has no text in key {key}: {}", encoding(text, &error)))
    }
}

/// What is wrong with a text that is not in UTF-8, and the way out.
fn encoding(text: &[u8], error: &Utf8Error) -> String {
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return "it is in UTF-16, as its first two bytes say; write it in UTF-8: `iconv -f UTF-16 -t UTF-8 FILE`"
            .to_owned();
    }
    let before = text.get(..error.valid_up_to()).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    format!("line {line} is not in UTF-8; write it in UTF-8, or remove what is no text")
}
