//! A record as the plain things that shall stand at each path.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::Pass;
use crate::record::{Link, Owner, Record, Unit};
use crate::root::{Access, Kind};

/// What shall stand at one real path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The path as the record names it.
    pub named: Utf8PathBuf,
    /// What shall stand there.
    pub entry: Entry,
}

/// One thing in a tree, its owners resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    File {
        source: Source,
        access: Access,
    },
    Directory {
        access: Access,
    },
    Link {
        target: String,
        owner: (u32, u32),
    },
    HardLink {
        target: Utf8PathBuf,
    },
    /// It cannot be made on this machine; what stands there stays.
    Impossible {
        reason: String,
    },
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The content store, by digest.
    Stored(String),
    /// Made from the record.
    Inline(Vec<u8>),
}

/// Where units of the machine's owner lie.
pub(super) const UNITS: &str = "/etc/systemd/system";

impl Pass<'_> {
    /// Everything the record names within reach, by real path.
    pub(super) fn wanted(&mut self, record: &Record) -> BTreeMap<Utf8PathBuf, Wanted> {
        let mut entries: BTreeMap<Utf8PathBuf, Entry> = BTreeMap::new();
        let tree = &record.tree;
        for (path, directory) in &tree.directories {
            let entry =
                self.owned(directory.mode, &directory.user, &directory.group, |access| Entry::Directory { access });
            entries.insert(path.clone(), entry);
        }
        for (path, file) in &tree.files {
            let source = Source::Stored(file.sha256.clone());
            let entry = self.owned(file.mode, &file.user, &file.group, |access| Entry::File { source, access });
            entries.insert(path.clone(), entry);
        }
        for (path, link) in &tree.links {
            entries.insert(path.clone(), self.link_entry(link));
        }
        for (name, unit) in &tree.units {
            entries.extend(unit_entries(name, unit));
        }
        for (user, keys) in &tree.authorized_keys {
            match self.key_entries(user, keys) {
                Ok(keys) => entries.extend(keys),
                Err(failure) => self.fail(&format!("keys of {user}"), failure),
            }
        }
        self.within_reach(entries)
    }

    fn within_reach(&mut self, entries: BTreeMap<Utf8PathBuf, Entry>) -> BTreeMap<Utf8PathBuf, Wanted> {
        let mut wanted = BTreeMap::new();
        for (named, entry) in entries {
            match self.site.root.real(&named) {
                Ok(real) if self.reaches(&real) => drop(wanted.insert(real, Wanted { named, entry })),
                Ok(_) => {}
                Err(error) => self.fail(named.as_str(), error),
            }
        }
        wanted
    }

    fn owned(&self, mode: u32, user: &Owner, group: &Owner, make: impl FnOnce(Access) -> Entry) -> Entry {
        match (self.accounts.uid(user), self.accounts.gid(group)) {
            (Ok(uid), Ok(gid)) => make(Access { mode, uid, gid }),
            (Err(reason), _) | (_, Err(reason)) => Entry::Impossible { reason },
        }
    }

    fn link_entry(&self, link: &Link) -> Entry {
        if link.hard {
            return Entry::HardLink { target: link.target.clone().into() };
        }
        let target = link.target.clone();
        self.owned(0o777, &link.user, &link.group, |access| Entry::Link { target, owner: (access.uid, access.gid) })
    }

    /// The file with an account's keys and the directory it needs.
    fn key_entries(&self, user: &str, keys: &[String]) -> Result<Vec<(Utf8PathBuf, Entry)>, super::Failure> {
        let account = self.accounts.user(user);
        let account = account.ok_or_else(|| format!("user {user} exists neither on the machine nor in its image"))?;
        let directory = account.home.join(".ssh");
        let drop_ins = directory.join("authorized_keys.d");
        let has_drop_ins = self.site.root.meta(&drop_ins)?.is_some_and(|meta| meta.kind == Kind::Directory);
        let file = if has_drop_ins { drop_ins.join("ignition") } else { directory.join("authorized_keys") };
        let access = |mode| Access { mode, uid: account.uid, gid: account.gid };
        let contents = keys.iter().map(|key| format!("{}\n", key.trim_end())).collect::<String>();
        let file_entry = Entry::File { source: Source::Inline(contents.into_bytes()), access: access(0o600) };
        Ok(vec![(directory, Entry::Directory { access: access(0o700) }), (file, file_entry)])
    }
}

/// A unit's file or mask, and its drop-ins.
fn unit_entries(name: &str, unit: &Unit) -> Vec<(Utf8PathBuf, Entry)> {
    let file = |digest: &String| Entry::File { source: Source::Stored(digest.clone()), access: Access::mine(0o644) };
    let own = Access::mine(0o644);
    let units = Utf8Path::new(UNITS);
    let mut entries = Vec::new();
    match (unit.masked, &unit.sha256) {
        (Some(true), _) => {
            let mask = Entry::Link { target: "/dev/null".into(), owner: (own.uid, own.gid) };
            entries.push((units.join(name), mask));
        }
        (_, Some(digest)) => entries.push((units.join(name), file(digest))),
        (_, None) => {}
    }
    let directory = units.join(format!("{name}.d"));
    entries.extend(unit.dropins.iter().map(|(drop_in, digest)| (directory.join(drop_in), file(digest))));
    entries
}
