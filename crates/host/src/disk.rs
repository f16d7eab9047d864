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

/// How much space there is.
pub trait Space {
    /// Bytes that the file system of `path` has left for root.
    fn free(&self, path: &Utf8Path) -> Result<u64, Error>;
}

/// The mounted file systems, as the kernel knows them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mounted;

impl Space for Mounted {
    fn free(&self, path: &Utf8Path) -> Result<u64, Error> {
        let stat = rustix::fs::statvfs(path.as_std_path());
        let stat = stat.map_err(|errno| Error { path: path.to_owned(), source: errno.into() })?;
        Ok(stat.f_bfree.saturating_mul(stat.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_about_a_place_and_named_when_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let here = Utf8Path::from_path(directory.path()).unwrap();
        assert!(Mounted.free(here).is_ok());
        let error = Mounted.free(&here.join("nowhere")).unwrap_err();
        assert!(error.to_string().ends_with("/nowhere"), "{error}");
    }
}
