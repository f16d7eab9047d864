//! A daemon that lives no longer than its owner, however the owner ends.
//!
//! A shell in a session of its own starts the daemon and waits on a pipe whose other end only the owner holds. When the
//! owner drops it, exits or is killed, the pipe closes, and the shell kills the daemon.

use std::fs::File;
use std::io;
use std::process::{Child, Command, Stdio};

use camino::Utf8PathBuf;
use tempfile::TempDir;

/// `$1` is a directory to remove at the end, or empty; the rest is the daemon.
const KEEP: &str = r#"
directory=$1; shift; exec 3<&0 </dev/null
"$@" 3<&- & daemon=$!
{ read -r _ <&3; kill -KILL $daemon; } 2>/dev/null & watch=$!
exec 3<&-
wait $daemon; status=$?
kill -KILL $watch 2>/dev/null
[ -z "$directory" ] || rm -rf -- "$directory"
exit $status
"#;

/// A new temporary directory with its path, for a tether to remove: keep it on disk as soon as a tether has it.
pub fn directory(prefix: &str) -> io::Result<(TempDir, Utf8PathBuf)> {
    let directory = tempfile::Builder::new().prefix(prefix).tempdir()?;
    let path = Utf8PathBuf::from_path_buf(directory.path().to_owned());
    Ok((directory, path.map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?))
}

/// A running daemon; dropping this ends it.
#[derive(Debug)]
pub struct Tether {
    shell: Child,
}

impl Tether {
    /// Starts `daemon` with its output in `log`. `remove` is a directory that goes away with it.
    pub fn start(daemon: &Command, log: File, remove: Option<&str>) -> io::Result<Self> {
        let mut shell = Command::new("setsid");
        shell.args(["sh", "-c", KEEP, "sh", remove.unwrap_or_default()]);
        shell.arg(daemon.get_program()).args(daemon.get_args()).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { shell: shell.spawn()? })
    }

    /// Whether the daemon has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }

    /// Ends the daemon, and returns when it and its directory are gone. A second call does nothing.
    pub fn end(&mut self) {
        drop(self.shell.stdin.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("failed to wait for the end of a daemon: {error}");
        }
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;
    use std::time::Duration;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[tokio::test]
    async fn a_daemon_and_its_directory_end_with_the_tether() {
        let directory = tempfile::tempdir().unwrap().keep();
        let (log, pid) = (directory.join("log"), directory.join("pid"));
        let script = format!("echo $$ > {}; exec sleep 1000", pid.display());
        let tether = Tether::start(&shell(&script), File::create(&log).unwrap(), directory.to_str()).unwrap();
        let written = async || Ok::<_, String>(std::fs::read_to_string(&pid).ok().filter(|text| text.ends_with('\n')));
        let daemon = wait::until("the daemon's number", Duration::from_secs(5), written).await.unwrap();
        drop(tether);
        assert!(!directory.exists());
        assert!(!std::path::Path::new("/proc").join(daemon.trim()).exists());
    }

    #[tokio::test]
    async fn a_daemon_that_ends_by_itself_is_seen() {
        let log = tempfile::tempfile().unwrap();
        let mut tether = Tether::start(&shell("exit 3"), log, None).unwrap();
        let ended = async || Ok::<_, String>(tether.has_ended().then_some(()));
        wait::until("the end of the daemon", Duration::from_secs(5), ended).await.unwrap();
    }
}
