//! Where the lab keeps its things.
//!
//! The state directory belongs to one running lab and vanishes with `down`; a marker file in it proves that the lab
//! made it. The cache directory holds what is expensive to build and stays. Paths are short, since unix sockets of the
//! nodes lie below them (108 bytes at most).

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

/// Environment variable that moves the state directory.
pub const STATE_VARIABLE: &str = "ONLAY_LAB_DIR";
/// Environment variable that moves the cache directory.
pub const CACHE_VARIABLE: &str = "ONLAY_LAB_CACHE";

const STATE: &str = "/var/lib/onlay-lab";
const CACHE: &str = "/var/cache/onlay-lab";
const MARKER: &str = ".onlay-lab";

/// Why a directory cannot serve the lab.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Not an absolute path, or one that is never a lab's own.
    #[error("failed to use {path} as {variable}: name an absolute path, at least two levels deep")]
    Path {
        /// The path as it was given.
        path: Utf8PathBuf,
        /// The variable that named it.
        variable: &'static str,
    },
    /// The directory holds files that the lab did not make.
    #[error(
        "failed to use {path} for the lab: it is not empty and the lab did not make it; name another place with {STATE_VARIABLE}"
    )]
    Foreign {
        /// The directory.
        path: Utf8PathBuf,
    },
    /// A file operation failed.
    #[error("failed to prepare {path}")]
    Io {
        /// The file or directory.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The directories of one lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    state: Utf8PathBuf,
    cache: Utf8PathBuf,
}

impl Layout {
    /// The lab of this machine: [`STATE_VARIABLE`] and [`CACHE_VARIABLE`], else the usual places.
    pub fn from_environment() -> Result<Self, LayoutError> {
        let read = |variable, usual: &str| std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
        Self::new(read(STATE_VARIABLE, STATE), read(CACHE_VARIABLE, CACHE))
    }

    /// A lab in the given state and cache directories.
    pub fn new(state: impl Into<Utf8PathBuf>, cache: impl Into<Utf8PathBuf>) -> Result<Self, LayoutError> {
        let state = checked(state.into(), STATE_VARIABLE)?;
        let cache = checked(cache.into(), CACHE_VARIABLE)?;
        if state.starts_with(&cache) || cache.starts_with(&state) {
            return Err(LayoutError::Path { path: cache, variable: CACHE_VARIABLE });
        }
        Ok(Self { state, cache })
    }

    /// The state directory: everything of the running lab.
    pub fn state(&self) -> &Utf8Path {
        &self.state
    }

    /// The cache directory: what is built once and kept.
    pub fn cache(&self) -> &Utf8Path {
        &self.cache
    }

    /// Everything of one node.
    pub fn node_dir(&self, name: &str) -> Utf8PathBuf {
        self.state.join("nodes").join(name)
    }

    /// The ostree sysroot of one node, its disk.
    pub fn sysroot(&self, name: &str) -> Utf8PathBuf {
        self.node_dir(name).join("sysroot")
    }

    /// Keys, certificates and kubeconfigs.
    pub fn pki(&self) -> Utf8PathBuf {
        self.state.join("pki")
    }

    /// The kubeconfig of the cluster's administrator.
    pub fn kubeconfig(&self) -> Utf8PathBuf {
        self.state.join("kubeconfig")
    }

    /// The log file of a process of the lab.
    pub fn log(&self, process: &str) -> Utf8PathBuf {
        self.state.join("log").join(format!("{process}.log"))
    }

    /// The record of a process of the lab, see [`crate::process`].
    pub fn record(&self, process: &str) -> Utf8PathBuf {
        self.records().join(process)
    }

    /// The directory of all records of processes.
    pub fn records(&self) -> Utf8PathBuf {
        self.state.join("processes")
    }

    /// The files of a service of the host side, for example `etcd` or `registry`.
    pub fn service(&self, name: &str) -> Utf8PathBuf {
        self.state.join(name)
    }

