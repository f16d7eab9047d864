//! The files directory of `onlay butane`, which symbolic links do not lead out of.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use onlay_core::butane::{LocalEntry, LocalError, LocalFiles, LocalNode};

/// A directory whose files Butane files may take.
#[derive(Debug)]
pub struct FilesDirectory {
    /// The directory, without links on the way.
    root: PathBuf,
}

impl FilesDirectory {
    /// Opens a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(path)?;
        if root.is_dir() { Ok(Self { root }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Where a path leads, links followed.
    fn resolve(&self, path: &str) -> Result<PathBuf, LocalError> {
        let found = fs::canonicalize(self.root.join(path)).map_err(|error| unreadable(path, &error))?;
        if found.starts_with(&self.root) { Ok(found) } else { Err(LocalError::Outside(path.to_owned())) }
    }

    fn list(&self, below: &Path, prefix: &str, entries: &mut Vec<LocalEntry>) -> io::Result<()> {
        for entry in fs::read_dir(below)? {
            let entry = entry?;
            let name = entry.file_name();
            let shown = name.to_string_lossy();
            let path = if prefix.is_empty() { shown.into_owned() } else { format!("{prefix}/{shown}") };
            if name.to_str().is_none() {
                let what = "the name is no UTF-8; rename it".to_owned();
                entries.push(LocalEntry { node: Err(LocalError::Unreadable { path: path.clone(), what }), path });
                continue;
            }
            let node = node(&entry.path()).map_err(|error| unreadable(&path, &error));
            let is_folder = node == Ok(LocalNode::Folder);
            entries.push(LocalEntry { path: path.clone(), node });
            if is_folder && let Err(error) = self.list(&entry.path(), &path, entries) {
                let failed = LocalEntry { node: Err(unreadable(&path, &error)), path };
                entries.pop_if(|last| last.path == failed.path);
                entries.push(failed);
            }
        }
        Ok(())
    }
}

impl LocalFiles for FilesDirectory {
    fn read(&self, path: &str) -> Result<Vec<u8>, LocalError> {
        let found = self.resolve(path)?;
        if found.is_dir() {
            return Err(LocalError::IsFolder(path.to_owned()));
        }
        fs::read(found).map_err(|error| unreadable(path, &error))
    }

    fn tree(&self, path: &str) -> Result<Vec<LocalEntry>, LocalError> {
        let found = self.resolve(path)?;
        if !found.is_dir() {
            return Err(LocalError::NotFolder(path.to_owned()));
        }
        let mut entries = vec![LocalEntry { path: String::new(), node: Ok(LocalNode::Folder) }];
        self.list(&found, "", &mut entries).map_err(|error| unreadable(path, &error))?;
        Ok(entries)
    }
}

fn node(path: &Path) -> io::Result<LocalNode> {
    let metadata = fs::symlink_metadata(path)?;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(path)?.into_os_string().into_string();
        let target = target.map_err(|_| io::Error::other("the target of the link is no UTF-8"))?;
        return Ok(LocalNode::Link { target });
    }
    if kind.is_file() {
        let executable = metadata.permissions().mode() & 0o111 != 0;
        return Ok(LocalNode::File { contents: fs::read(path)?, executable });
    }
    Ok(if kind.is_dir() { LocalNode::Folder } else { LocalNode::Other })
}

fn unreadable(path: &str, error: &io::Error) -> LocalError {
    match error.kind() {
        io::ErrorKind::NotFound => LocalError::Missing(path.to_owned()),
        _ => LocalError::Unreadable { path: path.to_owned(), what: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::os::unix::fs::symlink;

    /// A directory `in` with files and links beside a secret that is not in it.
    fn directory() -> (tempfile::TempDir, FilesDirectory) {
        let temporary = tempfile::tempdir().unwrap();
        let inside = temporary.path().join("in");
        fs::create_dir_all(inside.join("tree/deep")).unwrap();
        fs::write(temporary.path().join("secret"), "secret").unwrap();
        fs::write(inside.join("plain"), "plain").unwrap();
        fs::write(inside.join("tree/deep/file"), "deep").unwrap();
        symlink("plain", inside.join("link")).unwrap();
        symlink("../secret", inside.join("out")).unwrap();
        symlink("../in/plain", inside.join("out-and-in")).unwrap();
        symlink("..", inside.join("tree/up")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        let files = FilesDirectory::open(&inside).unwrap();
        (temporary, files)
    }

    #[rstest]
    #[case::a_file("plain", Ok("plain"))]
    #[case::a_link_inside("link", Ok("plain"))]
    #[case::a_link_that_comes_back("out-and-in", Ok("plain"))]
    #[case::a_link_out("out", Err(LocalError::Outside("out".into())))]
    #[case::nothing("nothing", Err(LocalError::Missing("nothing".into())))]
    #[case::a_folder("tree", Err(LocalError::IsFolder("tree".into())))]
    fn reading(#[case] path: &str, #[case] expected: Result<&str, LocalError>) {
        let (_temporary, files) = directory();
        assert_eq!(files.read(path), expected.map(|text| text.as_bytes().to_vec()));
    }

    #[test]
    fn a_link_to_itself_is_an_error() {
        let (_temporary, files) = directory();
        assert!(matches!(files.read("loop"), Err(LocalError::Unreadable { .. })));
    }

    #[test]
    fn a_tree_is_listed_without_following_links() {
        let (_temporary, files) = directory();
        let mut entries = files.tree("tree").unwrap();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["", "deep", "deep/file", "up"]);
        assert_eq!(entries[3].node, Ok(LocalNode::Link { target: "..".into() }));
        assert_eq!(files.tree("plain"), Err(LocalError::NotFolder("plain".into())));
    }
}
