//! Nodes: machines with an ostree system that boot, reboot and lose their power.
//!
//! A node is a systemd-nspawn container that boots a deployment from a disk of its own, with containerd, kubelet and
//! kube-proxy inside. [`supervisor`] is the machine around it; this module switches it on and off and looks inside.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::Command;

use crate::base_image::BaseImage;
use crate::command::{self, CommandError};
use crate::layout::{self, LayoutError};
use crate::network::{self, NetworkError};
use crate::pki::Pki;
use crate::process::{self, ProcessError};
use crate::programs::Programs;
use crate::wait::{self, TimedOut};
use crate::{Layout, Progress};

pub mod boot_entry;
pub mod cgroups;
pub mod cluster;
pub mod disk;
pub mod held;
pub mod identity;
pub mod supervisor;

use cgroups::{CgroupError, Cgroups};
use disk::DiskError;
use identity::{Identity, IdentityError};
use supervisor::{Machine, State, SupervisorError};

/// How long a node may take to boot or to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a command and waits for it from outside the node's processes.
///
/// A node that shuts down stops all its processes before it kills them. nsenter would stop itself along with its child and
/// never see it end, and the node could not end before that. The shell does not care; `exit` keeps it from becoming the
/// command.
const PARENT: &str = r#""$@"; exit $?"#;

