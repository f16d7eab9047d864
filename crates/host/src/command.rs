//! The one way to run a program of the machine: its output on success, its last words in the error.

use std::io;
use std::process::{Command, ExitStatus, Stdio};

/// Bytes of standard error that an error keeps, from the end.
const LAST_WORDS: usize = 2000;

/// A program that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("failed to start `{line}`; is the program installed on the host?")]
    Start {
        /// Program and arguments.
        line: String,
        /// The system's answer.
        source: io::Error,
    },
    /// It ended with another status than 0.
    #[error("failed to run `{line}`: {status}: {stderr}")]
    Ended {
        /// Program and arguments.
        line: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
}

/// Runs programs of a machine. Tests replace it by recorded answers.
pub trait Run: Send + Sync {
    /// Runs `words` without input to the end, and returns what it wrote to standard output.
    fn run(&self, words: &[&str]) -> Result<String, Error>;
}

/// The machine that this process runs on, seen from where this process stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Here;

/// The machine that this process runs on, seen from its first process: from a pod with the host's process IDs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entered;

/// What enters the namespaces of the machine's first process.
const ENTER: [&str; 9] = ["nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--"];

impl Run for Here {
    fn run(&self, words: &[&str]) -> Result<String, Error> {
        output(words)
    }
}

impl Run for Entered {
    fn run(&self, words: &[&str]) -> Result<String, Error> {
        output(&[&ENTER, words].concat())
    }
}

fn output(words: &[&str]) -> Result<String, Error> {
    let line = words.join(" ");
    let mut command = Command::new(words.first().copied().unwrap_or_default());
    command.args(words.iter().skip(1)).stdin(Stdio::null());
    let output = command.output().map_err(|source| Error::Start { line: line.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let start = words.len().saturating_sub(LAST_WORDS);
    let start = (start..=words.len()).find(|place| words.is_char_boundary(*place)).unwrap_or(words.len());
    Err(Error::Ended { line, status: output.status, stderr: words[start..].trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_comes_back() {
        assert_eq!(Here.run(&["printf", "a b"]).unwrap(), "a b");
    }

    #[test]
    fn a_failure_keeps_the_last_words() {
        let error = Here.run(&["sh", "-c", "echo out; echo cause >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.contains("exit status: 3: cause"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Here.run(&["onlay-no-such-program", "x"]).unwrap_err().to_string();
        assert!(error.contains("`onlay-no-such-program x`"), "{error}");
    }
}
