//! A node's disk: an ostree sysroot in a directory.
//!
//! The first one is installed from the registry, as on any machine. The others start as copies of it that share the
//! files which ostree never changes in place: objects, and the deployments' /usr, which are links to objects.

use camino::{Utf8Path, Utf8PathBuf};

use crate::base_image::BaseImage;
use crate::cache;
use crate::command::{self, CommandError, command};
use crate::layout::{self, LayoutError};
use crate::node::boot_entry::{BootEntry, BootEntryError};
use crate::node::supervisor::STATEROOT;
use crate::{Layout, registry};

/// The name, among the nodes, of the disk that the others are copied from.
const SEED: &str = "seed";
/// The kernel arguments of a node that nobody has configured.
const KERNEL_ARGUMENTS: [&str; 2] = ["root=LABEL=root", "rw"];

/// Why a disk could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The image could not be installed.
    #[error("failed to install {image} from the registry")]
    Install {
        /// The image by digest.
        image: String,
        /// What onlay-ostree said.
        source: CommandError,
    },
    /// The disk could not be copied or removed.
    #[error("failed to {what} {disk}")]
    Copy {
        /// What was tried.
        what: &'static str,
        /// The sysroot.
        disk: Utf8PathBuf,
        /// What the program said.
        source: CommandError,
    },
    /// The record of the image could not be written.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// The disk does not boot.
    #[error(transparent)]
    Boot(#[from] BootEntryError),
}

/// Installs the image from the registry onto the disk that others are copied from, unless it is there.
pub async fn install_seed(layout: &Layout, onlay_ostree: &Utf8Path, image: &BaseImage) -> Result<(), DiskError> {
    let disk = layout.sysroot(SEED);
    let (record, pull_spec) = (layout.node_dir(SEED).join("image"), image.pull_spec());
    if std::fs::read_to_string(&record).is_ok_and(|installed| installed == pull_spec) {
        return Ok(());
    }
    remove(layout, SEED).await?;
    let mut deploy = command(&[onlay_ostree.as_str(), "deploy", "--stateroot", STATEROOT]);
    deploy.args(["--sysroot", disk.as_str(), "--image", &pull_spec]);
    deploy.args(["--authfile", registry::auth_file(layout).as_str()]);
    deploy.args(["--cert-dir", registry::cert_dir(layout).as_str()]);
    deploy.args(KERNEL_ARGUMENTS.iter().flat_map(|argument| ["--karg", argument]));
    make_parent(&disk)?;
    let installed = command::output(&mut deploy).await;
    installed.map_err(|source| DiskError::Install { image: pull_spec.clone(), source })?;
    Ok(layout::write_whole(&record, pull_spec, 0o644)?)
}

/// Makes the disk of the node `name` as a copy of the seed, in place of what is there.
pub async fn copy_seed(layout: &Layout, name: &str) -> Result<(), DiskError> {
    let (seed, disk) = (layout.sysroot(SEED), layout.sysroot(name));
    remove(layout, name).await?;
    let failed = |source| DiskError::Copy { what: "copy the seed to", disk: disk.clone(), source };
    make_parent(&disk)?;
    command::run(&["cp", "--archive", "--link", seed.as_str(), disk.as_str()]).await.map_err(failed)?;
    for path in own_paths(&seed) {
        let (from, to) = (seed.join(&path), disk.join(&path));
        cache::remove(&to).await.map_err(failed)?;
        command::run(&["cp", "--archive", from.as_str(), to.as_str()]).await.map_err(failed)?;
    }
    let deployment = first_deployment(layout, name)?;
    command::run(&["chattr", "+i", deployment.as_str()]).await.map_err(failed)?;
    Ok(())
}

/// Removes everything of the node `name`, its disk too.
pub async fn remove(layout: &Layout, name: &str) -> Result<(), DiskError> {
    let disk = layout.sysroot(name);
    let failed = |source| DiskError::Copy { what: "remove", disk: disk.clone(), source };
    for deployment in children(&disk.join("ostree/deploy").join(STATEROOT).join("deploy")) {
        if deployment.is_dir() {
            command::run(&["chattr", "-i", deployment.as_str()]).await.map_err(failed)?;
        }
    }
    cache::remove(&layout.node_dir(name)).await.map_err(failed)
}

fn make_parent(disk: &Utf8Path) -> Result<(), LayoutError> {
    let directory = disk.parent().unwrap_or(disk);
    std::fs::create_dir_all(directory).map_err(|source| LayoutError::Io { path: directory.to_owned(), source })
}

/// The directory of the deployment that boots next.
pub fn first_deployment(layout: &Layout, name: &str) -> Result<Utf8PathBuf, DiskError> {
    let disk = layout.sysroot(name);
    Ok(BootEntry::newest(&disk)?.deployment(&disk)?)
}

/// The state root's /var, shared by all deployments.
pub fn var(layout: &Layout, name: &str) -> Utf8PathBuf {
    layout.sysroot(name).join("ostree/deploy").join(STATEROOT).join("var")
}

/// What a node changes in place, below its disk, so that a copy must not share it with the seed.
fn own_paths(seed: &Utf8Path) -> Vec<Utf8PathBuf> {
    let repository = children(&seed.join("ostree/repo")).into_iter().filter(|path| !path.ends_with("objects"));
    let deployments = children(&seed.join("ostree/deploy").join(STATEROOT).join("deploy"));
    let systems = deployments.into_iter().map(|path| if path.is_dir() { path.join("etc") } else { path });
    let whole = [seed.join("boot"), seed.join("ostree/deploy").join(STATEROOT).join("var")];
    let below = |path: Utf8PathBuf| path.strip_prefix(seed).map(Utf8Path::to_owned).unwrap_or(path);
    whole.into_iter().chain(repository).chain(systems).map(below).collect()
}

fn children(directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = directory.read_dir_utf8().map(|entries| entries.flatten().map(|entry| entry.into_path()).collect());
    let mut paths: Vec<_> = entries.unwrap_or_default();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_objects_and_usr_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let seed = Utf8Path::from_path(directory.path()).unwrap();
        let deployments = "ostree/deploy/debian/deploy";
        for path in ["boot/loader.1", "ostree/repo/objects/ab", "ostree/repo/refs", "ostree/deploy/debian/var/lib"] {
            std::fs::create_dir_all(seed.join(path)).unwrap();
        }
        for path in ["abc.0/etc", "abc.0/usr/bin"] {
            std::fs::create_dir_all(seed.join(deployments).join(path)).unwrap();
        }
        std::fs::write(seed.join(deployments).join("abc.0.origin"), "").unwrap();
        std::fs::write(seed.join("ostree/repo/config"), "").unwrap();
        let own: Vec<String> = own_paths(seed).into_iter().map(Utf8PathBuf::into_string).collect();
        let expected = [
            "boot",
            "ostree/deploy/debian/var",
            "ostree/repo/config",
            "ostree/repo/refs",
            "ostree/deploy/debian/deploy/abc.0/etc",
            "ostree/deploy/debian/deploy/abc.0.origin",
        ];
        assert_eq!(own, expected);
    }
}
