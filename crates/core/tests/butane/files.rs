//! The files directory of the cases, as a folder of the file system.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use onlay_core::butane::{LocalEntry, LocalError, LocalFiles, LocalNode};

/// A folder whose links must not lead out of it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn of_the_cases() -> Self {
        Self(super::cases::folder().join("files").canonicalize().unwrap())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn inside(&self, path: &str) -> Result<PathBuf, LocalError> {
        let full = self.0.join(path).canonicalize().map_err(|_| LocalError::Missing(path.to_owned()))?;
        if full.starts_with(&self.0) { Ok(full) } else { Err(LocalError::Outside(path.to_owned())) }
    }
}

impl LocalFiles for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, LocalError> {
        let full = self.inside(path)?;
        if full.is_dir() {
            return Err(LocalError::IsFolder(path.to_owned()));
        }
        std::fs::read(full).map_err(|error| LocalError::Unreadable { path: path.to_owned(), what: error.to_string() })
    }

    fn tree(&self, path: &str) -> Result<Vec<LocalEntry>, LocalError> {
        let full = self.inside(path)?;
        if !full.is_dir() {
            return Err(LocalError::NotFolder(path.to_owned()));
        }
        let mut entries = Vec::new();
        walk(&full, "", &mut entries);
        Ok(entries)
    }
}

fn walk(full: &Path, path: &str, entries: &mut Vec<LocalEntry>) {
    let metadata = full.symlink_metadata().unwrap();
    let node = if metadata.is_symlink() {
        LocalNode::Link { target: full.read_link().unwrap().to_str().unwrap().to_owned() }
    } else if metadata.is_dir() {
        for below in full.read_dir().unwrap().map(Result::unwrap) {
            let name = below.file_name().into_string().unwrap();
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            walk(&below.path(), &path, entries);
        }
        LocalNode::Folder
    } else {
        let executable = metadata.permissions().mode() & 0o111 != 0;
        LocalNode::File { contents: std::fs::read(full).unwrap(), executable }
    };
    entries.push(LocalEntry { path: path.to_owned(), node: Ok(node) });
}
