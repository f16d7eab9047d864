//! Copies a definition's files into a root file system, with modes that do not depend on the checkout's umask.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};

use camino::Utf8Path;

use crate::fingerprint::{self, FingerprintError, Kind};

/// Copies everything below `from` over `root`. New files belong to the caller; files get 0644, or 0755 when they can be
/// executed.
pub(super) fn copy(from: &Utf8Path, root: &Utf8Path) -> Result<(), FingerprintError> {
    for entry in fingerprint::entries(from, Utf8Path::new(""))? {
        let target = root.join(&entry.path);
        let copied = match &entry.kind {
            Kind::Directory => make_directory(&target),
            Kind::Link(to) => symlink(to, &target),
            Kind::File { executable } => {
                copy_file(&from.join(&entry.path), &target, if *executable { 0o755 } else { 0o644 })
            }
        };
        copied.map_err(|source| FingerprintError::Read { path: target, source })?;
    }
    Ok(())
}

/// Copies one file and sets its mode.
pub(super) fn copy_file(from: &Utf8Path, to: &Utf8Path, mode: u32) -> io::Result<()> {
    std::fs::copy(from, to)?;
    std::fs::set_permissions(to, Permissions::from_mode(mode))
}

fn make_directory(path: &Utf8Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_the_right_to_execute_and_lose_the_umask() {
        let (from, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, root) = (Utf8Path::from_path(from.path()).unwrap(), Utf8Path::from_path(root.path()).unwrap());
        std::fs::create_dir_all(from.join("etc/deep")).unwrap();
        for (name, mode) in [("etc/deep/conf", 0o600), ("etc/run", 0o700)] {
            std::fs::write(from.join(name), name).unwrap();
            std::fs::set_permissions(from.join(name), Permissions::from_mode(mode)).unwrap();
        }
        symlink("deep/conf", from.join("etc/link")).unwrap();
        std::fs::create_dir(root.join("etc")).unwrap();

        copy(from, root).unwrap();

        let mode = |name| root.join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("etc/deep"), mode("etc/deep/conf"), mode("etc/run")), (0o755, 0o644, 0o755));
        assert_eq!(std::fs::read_to_string(root.join("etc/link")).unwrap(), "etc/deep/conf");
    }
}
