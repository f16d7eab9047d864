//! A directory tree that stands for one machine's `/`, and the only way this crate reads or changes it.
//!
//! Every path is absolute inside the tree and is resolved by the kernel with the tree as its root (`openat2`,
//! `RESOLVE_IN_ROOT`): absolute links inside the tree, as systemd writes them, work on a tree that is mounted anywhere,
//! and nothing leads out of it. The last component of a path is never followed when something is changed.

mod change;
#[cfg(test)]
pub(crate) mod gate;
#[cfg(test)]
mod tests;

pub use change::Access;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// As many links as the kernel follows in one path.
const MAX_LINKS: u8 = 40;

/// Why an operation inside a root did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused an operation on a path.
    #[error("failed to {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The path inside the root.
        path: Utf8PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A path is not absolute or has no name at its end.
    #[error("failed to use path {path}: it must be absolute and end in a name")]
    Path {
        /// The path as given.
        path: Utf8PathBuf,
    },
    /// A name inside the root is not UTF-8.
    #[error("failed to read {path}: it holds a name that is not UTF-8")]
    Encoding {
        /// The directory or link.
        path: Utf8PathBuf,
    },
    /// Links lead to each other.
    #[error("failed to resolve {path}: more than 40 links on the way")]
    Loop {
        /// The directory that was looked for.
        path: Utf8PathBuf,
    },
}

/// What kind of thing stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

/// What stands at a path, the last component not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// The kind of thing.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (12 bits).
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Device and inode: equal for two names of one file.
    pub identity: (u64, u64),
}

/// An open directory that is used as `/`.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    path: Utf8PathBuf,
    #[cfg(test)]
    gate: gate::Gate,
}

