//! Running programs: the only place that does, so that every failure quotes what the program said.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

mod family;
mod follow;
mod programs;

pub use follow::Follow;
pub use programs::stop;

/// How many lines of a program's stderr an error quotes.
const QUOTED_LINES: usize = 12;
/// How long a program may run unless its runner says otherwise: pulling a large image over a slow line ends in it.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// What stands before a command that shall run on the host, for a container that shares the host's process ids.
const ON_HOST: [&str; 9] = ["nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--"];
const HOST_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there, or may not be run.
    #[error("failed to start `{command}`")]
    Start {
        /// The program and its arguments.
        command: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It ended without success.
    #[error("failed to run `{command}`: {status}{}", quote(.stderr))]
    Failed {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote to stderr.
        stderr: String,
    },
    /// It ran longer than it may, and was killed.
    #[error("failed to run `{command}`: it did not end within {} s{}", .limit.as_secs(), quote(.stderr))]
    TooLong {
        /// The program and its arguments.
        command: String,
        /// How long it could run.
        limit: Duration,
        /// The last lines that it wrote to stderr, unless it was followed.
        stderr: String,
    },
    /// It stood still longer than it may, and was killed.
    #[error("failed to run `{command}`: it read and wrote nothing for {} s", .patience.as_secs())]
    StoodStill {
        /// The program and its arguments.
        command: String,
        /// How long it may stand still.
        patience: Duration,
    },
    /// All programs are ended, or it would have begun after that; see [`stop`].
    #[error("`{command}` was ended, since this program was asked to end")]
    Stopped {
        /// The program and its arguments.
        command: String,
    },
}

/// Something that runs programs: a machine, or a test's idea of one.
pub trait Run {
    /// Runs `command` (a program and its arguments) and returns what it wrote to stdout.
    fn output(&self, command: &[&str]) -> Result<String, Error>;
}

/// Runs programs for real.
#[derive(Debug, Clone)]
pub struct Runner {
    prefix: &'static [&'static str],
    limit: Duration,
    until: Option<Instant>,
    cleans_up: bool,
}

impl Runner {
    /// Programs of the calling process's own root and environment.
    pub fn here() -> Runner {
        Runner { prefix: &[], limit: LIMIT, until: None, cleans_up: false }
    }

    /// Programs of the host, out of a privileged container with the host's process ids.
    pub fn on_host() -> Runner {
        Runner { prefix: &ON_HOST, limit: LIMIT, until: None, cleans_up: false }
    }

    /// The same runner, with another time limit for each program whose output is asked for. One that is followed has none.
    pub fn within(self, limit: Duration) -> Runner {
        Runner { limit, ..self }
    }

    /// The same runner, no program of which runs longer than to this time, whatever its own limit is.
    pub fn until(self, end: Option<Instant>) -> Runner {
        Runner { until: end, ..self }
    }

    /// The same runner for what is done in the end: its programs run although all others are ended ([`stop`]).
    pub fn to_clean_up(self) -> Runner {
        Runner { cleans_up: true, ..self }
    }

    /// Begins a program; none if all of them are ended.
    fn begin(&self, command: &mut Command) -> std::io::Result<Option<Child>> {
        if self.cleans_up { command.spawn().map(Some) } else { programs::begin(command) }
    }

