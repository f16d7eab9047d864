//! A boot that is held: the first program of a node waits for a file to go away.

use camino::{Utf8Path, Utf8PathBuf};

use crate::layout::{self, LayoutError};

/// A node whose next boot waits until this is dropped.
#[derive(Debug)]
#[must_use = "the boot goes on once this is dropped"]
pub struct Held(Utf8PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = layout::remove_file(&self.0) {
            eprintln!("warning: a boot stays held: {error}");
        }
    }
}

/// The file that the script `init` looks for, of the node with this directory.
fn file(directory: &Utf8Path) -> Utf8PathBuf {
    directory.join("firmware/hold")
}

/// Holds the next boot of the node with this directory.
pub(super) fn hold(directory: &Utf8Path) -> Result<Held, LayoutError> {
    let file = file(directory);
    layout::write_whole(&file, "", 0o444)?;
    Ok(Held(file))
}

/// Lets a node boot that somebody who is gone has held.
pub(super) fn release(directory: &Utf8Path) -> Result<(), LayoutError> {
    layout::remove_file(&file(directory))
}
