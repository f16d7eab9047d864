//! Space on file systems.

use camino::{Utf8Path, Utf8PathBuf};

/// The free space of a file system could not be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the free space of {path}")]
pub struct Error {
    /// A directory on it.
    pub path: Utf8PathBuf,
    /// The system's answer.
    pub source: std::io::Error,
}

/// Bytes that the file system of `path` has left for root.
pub fn free(path: &Utf8Path) -> Result<u64, Error> {
    let stat = rustix::fs::statvfs(path.as_std_path());
    let stat = stat.map_err(|errno| Error { path: path.to_owned(), source: errno.into() })?;
    Ok(stat.f_bfree.saturating_mul(stat.f_frsize))
}
