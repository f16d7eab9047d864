//! What onlay holds in a tree: the paths that a record named when it was last applied, and what was made for them.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::entry::Wanted;
use super::{Error, Pass, Reach, Site};
use crate::record::Record;
use crate::root::Access;

/// The list for `/etc`, which belongs to one deployment.
pub(super) const IN_ETC: &str = "/etc/onlay/held.json";
/// The list for everything else, which all deployments share, in the state directory.
const OUTSIDE: &str = "held.json";

/// Everything that is held. Paths are real paths: links before their last component are resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// Paths that a record named.
    #[serde(default)]
    pub paths: BTreeSet<Utf8PathBuf>,
    /// Directories that were made above them; they go again when they are empty.
    #[serde(default)]
    pub made: BTreeSet<Utf8PathBuf>,
    /// Units that a record enabled or disabled, with the links that were made for that.
    #[serde(default)]
    pub units: BTreeMap<String, BTreeSet<Utf8PathBuf>>,
}

impl Held {
    fn part(&self, etc: bool) -> Held {
        let here = |path: &&Utf8PathBuf| path.starts_with("/etc") == etc;
        Held {
            paths: self.paths.iter().filter(here).cloned().collect(),
            made: self.made.iter().filter(here).cloned().collect(),
            units: if etc { self.units.clone() } else { BTreeMap::new() },
        }
    }
}

/// Reads both lists, or the one that `site` reaches.
pub(super) fn load(site: Site<'_>) -> Result<Held, Error> {
    let path = Utf8Path::new(IN_ETC);
    let root_error = |source| Error::Root { root: site.root.path().into(), source };
    let mut held = match site.root.read(path).map_err(root_error)? {
        None => Held::default(),
        Some(text) => serde_json::from_slice(&text).map_err(|source| Error::Held {
            root: site.root.path().into(),
            path: path.into(),
            source,
        })?,
    };
    if site.reach == Reach::Whole {
        let outside: Held = site.state.read(OUTSIDE)?.unwrap_or_default();
        held.paths.extend(outside.paths);
        held.made.extend(outside.made);
    }
    Ok(held)
}

impl Pass<'_> {
    /// Takes hold of everything wanted, and keeps what stands outside `/etc` where it is taken for the first time.
    pub(super) fn claim(&mut self, wanted: &BTreeMap<Utf8PathBuf, Wanted>, record: &Record) -> Result<(), Error> {
        if !self.act {
            return Ok(());
        }
        for real in wanted.keys().filter(|real| !real.starts_with("/usr")) {
            if self.held.paths.contains(real) {
                continue;
            }
            if !real.starts_with("/etc") {
                self.save_original(real)?;
            }
            let missing = self.site.root.missing_parents(real).map_err(|source| self.root_error(source))?;
            self.held.made.extend(missing);
            self.held.paths.insert(real.clone());
        }
        for (name, unit) in &record.tree.units {
            if unit.enabled.is_some() {
                self.held.units.entry(name.clone()).or_default();
            }
        }
        self.write_held()
    }

    /// Writes the lists as far as they differ from the disk.
    pub(super) fn write_held(&mut self) -> Result<(), Error> {
        let (etc, outside) = (self.held.part(true), self.held.part(false));
        if etc != self.on_disk.part(true) {
            self.write_etc(&etc)?;
        }
        if self.site.reach == Reach::Whole && outside != self.on_disk.part(false) {
            self.site.state.write(OUTSIDE, &outside)?;
        }
        self.on_disk = self.held.clone();
        Ok(())
    }

    fn write_etc(&self, part: &Held) -> Result<(), Error> {
        let path = Utf8Path::new(IN_ETC);
        let held_error = |source| Error::Held { root: self.site.root.path().into(), path: path.into(), source };
        let text = serde_json::to_vec_pretty(part).map_err(held_error)?;
        self.site.root.write(path, &text, Access::private()).map_err(|source| self.root_error(source))
    }

    pub(super) fn root_error(&self, source: crate::root::Error) -> Error {
        Error::Root { root: self.site.root.path().into(), source }
    }
}
