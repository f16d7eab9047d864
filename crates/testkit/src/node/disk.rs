//! A node's disk: an ostree sysroot in a directory.
//!
//! One is installed from the registry, as on any machine, and kept in the cache. Each lab has a copy of it, the
//! seed, which shares no file with the cache. Those of the nodes start as copies of the seed that share with it the files
//! which ostree never changes in place: objects, and the deployments' /usr, which are links to objects.

use camino::{Utf8Path, Utf8PathBuf};

use crate::base_image::BaseImage;
use crate::cache::{self, CacheError};
use crate::command::{self, CommandError};
use crate::layout::{self, LayoutError};
use crate::node::boot_entry::{BootEntry, BootEntryError};
use crate::node::supervisor::STATEROOT;
use crate::{Layout, Progress};

mod kept;

/// The name, among the nodes, of the disk that the others are copied from.
const SEED: &str = "seed";

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
    /// The release of libostree is not known.
    #[error("failed to ask which libostree installs disks")]
    Version(#[source] CommandError),
    /// The installed disk could not be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
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
    /// The record of the kept disk could not be written.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// The disk does not boot.
    #[error(transparent)]
    Boot(#[from] BootEntryError),
}

/// Makes the seed as a copy of the disk that `image` gives, unless it is one. The lab's registry must have the image.
pub async fn make_seed(
    layout: &Layout,
    progress: &Progress,
    onlay_ostree: &Utf8Path,
    image: &BaseImage,
) -> Result<(), DiskError> {
    let installation = kept::Installation::of(onlay_ostree, image).await?;
    let record = layout.node_dir(SEED).join("kept");
    if std::fs::read_to_string(&record).is_ok_and(|name| name == installation.name()) {
        return Ok(());
    }
    copy_kept(layout, &installation.ensure(layout, progress).await?).await?;
    Ok(layout::write_whole(&record, installation.name(), 0o644)?)
}

/// Makes the seed as a copy of the disk `kept` that shares nothing with it, in place of what is there. One program copies
/// all of it: what is linked there is linked here. An attribute that cannot be copied is an error.
async fn copy_kept(layout: &Layout, kept: &Utf8Path) -> Result<(), DiskError> {
    let disk = layout.sysroot(SEED);
    remove(layout, SEED).await?;
    make_parent(&disk)?;
    let cp = ["cp", "--archive", "--preserve=xattr", "--reflink=auto", "--", kept.as_str(), disk.as_str()];
    let copied = command::run(&cp).await.map(drop);
    copied.map_err(|source| DiskError::Copy { what: "copy the kept disk to", disk, source })
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
    use std::os::unix::fs::{MetadataExt, symlink};

    use rustix::fs::{XattrFlags, getxattr, setxattr};

    use super::*;
    use crate::command::command;

    const ATTRIBUTE: &str = "trusted.lab";

    fn layout(directory: &tempfile::TempDir) -> Layout {
        let root = Utf8Path::from_path(directory.path()).unwrap();
        Layout::new(root.join("state"), root.join("cache")).unwrap()
    }

    /// Installs the smallest system into the new directory `disk`, by the program `ostree`.
    async fn install(disk: &Utf8Path, tree: &Utf8Path) {
        for path in ["boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "usr/bin", "usr/etc", "var"] {
            std::fs::create_dir_all(tree.join(path)).unwrap();
        }
        let modules = tree.join("usr/lib/modules/6.1.0-tiny");
        std::fs::create_dir_all(&modules).unwrap();
        symlink("sysroot/ostree", tree.join("ostree")).unwrap();
        for name in ["usr/bin/ping", "usr/etc/greeting", "usr/lib/os-release"] {
            std::fs::write(tree.join(name), "ID=tiny\n").unwrap();
        }
        for name in ["initramfs.img", "vmlinuz"] {
            std::fs::write(modules.join(name), name).unwrap();
        }
        setxattr(tree.join("usr/bin/ping").as_str(), ATTRIBUTE, b"kept", XattrFlags::empty()).unwrap();
        std::fs::create_dir_all(disk).unwrap();
        let (sysroot, repo) = (format!("--sysroot={disk}"), format!("--repo={disk}/ostree/repo"));
        let (tree, stateroot) = (format!("--tree=dir={tree}"), format!("--os={STATEROOT}"));
        for words in [
            &["admin", "init-fs", "--modern", disk.as_str()][..],
            &["admin", "os-init", sysroot.as_str(), STATEROOT],
            &[repo.as_str(), "config", "set", "sysroot.bootloader", "none"],
            &[repo.as_str(), "commit", "--branch=tiny", "--bootable", tree.as_str()],
            &["admin", "deploy", sysroot.as_str(), stateroot.as_str(), "--karg=rw", "tiny"],
        ] {
            command::output(command(&["ostree"]).args(words).env(kept::MUTABLE.0, kept::MUTABLE.1)).await.unwrap();
        }
    }

    /// Everything below `directory`, with what can be seen of it from outside.
    async fn listed(directory: &Utf8Path) -> Vec<String> {
        let format = "%P %y %m %U:%G %i %n %s %T@ %C@ %l\n";
        let found = command::run(&["find", directory.as_str(), "-printf", format]).await.unwrap();
        found.lines().map(str::to_owned).collect()
    }

    async fn is_immutable(directory: &Utf8Path) -> bool {
        let listed = command::run(&["lsattr", "-d", directory.as_str()]).await.unwrap();
        listed.split(' ').next().unwrap().contains('i')
    }

    #[tokio::test]
    async fn a_node_has_the_installed_disk_with_links_and_attributes_and_the_kept_one_never_changes() {
        let directory = tempfile::tempdir().unwrap();
        let layout = layout(&directory);
        let kept = layout.cache().join("disk-1");
        install(&kept, &layout.cache().join("tree")).await;
        let before = listed(&kept).await;

        copy_kept(&layout, &kept).await.unwrap();
        copy_seed(&layout, "worker-0").await.unwrap();

        let node = layout.sysroot("worker-0");
        let repo = format!("--repo={node}/ostree/repo");
        command::run(&["ostree", "fsck", "--quiet", &repo]).await.unwrap();
        let deployment = first_deployment(&layout, "worker-0").unwrap();
        assert!(is_immutable(&deployment).await);
        let ping = |root: &Utf8Path| BootEntry::newest(root).unwrap().deployment(root).unwrap().join("usr/bin/ping");
        let mut value = [0; 8];
        let length = getxattr(ping(&node).as_str(), ATTRIBUTE, &mut value).unwrap();
        assert_eq!(&value[..length], b"kept");
        let file = |root: &Utf8Path| ping(root).metadata().unwrap();
        assert_eq!(file(&node).ino(), file(&layout.sysroot(SEED)).ino());
        assert_eq!(file(&node).nlink(), 4, "the object and the file of the deployment, in the seed and in the node");
        assert_ne!(file(&node).ino(), file(&kept).ino());

        std::fs::write(deployment.join("etc/greeting"), "node\n").unwrap();
        std::fs::write(ping(&node), "node\n").unwrap();
        remove(&layout, "worker-0").await.unwrap();
        remove(&layout, SEED).await.unwrap();
        assert_eq!(listed(&kept).await, before);
        cache::keep_only(&layout, "disk", "2").await.unwrap();
        assert!(!kept.exists());
    }

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
