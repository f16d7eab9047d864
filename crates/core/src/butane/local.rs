//! Files that a Butane file takes from a folder beside it.

use crate::render::ignition::spec::check::clean_path;

/// The files directory, as far as the translation looks into it.
///
/// Paths are relative to the directory, normalised, without `..`; the directory itself is empty. An implementation
/// follows symbolic links, and answers [`LocalError::Outside`] for every path that leads out of the directory by them,
/// which is stricter than the real tool.
pub trait LocalFiles {
    /// The contents of a file.
    fn read(&self, path: &str) -> Result<Vec<u8>, LocalError>;

    /// Everything below a folder and the folder itself, in any order. Links below it are not followed.
    fn tree(&self, path: &str) -> Result<Vec<LocalEntry>, LocalError>;
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEntry {
    /// Path from the folder; empty for the folder itself.
    pub path: String,
    /// What it is, or why it cannot be read.
    pub node: Result<LocalNode, LocalError>,
}

/// What can be in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalNode {
    /// A folder.
    Folder,
    /// A regular file.
    File {
        /// Its contents.
        contents: Vec<u8>,
        /// Whether anybody may execute it.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, as it is stored in the link.
        target: String,
    },
    /// A device, a socket or a pipe.
    Other,
}

/// Why a local file cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// There is no files directory.
    #[error("local files need a files directory; give one with --files-dir")]
    NoDirectory,
    /// The path leads out of the files directory.
    #[error("{0:?} leads out of the files directory; copy the file into it")]
    Outside(String),
    /// Nothing is at the path.
    #[error("failed to read {0:?}: it is not in the files directory")]
    Missing(String),
    /// A folder is where a file should be.
    #[error("failed to read {0:?}: it is a folder; name a file in it, or take the folder as a tree")]
    IsFolder(String),
    /// A tree that is no folder.
    #[error("{0:?} is no folder; name the folder that holds the tree")]
    NotFolder(String),
    /// Anything else.
    #[error("failed to read {path:?}: {what}")]
    Unreadable {
        /// Path in the files directory.
        path: String,
        /// What the system says.
        what: String,
    },
}

/// The path in the files directory that a field names.
///
/// It is joined and shortened by its text alone, so that `/x` is inside and `a/../b` is fine.
pub fn path_inside(path: &str) -> Result<String, LocalError> {
    let clean = clean_path(path.trim_start_matches('/'));
    match clean.as_str() {
        "." => Ok(String::new()),
        clean if clean == ".." || clean.starts_with("../") => Err(LocalError::Outside(path.to_owned())),
        clean => Ok(clean.to_owned()),
    }
}

/// Reads the file that a field names.
pub fn read(files: Option<&dyn LocalFiles>, path: &str) -> Result<Vec<u8>, LocalError> {
    let files = files.ok_or(LocalError::NoDirectory)?;
    files.read(&path_inside(path)?)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{LocalError, path_inside};

    #[rstest]
    #[case("a/b", "a/b")]
    #[case("/a/b", "a/b")]
    #[case("./a//b/", "a/b")]
    #[case("a/../b", "b")]
    #[case("a/..", "")]
    #[case("", "")]
    #[case("..a", "..a")]
    fn paths_are_shortened_by_their_text(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(path_inside(path).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case("..")]
    #[case("../a")]
    #[case("a/../../b")]
    #[case("/../a")]
    fn paths_do_not_lead_out(#[case] path: &str) {
        assert_eq!(path_inside(path), Err(LocalError::Outside(path.to_owned())));
    }
}
