//! The configuration layer of an image: what of a configuration is in the image, at which real path.
//!
//! An image of an ostree system carries /etc and /usr; everything else of a configuration is the node's alone. A path is
//! followed through the links of the base image first, because an entry of a layer replaces a link that stands in its way.

use std::collections::BTreeMap;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::render::desired::{Desired, DesiredDirectory, DesiredFile, DesiredLink, DesiredUnit, Owner};

/// Where the base image's own copies of what the layer replaces are kept, each below its full path.
pub const BASE_COPIES: &str = "/usr/lib/onlay/base";
/// The list of paths that the layer wrote, one a line, sorted.
pub const BAKED: &str = "/usr/lib/onlay/baked";

/// Where units are written.
const UNITS: &str = "/etc/systemd/system";
/// Links that are followed before a path counts as a loop, as in the kernel.
const MAX_LINKS: usize = 40;

/// What a base image has at a path, without following it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseEntry {
    /// A regular file, or anything else that is neither link nor directory.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with its text.
    Link(String),
}

/// Looks up what a base image has at a path that is absolute and normalised, and whose parents are no links.
pub trait Base {
    /// What is there; none if nothing is.
    fn entry(&self, path: &Utf8Path) -> Option<BaseEntry>;
}

/// An entry of the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Permission bits.
    pub mode: u32,
    /// Owning user.
    pub user: Owner,
    /// Owning group.
    pub group: Owner,
    /// What it is.
    pub what: What,
}

/// What an entry of the layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A directory.
    Directory,
    /// A file, with its contents.
    File(Vec<u8>),
    /// A symbolic link, with its text.
    Link(String),
    /// A copy of what the base image has at this path, with its mode and owners.
    CopyOf(Utf8PathBuf),
}

/// The layer: equal configurations on equal bases give equal plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Entries by absolute path. A directory that neither base nor configuration has comes before what is in it.
    pub entries: BTreeMap<Utf8PathBuf, Entry>,
    /// Files and links that the layer writes for the configuration, by real path.
    pub baked: Vec<Utf8PathBuf>,
    /// Paths of the configuration that are not in the image: they reach the node without it.
    pub node_only: Vec<String>,
}

/// Why a configuration does not fit onto a base image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// A file in the place of a directory, or the reverse.
    #[error(
        "failed to lay the configuration over the base image: {path} is a {there} in the base image and a {wanted} in the \
         configuration; choose another path in the MachineConfig"
    )]
    Clash {
        /// The path of the configuration.
        path: String,
        /// What the base image has.
        there: &'static str,
        /// What the configuration wants.
        wanted: &'static str,
    },
    /// A path below something that is no directory.
    #[error(
        "failed to lay the configuration over the base image: {path} cannot exist, since {parent} is no directory there; \
         choose another path in the MachineConfig"
    )]
    Parent {
        /// The path of the configuration.
        path: String,
        /// What should be a directory.
        parent: Utf8PathBuf,
    },
    /// Links that lead to themselves.
    #[error("failed to lay the configuration over the base image: the links on the way to {path} lead in a circle")]
    Loop {
        /// The path of the configuration.
        path: String,
    },
}

/// Plans the layer of a configuration on a base image.
pub fn plan(desired: &Desired, base: &impl Base) -> Result<Plan, LayerError> {
    let mut planner = Planner { base, plan: Plan::default() };
    for directory in &desired.directories {
        planner.directory(directory)?;
    }
    for file in &desired.files {
        planner.file(file)?;
    }
    for link in &desired.links {
        planner.link(link)?;
    }
    for unit in &desired.units {
        planner.unit(unit)?;
    }
    planner.list();
    Ok(planner.plan)
}

struct Planner<'a, B> {
    base: &'a B,
    plan: Plan,
}

