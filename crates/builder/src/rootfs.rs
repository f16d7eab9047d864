//! The root file system of an image, mounted somewhere.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::accounts::Accounts;
use onlay_core::build::check::Found;
use onlay_core::build::layer::{Base, BaseEntry};
use onlay_core::build::var::{Kind, Left};
use onlay_core::render::desired::Owner;

use crate::error::Error;

/// Files that name users, and files that name groups, below the root; the first entry of a name counts.
const PASSWD: [&str; 2] = ["/etc/passwd", "/usr/lib/passwd"];
const GROUP: [&str; 2] = ["/etc/group", "/usr/lib/group"];

/// The root file system of an image, mounted somewhere.
#[derive(Debug, Clone)]
pub struct Rootfs(Utf8PathBuf);

impl Rootfs {
    /// The file system that is mounted at this path.
    pub fn new(mount: impl Into<Utf8PathBuf>) -> Self {
        Self(mount.into())
    }

    /// Where a path of the image is now. Its parents must be no links.
    pub fn at(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What the file system says of a path, without following it; none if nothing is there.
    pub fn metadata(&self, path: &Utf8Path) -> Option<Metadata> {
        fs::symlink_metadata(self.at(path)).ok()
    }

    /// The contents of a file; none if there is no regular file.
    pub fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, Error> {
        if !self.metadata(path).is_some_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        let path = self.at(path);
        fs::read(&path).map(Some).map_err(Error::file("read", path))
    }

    /// Whether a path and everything above it are directories, and no links to some.
    pub fn is_directory(&self, path: &Utf8Path) -> bool {
        path.ancestors().all(|path| self.metadata(path).is_some_and(|metadata| metadata.is_dir()))
    }

    /// What lies at a path; nothing behind a link.
    pub fn found(&self, path: &Utf8Path) -> Result<Found, Error> {
        let metadata = self.metadata(path).filter(|_| path.parent().is_none_or(|parent| self.is_directory(parent)));
        let Some(metadata) = metadata else { return Ok(Found::Nothing) };
        Ok(match self.kind(path, &metadata)? {
            Kind::Directory => Found::Directory,
            Kind::Link(target) => Found::Link(target),
            Kind::File(_) => Found::file(&self.read(path)?.unwrap_or_default(), metadata.mode() & 0o7777),
            Kind::Other => Found::Other,
        })
    }

    /// Names in a directory, sorted; none if there is no directory.
    pub fn names(&self, directory: &Utf8Path) -> Result<Vec<String>, Error> {
        if !self.is_directory(directory) {
            return Ok(Vec::new());
        }
        let directory = self.at(directory);
        let entries = directory.read_dir_utf8().map_err(Error::file("list", &directory))?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
        let mut names = names.collect::<Result<Vec<_>, _>>().map_err(Error::file("list", &directory))?;
        names.sort();
        Ok(names)
    }

    /// Everything below a directory, a directory before what is in it. No link is followed.
    pub fn below(&self, directory: &Utf8Path) -> Result<Vec<Left>, Error> {
        let mut all = Vec::new();
        for path in self.names(directory)?.into_iter().map(|name| directory.join(name)) {
            let Some(metadata) = self.metadata(&path) else { continue };
            let what = self.kind(&path, &metadata)?;
            let is_directory = what == Kind::Directory;
            let (user, group) = (metadata.uid(), metadata.gid());
            all.push(Left { path: path.clone(), mode: metadata.mode() & 0o7777, user, group, what });
            if is_directory {
                all.append(&mut self.below(&path)?);
            }
        }
        Ok(all)
    }

    fn kind(&self, path: &Utf8Path, metadata: &Metadata) -> Result<Kind, Error> {
        let kind = metadata.file_type();
        Ok(if kind.is_dir() {
            Kind::Directory
        } else if kind.is_file() {
            Kind::File(metadata.len())
        } else if kind.is_symlink() {
            let path = self.at(path);
            Kind::Link(path.read_link_utf8().map_err(Error::file("read", &path))?.into_string())
        } else {
            Kind::Other
        })
    }

    /// The texts of the files of a kind in these directories, such as those of sysusers.d(5), in the order of names; of one
    /// name the first directory's counts.
    pub fn texts(&self, directories: &[&str], suffix: &str) -> Result<Vec<String>, Error> {
        let mut files = BTreeMap::new();
        for directory in directories.iter().rev().map(Utf8Path::new) {
            let names = self.names(directory)?.into_iter().filter(|name| name.ends_with(suffix));
            files.extend(names.map(|name| (name.clone(), directory.join(name))));
        }
        files.values().filter_map(|path| self.text(path).transpose()).collect()
    }

    /// The text of a file; none if there is no regular file.
    pub fn text(&self, path: &Utf8Path) -> Result<Option<String>, Error> {
        Ok(self.read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// All users and groups.
    pub fn accounts(&self) -> Result<Accounts, Error> {
        let mut accounts = Accounts::default();
        for (passwd, group) in PASSWD.into_iter().zip(GROUP) {
            let [passwd, group] = [passwd, group].map(|path| self.text(Utf8Path::new(path)));
            accounts.add(&passwd?.unwrap_or_default(), &group?.unwrap_or_default());
        }
        Ok(accounts)
    }

    /// The number of a user; none if the image does not know the name.
    pub fn user(&self, owner: &Owner) -> Result<Option<u64>, Error> {
        self.number(owner, &PASSWD)
    }

    /// The number of a group; none if the image does not know the name.
    pub fn group(&self, owner: &Owner) -> Result<Option<u64>, Error> {
        self.number(owner, &GROUP)
    }

    fn number(&self, owner: &Owner, files: &[&str]) -> Result<Option<u64>, Error> {
        let name = match owner {
            Owner::Id(id) => return Ok(Some(u64::from(*id))),
            Owner::Name(name) => name,
        };
        for file in files {
            let text = self.read(Utf8Path::new(file))?.unwrap_or_default();
            let found = String::from_utf8_lossy(&text).lines().find_map(|line| number_of(line, name));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

impl Base for Rootfs {
    fn entry(&self, path: &Utf8Path) -> Option<BaseEntry> {
        let metadata = self.metadata(path)?;
        Some(if metadata.is_symlink() {
            let target = self.at(path).read_link_utf8().map(Utf8PathBuf::into_string);
            BaseEntry::Link(target.unwrap_or_default())
        } else if metadata.is_dir() {
            BaseEntry::Directory
        } else {
            BaseEntry::File
        })
    }
}

/// The third field of a line of passwd or group, if its first is the name.
fn number_of(line: &str, name: &str) -> Option<u64> {
    let mut fields = line.split(':');
    (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
}
