//! What a boot loader does: choose the newest entry and find the system that it boots.
//!
//! ostree writes one file per deployment below /boot/loader/entries, in the format of the Boot Loader Specification;
//! the one with the highest `version` boots. Its options name the deployment as `ostree=` and a path below the sysroot,
//! a link that ostree makes for each set of entries.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

/// Why a machine does not boot.
#[derive(Debug, thiserror::Error)]
pub enum BootEntryError {
    /// The entries or the deployment could not be read.
    #[error("failed to read {path}")]
    Io {
        /// File, directory or link.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no entry at all.
    #[error("failed to find a boot entry in {directory}")]
    None {
        /// Where the entries should be.
        directory: Utf8PathBuf,
    },
    /// The options lack `ostree=`.
    #[error("failed to find `ostree=/…` in the options of boot entry {title:?}: {options:?}")]
    NoDeployment {
        /// Title of the entry.
        title: String,
        /// Its options.
        options: String,
    },
}

/// A boot entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// For people.
    pub title: String,
    /// The kernel's command line.
    pub options: String,
    version: u64,
}

impl BootEntry {
    /// The entry of a sysroot that boots next.
    pub fn newest(sysroot: &Utf8Path) -> Result<Self, BootEntryError> {
        let directory = sysroot.join("boot/loader/entries");
        let read = |path: &Utf8Path| {
            let path = path.to_owned();
            move |source| BootEntryError::Io { path, source }
        };
        let listed: io::Result<Vec<_>> = directory.read_dir_utf8().map_err(read(&directory))?.collect();
        let mut entries = Vec::new();
        for entry in listed.map_err(read(&directory))? {
            if entry.path().extension() == Some("conf") {
                entries.push(Self::parse(&std::fs::read_to_string(entry.path()).map_err(read(entry.path()))?));
            }
        }
        entries.into_iter().max_by_key(|entry| entry.version).ok_or(BootEntryError::None { directory })
    }

    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once([' ', '\t']));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        Self { title: field("title"), options: field("options"), version: field("version").parse().unwrap_or(0) }
    }

    /// The directory of the deployment that the entry boots.
    pub fn deployment(&self, sysroot: &Utf8Path) -> Result<Utf8PathBuf, BootEntryError> {
        let mut words = self.options.split(' ').filter_map(|word| word.strip_prefix("ostree=/"));
        let below = words
            .next()
            .ok_or_else(|| BootEntryError::NoDeployment { title: self.title.clone(), options: self.options.clone() })?;
        let link = sysroot.join(below);
        link.canonicalize_utf8().map_err(|source| BootEntryError::Io { path: link, source })
    }

    /// The arguments that the first program gets: in a container systemd takes them for the kernel's command line.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.options.split_whitespace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysroot(entries: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let loader = directory.path().join("boot/loader.1/entries");
        std::fs::create_dir_all(&loader).unwrap();
        std::os::unix::fs::symlink("loader.1", directory.path().join("boot/loader")).unwrap();
        for (name, text) in entries {
            std::fs::write(loader.join(name), text).unwrap();
        }
        directory
    }

    fn newest(directory: &tempfile::TempDir) -> Result<BootEntry, BootEntryError> {
        BootEntry::newest(Utf8Path::from_path(directory.path()).unwrap())
    }

    #[test]
    fn the_highest_version_boots_and_versions_are_numbers() {
        let root = sysroot(&[
            ("ostree-1.conf", "title old\nversion 9\noptions ostree=/a\n"),
            ("ostree-2.conf", "title new\nversion 10\noptions rw ostree=/b\n"),
            ("notes.txt", "title none\nversion 99\n"),
        ]);
        let entry = newest(&root).unwrap();
        assert_eq!((entry.title.as_str(), entry.options.as_str()), ("new", "rw ostree=/b"));
    }

    #[test]
    fn a_sysroot_without_entries_does_not_boot() {
        assert!(matches!(newest(&sysroot(&[])), Err(BootEntryError::None { .. })));
    }

    #[test]
    fn the_deployment_is_what_the_link_of_the_entry_points_to() {
        let root = sysroot(&[("a.conf", "title x\nversion 1\noptions rw ostree=/ostree/boot.1/0\n")]);
        let path = Utf8Path::from_path(root.path()).unwrap().canonicalize_utf8().unwrap();
        std::fs::create_dir_all(path.join("ostree/deploy/abc.0")).unwrap();
        std::fs::create_dir_all(path.join("ostree/boot.1")).unwrap();
        std::os::unix::fs::symlink("../deploy/abc.0", path.join("ostree/boot.1/0")).unwrap();
        assert_eq!(newest(&root).unwrap().deployment(&path).unwrap(), path.join("ostree/deploy/abc.0"));
    }

    #[test]
    fn an_entry_that_names_no_deployment_says_so() {
        let entry = BootEntry::parse("title x\nversion 1\noptions rw quiet\n");
        let error = entry.deployment(Utf8Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("\"rw quiet\""), "{error}");
    }
}
