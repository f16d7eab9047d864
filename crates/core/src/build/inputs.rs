//! What an image is built from, and the name that follows from it.
//!
//! Source of the rule: the build sees the configuration as files below `/`; package managers and what they start read the
//! places of [`SENSITIVE`], and a Containerfile can name any path. Everything else reaches the node without a new image.

use std::collections::{BTreeMap, BTreeSet};

use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::machine_os_config::{Containerfile as ContainerfileEntry, ContainerfileArch};
use onlay_api::names;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::containerfile::Containerfile;
use super::extras::Extras;
use super::packages::Packages;
use crate::render::canonical_json;
use crate::render::desired::{Desired, Owner};

mod why;

pub use why::{Reason, record, since, why};

/// Version of the rules by which an image is made; a new one makes new images everywhere.
const RULES: u32 = 1;
/// Bytes of the hash that a name shows, two digits each.
const HASH_BYTES: usize = 16;

/// Places that package managers, and what they start, read: a path counts with everything below it.
pub const SENSITIVE: [&str; 36] = [
    "/etc/adduser.conf",
    "/etc/apt",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/containers",
    "/etc/default/useradd",
    "/etc/depmod.d",
    "/etc/dnf",
    "/etc/dpkg",
    "/etc/dracut.conf",
    "/etc/dracut.conf.d",
    "/etc/group",
    "/etc/gshadow",
    "/etc/initramfs-tools",
    "/etc/kernel",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/login.defs",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/nsswitch.conf",
    "/etc/ostree",
    "/etc/passwd",
    "/etc/pki",
    "/etc/rhsm",
    "/etc/rpm",
    "/etc/selinux",
    "/etc/shadow",
    "/etc/ssl",
    "/etc/sysusers.d",
    "/etc/yum",
    "/etc/yum.conf",
    "/etc/yum.repos.d",
    "/etc/zypp",
    "/usr",
];

/// What an image is built from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Name of the MachineOSConfig.
    pub machine_os_config: &'a str,
    /// The base image, by digest.
    pub base: &'a str,
    /// Where the image is pushed, with or without a tag.
    pub push_spec: &'a str,
    /// What comes on top of the configuration, for each architecture, sorted by it.
    pub texts: &'a [Text<'a>],
    /// The rendered configuration.
    pub spec: &'a MachineConfigSpec,
    /// The rendered configuration, materialised.
    pub desired: &'a Desired,
    /// What the build is given besides.
    pub extras: &'a Extras,
    /// What the configuration wants of the package manager.
    pub packages: &'a Packages,
}

/// What comes on top of the configuration, for nodes of one architecture.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The architecture, as Kubernetes names it.
    pub architecture: &'a str,
    /// The text of the Containerfile.
    pub containerfile: Option<&'a str>,
    /// The same, read; none if there is none or if it cannot be read.
    pub parsed: Option<&'a Containerfile>,
}

impl<'a> Text<'a> {
    /// The text, if there is anything in it.
    fn written(&self) -> Option<&'a str> {
        self.containerfile.filter(|text| !text.trim().is_empty())
    }
}

/// The name of the build that makes the image: `<machineosconfig>-<32 hexadecimal digits>`.
///
/// Two configurations with the same name here get the same image; a difference that the build cannot see, such as a
/// kernel argument, does not change the name.
pub fn build_name(inputs: &Inputs<'_>) -> String {
    let digest = Sha256::digest(canonical_json(&describe(inputs)));
    let hash: String = digest.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
    names::build(inputs.machine_os_config, &hash)
}

fn describe(inputs: &Inputs<'_>) -> Value {
    describe_what(inputs, &Matters::of(inputs.texts))
}

fn describe_what(inputs: &Inputs<'_>, matters: &Matters<'_>) -> Value {
    let desired = inputs.desired;
    let files = desired.files.iter().filter(|file| matters.path(&file.path)).map(|file| {
        let contents = hex(&Sha256::digest(&file.contents));
        json!([file.path, file.mode, owner(&file.user), owner(&file.group), contents])
    });
    let directories = desired.directories.iter().filter(|each| matters.path(&each.path));
    let links = desired.links.iter().filter(|link| matters.path(&link.path));
    let units = desired.units.iter().filter(|unit| matters.unit(&unit.name)).map(|unit| {
        let dropins: Vec<_> = unit.dropins.iter().map(|each| json!([each.name, each.contents])).collect();
        json!([unit.name, unit.contents, dropins])
    });
    let mut described = json!({
        "rules": RULES,
        "machineOSConfig": inputs.machine_os_config,
        "base": digest_of(inputs.base),
        "repository": repository(inputs.push_spec),
        "architectures": inputs.texts.iter().map(|text| text.architecture).collect::<Vec<_>>(),
        "containerfile": describe_texts(inputs.texts),
        "extensions": inputs.spec.extensions,
        "kernelType": inputs.spec.kernel_type,
        "files": files.collect::<Vec<_>>(),
        "directories": directories
            .map(|each| json!([each.path, each.mode, owner(&each.user), owner(&each.group)]))
            .collect::<Vec<_>>(),
        "links": links.map(|link| json!([link.path, link.target])).collect::<Vec<_>>(),
        "units": units.collect::<Vec<_>>(),
    });
    // Absent where nothing is given, so that images from before such things counted keep their names.
    let named = |texts: &BTreeMap<String, String>| texts.iter().map(|(name, text)| json!([name, text])).collect();
    for (key, extras) in [
        ("beside", describe_source(inputs.extras)),
        ("arguments", named(&inputs.extras.arguments)),
        ("images", named(&inputs.extras.images)),
        ("mounts", describe_mounts(inputs.extras)),
        ("extensionsImage", inputs.packages.image.iter().map(|image| json!(digest_of(image))).collect()),
    ] {
        if !extras.is_empty() {
            described[key] = extras.into();
        }
    }
    described
}

