//! What differs between two rendered configurations, and between the images beside them.
//!
//! Files are compared by their decoded contents: another way to write the same bytes is no difference.

mod contents;
mod describe;

use std::collections::{BTreeMap, BTreeSet};

use onlay_api::machine_config::MachineConfigSpec;

use crate::render::desired::{Desired, DesiredDirectory, DesiredFile, DesiredLink, DesiredUnit};

pub use contents::{Blob, Delta, MAX_TEXT, TextDiff};
pub use describe::{Description, Detail, Presence};

/// The kernel that an image brings.
const DEFAULT_KERNEL: &str = "default";

/// What the nodes of a pool have, or shall have.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// The rendered configuration.
    pub spec: &'a MachineConfigSpec,
    /// The same, materialised by [`crate::render::desired::of`].
    pub desired: &'a Desired,
    /// The image of the operating system by digest; none if it is not known, or not asked for.
    pub image: Option<&'a str>,
}

/// Everything that differs between two states, in a fixed order: the operating system first, then paths, units and SSH
/// keys, the first two sorted by path and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff<'a> {
    /// What differs, one thing each.
    pub changes: Vec<Change<'a>>,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// The image that the nodes run has another digest.
    Image(Pair<&'a str>),
    /// `osImageURL` is written in another way; empty if absent.
    OsImageUrl(Pair<&'a str>),
    /// `baseOSExtensionsContainerImage` is written in another way; empty if absent.
    ExtensionsImage {
        /// The image on both sides; empty if absent.
        image: Pair<&'a str>,
        /// Whether either side takes packages from it: extensions, or another kernel.
        used: bool,
    },
    /// FIPS mode.
    Fips(Pair<bool>),
    /// The kernel: `default`, `realtime` or `64k-pages`.
    KernelType(Pair<&'a str>),
    /// Arguments of the kernel, one each, or their order.
    KernelArguments(Pair<&'a [String]>),
    /// Extensions, or their order.
    Extensions(Pair<&'a [String]>),
    /// What is at a path.
    Path {
        /// The path.
        path: &'a str,
        /// What is there; none if the configuration does not say.
        place: Pair<Option<Place<'a>>>,
    },
    /// A unit or one of its drop-ins.
    Unit {
        /// Name of the unit.
        name: &'a str,
        /// The unit; none if the configuration does not say.
        unit: Pair<Option<&'a DesiredUnit>>,
    },
    /// The public keys of the user `core`, or their order.
    SshKeys(Pair<&'a [String]>),
}

/// Something on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<T> {
    /// In the old state.
    pub old: T,
    /// In the new state.
    pub new: T,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A regular file.
    File(&'a DesiredFile),
    /// A directory.
    Directory(&'a DesiredDirectory),
    /// A symbolic link.
    Link(&'a DesiredLink),
}

/// What differs between two states.
pub fn between<'a>(old: State<'a>, new: State<'a>) -> Diff<'a> {
    let mut changes = Vec::new();
    if let (Some(a), Some(b)) = (old.image, new.image)
        && !same_image(a, b)
    {
        changes.push(Change::Image(Pair { old: a, new: b }));
    }
    system(old, new, &mut changes);
    let (before, after) = (places(old.desired), places(new.desired));
    changes.extend(differing(&before, &after).map(|(path, place)| Change::Path { path, place }));
    let (before, after) = (units(old.desired), units(new.desired));
    changes.extend(differing(&before, &after).map(|(name, unit)| Change::Unit { name, unit }));
    let keys = Pair { old: &*old.desired.ssh_authorized_keys, new: &*new.desired.ssh_authorized_keys };
    changes.extend(keys.differs().then_some(Change::SshKeys(keys)));
    Diff { changes }
}

/// What differs in the operating system.
fn system<'a>(old: State<'a>, new: State<'a>, changes: &mut Vec<Change<'a>>) {
    let both = |read: fn(State<'a>) -> &'a str| Pair { old: read(old), new: read(new) };
    let os_image = both(|side| side.spec.os_image_url.as_deref().unwrap_or_default());
    changes.extend(os_image.differs().then_some(Change::OsImageUrl(os_image)));
    let image = both(|side| side.spec.base_os_extensions_container_image.as_deref().unwrap_or_default());
    let used = [old, new].into_iter().any(|side| !side.spec.extensions.is_empty() || kernel(side) != DEFAULT_KERNEL);
    changes.extend(image.differs().then_some(Change::ExtensionsImage { image, used }));
    let fips = Pair { old: old.spec.fips == Some(true), new: new.spec.fips == Some(true) };
    changes.extend(fips.differs().then_some(Change::Fips(fips)));
    let kernel = both(kernel);
    changes.extend(kernel.differs().then_some(Change::KernelType(kernel)));
    let arguments = Pair { old: &*old.desired.kernel_arguments, new: &*new.desired.kernel_arguments };
    changes.extend(arguments.differs().then_some(Change::KernelArguments(arguments)));
    let extensions = Pair { old: &*old.spec.extensions, new: &*new.spec.extensions };
    changes.extend(extensions.differs().then_some(Change::Extensions(extensions)));
}

fn kernel(side: State<'_>) -> &str {
    side.spec.kernel_type.as_deref().filter(|kernel| !kernel.is_empty()).unwrap_or(DEFAULT_KERNEL)
}

/// Whether two references name one image: the digest decides where both have one.
pub fn same_image(a: &str, b: &str) -> bool {
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((_, a)), Some((_, b))) => a == b,
        _ => a == b,
    }
}

impl<T: PartialEq> Pair<T> {
    fn differs(&self) -> bool {
        self.old != self.new
    }
}

impl Pair<&[String]> {
    /// Entries that the new side has and the old one has not, each as often as it is there more often, in order.
    pub fn added(&self) -> Vec<&str> {
        surplus(self.new, self.old)
    }

    /// Entries that the old side has and the new one has not, each as often as it is there more often, in order.
    pub fn removed(&self) -> Vec<&str> {
        surplus(self.old, self.new)
    }
}

/// What one list has more than another.
fn surplus<'a>(of: &'a [String], over: &[String]) -> Vec<&'a str> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in over {
        *known.entry(entry).or_default() += 1;
    }
    let is_surplus = |entry: &&str| match known.get_mut(*entry) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    of.iter().map(String::as_str).filter(is_surplus).collect()
}

fn places(desired: &Desired) -> BTreeMap<&str, Place<'_>> {
    let files = desired.files.iter().map(|each| (each.path.as_str(), Place::File(each)));
    let directories = desired.directories.iter().map(|each| (each.path.as_str(), Place::Directory(each)));
    let links = desired.links.iter().map(|each| (each.path.as_str(), Place::Link(each)));
    files.chain(directories).chain(links).collect()
}

fn units(desired: &Desired) -> BTreeMap<&str, &DesiredUnit> {
    desired.units.iter().map(|unit| (unit.name.as_str(), unit)).collect()
}

/// Keys whose values differ or that only one side has, sorted.
fn differing<'a, V: PartialEq + Copy>(
    old: &BTreeMap<&'a str, V>,
    new: &BTreeMap<&'a str, V>,
) -> impl Iterator<Item = (&'a str, Pair<Option<V>>)> {
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let pairs = keys.into_iter().map(|key| (key, Pair { old: old.get(key).copied(), new: new.get(key).copied() }));
    pairs.filter(|(_, pair)| pair.differs())
}
