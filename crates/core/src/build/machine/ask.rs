//! What a builder is asked to do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use onlay_api::conditions::ConditionStatus;
use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::names;

use super::observed::Observed;
use super::start::{pack, push_spec};
use super::target::{Obstacle, Target};
use super::wish;
use crate::build::cache;
use crate::build::part::ARCHITECTURE;
use crate::build::spec::Spec;

/// What the builder of the image of a target is asked to do that is for an architecture, and is pushed to a place.
pub(super) fn of(
    observed: &Observed<'_>,
    target: &Target<'_>,
    (architecture, place): (&str, String),
    now: Timestamp,
) -> Result<Spec, Obstacle> {
    let config = &observed.config.spec;
    let policy = observed.policy.and_then(|policy| policy.spec.build.clone()).unwrap_or_default();
    let cache_limit = cache::limit(&policy).map_err(|why| {
        let message = format!("LayeringPolicy {}: {why}", config.machine_config_pool.name);
        Obstacle::new(ConditionStatus::False, "PolicyUnusable", message)
    })?;
    let push_secret = &config.rendered_image_push_secret;
    let own = target.containerfiles.get(architecture).copied().flatten();
    Ok(Spec {
        build: target.name.clone(),
        rendered: target.rendered.to_owned(),
        origins: origins(observed),
        base: target.base.to_owned(),
        target: place,
        architecture: architecture.to_owned(),
        containerfile: own.filter(|_| target.extras.source.is_none()).map(str::to_owned),
        pull_secret: config.base_image_pull_secret.as_ref().unwrap_or(push_secret).name.clone(),
        push_secret: push_secret.name.clone(),
        rebuilt: wish::of_target(observed, target, now),
        cache_limit,
        extras: target.extras.clone(),
        packages: target.packages.clone(),
    })
}

/// The same where no cluster is, for the first of the architectures: what a builder is asked to do, and the configuration, packed. An error says what is missing.
pub fn offline(observed: &Observed<'_>, now: Timestamp) -> Result<(Spec, Vec<u8>), String> {
    let target = Target::of(observed).map_err(|obstacle| obstacle.message.into_owned())?;
    if let Some(failure) = target.refusal {
        return Err(failure.message);
    }
    if let Some(obstacle) = target.unmet {
        return Err(obstacle.message.into_owned());
    }
    let architecture = target.containerfiles.keys().next().map_or(ARCHITECTURE, String::as_str);
    let place = push_spec(observed, &target);
    let spec = of(observed, &target, (architecture, place), now).map_err(|obstacle| obstacle.message.into_owned())?;
    Ok((spec, packed(target.spec)?))
}

/// What the rendered configuration says of its origins: the builder names a MachineConfig where a Containerfile differs from it.
fn origins(observed: &Observed<'_>) -> BTreeMap<String, String> {
    let told = observed.rendered.and_then(|rendered| rendered.metadata.annotations.clone()).unwrap_or_default();
    told.into_iter()
        .filter(|(name, _)| [names::SOURCES_ANNOTATION, names::ORIGINS_ANNOTATION].contains(&name.as_str()))
        .collect()
}

fn packed(spec: &MachineConfigSpec) -> Result<Vec<u8>, String> {
    pack(spec).map_err(|error| format!("the configuration cannot be packed: {error}"))
}
