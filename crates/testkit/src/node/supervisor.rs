//! The machine around a node: power, firmware and boot loader, in place of which a small program runs systemd-nspawn.
//!
//! It boots the newest entry of the node's disk; a node that reboots is booted again from what is then the newest. It
//! runs as a process of its own, so a node lives on when the command that started it has ended. What it knows is in
//! [`State`], written whole at each change.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::command::{self, CommandError};
use crate::layout::{self, LayoutError};
use crate::network::BRIDGE;
use crate::node::boot_entry::{BootEntry, BootEntryError};
use crate::node::cgroups::{CgroupError, Cgroups};

/// The name of the state root, as the lab installs nodes.
pub const STATEROOT: &str = "debian";

/// Where systemd-nspawn keeps a directory of each machine, for mounts.
const PROPAGATED: &str = "/run/systemd/nspawn/propagate";
/// How systemd-nspawn says that the node wants to boot again.
const REBOOT: i32 = 133;
/// How long a node may take to shut down after SIGTERM; then its power is cut, before anybody loses patience with the
/// supervisor.
const SHUTDOWN: Duration = Duration::from_secs(8);
/// Enters the groups named in `GROUPS`, then becomes the command.
const ENTER: &str = r#"for entrance in $GROUPS; do echo 0 > "$entrance" || exit 1; done; exec "$@""#;
const INIT: &str = include_str!("../../../../lab/node/init");

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The disk has nothing that boots.
    #[error(transparent)]
    Boot(#[from] BootEntryError),
    /// The node's groups could not be made or removed.
    #[error(transparent)]
    Cgroups(#[from] CgroupError),
    /// A file could not be written or read.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// The node's description or state is not what the lab wrote.
    #[error("failed to read {path}")]
    Json {
        /// The file.
        path: Utf8PathBuf,
        /// Where the JSON is wrong.
        source: serde_json::Error,
    },
    /// The node's network link could not be removed.
    #[error(transparent)]
    Link(#[from] CommandError),
    /// A socket, a signal or systemd-nspawn failed.
    #[error("failed to {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What a supervisor needs to know of its node, kept as `machine.json` in the node's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the node.
    pub name: String,
    /// The node's groups.
    pub cgroups: Cgroups,
}

/// What a supervisor says of its node, kept as `state.json` in the node's directory. It counts only while the
/// supervisor runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// How often the node was booted since the supervisor started.
    pub boots: u64,
    /// The first process of the node, as the host numbers it; absent until the container exists.
    pub leader: Option<i32>,
    /// Whether systemd in the node has reached its target.
    pub ready: bool,
    /// The deployment that was booted, below the sysroot.
    pub deployment: String,
}

impl Machine {
    /// Reads the description from a node's directory.
    pub fn read(directory: &Utf8Path) -> Result<Self, SupervisorError> {
        read_json(&directory.join("machine.json"))
    }

    /// Writes the description into a node's directory.
    pub fn write(&self, directory: &Utf8Path) -> Result<(), SupervisorError> {
        write_json(&directory.join("machine.json"), self)
    }

    /// Ends all processes of the node at once and takes away what the kernel still holds for it. A node that is off
    /// stays so.
    pub async fn power_off(&self) -> Result<(), SupervisorError> {
        self.cgroups.destroy().await?;
        // The kernel removes it too, but later: a node that boots again needs the name.
        let link = format!("vb-{}", self.name);
        if Utf8Path::new("/sys/class/net").join(&link).exists() {
            match command::run(&["ip", "link", "delete", "dev", &link]).await {
                Err(_) if !Utf8Path::new("/sys/class/net").join(&link).exists() => {}
                done => drop(done?),
            }
        }
        // systemd-nspawn makes it at every start, and leaves it.
        match std::fs::remove_dir(format!("{PROPAGATED}/{}", self.name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(SupervisorError::Io {
                what: "remove the directory that systemd-nspawn has left of the node",
                source,
            }),
            _ => Ok(()),
        }
    }
}

impl State {
    /// Reads the state from a node's directory.
    pub fn read(directory: &Utf8Path) -> Result<Self, SupervisorError> {
        read_json(&directory.join("state.json"))
    }
}

/// Runs the node in `directory` until it powers off or this process gets SIGTERM, which shuts the node down.
pub async fn run(directory: &Utf8Path) -> Result<(), SupervisorError> {
    let machine = Machine::read(directory)?;
    let mut supervisor = Supervisor {
        terminate: signal(SignalKind::terminate()).map_err(io_error("listen for SIGTERM"))?,
        state: State::default(),
        directory,
        machine,
    };
    while supervisor.boot().await? == Ended::Reboot {}
    supervisor.machine.power_off().await
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Reboot,
    PowerOff,
}

struct Supervisor<'a> {
    directory: &'a Utf8Path,
    machine: Machine,
    state: State,
    terminate: Signal,
}

impl Supervisor<'_> {
    /// Boots the newest entry and waits for the end of the node.
    async fn boot(&mut self) -> Result<Ended, SupervisorError> {
        self.machine.power_off().await?;
        self.machine.cgroups.create()?;
        let sysroot = self.directory.join("sysroot");
        let entry = BootEntry::newest(&sysroot)?;
        let deployment = entry.deployment(&sysroot)?;
        let shared = self.directory.join("firmware");
        layout::write_whole(&shared.join("init"), INIT, 0o755)?;
        layout::write_whole(&shared.join("cmdline"), format!("{}\n", entry.options), 0o444)?;

        let below = deployment.strip_prefix(&sysroot).unwrap_or(&deployment);
        let boots = self.state.boots + 1;
        println!("boot {boots}: {}, {below}, {}", entry.title, entry.options);
        self.change(State { boots, leader: None, ready: false, deployment: below.to_string() })?;

        let socket_path = self.directory.join("notify.sock");
        let _absent = std::fs::remove_file(&socket_path);
        let socket = UnixDatagram::bind(&socket_path).map_err(io_error("listen for the node's word"))?;
        let mut nspawn = self.command(&deployment, &entry);
        nspawn.env("NOTIFY_SOCKET", &socket_path).stdin(Stdio::null());
        let child = nspawn.spawn().map_err(io_error("start systemd-nspawn"))?;
        let status = self.follow(child, &socket).await?;
        println!("boot {boots} ended: {status}");
        Ok(if status.code() == Some(REBOOT) { Ended::Reboot } else { Ended::PowerOff })
    }

    /// Listens to the node until it ends. SIGTERM shuts it down, and cuts its power when that takes too long.
    async fn follow(&mut self, mut child: Child, socket: &UnixDatagram) -> Result<ExitStatus, SupervisorError> {
        let mut message = [0; 4096];
        loop {
            tokio::select! {
                ended = child.wait() => return ended.map_err(io_error("wait for systemd-nspawn")),
                length = socket.recv(&mut message) => {
                    let length = length.map_err(io_error("hear the node's word"))?;
                    self.hear(&String::from_utf8_lossy(&message[..length]))?;
                }
                _ = self.terminate.recv() => return self.shut_down(child).await,
            }
        }
    }

    async fn shut_down(&self, mut child: Child) -> Result<ExitStatus, SupervisorError> {
        if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            let told = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            told.map_err(|error| io_error("tell systemd-nspawn to shut down")(error.into()))?;
        }
        match tokio::time::timeout(SHUTDOWN, child.wait()).await {
            // A node that was just rebooting must not come back.
            Ok(ended) => ended.map(|_| ExitStatus::from_raw(0)).map_err(io_error("wait for systemd-nspawn")),
            Err(_) => {
                println!("not down after {SHUTDOWN:?}: power cut");
                self.machine.power_off().await?;
                child.wait().await.map_err(io_error("wait for systemd-nspawn"))
            }
        }
    }

    fn hear(&mut self, message: &str) -> Result<(), SupervisorError> {
        let mut state = self.state.clone();
        for line in message.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => state.ready = true,
                Some(("X_NSPAWN_LEADER_PID", pid)) => state.leader = pid.parse().ok(),
                _ => {}
            }
        }
        self.change(state)
    }

    fn change(&mut self, state: State) -> Result<(), SupervisorError> {
        if state != self.state {
            write_json(&self.directory.join("state.json"), &state)?;
            self.state = state;
        }
        Ok(())
    }

    fn command(&self, deployment: &Utf8Path, entry: &BootEntry) -> Command {
        let sysroot = self.directory.join("sysroot");
        let groups: Vec<String> = self.machine.cgroups.entrances().map(Utf8PathBuf::into_string).collect();
        let mut command = Command::new("sh");
        command.args(["-c", ENTER, "sh", "systemd-nspawn"]).env("GROUPS", groups.join(" "));
        // Of /proc/sys only the network's part, which is the node's own, may be written: the rest is the machine's.
        command.env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network").env("SYSTEMD_NSPAWN_LOCK", "0");
        command.args(["--quiet", "--register=no", "--keep-unit", "--console=read-only", "--notify-ready=yes"]);
        command.args(["--kill-signal=SIGRTMIN+3", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]);
        command.args(["--capability=all", "--system-call-filter=@keyring bpf perf_event_open"]);
        command.args(["--bind=/dev/autofs", "--bind=/dev/fuse", "--bind=/dev/kmsg"]);
        command.arg(format!("--machine={}", self.machine.name)).arg(format!("--directory={deployment}"));
        command.arg(format!("--bind={sysroot}:/sysroot:norbind")).arg(format!("--bind={sysroot}/boot:/boot"));
        command.arg(format!("--bind={sysroot}/ostree/deploy/{STATEROOT}/var:/var"));
        command.arg(format!("--bind-ro={}/firmware:/run/firmware", self.directory));
        command.arg(format!("--network-bridge={BRIDGE}")).arg("/run/firmware/init").args(entry.arguments());
        command
    }
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> SupervisorError {
    move |source| SupervisorError::Io { what, source }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Utf8Path) -> Result<T, SupervisorError> {
    let text = std::fs::read_to_string(path).map_err(|source| LayoutError::Io { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| SupervisorError::Json { path: path.to_owned(), source })
}

fn write_json(path: &Utf8Path, value: &impl Serialize) -> Result<(), SupervisorError> {
    let text =
        serde_json::to_string(value).map_err(|source| SupervisorError::Json { path: path.to_owned(), source })?;
    Ok(layout::write_whole(path, text, 0o644)?)
}
