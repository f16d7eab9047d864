//! The build that a MachineOSConfig should have now.

use std::borrow::Cow;

use onlay_api::conditions::ConditionStatus;
use onlay_api::machine_config::MachineConfigSpec;

use super::observed::{Base, Observed};
use super::source;
use crate::build::containerfile::{self, Containerfile};
use crate::build::extras::{Extras, Source};
use crate::build::inputs::{self, Inputs};
use crate::build::packages::Packages;
use crate::build::spec::{Cause, Failure};
use crate::render::desired;

/// The build that a MachineOSConfig should have now.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// Name of the build.
    pub(super) name: String,
    /// Name of the rendered configuration.
    pub(super) rendered: &'a str,
    /// The rendered configuration.
    pub(super) spec: &'a MachineConfigSpec,
    /// The base image as it was asked for.
    pub(super) asked: &'a str,
    /// The base image by digest.
    pub(super) base: &'a str,
    /// Why nothing can be built on the base image.
    pub(super) fault: Option<&'a str>,
    /// The user's Containerfile.
    pub(super) containerfile: Option<&'a str>,
    /// What the build is given besides.
    pub(super) extras: Extras,
    /// What the configuration wants of the package manager.
    pub(super) packages: Packages,
    /// What has to be there before the build can begin.
    pub(super) unmet: Option<Obstacle>,
    /// Why the build would be in vain.
    pub(super) refusal: Option<Failure>,
}

/// Why it cannot be said what should be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// Whether the MachineOSConfig is wrong, or is just not known to be right yet.
    pub(super) valid: ConditionStatus,
    /// One word.
    pub(super) reason: &'static str,
    /// Words for people.
    pub(super) message: Cow<'static, str>,
}

impl Obstacle {
    pub(super) fn new(valid: ConditionStatus, reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { valid, reason, message: message.into() }
    }
}

impl<'a> Target<'a> {
    /// The build that should be there, or what stands in the way of saying so.
    pub(super) fn of(observed: &'a Observed<'_>) -> Result<Self, Obstacle> {
        let config = observed.config;
        let pool = &config.spec.machine_config_pool.name;
        if observed.pool.is_none() {
            let message = format!("MachineConfigPool {pool} does not exist; create it");
            return Err(Obstacle::new(ConditionStatus::False, "PoolMissing", message));
        }
        let rendered = observed.rendered.ok_or_else(|| {
            let message = format!("MachineConfigPool {pool} has no rendered configuration yet; its conditions say why");
            Obstacle::new(ConditionStatus::Unknown, "NotRendered", message)
        })?;
        let (asked, base, fault) = match &observed.base {
            Base::Known { asked, image, fault, .. } => (asked, image, fault),
            Base::Unknown { why } => {
                return Err(Obstacle::new(ConditionStatus::False, "BaseImageUnknown", why.clone()));
            }
        };
        let desired = desired::of(&rendered.spec)
            .map_err(|error| Obstacle::new(ConditionStatus::False, "ConfigurationUnusable", error.to_string()))?;
        let policy = observed.policy.and_then(|policy| policy.spec.build.clone()).unwrap_or_default();
        let text = source::text(observed, &policy)?;
        let extras = Extras::of(&policy, observed.provided, pool);
        let packages = Packages::of(&rendered.spec, observed.extensions_image.as_deref());
        let (parsed, unreadable) = read(text, &extras);
        let extras = extras.settled(text.is_some() || !packages.is_empty(), parsed.as_ref());
        let name = inputs::build_name(&Inputs {
            machine_os_config: config.metadata.name.as_deref().unwrap_or_default(),
            base,
            push_spec: &config.spec.rendered_image_push_spec,
            containerfile: text,
            parsed: parsed.as_ref(),
            spec: &rendered.spec,
            desired: &desired,
            extras: &extras,
            packages: &packages,
        });
        let not_ostree = fault.as_ref().map(|fault| Failure::new(Cause::BaseImageNotOstree, fault));
        let unmet = source::unmet(observed, &extras, parsed.as_ref());
        Ok(Self {
            name,
            rendered: rendered.metadata.name.as_deref().unwrap_or_default(),
            spec: &rendered.spec,
            asked,
            base,
            fault: fault.as_deref(),
            containerfile: text,
            extras,
            unmet,
            refusal: not_ostree.or(unreadable).or_else(|| packages.refusal(observed.architecture)),
            packages,
        })
    }
}

fn read(text: Option<&str>, extras: &Extras) -> (Option<Containerfile>, Option<Failure>) {
    match text.map(|text| containerfile::parse_with(text, &extras.outside())) {
        None => (None, None),
        Some(Ok(parsed)) => (parsed, None),
        Some(Err(error)) => {
            let place = extras
                .source
                .as_ref()
                .map(|Source { kind, name, key, .. }| format!("; it lies in {} {name}, key {key}", kind.as_str()));
            let message = format!("{error}{}", place.unwrap_or_default());
            (None, Some(Failure::new(Cause::InputRefused, message)))
        }
    }
}
