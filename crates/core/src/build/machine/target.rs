//! The build that a MachineOSConfig should have now.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use onlay_api::conditions::{BuildConditionType, ConditionStatus};
use onlay_api::machine_config::MachineConfigSpec;

use super::observed::{Base, Observed};
use super::{source, status};
use crate::build::containerfile::{self, Containerfile};
use crate::build::extras::{Extras, Source};
use crate::build::inputs::{self, Inputs, Text};
use crate::build::packages::Packages;
use crate::build::part;
use crate::build::spec::{Cause, Failure};
use crate::render::desired;

/// The build that a MachineOSConfig should have now.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// Name of the build.
    pub(super) name: String,
    /// What the image is made from, as it is noted on the build.
    pub(super) record: String,
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
    /// The user's Containerfile, by the architecture of the nodes that the image is for.
    pub(super) containerfiles: BTreeMap<String, Option<&'a str>>,
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
        let wanted = Self::for_nodes(observed, &observed.architectures)?;
        Ok(Self::served(observed).unwrap_or(wanted))
    }

    /// The build that is served, if nothing differs but that the last node of an architecture has left: the nodes that stay
    /// would get another image for nothing.
    fn served(observed: &'a Observed<'_>) -> Option<Self> {
        let current = &observed.config.status.as_ref()?.machine_os_build.as_ref()?.name;
        let build = observed.builds.iter().find(|build| build.name() == current)?.build;
        let architectures = part::architectures(build);
        let is_more = architectures != observed.architectures && architectures.is_superset(&observed.architectures);
        let is_there = status::final_condition(build) == Some(BuildConditionType::Succeeded);
        if !is_more || !is_there || observed.rebuild_is_due() {
            return None;
        }
        Self::for_nodes(observed, &architectures).ok().filter(|target| target.name == *current)
    }

    fn for_nodes(observed: &'a Observed<'_>, architectures: &BTreeSet<String>) -> Result<Self, Obstacle> {
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
                // Perhaps its registry is not trusted for want of them.
                let unknown = || Obstacle::new(ConditionStatus::False, "BaseImageUnknown", why.clone());
                return Err(source::untrusted(observed).unwrap_or_else(unknown));
            }
        };
        let desired = desired::of(&rendered.spec)
            .map_err(|error| Obstacle::new(ConditionStatus::False, "ConfigurationUnusable", error.to_string()))?;
        let policy = observed.policy.and_then(|policy| policy.spec.build.clone()).unwrap_or_default();
        let containerfiles = source::texts(observed, &policy, architectures)?;
        let extras = Extras::of(&policy, observed.provided, pool);
        let packages = Packages::of(&rendered.spec, observed.extensions_image.as_deref());
        let (parsed, unreadable) = read(&containerfiles, &extras);
        let files: Vec<&Containerfile> = parsed.values().collect();
        let runs_commands = containerfiles.values().any(Option::is_some) || !packages.is_empty();
        let extras = extras.settled(runs_commands, &files);
        let unmet = source::unmet(observed, &extras, &files);
        let texts = containerfiles.iter().map(|(architecture, containerfile)| Text {
            architecture,
            containerfile: *containerfile,
            parsed: parsed.get(architecture.as_str()),
        });
        let texts: Vec<_> = texts.collect();
        let inputs = Inputs {
            machine_os_config: config.metadata.name.as_deref().unwrap_or_default(),
            base,
            push_spec: &config.spec.rendered_image_push_spec,
            texts: &texts,
            spec: &rendered.spec,
            desired: &desired,
            extras: &extras,
            packages: &packages,
        };
        let not_ostree = fault.as_ref().map(|fault| Failure::new(Cause::BaseImageNotOstree, fault));
        let without_packages = architectures.iter().find_map(|architecture| packages.refusal(architecture));
        Ok(Self {
            name: inputs::build_name(&inputs),
            record: inputs::record(&inputs),
            rendered: rendered.metadata.name.as_deref().unwrap_or_default(),
            spec: &rendered.spec,
            asked,
            base,
            fault: fault.as_deref(),
            containerfiles,
            extras,
            unmet,
            refusal: not_ostree.or(unreadable).or(without_packages),
            packages,
        })
    }
}

/// Reads the Containerfiles, and says what is wrong with the first one that cannot be read.
fn read<'a>(
    texts: &'a BTreeMap<String, Option<&str>>,
    extras: &Extras,
) -> (BTreeMap<&'a str, Containerfile>, Option<Failure>) {
    let (mut files, mut unreadable) = (BTreeMap::new(), None);
    for (architecture, text) in texts.iter().filter_map(|(architecture, text)| Some((architecture, (*text)?))) {
        match containerfile::parse_with(text, &extras.outside()) {
            Ok(file) => files.extend(file.map(|file| (architecture.as_str(), file))),
            Err(error) => {
                let place = extras
                    .source
                    .as_ref()
                    .map(|Source { kind, name, key, .. }| format!("; it lies in {} {name}, key {key}", kind.as_str()));
                let message = format!("{error}{}", place.unwrap_or_default());
                unreadable = unreadable.or(Some(Failure::new(Cause::InputRefused, message)));
            }
        }
    }
    (files, unreadable)
}