    fn is_stopped(&self) -> bool {
        !self.cleans_up && programs::are_stopped()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that runs programs")]
    fn command(&self, words: &[&str]) -> Command {
        let (program, arguments) = words.split_first().map_or(("", words), |(program, rest)| (*program, rest));
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        if !self.prefix.is_empty() {
            command.env_clear().env("PATH", HOST_PATH).env("HOME", "/root").env("LC_ALL", "C.UTF-8");
        }
        command
    }
}

impl Run for Runner {
    fn output(&self, command: &[&str]) -> Result<String, Error> {
        let name = command.join(" ");
        let words: Vec<&str> = self.prefix.iter().chain(command).copied().collect();
        let start = |source| Error::Start { command: name.clone(), source };
        let left = self.until.map(|end| end.saturating_duration_since(Instant::now()));
        let limit = left.map_or(self.limit, |left| left.min(self.limit));
        let stopped = || Error::Stopped { command: name.clone() };
        let mut child = self.begin(&mut self.command(&words)).map_err(start)?.ok_or_else(stopped)?;
        let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
        let ended = wait(&mut child, Some(limit)).map_err(start)?;
        let (stdout, stderr) = (text(stdout), last_lines(&text(stderr)));
        tracing::debug!(command = name, ?ended, "ran");
        match ended {
            _ if self.is_stopped() => Err(stopped()),
            Some(status) if status.success() => Ok(stdout),
            Some(status) => Err(Error::Failed { command: name, status, stderr }),
            None => Err(Error::TooLong { command: name, limit, stderr }),
        }
    }
}

/// Waits for the end of `child`; after `limit` it and everything it started is killed, and there is no status.
fn wait(child: &mut Child, limit: Option<Duration>) -> std::io::Result<Option<ExitStatus>> {
    let Ok(handle) = rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty()) else {
        // Without handles for processes nothing can be waited for together with a limit.
        child.wait()?;
        return programs::reap(child).map(Some);
    };
    let end = limit.map(|limit| Instant::now() + limit);
    while !is_ready(&handle, end.map(|end| end.saturating_duration_since(Instant::now())))? {
        if end.is_some_and(|end| Instant::now() >= end) {
            programs::end(child)?;
            return Ok(None);
        }
    }
    programs::reap(child).map(Some)
}

/// Waits for something to happen to `handle`, for so long; says whether it did. May come back early, too.
fn is_ready(handle: &impl AsFd, limit: Option<Duration>) -> std::io::Result<bool> {
    let limit = limit.map(|limit| Timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    match rustix::event::poll(&mut [PollFd::new(handle, PollFlags::IN)], limit.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn reader<R: Read + Send + 'static>(stream: Option<R>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream
            && let Err(error) = stream.read_to_end(&mut bytes)
        {
            bytes.extend(format!("\n(the rest could not be read: {error})").into_bytes());
        }
        bytes
    })
}

fn text(reader: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
}

fn quote(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Error, Run as _, Runner};

    #[test]
    fn stdout_is_the_answer() {
        assert_eq!(Runner::here().output(&["sh", "-c", "echo no >&2; echo yes"]).unwrap(), "yes\n");
    }

    #[test]
    fn a_failure_quotes_the_end_of_stderr() {
        let script = "for i in $(seq 40); do echo line $i >&2; done; exit 3";
        let error = Runner::here().output(&["sh", "-c", script]).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("line 39\nline 40"), "{error}");
        assert!(!error.contains("line 28\n"), "{error}");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = Runner::here().output(&["onlay-no-such-program", "x"]).unwrap_err();
        assert!(matches!(&error, Error::Start { command, .. } if command == "onlay-no-such-program x"), "{error}");
    }

    #[test]
    fn output_larger_than_a_pipe_is_read() {
        assert_eq!(Runner::here().output(&["head", "-c", "300000", "/dev/zero"]).unwrap().len(), 300_000);
    }

    #[test]
    fn what_runs_too_long_is_killed_with_everything_it_started() {
        let started = Instant::now();
        let runner = Runner::here().within(Duration::from_secs(2));
        let error = runner.output(&["sh", "-c", "echo waiting >&2; sleep 60 & wait"]).unwrap_err();
        assert!(matches!(&error, Error::TooLong { stderr, .. } if stderr == "waiting"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_runs_past_the_time_for_all_programs_is_killed() {
        let runner = Runner::here().until(Some(Instant::now()));
        let error = runner.output(&["sh", "-c", "sleep 60"]).unwrap_err();
        assert!(matches!(&error, Error::TooLong { limit: Duration::ZERO, .. }), "{error}");
    }
}
