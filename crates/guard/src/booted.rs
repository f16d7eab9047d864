//! Which deployment is booted, without asking anybody.
//!
//! The root directory is the deployment's own directory, so the two have one inode. The `ostree=` argument of the
//! kernel cannot say it: the link that it names points elsewhere as soon as the order of deployments changes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};

/// A failed look at the deployments.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read {path}; is this an ostree system?")]
    Read { path: Utf8PathBuf, source: io::Error },
    #[error("failed to find the booted deployment: no directory in {0}/*/deploy is the root directory")]
    NotFound(Utf8PathBuf),
}

/// Where deployments are, below a root.
const DEPLOYMENTS: &str = "sysroot/ostree/deploy";

/// The id (`osname/checksum.serial`) of the deployment whose directory `root` is.
pub fn id(root: &Utf8Path) -> Result<String, Error> {
    let booted = inode(root)?;
    let deployments = root.join(DEPLOYMENTS);
    for osname in names(&deployments)? {
        let directory = deployments.join(&osname).join("deploy");
        for name in names(&directory).unwrap_or_default() {
            let same = inode(&directory.join(&name)).is_ok_and(|inode| inode == booted);
            if same {
                return Ok(format!("{osname}/{name}"));
            }
        }
    }
    Err(Error::NotFound(deployments))
}

/// The directory of a deployment, below a root.
pub fn directory(root: &Utf8Path, id: &str) -> Option<Utf8PathBuf> {
    let (osname, name) = id.split_once('/')?;
    let directory = root.join(DEPLOYMENTS).join(osname).join("deploy").join(name);
    directory.join("usr").is_dir().then_some(directory)
}

fn inode(path: &Utf8Path) -> Result<(u64, u64), Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Read { path: path.into(), source })?;
    Ok((metadata.dev(), metadata.ino()))
}

fn names(path: &Utf8Path) -> Result<Vec<String>, Error> {
    let entries = path.read_dir_utf8().map_err(|source| Error::Read { path: path.into(), source })?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string()).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use camino::{Utf8Path, Utf8PathBuf};
    use tempfile::TempDir;

    use super::{Error, directory, id};

    /// A disk with two deployments; each sees the disk as its /sysroot.
    fn disk() -> (TempDir, Utf8PathBuf) {
        let disk = TempDir::new().unwrap();
        let path = Utf8Path::from_path(disk.path()).unwrap().to_owned();
        for name in ["old.0", "new.1"] {
            let root = path.join("ostree/deploy/debian/deploy").join(name);
            fs::create_dir_all(root.join("usr")).unwrap();
            symlink(&path, root.join("sysroot")).unwrap();
        }
        fs::create_dir_all(path.join("ostree/deploy/other")).unwrap();
        (disk, path)
    }

    #[test]
    fn the_root_directory_is_the_booted_deployments_directory() {
        let (_disk, path) = disk();
        for name in ["old.0", "new.1"] {
            let root = path.join("ostree/deploy/debian/deploy").join(name);
            assert_eq!(id(&root).unwrap(), format!("debian/{name}"));
        }
    }

    #[test]
    fn a_root_that_is_no_deployment_is_an_error() {
        let (_disk, path) = disk();
        symlink(&path, path.join("sysroot")).unwrap();
        assert!(matches!(id(&path), Err(Error::NotFound(_))));
        assert!(matches!(id(&path.join("ostree")), Err(Error::Read { .. })));
    }

    #[test]
    fn a_deployment_has_a_directory_until_it_is_removed() {
        let (_disk, path) = disk();
        let root = path.join("ostree/deploy/debian/deploy/old.0");
        assert_eq!(directory(&root, "debian/new.1"), Some(root.join("sysroot/ostree/deploy/debian/deploy/new.1")));
        assert_eq!(directory(&root, "debian/gone.0"), None);
        assert_eq!(directory(&root, "nonsense"), None);
    }
}
