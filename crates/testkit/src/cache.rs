//! What is built once and kept: a directory of the cache is there whole or not at all.

use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::Layout;
use crate::command::{self, CommandError};
use crate::lock::{self, LockError};

/// Longest build that another run may be busy with.
const LONGEST_BUILD: Duration = Duration::from_secs(30 * 60);

/// Why something could not be kept in the cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file operation failed.
    #[error("failed to use {path} in the cache")]
    Io {
        /// File or directory.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A leftover could not be removed.
    #[error(transparent)]
    Remove(#[from] CommandError),
    /// Another run builds the same, too long.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// The directory `KIND-NAME` of the cache, made by `build` if it is not there. `build` gets an empty directory of its
/// own; a build that fails or is killed leaves nothing that a later run would take for a result.
pub async fn directory<E: From<CacheError>>(
    layout: &Layout,
    kind: &str,
    name: &str,
    build: impl AsyncFnOnce(&Utf8Path) -> Result<(), E>,
) -> Result<Utf8PathBuf, E> {
    let target = layout.cache().join(format!("{kind}-{name}"));
    if target.is_dir() {
        return Ok(target);
    }
    std::fs::create_dir_all(layout.cache()).map_err(failure(layout.cache()))?;
    let lock = layout.cache().join(format!("{kind}.lock"));
    let _lock = lock::acquire(&lock, LONGEST_BUILD).await.map_err(CacheError::from)?;
    if target.is_dir() {
        return Ok(target);
    }
    let scratch = layout.cache().join(format!("{kind}.building"));
    remove(&scratch).await.map_err(CacheError::from)?;
    std::fs::create_dir(&scratch).map_err(failure(&scratch))?;
    build(&scratch).await?;
    std::fs::rename(&scratch, &target).map_err(failure(&target))?;
    Ok(target)
}

/// Removes the directories `KIND-…` of the cache other than `KIND-NAME`.
pub async fn keep_only(layout: &Layout, kind: &str, name: &str) -> Result<(), CacheError> {
    let (prefix, kept) = (format!("{kind}-"), format!("{kind}-{name}"));
    let listed: io::Result<Vec<_>> = layout.cache().read_dir_utf8().map_err(failure(layout.cache()))?.collect();
    for entry in listed.map_err(failure(layout.cache()))? {
        if entry.file_name().starts_with(&prefix) && entry.file_name() != kept {
            remove(entry.path()).await?;
        }
    }
    Ok(())
}

/// Removes a directory tree, without leaving its file system.
pub(crate) async fn remove(path: &Utf8Path) -> Result<(), CommandError> {
    command::run(&["rm", "--recursive", "--force", "--one-file-system", "--", path.as_str()]).await?;
    Ok(())
}

fn failure(path: &Utf8Path) -> impl Fn(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(directory: &tempfile::TempDir) -> Layout {
        let root = Utf8Path::from_path(directory.path()).unwrap();
        Layout::new(root.join("state"), root.join("cache")).unwrap()
    }

    async fn build(layout: &Layout, contents: Option<&str>) -> Result<Utf8PathBuf, CacheError> {
        directory(layout, "thing", "1", async |scratch: &Utf8Path| {
            let file = scratch.join("file");
            let contents = contents.ok_or_else(|| failure(&file)(io::ErrorKind::Other.into()))?;
            std::fs::write(&file, contents).map_err(failure(&file))
        })
        .await
    }

    #[tokio::test]
    async fn what_is_built_is_built_once() {
        let temporary = tempfile::tempdir().unwrap();
        let layout = layout(&temporary);
        let first = build(&layout, Some("first")).await.unwrap();
        assert_eq!(build(&layout, Some("second")).await.unwrap(), first);
        assert_eq!(std::fs::read_to_string(first.join("file")).unwrap(), "first");
    }

    #[tokio::test]
    async fn a_build_that_failed_is_begun_again_from_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let layout = layout(&temporary);
        std::fs::create_dir_all(layout.cache().join("thing.building/leftover")).unwrap();
        assert!(build(&layout, None).await.is_err());
        let built = build(&layout, Some("again")).await.unwrap();
        assert!(!built.join("leftover").exists());
    }

    #[tokio::test]
    async fn older_results_of_the_same_kind_go_and_others_stay() {
        let temporary = tempfile::tempdir().unwrap();
        let layout = layout(&temporary);
        for name in ["thing-1", "thing-2", "other-1"] {
            std::fs::create_dir_all(layout.cache().join(name)).unwrap();
        }
        keep_only(&layout, "thing", "2").await.unwrap();
        assert!(!layout.cache().join("thing-1").exists());
        assert!(layout.cache().join("thing-2").exists() && layout.cache().join("other-1").exists());
    }
}
