//! Contents of files, kept once under the name of their SHA-256 digest.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use crate::root::{self, Access, Root};

/// Why contents could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("failed to use the store of file contents")]
    Root(#[from] root::Error),
    /// A record names contents that were never put here, or were removed.
    #[error("failed to find contents {sha256} in {store}: apply the configuration again to fetch them")]
    Absent {
        /// Digest in hexadecimal.
        sha256: String,
        /// Where they were looked for.
        store: Utf8PathBuf,
    },
    /// The stored bytes have another digest than their name says.
    #[error(
        "failed to use contents {sha256} in {store}: the file is damaged; remove it and apply the configuration again"
    )]
    Damaged {
        /// Digest in hexadecimal, as the name says.
        sha256: String,
        /// Where the file lies.
        store: Utf8PathBuf,
    },
}

/// SHA-256 of `bytes` in 64 lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The directory of contents below a state directory.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    pub(crate) root: &'a Root,
}

const DIRECTORY: &str = "/content";

impl Contents<'_> {
    /// Keeps `bytes` and returns their digest.
    pub fn put(&self, bytes: &[u8]) -> Result<String, Error> {
        let digest = sha256(bytes);
        let path = place(&digest);
        if self.root.read(&path)?.is_none_or(|there| there != bytes) {
            self.root.write(&path, bytes, Access::private())?;
        }
        Ok(digest)
    }

    /// The bytes with the digest `sha256`, checked.
    pub fn get(&self, digest: &str) -> Result<Vec<u8>, Error> {
        let store = self.root.path().join("content");
        let bytes = self.root.read(&place(digest))?;
        let bytes = bytes.ok_or_else(|| Error::Absent { sha256: digest.into(), store: store.clone() })?;
        match sha256(&bytes) == digest {
            true => Ok(bytes),
            false => Err(Error::Damaged { sha256: digest.into(), store }),
        }
    }

    /// Removes all contents but those with a digest in `used`.
    pub fn keep_only(&self, used: &BTreeSet<String>) -> Result<(), Error> {
        for name in self.root.list(Utf8Path::new(DIRECTORY))? {
            if !used.contains(&name) {
                self.root.remove(&place(&name))?;
            }
        }
        Ok(())
    }
}

fn place(digest: &str) -> Utf8PathBuf {
    Utf8Path::new(DIRECTORY).join(digest)
}
