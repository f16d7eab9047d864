//! Where buildah keeps images: the cache that earlier builds have left, or a directory of this build alone.
//!
//! Builds share a cache under a lock that ends with the process. Whoever is alone with it tidies up first. It is emptied
//! by moving the storage aside before anything of it is removed, so that half a storage never looks like a whole one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::cache::{Driver, Seen, Verdict, judge};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::error::Error;
use crate::namespace;
use crate::paths::Paths;
use crate::report::say;

/// What buildah keeps between builds beside images: which registry has which layer.
const HOME: &str = "home";
/// What begins the name of a storage; the driver follows.
const STORAGE: &str = "storage-";
/// What begins the name of what is being removed.
const TRASH: &str = "trash-";
/// Exists if a build ended with an error of the builder itself.
const SUSPECT: &str = "suspect";
/// The file that is locked.
const LOCK: &str = "lock";

/// Where buildah keeps images.
#[derive(Debug)]
pub struct Store {
    directory: Utf8PathBuf,
    cache: Option<Cache>,
}

#[derive(Debug)]
struct Cache {
    lock: File,
    alone: bool,
}

impl Store {
    /// The cache, if there is one and it can be used; else a directory of this build alone, which is said in the log.
    pub fn open(paths: &Paths, limit: Option<u64>) -> Result<Self, Error> {
        let Some(limit) = limit else { return Self::own(paths) };
        match cache(&paths.cache, limit) {
            Ok(Ok(cache)) => Ok(Self { directory: paths.cache.clone(), cache: Some(cache) }),
            Ok(Err(why)) => {
                say(format!("warning: the build cache is not used, since {why} and another build is using it"));
                Self::own(paths)
            }
            Err(error) => {
                say(format!(
                    "warning: the build cache {} cannot be used: {error}; this build begins with nothing and keeps nothing",
                    paths.cache
                ));
                Self::own(paths)
            }
        }
    }

    fn own(paths: &Paths) -> Result<Self, Error> {
        let directory = paths.below_work("store");
        fs::create_dir_all(directory.join(HOME)).map_err(Error::file("create", &directory))?;
        Ok(Self { directory, cache: None })
    }

    /// The storage of a driver.
    pub fn storage(&self, driver: Driver) -> Utf8PathBuf {
        self.directory.join(format!("{STORAGE}{}", driver.name()))
    }

    /// The home directory of buildah.
    pub fn home(&self) -> Utf8PathBuf {
        self.directory.join(HOME)
    }

    /// Whether nothing in the storage can be in use by another build.
    pub fn is_alone(&self) -> bool {
        self.cache.as_ref().is_none_or(|cache| cache.alone)
    }

    /// Lets other builds in.
    pub fn share(&mut self) -> Result<(), Error> {
        let Some(cache) = &mut self.cache else { return Ok(()) };
        cache.alone = false;
        let locked = rustix::fs::flock(&cache.lock, FlockOperation::LockShared);
        locked.map_err(io::Error::from).map_err(Error::file("lock", self.directory.join(LOCK)))?;
        // Whoever was alone since may have emptied it.
        fs::create_dir_all(self.home()).map_err(Error::file("create", self.home()))
    }

    /// Lets the next build that is alone empty the cache.
    pub fn suspect(&self) {
        if self.cache.is_none() {
            return;
        }
        let path = self.directory.join(SUSPECT);
        match fs::write(&path, "") {
            Ok(()) => say("the build cache will be emptied before it is used again"),
            Err(error) => say(format!("failed to write {path}: {error}")),
        }
    }
}

/// Takes part in a cache, and tidies it up if nobody else does; the inner error is why it shall not be used.
fn cache(directory: &Utf8Path, limit: u64) -> io::Result<Result<Cache, onlay_core::build::cache::Why>> {
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(LOCK))?;
    let alone = match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => true,
        Err(Errno::WOULDBLOCK) => false,
        Err(errno) => return Err(errno.into()),
    };
    if alone {
        remove_trash(directory)?;
    } else {
        rustix::fs::flock(&lock, FlockOperation::LockShared)?;
    }
    match judge(look(directory, alone, limit)?) {
        Verdict::Use => {}
        Verdict::Avoid(why) => return Ok(Err(why)),
        Verdict::Empty(why) => {
            say(format!("the build cache is emptied: {why}"));
            empty(directory)?;
        }
    }
    fs::create_dir_all(directory.join(HOME))?;
    Ok(Ok(Cache { lock, alone }))
}

fn look(directory: &Utf8Path, alone: bool, limit: u64) -> io::Result<Seen> {
    let disk = rustix::fs::statvfs(directory.as_std_path())?;
    Ok(Seen {
        alone,
        suspect: directory.join(SUSPECT).exists(),
        // Nobody empties what another build uses: then its size does not matter.
        used: if alone { used(directory.as_std_path())? } else { 0 },
        limit,
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
        size: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

/// Bytes that everything below a directory takes on disk.
fn used(directory: &std::path::Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += metadata.blocks() * 512;
        if metadata.is_dir() {
            bytes += used(&entry.path())?;
        }
    }
    Ok(bytes)
}

/// Empties a cache that nobody else uses. On a workstation something may be mounted in it still: by root's builds, a storage at any time and
/// the file systems of containers where one was killed.
fn empty(directory: &Utf8Path) -> io::Result<()> {
    namespace::unmount_below(directory.as_std_path())?;
    for name in names(directory)? {
        if name == HOME || name.starts_with(STORAGE) {
            fs::rename(directory.join(&name), directory.join(format!("{TRASH}{name}")))?;
        }
    }
    remove_trash(directory)?;
    match fs::remove_file(directory.join(SUSPECT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_trash(directory: &Utf8Path) -> io::Result<()> {
    for name in names(directory)?.iter().filter(|name| name.starts_with(TRASH)) {
        fs::remove_dir_all(directory.join(name))?;
    }
    Ok(())
}

fn names(directory: &Utf8Path) -> io::Result<Vec<String>> {
    directory.read_dir_utf8()?.map(|entry| entry.map(|entry| entry.file_name().to_owned())).collect()
}

#[cfg(test)]
mod tests;
