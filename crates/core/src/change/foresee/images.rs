//! Which image nodes run afterwards, and whether it has to be built.

use onlay_api::conditions::{BuildConditionType, is_true};
use onlay_api::{MachineOSBuild, MachineOSConfig};

use super::{Configuration, Member};
use crate::build::base;
use crate::build::containerfile::{self, Containerfile};
use crate::build::extras::{Extras, Given};
use crate::build::inputs::{Inputs, build_name, containerfile_for};
use crate::build::packages::Packages;
use crate::change::disruption::Rebuild;
use crate::rollout::wait::WaitReason;

/// Architecture of nodes that do not say which one they have.
pub(super) const ARCHITECTURE: &str = "amd64";

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
/// A base image that is known on one side only counts as the same on both. A Containerfile that cannot be read sees
/// what one sees that is not there: the build would refuse it.
pub fn rebuild(old: Option<Side<'_>>, new: Side<'_>, architecture: &str) -> Rebuild {
    let base_image = |side: Option<Side<'_>>, other: Option<Side<'_>>| -> String {
        let known = side.and_then(|side| side.base).or(other.and_then(|other| other.base));
        known.unwrap_or_default().to_owned()
    };
    let (old_base, new_base) = (base_image(old, Some(new)), base_image(Some(new), old));
    let parsed = |side: Side<'_>| {
        let outside = side.given.extras.outside();
        text(side, architecture).and_then(|text| containerfile::parse_with(text, &outside).ok().flatten())
    };
    let (old_parsed, new_parsed) = (old.and_then(parsed), parsed(new));
    let (old_packages, new_packages) = (old.map(packages).unwrap_or_default(), packages(new));
    let extras = |side: Side<'_>, packages: &Packages, parsed: Option<&Containerfile>| {
        side.given.extras.clone().settled(text(side, architecture).is_some() || !packages.is_empty(), parsed)
    };
    let old_extras = old.map(|old| extras(old, &old_packages, old_parsed.as_ref())).unwrap_or_default();
    let new_extras = extras(new, &new_packages, new_parsed.as_ref());
    let (old_built, new_built) = (
        Built { base: &old_base, parsed: old_parsed.as_ref(), packages: &old_packages, extras: &old_extras },
        Built { base: &new_base, parsed: new_parsed.as_ref(), packages: &new_packages, extras: &new_extras },
    );
    let old = old.and_then(|old| inputs(old, old_built, architecture));
    let wanted = inputs(new, new_built, architecture);
    match Rebuild::of(old.as_ref(), wanted.as_ref()) {
        Rebuild::New(reasons) => match wanted.and_then(|wanted| built(new, &build_name(&wanted))) {
            Some((build, _)) => Rebuild::Built { build: build.to_owned(), reasons },
            None => Rebuild::New(reasons),
        },
        answer => answer,
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
#[derive(Clone, Copy)]
struct Built<'a> {
    base: &'a str,
    parsed: Option<&'a Containerfile>,
    packages: &'a Packages,
    extras: &'a Extras,
}

fn inputs<'a>(side: Side<'a>, built: Built<'a>, architecture: &str) -> Option<Inputs<'a>> {
    let (os_config, Built { base, parsed, packages, extras }) = (side.os_config?, built);
    Some(Inputs {
        machine_os_config: os_config.metadata.name.as_deref().unwrap_or_default(),
        base,
        push_spec: &os_config.spec.rendered_image_push_spec,
        containerfile: text(side, architecture),
        parsed,
        spec: &side.configuration.spec,
        desired: &side.configuration.desired,
        extras,
        packages,
    })
}

fn text<'a>(side: Side<'a>, architecture: &str) -> Option<&'a str> {
    let own = || containerfile_for(&side.os_config?.spec.container_file, architecture);
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