/// Why a node does not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The name is not a node's.
    #[error(transparent)]
    Name(#[from] NetworkError),
    /// Its disk could not be installed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its certificates and settings could not be written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its groups could not be found.
    #[error(transparent)]
    Cgroups(#[from] CgroupError),
    /// Its supervisor's files could not be used.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// Its supervisor could not be started or stopped.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// It does not run.
    #[error("failed to reach node {name}: it is switched off or between two boots")]
    Off {
        /// The node.
        name: String,
    },
    /// It ended while it was booting.
    #[error("failed to boot node {name}; the end of {log}:\n{words}")]
    Ended {
        /// The node.
        name: String,
        /// The supervisor's log.
        log: Utf8PathBuf,
        /// The last lines.
        words: String,
    },
    /// A command in the node failed.
    #[error("failed to act in node {name}")]
    Exec {
        /// The node.
        name: String,
        /// What it said.
        source: CommandError,
    },
    /// It did not boot or end in time.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// Makes everything that all nodes share: the supervisor's program and the disk that theirs are copied from. `image` must
/// have been pushed to the lab's registry, since a disk that is not in the cache is installed from there.
pub async fn prepare(
    layout: &Layout,
    progress: &Progress,
    programs: &Programs,
    image: &BaseImage,
) -> Result<(), NodeError> {
    let built = programs.supervisor();
    let bytes = std::fs::read(&built).map_err(|source| LayoutError::Io { path: built, source })?;
    layout::write_whole(&supervisor_program(layout), bytes, 0o755)?;
    Ok(disk::make_seed(layout, progress, &programs.ostree(), image).await?)
}

fn supervisor_program(layout: &Layout) -> Utf8PathBuf {
    layout.service("bin").join("onlay-lab-node")
}

/// The names of all nodes that are installed, in order.
pub fn installed(layout: &Layout) -> Vec<String> {
    let nodes = known(layout).into_iter().filter(Node::is_installed);
    nodes.map(|node| node.name).collect()
}

/// All nodes that have a directory, installed or not.
fn known(layout: &Layout) -> Vec<Node> {
    let directory = layout.node_dir("none");
    let entries = directory.parent().map(Utf8Path::read_dir_utf8);
    let Some(Ok(entries)) = entries else { return Vec::new() };
    let nodes = entries.flatten().filter_map(|entry| Node::new(layout, entry.file_name()).ok());
    let mut nodes: Vec<_> = nodes.collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    nodes
}

/// Cuts the power of every node, also of those that a killed run left behind. Disks stay.
pub async fn power_off_all(layout: &Layout) -> Result<(), NodeError> {
    futures::future::try_join_all(known(layout).iter().map(Node::power_cut)).await?;
    Ok(())
}

/// One node, whether it exists or not.
#[derive(Debug, Clone)]
pub struct Node {
    layout: Layout,
    name: String,
}

impl Node {
    /// The node called `name`: `cp-0`, `worker-1`.
    pub fn new(layout: &Layout, name: &str) -> Result<Self, NodeError> {
        network::address_of(name)?;
        Ok(Self { layout: layout.clone(), name: name.to_owned() })
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the node has a disk with a system and an identity.
    pub fn is_installed(&self) -> bool {
        self.directory().join("installed").is_file()
    }

    /// Gives the node a disk and an identity. One that is installed stays as it is.
    pub async fn install(&self, pki: &Pki) -> Result<(), NodeError> {
        if self.is_installed() {
            return Ok(());
        }
        disk::copy_seed(&self.layout, &self.name).await?;
        let etc = disk::first_deployment(&self.layout, &self.name)?.join("etc");
        Identity::new(&self.layout, pki, &self.name)?.write(&etc, &disk::var(&self.layout, &self.name))?;
        Ok(layout::write_whole(&self.directory().join("installed"), "", 0o644)?)
    }

    /// Cuts the power and removes the node's disk and everything else of it.
    pub async fn uninstall(&self) -> Result<(), NodeError> {
        self.power_cut().await?;
        Ok(disk::remove(&self.layout, &self.name).await?)
    }

    /// Whether the node is switched on.
    pub fn is_on(&self) -> bool {
        process::running(&self.layout, &self.daemon()).is_some()
    }

    /// Switches the node on and waits until it has booted. One that is on stays so.
    pub async fn start(&self) -> Result<(), NodeError> {
        if !self.is_on() {
            self.power_cut().await?;
            held::release(&self.directory())?;
            let machine = Machine { name: self.name.clone(), cgroups: Cgroups::plan(&self.name)? };
            machine.write(&self.directory())?;
            let mut supervisor = std::process::Command::new(supervisor_program(&self.layout));
            supervisor.arg(self.directory());
            process::spawn(&self.layout, &self.daemon(), supervisor).await?;
        }
        self.booted(1).await
    }

    /// Shuts the node down and switches it off.
    pub async fn stop(&self) -> Result<(), NodeError> {
        if self.is_on() {
            let asked = self.exec(&["systemctl", "--no-block", "poweroff"]).await;
            let ended = async || Ok::<_, String>((!self.is_on()).then_some(()));
            if asked.is_ok() {
                wait::until(&format!("node {} to shut down", self.name), PATIENCE, ended).await?;
            }
        }
        self.power_cut().await
    }

    /// Reboots the node as a person would, and waits until it has booted again.
    pub async fn reboot(&self) -> Result<(), NodeError> {
        let before = self.state()?.boots;
        self.exec(&["systemctl", "--no-block", "reboot"]).await?;
        self.booted(before + 1).await
    }

    /// Keeps the node at the beginning of its next boot, before systemd, as long as the answer lives and the power is there.
    pub fn hold_at_boot(&self) -> Result<held::Held, NodeError> {
        Ok(held::hold(&self.directory())?)
    }

    /// Ends everything in the node at once, without a shutdown, and leaves it off. What it had not written is lost to it
    /// as far as the kernel of this machine, which lives on, lets it be lost. A node that is off stays off.
    pub async fn power_cut(&self) -> Result<(), NodeError> {
        process::kill(&self.layout, &self.daemon()).await?;
        if self.directory().join("machine.json").is_file() {
            Machine::read(&self.directory())?.power_off().await?;
        }
        Ok(())
    }

    /// Waits until the node has booted for the `count`th time since it was switched on.
    pub async fn booted(&self, count: u64) -> Result<(), NodeError> {
        wait::until(&format!("node {} to boot", self.name), PATIENCE, async || match self.state() {
            Ok(state) if state.boots >= count && state.ready => Ok(Some(Ok(()))),
            Ok(state) => Err(format!("boot {} of {}", state.boots, state.deployment)),
            Err(_) if !self.is_on() => {
                let log = self.layout.log(&self.daemon());
                let words = process::end_of_log(&log);
                Ok(Some(Err(NodeError::Ended { name: self.name.clone(), log, words })))
            }
            Err(error) => Err(error.to_string()),
        })
        .await?
    }

    /// What the supervisor says of the node.
    pub fn state(&self) -> Result<State, NodeError> {
        if self.is_on() { Ok(State::read(&self.directory())?) } else { Err(NodeError::Off { name: self.name.clone() }) }
    }

    /// Runs a command in the node as root, with an empty input, and returns what it wrote to standard output.
    pub async fn exec(&self, words: &[&str]) -> Result<String, NodeError> {
        let mut inside = Command::from(self.inside(words)?);
        command::output(&mut inside).await.map_err(|source| NodeError::Exec { name: self.name.clone(), source })
    }

    /// A command line that runs `words` in the node as root, to be given a terminal.
    pub fn inside(&self, words: &[&str]) -> Result<std::process::Command, NodeError> {
        let off = || NodeError::Off { name: self.name.clone() };
        let leader = self.state()?.leader.ok_or_else(off)?.to_string();
        let mut enter = std::process::Command::new("nsenter");
        enter.args(["--target", &leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--no-fork", "--"]);
        enter.args(["sh", "-c", PARENT, "sh"]).args(words).env_clear().env("HOME", "/root").env("LANG", "C.UTF-8");
        enter.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if let Ok(terminal) = std::env::var("TERM") {
            enter.env("TERM", terminal);
        }
        Ok(enter)
    }

    /// A command line that shows the node's journal, of this and earlier boots, on or off; `arguments` are journalctl's.
    pub fn journal(&self, arguments: &[&str]) -> std::process::Command {
        let mut journalctl = std::process::Command::new("journalctl");
        journalctl.arg(format!("--directory={}", disk::var(&self.layout, &self.name).join("log/journal")));
        journalctl.args(arguments);
        journalctl
    }

    /// The directory that the node sees as `/`, reached from the host through its first process.
    pub fn root(&self) -> Result<Utf8PathBuf, NodeError> {
        let off = || NodeError::Off { name: self.name.clone() };
        Ok(Utf8PathBuf::from(format!("/proc/{}/root", self.state()?.leader.ok_or_else(off)?)))
    }

    fn directory(&self) -> Utf8PathBuf {
        self.layout.node_dir(&self.name)
    }

    fn daemon(&self) -> String {
        format!("node-{}", self.name)
    }
}