impl<B: Base> Planner<'_, B> {
    fn directory(&mut self, directory: &DesiredDirectory) -> Result<(), LayerError> {
        let Some(path) = self.real(&directory.path, true)? else { return Ok(()) };
        if let Some(BaseEntry::File) = self.base.entry(&path) {
            let path = directory.path.clone();
            return Err(LayerError::Clash { path, there: "file", wanted: "directory" });
        }
        self.parents(&path);
        let DesiredDirectory { mode, user, group, .. } = directory.clone();
        self.plan.entries.insert(path, Entry { mode, user, group, what: What::Directory });
        Ok(())
    }

    fn file(&mut self, file: &DesiredFile) -> Result<(), LayerError> {
        let DesiredFile { path, mode, user, group, contents } = file.clone();
        self.leaf(&path, Entry { mode, user, group, what: What::File(contents) }, "file")
    }

    fn link(&mut self, link: &DesiredLink) -> Result<(), LayerError> {
        let DesiredLink { path, target, user, group } = link.clone();
        self.leaf(&path, Entry { mode: 0o777, user, group, what: What::Link(target) }, "link")
    }

    fn unit(&mut self, unit: &DesiredUnit) -> Result<(), LayerError> {
        let file = |contents: &str| root_file(contents.as_bytes().to_vec());
        if let Some(contents) = &unit.contents {
            self.leaf(&format!("{UNITS}/{}", unit.name), file(contents), "file")?;
        }
        for dropin in &unit.dropins {
            self.leaf(&format!("{UNITS}/{}.d/{}", unit.name, dropin.name), file(&dropin.contents), "file")?;
        }
        Ok(())
    }

    fn leaf(&mut self, path: &str, entry: Entry, wanted: &'static str) -> Result<(), LayerError> {
        let Some(real) = self.real(path, false)? else { return Ok(()) };
        match self.base.entry(&real) {
            Some(BaseEntry::Directory) => {
                return Err(LayerError::Clash { path: path.to_owned(), there: "directory", wanted });
            }
            Some(BaseEntry::File | BaseEntry::Link(_)) => self.keep(&real),
            None => {}
        }
        self.parents(&real);
        self.plan.baked.push(real.clone());
        self.plan.entries.insert(real, entry);
        Ok(())
    }

    /// Keeps the base image's copy of a path.
    fn keep(&mut self, path: &Utf8Path) {
        let copy = Utf8PathBuf::from(format!("{BASE_COPIES}{path}"));
        self.parents(&copy);
        let what = What::CopyOf(path.to_owned());
        self.plan.entries.insert(copy, Entry { mode: 0, user: Owner::Id(0), group: Owner::Id(0), what });
    }

    /// Adds the directories above a path that the base image does not have. No other parent is an entry: it would give
    /// the base image's directory other times, and a link on the way would be lost.
    fn parents(&mut self, path: &Utf8Path) {
        let missing = path.ancestors().skip(1).take_while(|parent| self.base.entry(parent).is_none());
        for parent in missing.filter(|parent| *parent != "/").map(Utf8Path::to_owned).collect::<Vec<_>>() {
            self.plan.entries.entry(parent).or_insert_with(root_directory);
        }
    }

    fn list(&mut self) {
        self.plan.baked.sort();
        self.plan.node_only.sort();
        if self.plan.baked.is_empty() {
            return;
        }
        let text: String = self.plan.baked.iter().map(|path| format!("{path}\n")).collect();
        let path = Utf8PathBuf::from(BAKED);
        self.parents(&path);
        self.plan.entries.insert(path, root_file(text.into_bytes()));
    }

    /// The path that a path leads to through the links of the base image; none, and noted, if that is the node's alone.
    fn real(&mut self, path: &str, follow_last: bool) -> Result<Option<Utf8PathBuf>, LayerError> {
        let real = resolve(path, self.base, follow_last)?;
        if real.starts_with("/etc") || real.starts_with("/usr") {
            return Ok(Some(real));
        }
        self.plan.node_only.push(path.to_owned());
        Ok(None)
    }
}

fn root_directory() -> Entry {
    Entry { mode: 0o755, user: Owner::Id(0), group: Owner::Id(0), what: What::Directory }
}

fn root_file(contents: Vec<u8>) -> Entry {
    Entry { mode: 0o644, user: Owner::Id(0), group: Owner::Id(0), what: What::File(contents) }
}

/// Follows a path through the links of the base image. The last component is followed only if asked for.
fn resolve(path: &str, base: &impl Base, follow_last: bool) -> Result<Utf8PathBuf, LayerError> {
    let mut rest: Vec<String> = names(path).rev().collect();
    let mut real = Utf8PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == ".." {
            real.pop();
            continue;
        }
        real.push(&name);
        let last = rest.is_empty();
        match base.entry(&real) {
            Some(BaseEntry::Link(target)) if !last || follow_last => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(LayerError::Loop { path: path.to_owned() });
                }
                real.pop();
                if target.starts_with('/') {
                    real = Utf8PathBuf::from("/");
                }
                rest.extend(names(&target).rev());
            }
            Some(BaseEntry::File) if !last => return Err(LayerError::Parent { path: path.to_owned(), parent: real }),
            _ => {}
        }
    }
    Ok(real)
}

fn names(path: &str) -> impl DoubleEndedIterator<Item = String> {
    Utf8Path::new(path).components().filter_map(|component| match component {
        Utf8Component::Normal(name) => Some(name.to_owned()),
        Utf8Component::ParentDir => Some("..".to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
