//! Trees on disk, records for them, and what a run leaves.

mod cases;
mod laws;
mod unit_cases;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Outcome, Reach, Site, converge, look};
use crate::record::{File, Owner, Record, Unit};
use crate::root::Root;
use crate::state::State;

/// A machine of one tree, and its state directory.
pub(super) struct Machine {
    dir: tempfile::TempDir,
    pub state: State,
    pub root: Root,
}

/// What stands at a path: permission bits, then contents, target or nothing.
pub(super) type Snapshot = BTreeMap<String, (u32, String)>;

impl Machine {
    /// A tree of `files` (path and contents; contents `-> x` make a link, `dir` a directory).
    pub fn new(files: &[(&str, &str)]) -> Machine {
        // In memory where that is possible: laws write thousands of trees.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for directory in ["root/etc", "root/usr/etc", "root/usr/lib/systemd/system", "root/var"] {
            std::fs::create_dir_all(dir.path().join(directory)).unwrap();
        }
        let path = Utf8Path::from_path(dir.path()).unwrap();
        let state = State::open(&path.join("state")).unwrap();
        let root = Root::open(&path.join("root")).unwrap();
        let machine = Machine { dir, state, root };
        for (path, contents) in files {
            machine.put(path, contents);
        }
        machine
    }

    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join("root").join(path.trim_start_matches('/'))
    }

    pub fn put(&self, path: &str, contents: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match contents.strip_prefix("-> ") {
            Some(target) => symlink(target, path).unwrap(),
            None if contents == "dir" => std::fs::create_dir_all(path).unwrap(),
            None => std::fs::write(path, contents).unwrap(),
        }
    }

    pub fn site(&self) -> Site<'_> {
        Site { root: &self.root, image: &self.root, state: &self.state, reach: Reach::Whole }
    }

    pub fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    pub fn target(&self, path: &str) -> Option<String> {
        Some(std::fs::read_link(self.path(path)).ok()?.to_str().unwrap().to_owned())
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Converges, and checks that a second run has nothing to do and a look finds nothing.
    pub fn converge(&self, record: &Record) -> Outcome {
        let outcome = converge(self.site(), record).unwrap();
        let found = look(self.site(), record).unwrap();
        assert_eq!(found.changed, Vec::<String>::new(), "a look after {outcome:?}");
        let again = converge(self.site(), record).unwrap();
        assert_eq!(
            (again.changed, &again.failed),
            (Vec::new(), &outcome.failed),
            "a second run after {:?}",
            outcome.changed
        );
        outcome
    }

    /// Converges and expects that everything could be done.
    pub fn converge_all(&self, record: &Record) -> Outcome {
        let outcome = self.converge(record);
        assert_eq!(outcome.failed, vec![]);
        outcome
    }

    /// Every path of the tree but the list of what is held.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        let base = self.path("");
        walk(&base, &base, &mut snapshot);
        snapshot.retain(|path, _| !path.starts_with("etc/onlay"));
        snapshot
    }

    /// A regular file of the caller with these contents, put into the store.
    pub fn file(&self, contents: &str, mode: u32) -> File {
        let sha256 = self.state.contents().put(contents.as_bytes()).unwrap();
        File { mode, user: me(), group: my_group(), sha256 }
    }

    /// A record of files with mode 0644.
    pub fn files(&self, files: &[(&str, &str)]) -> Record {
        let mut record = Record::default();
        for (path, contents) in files {
            record.tree.files.insert(Utf8PathBuf::from(*path), self.file(contents, 0o644));
        }
        record
    }

    /// A record of one unit.
    pub fn unit(&self, name: &str, contents: Option<&str>, enabled: Option<bool>) -> Record {
        let sha256 = contents.map(|contents| self.state.contents().put(contents.as_bytes()).unwrap());
        let unit = Unit { sha256, enabled, ..Unit::default() };
        let mut record = Record::default();
        record.tree.units.insert(name.to_owned(), unit);
        record
    }
}

pub(super) fn me() -> Owner {
    Owner::Id(rustix::process::geteuid().as_raw())
}

pub(super) fn my_group() -> Owner {
    Owner::Id(rustix::process::getegid().as_raw())
}

fn walk(base: &Path, directory: &Path, snapshot: &mut Snapshot) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        let contents = if meta.is_symlink() {
            format!("-> {}", std::fs::read_link(&path).unwrap().display())
        } else if meta.is_dir() {
            walk(base, &path, snapshot);
            "dir".to_owned()
        } else {
            std::fs::read_to_string(&path).unwrap()
        };
        let name = path.strip_prefix(base).unwrap().to_str().unwrap().to_owned();
        snapshot.insert(name, (meta.mode() & 0o7777, contents));
    }
}
