//! Which image nodes run afterwards, and whether it has to be built.

use std::collections::{BTreeMap, BTreeSet};

use onlay_api::conditions::{BuildConditionType, is_true};
use onlay_api::{MachineOSBuild, MachineOSConfig};

use super::{Configuration, Member};
use crate::build::base;
use crate::build::containerfile::{self, Containerfile};
use crate::build::extras::{Extras, Given};
use crate::build::inputs::{Inputs, Reason, Text, build_name, containerfile_for};
use crate::build::packages::Packages;
use crate::change::disruption::Rebuild;
use crate::rollout::wait::WaitReason;

/// What the nodes of a pool are told to run.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The configuration.
    pub configuration: &'a Configuration,
    /// What is built for the pool, if anything is.
    pub os_config: Option<&'a MachineOSConfig>,
    /// The base image of builds, if it is known.
    pub base: Option<&'a str>,
    /// Builds of before.
    pub builds: &'a [MachineOSBuild],
    /// What builds are given besides, as far as it is known.
    pub given: &'a Given,
}

/// Whether a new image has to be built; `old` is none for a pool that is new.
///
/// A base image that is known on one side only counts as another one: nothing says that it is the same. A Containerfile
/// that cannot be read sees what one sees that is not there: the build would refuse it.
pub fn rebuild(old: Option<Side<'_>>, new: Side<'_>, architectures: &BTreeSet<String>) -> Rebuild {
    let bases = [old.and_then(|old| old.base), new.base];
    let (old_built, new_built) = (old.map(|old| Built::of(old, architectures)), Built::of(new, architectures));
    let (old_texts, new_texts) = (old_built.as_ref().map(Built::texts).unwrap_or_default(), new_built.texts());
    let old = old.zip(old_built.as_ref()).and_then(|(old, built)| inputs(old, built, &old_texts));
    let wanted = inputs(new, &new_built, &new_texts);
    match Rebuild::of(old.as_ref(), wanted.as_ref()) {
        Rebuild::New(reasons) => {
            let reasons = reasons.into_iter().map(|reason| with_bases(reason, bases)).collect();
            match wanted.and_then(|wanted| built(new, &build_name(&wanted))) {
                Some((build, _)) => Rebuild::Built { build: build.to_owned(), reasons },
                None => Rebuild::New(reasons),
            }
        }
        answer => answer,
    }
}

/// A reason, with what is known where the base image of one side is not.
fn with_bases(reason: Reason, bases: [Option<&str>; 2]) -> Reason {
    match (reason, bases) {
        (Reason::Base, [None, Some(named)]) => Reason::BaseNamed(named.to_owned()),
        (Reason::Base, [Some(named), None]) => Reason::BaseUnnamed(named.to_owned()),
        (reason, _) => reason,
    }
}

/// What the package manager is to do. What the ConfigMap of the cluster names is not known here.
fn packages(side: Side<'_>) -> Packages {
    let spec = &side.configuration.spec;
    Packages::of(spec, base::extensions_image(side.os_config, spec, None).as_deref())
}

/// The build of a name that has succeeded, and its image.
fn built<'a>(side: Side<'a>, name: &str) -> Option<(&'a str, &'a str)> {
    side.builds.iter().find_map(|build| {
        let (status, known) = (build.status.as_ref()?, build.metadata.name.as_deref()?);
        let image = status.digested_image_push_spec.as_deref()?;
        (known == name && is_true(&status.conditions, BuildConditionType::Succeeded)).then_some((known, image))
    })
}

/// What is known of a build besides its side.
struct Built<'a> {
    /// The Containerfile for each architecture, and the same, read.
    files: BTreeMap<&'a str, (Option<&'a str>, Option<Containerfile>)>,
    packages: Packages,
    extras: Extras,
}

impl<'a> Built<'a> {
    fn of(side: Side<'a>, architectures: &'a BTreeSet<String>) -> Self {
        let outside = side.given.extras.outside();
        let file = |architecture: &'a String| {
            let text = text(side, architecture);
            let parsed = text.and_then(|text| containerfile::parse_with(text, &outside).ok().flatten());
            (architecture.as_str(), (text, parsed))
        };
        let files: BTreeMap<_, _> = architectures.iter().map(file).collect();
        let packages = packages(side);
        let runs_commands = files.values().any(|(text, _)| text.is_some()) || !packages.is_empty();
        let parsed: Vec<&Containerfile> = files.values().filter_map(|(_, parsed)| parsed.as_ref()).collect();
        let extras = side.given.extras.clone().settled(runs_commands, &parsed);
        Self { files, packages, extras }
    }

    fn texts(&self) -> Vec<Text<'_>> {
        let text = |(architecture, (containerfile, parsed))| Text { architecture, containerfile, parsed };
        self.files
            .iter()
            .map(|(architecture, (text, parsed))| (*architecture, (*text, parsed.as_ref())))
            .map(text)
            .collect()
    }
}

fn inputs<'a>(side: Side<'a>, built: &'a Built<'_>, texts: &'a [Text<'a>]) -> Option<Inputs<'a>> {
    let os_config = side.os_config?;
    Some(Inputs {
        machine_os_config: os_config.metadata.name.as_deref().unwrap_or_default(),
        base: side.base.unwrap_or_default(),
        push_spec: &os_config.spec.rendered_image_push_spec,
        texts,
        spec: &side.configuration.spec,
        desired: &side.configuration.desired,
        extras: &built.extras,
        packages: &built.packages,
    })
}

/// The Containerfile for an architecture. One that is missing is refused by the build.
fn text<'a>(side: Side<'a>, architecture: &str) -> Option<&'a str> {
    let own = || containerfile_for(&side.os_config?.spec.container_file, architecture).ok().flatten();
    side.given.containerfile.as_deref().or_else(own)
}

/// What keeps the nodes of a pool from any image: one that is named by tag, and not built upon.
pub(super) fn obstacle(new: Side<'_>) -> Option<WaitReason> {
    let image = named(new).filter(|image| new.os_config.is_none() && !image.contains("@sha256:"))?;
    Some(WaitReason::NotPinned { config: new.configuration.name.clone(), image: image.to_owned() })
}

fn named(side: Side<'_>) -> Option<&str> {
    side.configuration.spec.os_image_url.as_deref().filter(|image| !image.is_empty())
}

/// The image that a node runs afterwards; none if it has to be built, or is not known.
pub(super) fn for_member<'a>(new: Side<'a>, member: &Member<'a>, rebuild: &Rebuild) -> Option<&'a str> {
    match (rebuild, new.os_config) {
        (Rebuild::New(_), _) => None,
        (Rebuild::Built { build, .. }, _) => built(new, build).map(|(_, image)| image),
        (_, Some(os_config)) => os_config.status.as_ref()?.current_image_pull_spec.as_deref(),
        (_, None) => {
            let adopted = || member.state?.status.as_ref()?.onlay.as_ref()?.adopted_image.as_deref();
            named(new).map_or_else(adopted, |image| Some(image).filter(|image| image.contains("@sha256:")))
        }
    }
}
