//! Accounts as the files of a tree name them.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::record::Owner;
use crate::root::{self, Root};

/// Users and groups of a tree; an account that is named twice keeps its first entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, u32>,
}

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Numeric identity.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: Utf8PathBuf,
}

impl Accounts {
    /// Accounts of `root`, then those that only `image` ships, where they will come from after the next boot.
    pub fn read(root: &Root, image: &Root) -> Result<Accounts, root::Error> {
        let mut accounts = Accounts::default();
        for (tree, directory) in [(root, "/etc"), (image, "/usr/etc"), (image, "/usr/lib")] {
            let text = |name: &str| -> Result<String, root::Error> {
                let bytes = tree.read(&Utf8Path::new(directory).join(name))?.unwrap_or_default();
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            };
            accounts.add(&text("passwd")?, &text("group")?);
        }
        Ok(accounts)
    }

    /// Adds the accounts of passwd(5) and group(5) texts that are not known yet; lines that are broken are skipped.
    pub fn add(&mut self, passwd: &str, group: &str) {
        for line in passwd.lines() {
            if let [name, _, uid, gid, _, home, ..] = line.split(':').collect::<Vec<_>>()[..]
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                self.users.entry(name.into()).or_insert(User { uid, gid, home: home.into() });
            }
        }
        for line in group.lines() {
            if let [name, _, gid, ..] = line.split(':').collect::<Vec<_>>()[..]
                && let Ok(gid) = gid.parse()
            {
                self.groups.entry(name.into()).or_insert(gid);
            }
        }
    }

    /// The account `name`.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// The number of a user, or a text that says which name is unknown.
    pub fn uid(&self, owner: &Owner) -> Result<u32, String> {
        match owner {
            Owner::Id(id) => Ok(*id),
            Owner::Name(name) => self.user(name).map(|user| user.uid).ok_or_else(|| unknown("user", name)),
        }
    }

    /// The number of a group, or a text that says which name is unknown.
    pub fn gid(&self, owner: &Owner) -> Result<u32, String> {
        match owner {
            Owner::Id(id) => Ok(*id),
            Owner::Name(name) => self.groups.get(name).copied().ok_or_else(|| unknown("group", name)),
        }
    }
}

fn unknown(kind: &str, name: &str) -> String {
    format!("{kind} {name} exists neither on the machine nor in its image")
}
