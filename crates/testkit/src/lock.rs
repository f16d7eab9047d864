//! Locks between processes: a file that one of them holds. The kernel frees it when its holder ends in any way.

use std::fs::{File, TryLockError};
use std::io;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::Layout;
use crate::wait::{self, TimedOut};

/// Why a lock is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file cannot be used.
    #[error("failed to lock {path}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Another process holds it, too long.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// The lab's lock while this process holds it.
static LAB: Mutex<Option<File>> = Mutex::new(None);

/// Holds the lab's lock until it is dropped.
#[derive(Debug)]
pub struct LabLock(());

impl LabLock {
    /// Takes the lock that keeps two runs from changing the lab at the same time.
    pub async fn acquire(layout: &Layout, patience: Duration) -> Result<Self, LockError> {
        let file = acquire(&layout.cache().join("lab.lock"), patience).await?;
        *LAB.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(Self(()))
    }
}

impl Drop for LabLock {
    fn drop(&mut self) {
        *LAB.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// An empty input for a program: the file of the lab's lock, if this process holds it, else nothing.
pub(crate) fn input() -> Stdio {
    let held = LAB.lock().unwrap_or_else(PoisonError::into_inner);
    let shared = held.as_ref().and_then(|file| file.try_clone().ok());
    shared.map_or_else(Stdio::null, Stdio::from)
}

/// Takes the lock `path`, which is free again when the returned file is dropped. Waits for another holder for
/// `patience`.
pub async fn acquire(path: &Utf8Path, patience: Duration) -> Result<File, LockError> {
    let failed = |source| LockError::Io { path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
    let what = format!("{path} to be free; another run holds it");
    wait::until(&what, patience, async || match file.try_lock() {
        Ok(()) => Ok(Some(Ok(()))),
        Err(TryLockError::WouldBlock) => Err("it is held"),
        Err(TryLockError::Error(source)) => Ok(Some(Err(failed(source)))),
    })
    .await??;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_held_by_one_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("below/lab.lock");
        let held = acquire(&path, Duration::from_secs(1)).await.unwrap();
        let error = acquire(&path, Duration::from_millis(20)).await.unwrap_err();
        assert!(error.to_string().contains("another run holds it"), "{error}");
        drop(held);
        acquire(&path, Duration::from_secs(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_outlives_its_starter_keeps_the_lock_until_it_ends() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let layout = Layout::new(root.join("state"), root.join("cache")).unwrap();
        let lock = LabLock::acquire(&layout, Duration::from_secs(1)).await.unwrap();
        let mut program = std::process::Command::new("cat").stdin(input()).spawn().unwrap();
        assert!(program.wait().unwrap().success(), "the input is empty");
        let mut program = std::process::Command::new("sleep").arg("1000").stdin(input()).spawn().unwrap();
        drop(lock);
        LabLock::acquire(&layout, Duration::from_millis(20)).await.unwrap_err();
        program.kill().unwrap();
        program.wait().unwrap();
        LabLock::acquire(&layout, Duration::from_secs(1)).await.unwrap();
    }
}
