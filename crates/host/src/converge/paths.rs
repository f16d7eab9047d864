//! Paths: what the record names is put there, what it no longer names becomes again what it was.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::base::{self, Copy};
use super::entry::{Entry, Source, Wanted};
use super::{Error, Failure, Pass, Reach};
use crate::content::sha256;
use crate::root::{Access, Kind, Meta, Root};

const IN_IMAGE: &str = "lies in the image, which does not hold it as the configuration says; \
                        an image must be built with this configuration";

impl Pass<'_> {
    /// Lets go of every held path that is not wanted, lowest first.
    pub(super) fn release_paths(&mut self, wanted: &BTreeMap<Utf8PathBuf, Wanted>) {
        let leaving: Vec<_> = self.held.paths.iter().filter(|path| !wanted.contains_key(*path)).cloned().collect();
        for real in leaving.into_iter().rev() {
            let restored = match self.former(&real) {
                Ok(copy) => self.restore(&real, copy),
                Err(failure) => Err(failure),
            };
            match restored {
                Ok(()) => drop(self.held.paths.remove(&real)),
                Err(failure) => self.fail(real.as_str(), failure),
            }
        }
    }

    fn restore(&mut self, real: &Utf8Path, copy: Copy) -> Result<(), Failure> {
        let root = self.site.root;
        if self.act {
            root.clear_leftover(real)?;
        }
        if base::copy(root, real)? == copy {
            return Ok(());
        }
        let there = root.meta(real)?;
        if copy == Copy::Absent && there.is_some_and(|meta| meta.kind == Kind::Directory) {
            self.held.made.insert(real.into());
            return Ok(());
        }
        self.clear_the_way(real, there, matches!(copy, Copy::Directory { .. }))?;
        let done = match &copy {
            _ if !self.act => Ok(()),
            Copy::Absent => root.remove(real),
            Copy::File { access, contents } => root.write(real, contents, *access),
            Copy::Link { target, owner } => root.link(real, target, *owner),
            Copy::Directory { access } => root.make_directory(real, *access),
        };
        done?;
        self.outcome.changed.push(real.to_string());
        Ok(())
    }

    /// Puts everything wanted in its place: parents before what lies in them, second names of files last.
    pub(super) fn place(&mut self, wanted: &BTreeMap<Utf8PathBuf, Wanted>) {
        let (second_names, first): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|(_, wanted)| matches!(wanted.entry, Entry::HardLink { .. }));
        for (real, wanted) in first.into_iter().chain(second_names) {
            if let Err(failure) = self.put(real, wanted) {
                self.fail(wanted.named.as_str(), failure);
            }
        }
    }

    fn put(&mut self, real: &Utf8Path, wanted: &Wanted) -> Result<(), Failure> {
        let in_image = real.starts_with("/usr");
        let tree = if in_image { self.site.image } else { self.site.root };
        let there = tree.meta(real)?;
        if self.is_right(tree, real, there, &wanted.entry)? {
            return Ok(());
        }
        if in_image {
            return Err(Failure(IN_IMAGE.into()));
        }
        if let Entry::Impossible { reason } = &wanted.entry {
            return Err(Failure(reason.clone()));
        }
        self.clear_the_way(real, there, matches!(wanted.entry, Entry::Directory { .. }))?;
        let what = wanted.named.clone();
        match &wanted.entry {
            Entry::Impossible { .. } => {}
            Entry::Directory { access } => self.mend(what.as_str(), |root| Ok(root.make_directory(real, *access)?)),
            Entry::File { source, access } => {
                let contents = self.bytes(source)?;
                self.mend(what.as_str(), |root| Ok(root.write(real, &contents, *access)?));
            }
            Entry::Link { target, owner } => {
                self.mend(what.as_str(), |root| Ok(root.link(real, target, *owner)?));
            }
            Entry::HardLink { target } => {
                self.mend(what.as_str(), |root| Ok(root.hard_link(real, target)?));
            }
        }
        Ok(())
    }

    fn is_right(&self, tree: &Root, real: &Utf8Path, there: Option<Meta>, entry: &Entry) -> Result<bool, Failure> {
        let Some(meta) = there else { return Ok(false) };
        let allows = |access: &Access| (meta.mode, meta.uid, meta.gid) == (access.mode, access.uid, access.gid);
        Ok(match (entry, meta.kind) {
            (Entry::File { source: Source::Stored(digest), access }, Kind::File) => {
                allows(access) && tree.read(real)?.is_some_and(|there| sha256(&there) == *digest)
            }
            (Entry::File { source: Source::Inline(bytes), access }, Kind::File) => {
                allows(access) && tree.read(real)?.is_some_and(|there| there == *bytes)
            }
            (Entry::Directory { access }, Kind::Directory) => allows(access),
            (Entry::Directory { access }, Kind::Link) => {
                let end = tree.directory_meta(real)?;
                end.is_some_and(|meta| (meta.mode, meta.uid, meta.gid) == (access.mode, access.uid, access.gid))
            }
            (Entry::Link { target, owner }, Kind::Link) => {
                (meta.uid, meta.gid) == *owner && tree.read_link(real)?.is_some_and(|there| there == *target)
            }
            (Entry::HardLink { target }, _) => tree.meta(target)?.is_some_and(|other| other.identity == meta.identity),
            _ => false,
        })
    }

    /// Removes what cannot be replaced in one step by something of another kind: an empty directory where a file or link
    /// shall be, a file or link where a directory shall be. A directory that holds anything stays, and so does a link to one.
    fn clear_the_way(&self, real: &Utf8Path, there: Option<Meta>, for_directory: bool) -> Result<(), Failure> {
        let Some(meta) = there else { return Ok(()) };
        let root = self.site.root;
        match (meta.kind, for_directory) {
            (Kind::Directory, true) | (Kind::File | Kind::Link | Kind::Other, false) => Ok(()),
            (Kind::Link, true) if root.directory_meta(real)?.is_some() => Ok(()),
            (_, true) if self.act => Ok(root.remove(real)?),
            (_, true) => Ok(()),
            (Kind::Directory, false) => {
                let known = |path: &Utf8PathBuf| self.on_disk.paths.contains(path) || self.on_disk.made.contains(path);
                let clear = match self.act {
                    true => root.remove_empty(real)?,
                    false => root.list(real)?.iter().all(|name| known(&real.join(name))),
                };
                let failure = || Failure("shall be a file or link, but a directory stands there; move it away".into());
                clear.then_some(()).ok_or_else(failure)
            }
        }
    }

    fn bytes(&self, source: &Source) -> Result<Vec<u8>, Failure> {
        match source {
            Source::Stored(digest) => Ok(self.site.state.contents().get(digest)?),
            Source::Inline(bytes) => Ok(bytes.clone()),
        }
    }

    /// Removes the directories that were made for paths which are gone, as far as they are empty.
    pub(super) fn clear_directories(&mut self, wanted: &BTreeMap<Utf8PathBuf, Wanted>) {
        if !self.act {
            return;
        }
        let made: Vec<_> = self.held.made.iter().filter(|path| self.reaches(path)).cloned().collect();
        for real in made.into_iter().rev() {
            let is_wanted = matches!(wanted.get(&real), Some(Wanted { entry: Entry::Directory { .. }, .. }));
            let gone = match self.former(&real) {
                Ok(Copy::Absent) if !is_wanted => self.site.root.remove_empty(&real).map_err(Failure::from),
                Ok(_) => Ok(false),
                Err(failure) => Err(failure),
            };
            match gone {
                Ok(true) => drop(self.held.made.remove(&real)),
                Ok(false) => {}
                Err(failure) => self.fail(real.as_str(), failure),
            }
        }
    }

    /// Writes down what is held now that the run is over.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        if !self.act {
            return Ok(());
        }
        self.write_held()?;
        if self.site.reach == Reach::Whole {
            self.site.state.keep_originals(&self.held.paths)?;
        }
        Ok(())
    }
}
