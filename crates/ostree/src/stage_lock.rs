//! The lock that keeps a staged deployment from being finalised at shutdown.
//!
//! libostree looks for this file when the machine goes down: while it exists, the staged deployment is dropped and the
//! old system boots again. Creating it before staging leaves no moment in which a reboot would take half a decision.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::Error;

const DIRECTORY: &str = "/run/ostree";
const FILE: &str = "/run/ostree/staged-deployment-locked";

/// Whether the lock is there.
pub fn is_set() -> bool {
    Path::new(FILE).exists()
}

/// Sets the lock; setting it again changes nothing.
pub fn set() -> Result<(), Error> {
    fs::create_dir_all(DIRECTORY)
        .and_then(|()| fs::write(FILE, ""))
        .map_err(|source| Error::doing(format!("create the lock {FILE}"), source))
}

/// Removes the lock, if it is there.
pub fn clear() -> Result<(), Error> {
    match fs::remove_file(FILE) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::doing(format!("remove the lock {FILE}"), source))
        }
        _ => Ok(()),
    }
}