    /// Makes the state directory, its marker, and the cache directory. A directory with foreign files is refused.
    pub fn create(&self) -> Result<(), LayoutError> {
        create_directory(&self.state)?;
        if !self.is_ours() && !is_empty(&self.state)? {
            return Err(LayoutError::Foreign { path: self.state.clone() });
        }
        let marker = self.marker();
        std::fs::write(&marker, "Made by `cargo xtask lab up`, removed by `cargo xtask lab down`.\n")
            .map_err(|source| LayoutError::Io { path: marker, source })?;
        for directory in [self.records(), self.state.join("log"), self.pki(), self.cache.clone()] {
            create_directory(&directory)?;
        }
        Ok(())
    }

    /// The file that proves that the lab made the state directory.
    pub fn marker(&self) -> Utf8PathBuf {
        self.state.join(MARKER)
    }

    /// Whether the state directory carries the lab's marker.
    pub fn is_ours(&self) -> bool {
        self.marker().is_file()
    }
}

/// The lab's definitions as data: the directory `lab/` of the checkout that this was built from.
pub fn definitions() -> &'static Utf8Path {
    Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../lab"))
}

/// Writes a file so that a reader, or the next run after a kill, sees the old or the new contents and never a half.
pub fn write_whole(path: &Utf8Path, contents: impl AsRef<[u8]>, mode: u32) -> Result<(), LayoutError> {
    let failed = |source| LayoutError::Io { path: path.to_owned(), source };
    let directory = path.parent().unwrap_or(Utf8Path::new("/"));
    create_directory(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(contents.as_ref()).map_err(failed)?;
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Removes a file; one that is gone already is no error.
pub fn remove_file(path: &Utf8Path) -> Result<(), LayoutError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(LayoutError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn checked(path: Utf8PathBuf, variable: &'static str) -> Result<Utf8PathBuf, LayoutError> {
    let plain = path.components().all(|part| matches!(part, Utf8Component::RootDir | Utf8Component::Normal(_)));
    let deep = path.components().count() > 2;
    if path.is_absolute() && plain && deep { Ok(path) } else { Err(LayoutError::Path { path, variable }) }
}

fn create_directory(path: &Utf8Path) -> Result<(), LayoutError> {
    std::fs::create_dir_all(path).map_err(|source| LayoutError::Io { path: path.to_owned(), source })
}

fn is_empty(path: &Utf8Path) -> Result<bool, LayoutError> {
    let mut entries = path.read_dir().map_err(|source| LayoutError::Io { path: path.to_owned(), source })?;
    Ok(entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(directory: &tempfile::TempDir) -> Layout {
        let root = Utf8Path::from_path(directory.path()).unwrap();
        Layout::new(root.join("state"), root.join("cache")).unwrap()
    }

    #[test]
    fn places_that_are_never_a_labs_own_are_refused() {
        for bad in ["lab", "/", "/var", "/var/../etc", ""] {
            let error = Layout::new(bad, "/var/cache/x").unwrap_err().to_string();
            assert!(error.contains(STATE_VARIABLE), "{bad}: {error}");
        }
        assert!(Layout::new("/var/lib/x", "/var/lib/x/cache").is_err(), "a cache below the state would vanish with it");
    }

    #[test]
    fn a_directory_with_foreign_files_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        std::fs::create_dir_all(layout.state()).unwrap();
        std::fs::write(layout.state().join("thesis.txt"), "mine").unwrap();
        assert!(matches!(layout.create(), Err(LayoutError::Foreign { .. })));
        assert!(!layout.is_ours());
    }

    #[test]
    fn making_it_twice_is_making_it_once() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        layout.create().unwrap();
        layout.create().unwrap();
        assert!(layout.is_ours());
    }

    #[test]
    fn the_socket_of_a_node_with_a_long_name_fits() {
        let layout = Layout::new(STATE, CACHE).unwrap();
        assert!(layout.node_dir("worker-0123456789").join("run/notify.sock").as_str().len() < 108);
    }

    #[test]
    fn a_file_is_written_whole_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = layout(&directory).state().join("a/key");
        write_whole(&path, "secret", 0o600).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "secret");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
