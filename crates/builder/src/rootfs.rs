//! The root file system of an image, mounted somewhere.

use std::fs::{self, Metadata};

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::layer::{Base, BaseEntry};
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
