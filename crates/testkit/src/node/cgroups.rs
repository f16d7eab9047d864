//! The control groups of one node: its own in every hierarchy, made before it starts, and the handle that ends it.
//!
//! A process of a node cannot leave its groups, so the groups name all of them: killing by group needs no guess about
//! parents and names. On machines with cgroup v1 a node is below the group of the process that started it, since a
//! limit on that one holds for the lab too; where the groups lie is written down, as another run may be elsewhere. With
//! v2 alone a group that has processes can have no groups with controllers below it, so the node's lies at the root.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::wait::{self, TimedOut};

/// How long a killed group may take to become empty.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the groups of a node could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A file of a group, or of the kernel's list of them.
    #[error("failed to {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A process did not end.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// The groups of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroups {
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    path: Utf8PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// Hierarchy of cgroup v1 that needs nothing before the first process.
    Plain,
    /// v1 cpuset: has no processors until some are given to it.
    Cpuset,
    /// v1 freezer: can stop all processes at once.
    Freezer,
    /// cgroup v2: can kill all processes at once.
    Unified,
}

impl Cgroups {
    /// Where the groups of a node called `name` lie when this process starts it. Makes nothing.
    pub fn plan(name: &str) -> Result<Self, CgroupError> {
        let read = |path: &'static str| {
            std::fs::read_to_string(path).map_err(|source| CgroupError::Io { what: "read", path: path.into(), source })
        };
        let groups = plan(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?, &format!("onlay-lab-{name}"));
        Ok(Self { groups })
    }

    /// Makes the groups; those that exist stay.
    pub fn create(&self) -> Result<(), CgroupError> {
        for group in &self.groups {
            let failed = |source| CgroupError::Io { what: "make", path: group.path.clone(), source };
            std::fs::create_dir_all(&group.path).map_err(failed)?;
            if group.kind == Kind::Cpuset {
                let parent = group.path.parent().unwrap_or(&group.path);
                give_processors(parent, &group.path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The files that a process writes `0` to in order to enter the groups.
    pub fn entrances(&self) -> impl Iterator<Item = Utf8PathBuf> {
        self.groups.iter().map(|group| group.path.join("cgroup.procs"))
    }

    /// Ends every process of the node at the same moment, as a power cut would, and removes the groups. Groups that do
    /// not exist are fine.
    pub async fn destroy(&self) -> Result<(), CgroupError> {
        self.freeze(true)?;
        let killed = self.kill();
        self.freeze(false)?;
        killed?;
        wait::until("the processes of the node to end", PATIENCE, async || {
            self.kill().map_err(|error| error.to_string())?;
            let left = self.processes().map_err(|error| error.to_string())?;
            if left.is_empty() { Ok(Some(())) } else { Err(format!("processes {left:?} are left")) }
        })
        .await?;
        wait::until("the groups of the node to go", PATIENCE, async || {
            let gone: io::Result<()> = self.groups.iter().try_for_each(|group| remove(&group.path));
            gone.map(Some).map_err(|error| error.to_string())
        })
        .await?;
        Ok(())
    }

    /// Every process of the node.
    pub fn processes(&self) -> Result<BTreeSet<i32>, CgroupError> {
        let mut found = BTreeSet::new();
        for group in &self.groups {
            collect(&group.path, &mut found).map_err(|source| CgroupError::Io {
                what: "list the processes of",
                path: group.path.clone(),
                source,
            })?;
        }
        Ok(found)
    }

    fn freeze(&self, frozen: bool) -> Result<(), CgroupError> {
        let state = if frozen { "FROZEN" } else { "THAWED" };
        self.write(Kind::Freezer, "freezer.state", state)
    }

    fn kill(&self) -> Result<(), CgroupError> {
        self.write(Kind::Unified, "cgroup.kill", "1")?;
        for pid in self.processes()?.into_iter().filter_map(Pid::from_raw) {
            // A process that ended since it was listed needs nothing.
            if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
                let _ended = pidfd_send_signal(handle, Signal::KILL);
            }
        }
        Ok(())
    }

    fn write(&self, kind: Kind, file: &str, value: &str) -> Result<(), CgroupError> {
        for group in self.groups.iter().filter(|group| group.kind == kind) {
            let path = group.path.join(file);
            match std::fs::write(&path, value) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(CgroupError::Io { what: "write", path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The groups called `name` in every hierarchy of `mounts` (proc_pid_mountinfo(5)), for a process in `own`
/// (proc_pid_cgroup(5)).
fn plan(mounts: &str, own: &str, name: &str) -> Vec<Group> {
    let v2_alone = own.lines().all(|line| line.starts_with("0::"));
    let own = if v2_alone { "0::/" } else { own };
    let mut groups: Vec<Group> = mounts.lines().filter_map(|line| group(line, own, name)).collect();
    groups.sort_by(|one, other| one.path.cmp(&other.path));
    groups.dedup_by(|one, other| one.path == other.path);
    groups
}

fn group(mount: &str, own: &str, name: &str) -> Option<Group> {
    let (place, rest) = mount.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, Utf8Path::new(place.next()?));
    let mut rest = rest.split(' ');
    let version = rest.next()?;
    let options: Vec<&str> = rest.nth(1)?.split(',').collect();
    let (mine, kind) = match version {
        "cgroup2" => (own.lines().find_map(|line| line.strip_prefix("0::"))?, Kind::Unified),
        "cgroup" => {
            let mine = own.lines().find_map(|line| own_group(line, &options))?;
            match &options {
                options if options.contains(&"cpuset") => (mine, Kind::Cpuset),
                options if options.contains(&"freezer") => (mine, Kind::Freezer),
                _ => (mine, Kind::Plain),
            }
        }
        _ => return None,
    };
    let below = mine.strip_prefix(root.trim_end_matches('/'))?.trim_start_matches('/');
    Some(Group { path: point.join(below).join(name), kind })
}

/// The path in a line `4:cpu,cpuacct:/own/group`, if the mount options name these controllers.
fn own_group<'a>(line: &'a str, options: &[&str]) -> Option<&'a str> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let named = !controllers.is_empty() && controllers.split(',').all(|one| options.contains(&one));
    named.then_some(path)
}

fn give_processors(parent: &Utf8Path, group: &Utf8Path) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        std::fs::write(group.join(file), std::fs::read_to_string(parent.join(file))?)?;
    }
    std::fs::write(group.join("cgroup.clone_children"), "1")
}

fn collect(group: &Utf8Path, found: &mut BTreeSet<i32>) -> io::Result<()> {
    match std::fs::read_to_string(group.join("cgroup.procs")) {
        Ok(text) => found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    subgroups(group)?.iter().try_for_each(|path| collect(path, found))
}

fn remove(group: &Utf8Path) -> io::Result<()> {
    subgroups(group)?.iter().try_for_each(|path| remove(path))?;
    match std::fs::remove_dir(group) {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}

fn subgroups(group: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let entries = match group.read_dir_utf8() {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        other => other?,
    };
    let paths = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(paths.map(|entry| entry.into_path()).collect())
}

/// A group that vanishes while it is read answers ENODEV.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "\
28 24 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
29 28 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
30 28 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
31 28 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
32 28 0:29 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
33 28 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 28 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
    const OWN: &str = "\
6:name=systemd:/
5:freezer:/
4:cpuset:/
3:memory:/limited/here
2:cpu,cpuacct:/
0::/session
";

    fn paths(mounts: &str, own: &str) -> Vec<(String, Kind)> {
        plan(mounts, own, "n").into_iter().map(|group| (group.path.into_string(), group.kind)).collect()
    }

    #[test]
    fn a_node_has_a_group_in_every_hierarchy_of_version_1_below_the_callers_own() {
        let expected = [
            ("/sys/fs/cgroup/cpu,cpuacct/n", Kind::Plain),
            ("/sys/fs/cgroup/cpuset/n", Kind::Cpuset),
            ("/sys/fs/cgroup/freezer/n", Kind::Freezer),
            ("/sys/fs/cgroup/memory/limited/here/n", Kind::Plain),
            ("/sys/fs/cgroup/systemd/n", Kind::Plain),
            ("/sys/fs/cgroup/unified/session/n", Kind::Unified),
        ];
        assert_eq!(paths(MIXED, OWN), expected.map(|(path, kind)| (path.to_owned(), kind)));
    }

    #[test]
    fn with_version_2_alone_it_lies_at_the_root_since_the_callers_own_group_has_processes() {
        let mounts = "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let own = "0::/user.slice/user-0.slice/session-1.scope\n";
        assert_eq!(paths(mounts, own), [("/sys/fs/cgroup/n".to_owned(), Kind::Unified)]);
    }

    #[test]
    fn a_hierarchy_that_is_mounted_from_below_its_root_is_understood() {
        let mounts = "30 28 0:27 /limited /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(paths(mounts, OWN), [("/sys/fs/cgroup/memory/here/n".to_owned(), Kind::Plain)]);
    }

    #[tokio::test]
    async fn groups_that_do_not_exist_are_already_destroyed() {
        let group = |path: &str, kind| Group { path: path.into(), kind };
        let groups = vec![group("/sys/fs/cgroup/none/a", Kind::Freezer), group("/sys/fs/cgroup/none/b", Kind::Unified)];
        Cgroups { groups }.destroy().await.unwrap();
    }

    #[tokio::test]
    async fn every_process_of_the_groups_ends_and_the_groups_go() {
        let cgroups = Cgroups::plan(&format!("test-{}", std::process::id())).unwrap();
        cgroups.create().unwrap();
        let enter =
            r#"for entrance in $GROUPS; do echo 0 > "$entrance" || exit 1; done; sleep 1000 & echo entered; wait"#;
        let entrances: Vec<String> = cgroups.entrances().map(Utf8PathBuf::into_string).collect();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", enter]).env("GROUPS", entrances.join(" ")).stdout(std::process::Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let mut word = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.take().unwrap()), &mut word).unwrap();
        assert_eq!((word.as_str(), cgroups.processes().unwrap().len()), ("entered\n", 2));

        cgroups.destroy().await.unwrap();

        assert!(!shell.wait().unwrap().success());
        assert!(cgroups.groups.iter().all(|group| !group.path.exists()));
    }
}
