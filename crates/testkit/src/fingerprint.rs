//! Names in the cache: a hash of everything that decides what a build gives.

use std::io;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest, Sha256};

use crate::command::{self, CommandError, command};

/// An input could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FingerprintError {
    /// A file or directory of a definition.
    #[error("failed to read {path}")]
    Read {
        /// The file or directory.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A large file.
    #[error(transparent)]
    Sum(#[from] CommandError),
}

/// The hash so far.
#[derive(Debug, Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a text, for example an option.
    pub fn text(mut self, text: &str) -> Self {
        self.add(text.as_bytes());
        self
    }

    /// Adds every file and link below `directory`: its path, whether it can be executed, its contents or target.
    pub fn tree(mut self, directory: &Utf8Path) -> Result<Self, FingerprintError> {
        for entry in entries(directory, Utf8Path::new(""))? {
            let path = directory.join(&entry.path);
            let failed = |source| FingerprintError::Read { path: path.clone(), source };
            self.add(entry.path.as_str().as_bytes());
            match entry.kind {
                Kind::Directory => {}
                Kind::Link(target) => self.add(target.as_str().as_bytes()),
                Kind::File { executable } => {
                    self.add(&[u8::from(executable)]);
                    self.add(&std::fs::read(&path).map_err(failed)?);
                }
            }
        }
        Ok(self)
    }

    /// Adds the contents of large files; coreutils hash them, which is fast in every build of this program.
    pub async fn programs(mut self, paths: &[&Utf8Path]) -> Result<Self, FingerprintError> {
        let mut sum = command(&["sha256sum", "--binary", "--"]);
        let sums = command::output(sum.args(paths)).await?;
        for line in sums.lines() {
            self.add(line.split(' ').next().unwrap_or_default().as_bytes());
        }
        Ok(self)
    }

    /// 16 hexadecimal digits.
    pub fn name(self) -> String {
        self.0.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes.len().to_le_bytes());
        self.0.update(bytes);
    }
}

/// What lies in a directory tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Path below the root of the tree.
    pub path: Utf8PathBuf,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File { executable: bool },
    Link(Utf8PathBuf),
}

/// Everything below `root`/`below`, parents before their children, in order of names.
pub(crate) fn entries(root: &Utf8Path, below: &Utf8Path) -> Result<Vec<Entry>, FingerprintError> {
    let directory = root.join(below);
    let failed = |source| FingerprintError::Read { path: directory.clone(), source };
    let listed: io::Result<Vec<_>> = directory.read_dir_utf8().map_err(failed)?.collect();
    let mut names: Vec<_> = listed.map_err(failed)?.iter().map(|entry| entry.file_name().to_owned()).collect();
    names.sort();
    let mut found = Vec::new();
    for name in names {
        let path = below.join(name);
        let file = root.join(&path);
        let failed = |source| FingerprintError::Read { path: file.clone(), source };
        let metadata = file.symlink_metadata().map_err(failed)?;
        if metadata.is_dir() {
            found.push(Entry { path: path.clone(), kind: Kind::Directory });
            found.extend(entries(root, &path)?);
        } else if metadata.is_symlink() {
            found.push(Entry { path, kind: Kind::Link(file.read_link_utf8().map_err(failed)?) });
        } else {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            found.push(Entry { path, kind: Kind::File { executable } });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str, u32)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, contents, mode) in files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, contents).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
        }
        directory
    }

    fn name(directory: &tempfile::TempDir) -> String {
        Fingerprint::default().tree(Utf8Path::from_path(directory.path()).unwrap()).unwrap().name()
    }

    #[test]
    fn equal_trees_have_equal_names_whatever_the_umask() {
        let name = |mode| name(&tree(&[("etc/a", "1", mode), ("b", "2", 0o644)]));
        assert_eq!(name(0o644), name(0o600));
        assert_eq!(name(0o644).len(), 16);
    }

    #[test]
    fn contents_paths_and_the_right_to_execute_count() {
        let base = name(&tree(&[("etc/a", "1", 0o644)]));
        for other in [("etc/a", "2", 0o644), ("etc/b", "1", 0o644), ("etc/a", "1", 0o755)] {
            assert_ne!(base, name(&tree(&[other])), "{other:?}");
        }
    }

    #[tokio::test]
    async fn the_contents_of_programs_count_and_their_places_do_not() {
        let (one, two, three) = (tree(&[("a", "x", 0o755)]), tree(&[("b", "x", 0o755)]), tree(&[("a", "y", 0o755)]));
        let name = async |directory: &tempfile::TempDir, file| {
            let path = Utf8Path::from_path(directory.path()).unwrap().join(file);
            Fingerprint::default().programs(&[&path]).await.unwrap().name()
        };
        assert_eq!(name(&one, "a").await, name(&two, "b").await);
        assert_ne!(name(&one, "a").await, name(&three, "a").await);
    }
}
