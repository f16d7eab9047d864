//! Taking away the state directory: mounts below it first, then protected files, then all of it.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::mount::{UnmountFlags, unmount};

use crate::Layout;
use crate::command::{self, CommandError};
use crate::layout::LayoutError;

/// Why the state directory is still there.
#[derive(Debug, thiserror::Error)]
pub enum TeardownError {
    /// The table of mounts could not be read.
    #[error("failed to read the table of mounts; nothing was removed")]
    Mounts(#[source] io::Error),
    /// A file system below the state directory could not be unmounted.
    #[error("failed to unmount {path}; nothing was removed")]
    Unmount {
        /// The mount point.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Files could not be removed.
    #[error(transparent)]
    Remove(#[from] CommandError),
    /// The directory is not the lab's.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Unmounts everything below the state directory and removes it. Removing never leaves its file system, so that a
/// mount that was missed costs nobody's files. A directory without the lab's marker is left alone.
pub async fn remove_state(layout: &Layout) -> Result<(), TeardownError> {
    if !layout.is_ours() {
        return Ok(());
    }
    unmount_below(layout.state())?;
    let protected = immutable_directories(layout);
    if !protected.is_empty() {
        let paths = protected.iter().map(|path| path.as_str());
        command::run(&["chattr", "-f", "-i", "--"].into_iter().chain(paths).collect::<Vec<_>>()).await?;
    }
    // The marker goes last: a run that is killed here is finished by the next one.
    let mut remove = command::command(&["rm", "--recursive", "--force", "--one-file-system", "--"]);
    remove.args(children(layout.state()).into_iter().filter(|path| *path != layout.marker()));
    command::output(&mut remove).await?;
    command::run(&["rm", "--recursive", "--force", "--one-file-system", "--", layout.state().as_str()]).await?;
    Ok(())
}

/// Unmounts what is mounted below `directory`, the innermost first. Nothing is followed, and a busy one goes when its
/// last user does.
pub fn unmount_below(directory: &Utf8Path) -> Result<(), TeardownError> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").map_err(TeardownError::Mounts)?;
    for path in mounts_below(&table, directory) {
        unmount(path.as_str(), UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
            .map_err(|source| TeardownError::Unmount { path, source: source.into() })?;
    }
    Ok(())
}

/// Mount points below `directory` in a table of mounts (proc_pid_mountinfo(5)), the last one first.
fn mounts_below(table: &str, directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let points = table.lines().rev().filter_map(|line| line.split(' ').nth(4)).map(unescape).map(Utf8PathBuf::from);
    points.filter(|point| point != directory && point.starts_with(directory)).collect()
}

/// A mount point as it is: blanks and the like are written as `\` and three octal digits.
fn unescape(point: &str) -> String {
    let (first, rest) = point.split_once('\\').map_or((point, None), |(first, rest)| (first, Some(rest)));
    let mut text = first.to_owned();
    for part in rest.into_iter().flat_map(|rest| rest.split('\\')) {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => text.extend([char::from(byte)].into_iter().chain(part.chars().skip(3))),
            None => text.extend(['\\'].into_iter().chain(part.chars())),
        }
    }
    text
}

/// The roots of all deployments of all nodes: ostree makes them immutable.
fn immutable_directories(layout: &Layout) -> Vec<Utf8PathBuf> {
    let nodes = children(&layout.state().join("nodes"));
    let deployments = nodes.iter().filter_map(|node| node.file_name()).flat_map(|name| {
        let systems = children(&layout.sysroot(name).join("ostree/deploy"));
        systems.into_iter().flat_map(|system| children(&system.join("deploy")))
    });
    deployments.filter(|path| path.is_dir() && !path.is_symlink()).collect()
}

fn children(directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = directory.read_dir_utf8().map(|entries| entries.flatten().map(|entry| entry.into_path()).collect());
    entries.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:30 / /var/lib/onlay-lab rw - tmpfs tmpfs rw
31 30 0:31 / /var/lib/onlay-lab/nodes/cp-0/sysroot/ostree\\134x rw - tmpfs tmpfs rw
32 22 0:32 / /var/lib/onlay-lab-of-others rw - tmpfs tmpfs rw
33 31 0:33 / /var/lib/onlay-lab/a\\040b rw - tmpfs tmpfs rw
";

    #[test]
    fn only_mounts_below_the_directory_are_taken_and_the_innermost_first() {
        let found = mounts_below(TABLE, Utf8Path::new("/var/lib/onlay-lab"));
        assert_eq!(found, ["/var/lib/onlay-lab/a b", "/var/lib/onlay-lab/nodes/cp-0/sysroot/ostree\\x"]);
    }

    #[tokio::test]
    async fn a_directory_without_the_marker_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let layout = Layout::new(root.join("state"), root.join("cache")).unwrap();
        std::fs::create_dir_all(layout.state()).unwrap();
        std::fs::write(layout.state().join("thesis.txt"), "mine").unwrap();
        remove_state(&layout).await.unwrap();
        assert!(layout.state().join("thesis.txt").exists());
    }

    #[tokio::test]
    async fn mounts_and_immutable_deployments_do_not_keep_the_state_and_what_was_mounted_survives() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let layout = Layout::new(root.join("state"), root.join("cache")).unwrap();
        layout.create().unwrap();
        let (precious, mount) = (root.join("precious"), layout.node_dir("worker-0").join("run"));
        let deployment = layout.sysroot("worker-0").join("ostree/deploy/debian/deploy/abc.0");
        for path in [&precious, &mount, &deployment] {
            std::fs::create_dir_all(path).unwrap();
        }
        std::fs::write(precious.join("thesis.txt"), "mine").unwrap();
        command::run(&["mount", "--bind", precious.as_str(), mount.as_str()]).await.unwrap();
        command::run(&["chattr", "+i", deployment.as_str()]).await.unwrap();
        remove_state(&layout).await.unwrap();
        assert!(!layout.state().exists());
        assert_eq!(std::fs::read_to_string(precious.join("thesis.txt")).unwrap(), "mine");
    }
}
