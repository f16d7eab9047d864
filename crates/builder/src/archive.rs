//! The configuration layer as an archive: the same bytes for the same plan on the same base.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::MetadataExt;

use camino::Utf8Path;
use onlay_core::build::layer::{Entry, Plan, What};
use onlay_core::render::desired::Owner;
use tar::{Builder, EntryType, Header};

use crate::error::Error;
use crate::rootfs::Rootfs;

/// The time of every entry. Not zero: readers of system images take zero for "unchanged since the base".
const MTIME: u64 = 1;

/// Writes the entries of a plan as an archive, and gives the names of owners that the base image does not know: their
/// files belong to root in the image.
pub fn write(plan: &Plan, base: &Rootfs, path: &Utf8Path) -> Result<Vec<String>, Error> {
    let file = File::create(path).map_err(Error::file("create", path))?;
    let mut archive = Archive { tar: Builder::new(BufWriter::new(file)), base, unknown: Vec::new() };
    for (name, entry) in &plan.entries {
        archive.entry(name, entry)?;
    }
    let written = archive.tar.into_inner().and_then(|mut file| file.flush());
    written.map_err(Error::file("write", path))?;
    archive.unknown.sort();
    archive.unknown.dedup();
    Ok(archive.unknown)
}

struct Archive<'a, W: Write> {
    tar: Builder<W>,
    base: &'a Rootfs,
    unknown: Vec<String>,
}

/// Mode and owners of an entry.
#[derive(Clone, Copy)]
struct Access {
    mode: u32,
    user: u64,
    group: u64,
}

impl<W: Write> Archive<'_, W> {
    fn entry(&mut self, path: &Utf8Path, entry: &Entry) -> Result<(), Error> {
        let user = self.base.user(&entry.user)?;
        let group = self.base.group(&entry.group)?;
        for (owner, number) in [(&entry.user, user), (&entry.group, group)] {
            if let (Owner::Name(name), None) = (owner, number) {
                self.unknown.push(name.clone());
            }
        }
        let access = Access { mode: entry.mode, user: user.unwrap_or(0), group: group.unwrap_or(0) };
        match &entry.what {
            What::Directory => self.append(path, EntryType::Directory, access, &[]),
            What::File(contents) => self.append(path, EntryType::Regular, access, contents),
            What::Link(target) => self.link(path, target, access),
            What::CopyOf(original) => self.copy(path, original),
        }
    }

    fn copy(&mut self, path: &Utf8Path, original: &Utf8Path) -> Result<(), Error> {
        let there = self.base.at(original);
        let metadata = fs::symlink_metadata(&there).map_err(Error::file("look at", &there))?;
        let access =
            Access { mode: metadata.mode() & 0o7777, user: metadata.uid().into(), group: metadata.gid().into() };
        if metadata.is_symlink() {
            let target = there.read_link_utf8().map_err(Error::file("read", &there))?;
            return self.link(path, target.as_str(), access);
        }
        match self.base.read(original)? {
            Some(contents) => self.append(path, EntryType::Regular, access, &contents),
            // A device or a socket: nothing to bring back.
            None => Ok(()),
        }
    }

    fn append(&mut self, path: &Utf8Path, kind: EntryType, access: Access, contents: &[u8]) -> Result<(), Error> {
        let mut header = header(kind, access);
        header.set_size(contents.len() as u64);
        let name = path.strip_prefix("/").unwrap_or(path);
        self.tar.append_data(&mut header, name, contents).map_err(Error::file("archive", path))
    }

    fn link(&mut self, path: &Utf8Path, target: &str, access: Access) -> Result<(), Error> {
        let mut header = header(EntryType::Symlink, Access { mode: 0o777, ..access });
        let name = path.strip_prefix("/").unwrap_or(path);
        self.tar.append_link(&mut header, name, target).map_err(Error::file("archive", path))
    }
}

fn header(kind: EntryType, access: Access) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(access.mode);
    header.set_uid(access.user);
    header.set_gid(access.group);
    header.set_mtime(MTIME);
    header.set_size(0);
    header
}
