//! Daemons of the lab: started in a session of their own, recorded, and stopped by exactly that record.
//!
//! A record is written by the process itself before it becomes the daemon, so that no kill of the starter leaves a
//! daemon without a record. It holds the boot id of the machine and the process's line of `/proc/PID/stat`; process id
//! and start time together name one process for as long as the machine runs, and signals go through a pidfd, so a
//! number that the kernel has given to another process is never signalled.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::Layout;
use crate::wait::{self, TimedOut};

/// Writes the record (first argument), then becomes the daemon (the others).
const BECOME: &str =
    r#"cat /proc/sys/kernel/random/boot_id "/proc/$$/stat" > "$1.new" && mv "$1.new" "$1" && shift && exec "$@""#;

/// How long a daemon may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// How long a daemon may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Why a daemon could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// One of that name runs already.
    #[error("failed to start {name}: it runs already as process {pid}")]
    Running {
        /// Name in the lab.
        name: String,
        /// Its process id.
        pid: i32,
    },
    /// The record or the log could not be written or read.
    #[error("failed to keep the record of {name} at {path}")]
    Record {
        /// Name in the lab.
        name: String,
        /// Record or log file.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The program could not be started.
    #[error("failed to start {name} (`{program}`)")]
    Start {
        /// Name in the lab.
        name: String,
        /// The program.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// It does not run.
    #[error("failed to signal {name}: it does not run")]
    Absent {
        /// Name in the lab.
        name: String,
    },
    /// It could not be signalled.
    #[error("failed to signal {name}, process {pid}")]
    Signal {
        /// Name in the lab.
        name: String,
        /// Its process id.
        pid: i32,
        /// What the kernel said.
        source: io::Error,
    },
    /// It ended instead of coming up.
    #[error("failed to start {name}: it ended; the end of {log}:\n{text}")]
    Ended {
        /// Name in the lab.
        name: String,
        /// Its log.
        log: Utf8PathBuf,
        /// The last lines of the log.
        text: String,
    },
    /// It did not come up or did not end.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// One process of this boot of the machine: id and start time, in clock ticks since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    pid: i32,
    started: u64,
}

/// Starts `command` as the daemon `name` and returns its process id.
///
/// Program, arguments, environment and directory of `command` count; input is empty and output goes to
/// [`Layout::log`]. The call returns when the record is written, just before the program itself begins.
pub async fn spawn(layout: &Layout, name: &str, command: std::process::Command) -> Result<i32, ProcessError> {
    if let Some(pid) = running(layout, name) {
        return Err(ProcessError::Running { name: name.to_owned(), pid });
    }
    let record = layout.record(name);
    let failed = |path: Utf8PathBuf| {
        let name = name.to_owned();
        move |source| ProcessError::Record { name, path, source }
    };
    match std::fs::remove_file(&record) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(record)(error)),
        _ => {}
    }
    let log_path = layout.log(name);
    let log = std::fs::File::options().create(true).append(true).open(&log_path);
    let log = log.map_err(failed(log_path.clone()))?;
    let log_too = log.try_clone().map_err(failed(log_path))?;

    let program = command.get_program().to_string_lossy().into_owned();
    let mut start = tokio::process::Command::from(in_own_session(command, &record));
    start.stdin(Stdio::null()).stdout(log).stderr(log_too);
    let mut child = start.spawn().map_err(|source| ProcessError::Start { name: name.to_owned(), program, source })?;
    let what = format!("the record of {name} (its log is {})", layout.log(name));
    let identity = wait::until(&what, Duration::from_secs(10), async || match recorded(layout, name) {
        Some(identity) => Ok(Some(identity)),
        None => match child.try_wait() {
            Ok(Some(status)) => Err(format!("it ended with {status}")),
            _ => Err("no record yet".to_owned()),
        },
    });
    Ok(identity.await?.pid)
}

/// Starts `command` as the daemon `name` unless it runs already, and waits until `ready` answers `Ok`.
///
/// `ready` says by its error what is still missing. A daemon that ends meanwhile is an error with the end of its log.
pub async fn ensure(
    layout: &Layout,
    name: &str,
    command: std::process::Command,
    mut ready: impl AsyncFnMut() -> Result<(), String>,
) -> Result<(), ProcessError> {
    if running(layout, name).is_none() {
        spawn(layout, name, command).await?;
    }
    wait::until(&format!("{name} to be ready"), PATIENCE, async || {
        if running(layout, name).is_none() {
            let log = layout.log(name);
            let text = end_of_log(&log);
            return Ok(Some(Err(ProcessError::Ended { name: name.to_owned(), log, text })));
        }
        ready().await.map(|()| Some(Ok(())))
    })
    .await?
}

