//! Changes inside a root: each one is there completely or not at all, and survives a power cut once it returned.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::{Error, Kind, Root, io_error, is_absent, split};
use crate::content::sha256;

/// Permission bits and numeric owners to give to a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Permission bits with setuid, setgid and sticky (12 bits).
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
}

impl Access {
    /// `mode`, owned by the calling process.
    pub fn mine(mode: u32) -> Access {
        Access { mode, uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    /// Readable by the calling process only.
    pub fn private() -> Access {
        Access::mine(0o600)
    }
}

impl Root {
    /// Puts a regular file at `path`, in place of any file or link there. Missing parents are made, see [`Root::make_parents`].
    pub fn write(&self, path: &Utf8Path, contents: &[u8], access: Access) -> Result<(), Error> {
        self.make_parents(path)?;
        let (dir, name) = self.parent(path)?;
        let fail = |errno| io_error("write", path, errno);
        let temporary = temporary(name);
        self.unlink(&dir, &temporary, path)?;
        self.allow().map_err(fail)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dir, &temporary, flags, Mode::from(0o600)).map_err(fail)?;
        let mut file = File::from(file);
        file.write_all(contents).map_err(|source| Error::Io { action: "write", path: path.into(), source })?;
        set_access(&file, access).map_err(fail)?;
        rustix::fs::fsync(&file).map_err(fail)?;
        self.replace(&dir, &temporary, name, path)
    }

    /// Puts a symbolic link to `target` at `path`, in place of any file or link there. Missing parents are made.
    pub fn link(&self, path: &Utf8Path, target: &str, owner: (u32, u32)) -> Result<(), Error> {
        self.make_parents(path)?;
        let (dir, name) = self.parent(path)?;
        let fail = |errno| io_error("link", path, errno);
        let temporary = temporary(name);
        self.unlink(&dir, &temporary, path)?;
        self.allow().map_err(fail)?;
        rustix::fs::symlinkat(target, &dir, &temporary).map_err(fail)?;
        let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        rustix::fs::chownat(&dir, &temporary, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        self.replace(&dir, &temporary, name, path)
    }

    /// Gives the file at `existing` the second name `path`, in place of any file or link there. Missing parents are made.
    pub fn hard_link(&self, path: &Utf8Path, existing: &Utf8Path) -> Result<(), Error> {
        self.make_parents(path)?;
        let (dir, name) = self.parent(path)?;
        let (from, from_name) = self.parent(existing)?;
        let fail = |errno| io_error("link", path, errno);
        let temporary = temporary(name);
        self.unlink(&dir, &temporary, path)?;
        self.allow().map_err(fail)?;
        rustix::fs::linkat(&from, from_name, &dir, &temporary, AtFlags::empty()).map_err(fail)?;
        self.replace(&dir, &temporary, name, path)
    }

    /// Makes the directory `path` if nothing is there, and gives it `access` either way; its last component may be a link.
    pub fn make_directory(&self, path: &Utf8Path, access: Access) -> Result<(), Error> {
        self.make_missing(path)?;
        let fail = |errno| io_error("change", path, errno);
        self.allow().map_err(fail)?;
        let dir = self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(fail)?;
        set_access(&dir, access).map_err(fail)
    }

    /// Makes the missing directories above `path`, with mode 0755 and owned by the caller.
    ///
    /// A link to a directory that is missing gets that directory, as in `/opt -> var/opt` on a fresh `/var`.
    pub fn make_parents(&self, path: &Utf8Path) -> Result<(), Error> {
        self.make_missing(split(path)?.0)
    }

    /// The directories above `path` that do not exist, lowest first.
    pub fn missing_parents(&self, path: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Error> {
        let mut missing = Vec::new();
        for parent in self.real(path)?.ancestors().skip(1) {
            match self.meta(parent)? {
                None => missing.push(parent.to_owned()),
                Some(_) => break,
            }
        }
        Ok(missing)
    }

    fn make_missing(&self, directory: &Utf8Path) -> Result<(), Error> {
        if self.resolve(directory, OFlags::PATH | OFlags::DIRECTORY).is_ok() {
            return Ok(());
        }
        let real = self.real_directory(directory, 0)?;
        let mut missing = self.missing_parents(&real.join("_"))?;
        missing.reverse();
        for path in missing {
            let (parent, name) = self.parent(&path)?;
            let fail = |errno| io_error("make the directory", &path, errno);
            self.allow().map_err(fail)?;
            rustix::fs::mkdirat(&parent, name, Mode::from(0o755)).map_err(fail)?;
            self.sync(split(&path)?.0)?;
        }
        Ok(())
    }

    /// Removes what a change of `path` that was killed left beside it.
    pub fn clear_leftover(&self, path: &Utf8Path) -> Result<(), Error> {
        let (parent, name) = split(path)?;
        match self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(dir) => self.unlink(&dir, &temporary(name), path),
            Err(errno) if is_absent(errno) => Ok(()),
            Err(errno) => Err(io_error("open", parent, errno)),
        }
    }

    /// Removes the file or link at `path`; it need not be there.
    pub fn remove(&self, path: &Utf8Path) -> Result<(), Error> {
        let (parent, name) = split(path)?;
        let dir = match self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(dir) => dir,
            Err(errno) if is_absent(errno) => return Ok(()),
            Err(errno) => return Err(io_error("remove", path, errno)),
        };
        self.unlink(&dir, name, path)?;
        self.sync(parent)
    }

    /// Removes the directory at `path` when it is empty; says whether it is gone.
    pub fn remove_empty(&self, path: &Utf8Path) -> Result<bool, Error> {
        match self.meta(path)? {
            None => return Ok(true),
            Some(meta) if meta.kind != Kind::Directory => return Ok(false),
            Some(_) => {}
        }
        let (dir, name) = self.parent(path)?;
        let fail = |errno| io_error("remove the directory", path, errno);
        self.allow().map_err(fail)?;
        match rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR) {
            Ok(()) => self.sync(split(path)?.0).map(|()| true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(fail(errno)),
        }
    }

    fn parent<'a>(&self, path: &'a Utf8Path) -> Result<(OwnedFd, &'a str), Error> {
        let (parent, name) = split(path)?;
        let dir = self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY);
        Ok((dir.map_err(|errno| io_error("open", parent, errno))?, name))
    }

    fn unlink(&self, dir: &OwnedFd, name: &str, path: &Utf8Path) -> Result<(), Error> {
        let fail = |errno| io_error("remove", path, errno);
        match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(fail(errno)),
            Ok(_) => {}
        }
        self.allow().map_err(fail)?;
        rustix::fs::unlinkat(dir, name, AtFlags::empty()).map_err(fail)
    }

    fn replace(&self, dir: &OwnedFd, temporary: &str, name: &str, path: &Utf8Path) -> Result<(), Error> {
        self.allow().map_err(|errno| io_error("replace", path, errno))?;
        rustix::fs::renameat(dir, temporary, dir, name).map_err(|errno| io_error("replace", path, errno))?;
        self.sync(split(path)?.0)
    }

    fn sync(&self, directory: &Utf8Path) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let dir = self.resolve(directory, flags).map_err(|errno| io_error("open", directory, errno))?;
        rustix::fs::fsync(dir).map_err(|errno| io_error("sync", directory, errno))
    }

    #[cfg(test)]
    fn allow(&self) -> Result<(), Errno> {
        self.gate.pass()
    }

    #[cfg(not(test))]
    fn allow(&self) -> Result<(), Errno> {
        Ok(())
    }
}

fn set_access(file: impl std::os::fd::AsFd, access: Access) -> Result<(), Errno> {
    rustix::fs::fchown(&file, Some(Uid::from_raw(access.uid)), Some(Gid::from_raw(access.gid)))?;
    rustix::fs::fchmod(&file, Mode::from(access.mode))
}

/// The name under which a new version of `name` is prepared: always the same, so that a later try clears what a crash left.
fn temporary(name: &str) -> String {
    let digest = sha256(name.as_bytes());
    format!(".onlay-{}", digest.get(..16).unwrap_or(&digest))
}
