//! Which text is the Containerfile of a build, the MachineOSConfig's or that of an object which the policy names; and which
//! secrets it needs.

use onlay_api::conditions::ConditionStatus;
use onlay_api::layering_policy::{BuildPolicy, ContainerfileKey};

use super::observed::Observed;
use super::target::Obstacle;
use crate::build::containerfile::{Containerfile, NeededSecret, excerpt};
use crate::build::extras::{Extras, Kind, RESERVED, SecretFile, named};
use crate::build::inputs;

/// The text of the Containerfile; none if there is nothing in it.
pub(super) fn text<'a>(observed: &'a Observed<'_>, policy: &BuildPolicy) -> Result<Option<&'a str>, Obstacle> {
    let config = observed.config;
    let own = inputs::containerfile_for(&config.spec.container_file, observed.architecture);
    let Some((kind, key)) = named(policy) else { return Ok(own) };
    let place = Place { observed, kind, key };
    if own.is_some() {
        let name = config.metadata.name.as_deref().unwrap_or_default();
        let message = format!(
            "MachineOSConfig {name} has a Containerfile (spec.containerFile), and {} is another one; remove one of them",
            place.words()
        );
        return Err(Obstacle::new(ConditionStatus::False, "TwoContainerfiles", message));
    }
    let text = place.text().map_err(|why| {
        let message = format!("{} {why}", place.words());
        Obstacle::new(ConditionStatus::False, "ContainerfileUnusable", message)
    })?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// The first secret that is not there, or that the policy does not name.
pub(super) fn unmet(observed: &Observed<'_>, extras: &Extras, file: Option<&Containerfile>) -> Option<Obstacle> {
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
    let NeededSecret { id, instruction } = file?.secrets().find(|needed| !is_named(needed))?;
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
        std::str::from_utf8(text).map_err(|error| format!("has no text in key {key}: {error}; write it in UTF-8"))
    }
}