/// The text of the Containerfile; with the architectures, where they have not all the same.
fn describe_texts(texts: &[Text<'_>]) -> Value {
    let first = texts.first().and_then(Text::written);
    if texts.iter().all(|text| text.written() == first) {
        return json!(first);
    }
    texts.iter().map(|text| json!([text.architecture, text.written()])).collect()
}

/// The files beside the Containerfile.
fn describe_source(extras: &Extras) -> Vec<Value> {
    let beside = extras.source.iter().flat_map(|source| source.digests.iter().filter(|(key, _)| **key != source.key));
    beside.map(|(key, digest)| json!([key, digest])).collect()
}

/// The files of mounted directories that matter, by path and digest.
fn describe_mounts(extras: &Extras) -> Vec<Value> {
    let counted = extras.mounts.iter().filter_map(|mount| Some((mount.place.path(), mount.digests.as_ref()?)));
    counted
        .flat_map(|(path, digests)| digests.iter().map(move |(key, digest)| json!([format!("{path}/{key}"), digest])))
        .collect()
}

/// Decides whether a part of the configuration can change the result of a build.
struct Matters<'a> {
    containerfiles: Vec<&'a Containerfile>,
    literal: BTreeSet<String>,
}

impl<'a> Matters<'a> {
    fn of(texts: &[Text<'a>]) -> Self {
        let containerfiles: Vec<_> = texts.iter().filter_map(|text| text.parsed).collect();
        let literal = containerfiles.iter().flat_map(|file| file.literal_paths()).collect();
        Self { containerfiles, literal }
    }

    fn path(&self, path: &str) -> bool {
        SENSITIVE.iter().any(|place| is_below(path, place)) || self.literal.iter().any(|prefix| reaches(prefix, path))
    }

    fn unit(&self, name: &str) -> bool {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        self.path(&format!("/etc/systemd/system/{name}"))
            || self.containerfiles.iter().any(|file| file.mentions(name) || file.mentions(stem))
    }
}

/// Whether a path is a place, or lies in it.
fn is_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether what a Containerfile names can touch a path: the path itself, what lies below it, what it may be completed
/// to, or what lies around it (a command that is told a file may read the directory).
fn reaches(literal: &str, path: &str) -> bool {
    path.starts_with(literal) || is_below(literal, path)
}

fn owner(owner: &Owner) -> Value {
    match owner {
        Owner::Id(id) => json!(id),
        Owner::Name(name) => json!(name),
    }
}

/// Bytes as lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of an image reference, or all of it if it has none.
pub(super) fn digest_of(image: &str) -> &str {
    image.rsplit_once('@').map_or(image, |(_, digest)| digest)
}

/// The repository of an image reference: without tag and digest.
pub fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(repository, _)| repository);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}

/// There are Containerfiles, and none is for these nodes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "has no Containerfile for {architecture}, which nodes of the pool are; add one with that containerfileArch, or one with \
     NoArch for all others"
)]
pub struct NoContainerfile {
    architecture: String,
}

/// The Containerfile for an architecture (as Kubernetes names it): its own text if there is one, else the text for all; none if
/// there is no text for any architecture.
pub fn containerfile_for<'a>(
    entries: &'a [ContainerfileEntry],
    architecture: &str,
) -> Result<Option<&'a str>, NoContainerfile> {
    let own = match architecture {
        "amd64" => Some(ContainerfileArch::Amd64),
        "arm64" => Some(ContainerfileArch::Arm64),
        "ppc64le" => Some(ContainerfileArch::Ppc64le),
        "s390x" => Some(ContainerfileArch::S390x),
        _ => None,
    };
    let find = |wanted: ContainerfileArch| entries.iter().find(|entry| entry.containerfile_arch == wanted);
    match own.and_then(find).or_else(|| find(ContainerfileArch::NoArch)) {
        Some(entry) => Ok(Some(entry.content.as_str()).filter(|text| !text.trim().is_empty())),
        None if entries.is_empty() => Ok(None),
        None => Err(NoContainerfile { architecture: architecture.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