/// The last lines of a log file, for an error.
pub fn end_of_log(path: &Utf8Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

fn in_own_session(command: std::process::Command, record: &Utf8PathBuf) -> std::process::Command {
    let mut start = std::process::Command::new("setsid");
    start.args(["sh", "-c", BECOME, "sh", record.as_str()]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => start.env(key, value),
            None => start.env_remove(key),
        };
    }
    start.current_dir(command.get_current_dir().unwrap_or(std::path::Path::new("/")));
    start
}

/// The process id of the daemon `name`, if it runs.
pub fn running(layout: &Layout, name: &str) -> Option<i32> {
    recorded(layout, name).filter(|identity| is_alive(*identity)).map(|identity| identity.pid)
}

/// Names of all daemons that have a record, running or not, in order.
pub fn names(layout: &Layout) -> Vec<String> {
    let Ok(entries) = layout.records().read_dir_utf8() else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_owned());
    let mut names: Vec<_> = names.filter(|name| !name.ends_with(".new")).collect();
    names.sort();
    names
}

/// Ends the daemon `name`: SIGTERM, and SIGKILL when it does not listen. One that does not run is no error.
pub async fn stop(layout: &Layout, name: &str) -> Result<(), ProcessError> {
    end(layout, name, &[(Signal::TERM, GRACE), (Signal::KILL, GRACE)]).await
}

/// Ends the daemon `name` by SIGKILL, as a crash would.
pub async fn kill(layout: &Layout, name: &str) -> Result<(), ProcessError> {
    end(layout, name, &[(Signal::KILL, GRACE)]).await
}

/// A daemon that stands still: it neither answers nor ends. It goes on when this is dropped.
#[derive(Debug)]
pub struct Frozen {
    name: String,
    identity: Identity,
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = send(&self.name, self.identity, Signal::CONT) {
            eprintln!("{error}");
        }
    }
}

/// Makes the daemon `name` stand still where it is, as long as the answer lives.
pub fn freeze(layout: &Layout, name: &str) -> Result<Frozen, ProcessError> {
    let alive = recorded(layout, name).filter(|identity| is_alive(*identity));
    let identity = alive.ok_or_else(|| ProcessError::Absent { name: name.to_owned() })?;
    send(name, identity, Signal::STOP)?;
    Ok(Frozen { name: name.to_owned(), identity })
}

async fn end(layout: &Layout, name: &str, ways: &[(Signal, Duration)]) -> Result<(), ProcessError> {
    if let Some(identity) = recorded(layout, name) {
        let mut ended = Ok(());
        for (signal, patience) in ways {
            send(name, identity, *signal)?;
            let what = format!("{name}, process {}, to end after {signal:?}", identity.pid);
            let gone = async || Ok::<_, String>((!is_alive(identity)).then_some(()));
            ended = wait::until(&what, *patience, gone).await;
            if ended.is_ok() {
                break;
            }
        }
        ended?;
    }
    let record = layout.record(name);
    match std::fs::remove_file(&record) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ProcessError::Record { name: name.to_owned(), path: record, source })
        }
        _ => Ok(()),
    }
}

fn send(name: &str, identity: Identity, signal: Signal) -> Result<(), ProcessError> {
    let failed = |source: rustix::io::Errno| ProcessError::Signal {
        name: name.to_owned(),
        pid: identity.pid,
        source: source.into(),
    };
    match open(identity) {
        Ok(Some(handle)) => match pidfd_send_signal(handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(failed(error)),
        },
        Ok(None) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// A handle on the process, or `None` if it has ended. The identity is checked after the handle is taken: from then on
/// the handle can only mean this process.
fn open(identity: Identity) -> rustix::io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(identity.pid) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => Ok(is_alive(identity).then_some(handle)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_alive(identity: Identity) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", identity.pid)).unwrap_or_default();
    matches!(parse_stat(&stat), Some((state, found)) if found == identity && !matches!(state, 'Z' | 'X'))
}

fn recorded(layout: &Layout, name: &str) -> Option<Identity> {
    let record = std::fs::read_to_string(layout.record(name)).ok()?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    identity_of(&record, boot.trim())
}

/// The process that a record names, or `None` if the machine has booted since.
fn identity_of(record: &str, boot: &str) -> Option<Identity> {
    let (recorded_boot, stat) = record.split_once('\n')?;
    if recorded_boot != boot {
        return None;
    }
    parse_stat(stat).map(|(_, identity)| identity)
}

/// State and identity from a line of `/proc/PID/stat` (proc(5)): field 1 is the id, 3 the state, 22 the start time.
/// Field 2, the name, may hold blanks and parentheses.
fn parse_stat(stat: &str) -> Option<(char, Identity)> {
    let (pid, _) = stat.split_once(" (")?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, Identity { pid: pid.parse().ok()?, started }))
}

#[cfg(test)]
mod tests;