impl Root {
    /// Opens the directory at `path` of the calling process as a root.
    pub fn open(path: &Utf8Path) -> Result<Root, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, path.as_std_path(), flags, Mode::empty())
            .map_err(|errno| io_error("open the root", path, errno))?;
        let path =
            path.canonicalize_utf8().map_err(|source| Error::Io { action: "resolve", path: path.into(), source })?;
        Ok(Root {
            dir,
            path,
            #[cfg(test)]
            gate: gate::Gate::default(),
        })
    }

    /// Opens a directory inside this root as a root of its own.
    pub fn sub(&self, path: &Utf8Path) -> Result<Root, Error> {
        let dir =
            self.resolve(path, OFlags::PATH | OFlags::DIRECTORY).map_err(|e| io_error("open the root", path, e))?;
        let real = self.path.join(relative(&self.real(path)?));
        Ok(Root {
            dir,
            path: real,
            #[cfg(test)]
            gate: gate::Gate::default(),
        })
    }

    /// Where this root lies for the calling process.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// What stands at `path`, its last component not followed; `None` when nothing does.
    pub fn meta(&self, path: &Utf8Path) -> Result<Option<Meta>, Error> {
        if path == "/" {
            return self.meta_of(&self.dir, "", path);
        }
        let (parent, name) = split(path)?;
        match self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(dir) => self.meta_of(&dir, name, path),
            Err(errno) if is_absent(errno) => Ok(None),
            Err(errno) => Err(io_error("look at", path, errno)),
        }
    }

    /// The directory at `path`, links followed inside the root; `None` when there is none.
    pub fn directory_meta(&self, path: &Utf8Path) -> Result<Option<Meta>, Error> {
        match self.resolve(path, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(dir) => self.meta_of(&dir, "", path),
            Err(errno) if is_absent(errno) => Ok(None),
            Err(errno) => Err(io_error("look at", path, errno)),
        }
    }

    fn meta_of(&self, dir: &OwnedFd, name: &str, path: &Utf8Path) -> Result<Option<Meta>, Error> {
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH) {
            Ok(stat) => stat,
            Err(errno) if is_absent(errno) => return Ok(None),
            Err(errno) => return Err(io_error("look at", path, errno)),
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        let identity = (stat.st_dev, stat.st_ino);
        Ok(Some(Meta { kind, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, identity }))
    }

    /// The contents of the regular file at `path`, links followed inside the root; `None` when there is none.
    pub fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, Error> {
        let file = match self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => std::fs::File::from(file),
            Err(errno) if is_absent(errno) => return Ok(None),
            Err(errno) => return Err(io_error("open", path, errno)),
        };
        let read = |mut file: std::fs::File| {
            let mut contents = Vec::new();
            io::Read::read_to_end(&mut file, &mut contents).map(|_| contents)
        };
        read(file).map(Some).map_err(|source| Error::Io { action: "read", path: path.into(), source })
    }

    /// The target of the symbolic link at `path`; `None` when there is none.
    pub fn read_link(&self, path: &Utf8Path) -> Result<Option<String>, Error> {
        let (parent, name) = split(path)?;
        let target = self
            .resolve(parent, OFlags::PATH | OFlags::DIRECTORY)
            .and_then(|dir| rustix::fs::readlinkat(dir, name, Vec::new()));
        match target {
            Ok(target) => target.into_string().map(Some).map_err(|_| Error::Encoding { path: path.into() }),
            Err(errno) if is_absent(errno) || errno == Errno::INVAL => Ok(None),
            Err(errno) => Err(io_error("read the link", path, errno)),
        }
    }

    /// The names in the directory at `path`, sorted, links followed inside the root; none when it does not exist.
    pub fn list(&self, path: &Utf8Path) -> Result<Vec<String>, Error> {
        let dir = match self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(dir) => dir,
            Err(errno) if is_absent(errno) => return Ok(Vec::new()),
            Err(errno) => return Err(io_error("list", path, errno)),
        };
        let entries = rustix::fs::Dir::read_from(&dir).map_err(|errno| io_error("list", path, errno))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|errno| io_error("list", path, errno))?;
            match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) => names.push(name.to_owned()),
                Err(_) => return Err(Error::Encoding { path: path.into() }),
            }
        }
        names.sort();
        Ok(names)
    }

    /// `path` with every link before its last component resolved; a part that does not exist yet stays as written.
    pub fn real(&self, path: &Utf8Path) -> Result<Utf8PathBuf, Error> {
        let (parent, name) = split(path)?;
        Ok(self.real_directory(parent, 0)?.join(name))
    }

    /// The directory `path` with every link resolved, also links to directories that do not exist yet.
    fn real_directory(&self, path: &Utf8Path, links: u8) -> Result<Utf8PathBuf, Error> {
        match self.resolve(path, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(dir) => return self.name_of(&dir, path),
            Err(errno) if is_absent(errno) => {}
            Err(errno) => return Err(io_error("resolve", path, errno)),
        }
        if links > MAX_LINKS {
            return Err(Error::Loop { path: path.into() });
        }
        let (parent, name) = split(path)?;
        let parent = self.real_directory(parent, links)?;
        match self.read_link(&parent.join(name))? {
            Some(target) => self.real_directory(&normal(&parent.join(target)), links + 1),
            None => Ok(parent.join(name)),
        }
    }

    /// The path that an open directory has inside this root, by the kernel's own knowledge.
    fn name_of(&self, dir: &OwnedFd, path: &Utf8Path) -> Result<Utf8PathBuf, Error> {
        let link = format!("/proc/self/fd/{}", dir.as_raw_fd());
        let outside =
            std::fs::read_link(link).map_err(|source| Error::Io { action: "resolve", path: path.into(), source })?;
        let outside = Utf8PathBuf::from_path_buf(outside).map_err(|_| Error::Encoding { path: path.into() })?;
        let inside = outside.strip_prefix(&self.path).unwrap_or(&outside);
        Ok(Utf8Path::new("/").join(inside))
    }

    /// Opens `path` with this root as `/`. A rename elsewhere in the tree makes the kernel ask for another try.
    fn resolve(&self, path: &Utf8Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let open = || {
            rustix::fs::openat2(self.dir.as_fd(), path.as_std_path(), flags | OFlags::CLOEXEC, Mode::empty(), resolve)
        };
        (0..16).map(|_| open()).find(|answer| !matches!(answer, Err(Errno::AGAIN))).unwrap_or(Err(Errno::AGAIN))
    }
}

/// Splits an absolute path into its parent and its last name.
fn split(path: &Utf8Path) -> Result<(&Utf8Path, &str), Error> {
    match (path.is_absolute(), path.parent(), path.file_name()) {
        (true, Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(Error::Path { path: path.into() }),
    }
}

/// `path` without `.` and `..`, read as text.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::from("/");
    for component in path.components() {
        match component {
            Utf8Component::ParentDir => drop(normal.pop()),
            Utf8Component::Normal(name) => normal.push(name),
            Utf8Component::CurDir | Utf8Component::RootDir | Utf8Component::Prefix(_) => {}
        }
    }
    normal
}

/// An absolute path without its leading slash.
fn relative(path: &Utf8Path) -> &Utf8Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

fn io_error(action: &'static str, path: &Utf8Path, errno: Errno) -> Error {
    Error::Io { action, path: path.into(), source: errno.into() }
}
