//! What differs between two states of a node, and what it takes to get from one to the other.
//!
//! Every difference takes a reboot, which is the default of the compatible API.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use onlay_api::machine_config_node::Needs;

use crate::render::desired::{Desired, DesiredDirectory, DesiredFile, DesiredLink, DesiredUnit};

#[cfg(test)]
mod tests;

/// What a node has, or shall have.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// Files, units and the like.
    pub desired: &'a Desired,
    /// Image of the operating system.
    pub image: &'a str,
}

/// The differences between two states, and what they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it takes to get to the new state; [`Needs::None`] if nothing differs.
    pub needs: Needs,
    /// What differs, in a fixed order.
    pub differences: Vec<Difference>,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The image has another digest.
    Image,
    /// The kernel arguments differ, or their order does.
    KernelArguments,
    /// What is at this path differs.
    Path(String),
    /// The unit or one of its drop-ins differs.
    Unit(String),
    /// The public keys of `core` differ.
    SshKeys,
}

impl Display for Difference {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image => out.write_str("image"),
            Self::KernelArguments => out.write_str("kernel arguments"),
            Self::Path(path) => out.write_str(path),
            Self::Unit(name) => out.write_str(name),
            Self::SshKeys => out.write_str("SSH keys of core"),
        }
    }
}

/// What differs between two states of a node.
pub fn between(old: State<'_>, new: State<'_>) -> Change {
    let mut differences = Vec::new();
    if !same_image(old.image, new.image) {
        differences.push(Difference::Image);
    }
    if old.desired.kernel_arguments != new.desired.kernel_arguments {
        differences.push(Difference::KernelArguments);
    }
    differences.extend(differing(&places(old.desired), &places(new.desired)).into_iter().map(Difference::Path));
    differences.extend(differing(&units(old.desired), &units(new.desired)).into_iter().map(Difference::Unit));
    if old.desired.ssh_authorized_keys != new.desired.ssh_authorized_keys {
        differences.push(Difference::SshKeys);
    }
    let needs = if differences.is_empty() { Needs::None } else { Needs::Reboot };
    Change { needs, differences }
}

/// Whether two references name one image: the digest decides where both have one.
pub fn same_image(a: &str, b: &str) -> bool {
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((_, a)), Some((_, b))) => a == b,
        _ => a == b,
    }
}

/// What is at each path.
#[derive(PartialEq)]
enum Place<'a> {
    File(&'a DesiredFile),
    Directory(&'a DesiredDirectory),
    Link(&'a DesiredLink),
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
fn differing<V: PartialEq>(old: &BTreeMap<&str, V>, new: &BTreeMap<&str, V>) -> Vec<String> {
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    keys.into_iter().filter(|key| old.get(key) != new.get(key)).map(str::to_owned).collect()
}
