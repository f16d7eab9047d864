//! Commands that run and end: started without input, their output taken, their failure told in full.

use std::process::ExitStatus;

use tokio::process::Command;

use crate::lock;

/// A command that could not be run or that failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program could not be started.
    #[error("failed to start `{line}`; is the program installed?")]
    Start {
        /// Program and arguments.
        line: String,
        /// Why the kernel refused.
        source: std::io::Error,
    },
    /// The program ended with another status than 0.
    #[error("failed to run `{line}`: {status}: {stderr}")]
    Failed {
        /// Program and arguments.
        line: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error, else to standard output; the last lines when it is long.
        stderr: String,
    },
}

/// A command line from its words: `command(&["ip", "link"])`.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words.first().copied().unwrap_or_default());
    command.args(words.iter().skip(1));
    command
}

/// Runs `words` to the end and returns what it wrote to standard output.
pub async fn run(words: &[&str]) -> Result<String, CommandError> {
    output(&mut command(words)).await
}

/// Runs `command` to the end and returns what it wrote to standard output. The program reads an empty input and is
/// killed when the returned future is dropped.
///
/// While this process holds the lab's lock, the empty input is the lock's file, so the program holds the lock too: when
/// this process is killed, the next `up` or `down` waits for what still runs.
pub async fn output(command: &mut Command) -> Result<String, CommandError> {
    let line = line_of(command.as_std());
    let done = command.stdin(lock::input()).kill_on_drop(true).output().await;
    let done = done.map_err(|source| CommandError::Start { line: line.clone(), source })?;
    let stdout = String::from_utf8_lossy(&done.stdout);
    if done.status.success() {
        return Ok(stdout.into_owned());
    }
    let stderr = String::from_utf8_lossy(&done.stderr);
    let said = if stderr.trim().is_empty() { stdout.trim() } else { stderr.trim() };
    Err(CommandError::Failed { line, status: done.status, stderr: last_lines(said, 20) })
}

fn line_of(command: &std::process::Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_output_of_a_command_is_returned() {
        assert_eq!(run(&["printf", "a b"]).await.unwrap(), "a b");
    }

    #[tokio::test]
    async fn a_failure_names_the_line_the_status_and_the_words_of_the_program() {
        let error = run(&["sh", "-c", "echo no such thing >&2; exit 3"]).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3: no such thing"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = run(&["/nowhere/program"]).await.unwrap_err().to_string();
        assert!(error.contains("`/nowhere/program`"), "{error}");
    }
}
