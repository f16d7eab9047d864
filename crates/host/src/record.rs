//! What one deployment of a machine shall hold: the record that [`converge`](crate::converge) makes true.
//!
//! A record is plain data on disk (`/var/lib/onlay/deployments/<id>.json`). It names contents by digest and never holds
//! them, so that a record can be kept, compared and printed.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// One deployment's configuration and image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Name of the rendered configuration; empty when the deployment was there before onlay.
    pub config: String,
    /// The image as `repository@sha256:...`.
    pub image: String,
    /// Kernel arguments that the configuration asks for, one an entry.
    #[serde(default)]
    pub kernel_arguments: Vec<String>,
    /// Everything below `/` that the configuration names.
    #[serde(default)]
    pub tree: Tree,
}

/// Paths, units and accounts' keys that a configuration names. Equal trees need no change of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tree {
    /// Regular files by absolute path.
    #[serde(default)]
    pub files: BTreeMap<Utf8PathBuf, File>,
    /// Directories by absolute path.
    #[serde(default)]
    pub directories: BTreeMap<Utf8PathBuf, Directory>,
    /// Links by absolute path.
    #[serde(default)]
    pub links: BTreeMap<Utf8PathBuf, Link>,
    /// systemd units by name, as `autofs.service`.
    #[serde(default)]
    pub units: BTreeMap<String, Unit>,
    /// Public keys of accounts, one entry a key, by account name; they are all keys the account has.
    #[serde(default)]
    pub authorized_keys: BTreeMap<String, Vec<String>>,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Permission bits (12 bits).
    pub mode: u32,
    /// Owning user.
    #[serde(default)]
    pub user: Owner,
    /// Owning group.
    #[serde(default)]
    pub group: Owner,
    /// Digest of the contents, which lie in the content store.
    pub sha256: String,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Permission bits (12 bits).
    pub mode: u32,
    /// Owning user.
    #[serde(default)]
    pub user: Owner,
    /// Owning group.
    #[serde(default)]
    pub group: Owner,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where it points, as written in the configuration; for a hard link the absolute path of the other name.
    pub target: String,
    /// Whether it is a hard link.
    #[serde(default)]
    pub hard: bool,
    /// Owning user of a symbolic link.
    #[serde(default)]
    pub user: Owner,
    /// Owning group of a symbolic link.
    #[serde(default)]
    pub group: Owner,
}

/// A user or group: a number, or a name that the machine's account files resolve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Owner {
    /// Numeric identity.
    Id(u32),
    /// Name in the account files.
    Name(String),
}

impl Default for Owner {
    /// Root.
    fn default() -> Self {
        Owner::Id(0)
    }
}

/// A systemd unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Digest of the unit file's contents; absent when the image ships the unit file.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Whether it is enabled; absent leaves that as it is.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Whether it is masked; a masked unit has no contents of its own.
    #[serde(default)]
    pub masked: Option<bool>,
    /// Digests of its drop-in files by file name, as `10-limits.conf`.
    #[serde(default)]
    pub dropins: BTreeMap<String, String>,
}

impl Record {
    /// The image's digest (`sha256:...`); the whole text when the image is named without one.
    pub fn digest(&self) -> &str {
        self.image.split_once('@').map_or(self.image.as_str(), |(_, digest)| digest)
    }

    /// Whether a machine that holds `other` needs nothing but a new name to hold this record.
    pub fn asks_the_same_as(&self, other: &Record) -> bool {
        self.digest() == other.digest() && self.tree == other.tree && self.kernel_arguments == other.kernel_arguments
    }
}

impl Tree {
    /// Names of the units that are to run: those that it enables and does not mask.
    pub fn enabled_units(&self) -> impl Iterator<Item = &str> {
        let enabled = |unit: &Unit| unit.enabled == Some(true) && unit.masked != Some(true);
        self.units.iter().filter(move |(_, unit)| enabled(unit)).map(|(name, _)| name.as_str())
    }

    /// Digests of all contents that this tree names.
    pub fn contents(&self) -> BTreeSet<String> {
        let files = self.files.values().map(|file| &file.sha256);
        let units = self.units.values().flat_map(|unit| unit.sha256.iter().chain(unit.dropins.values()));
        files.chain(units).cloned().collect()
    }
}
