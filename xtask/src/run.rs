//! Running other programs: what they print is passed on, and the summaries of test runners are kept.

use onlay_testkit::programs::without_package;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Why a program that was run did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to start `{program}`: {source}")]
    Start { program: String, source: std::io::Error },
    #[error("`{program}` ended with {status}")]
    Ended { program: String, status: std::process::ExitStatus },
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// cargo, as a person's shell would run it.
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    without_package(&mut command);
    command
}

/// A program that yields to all others; cargo as [`cargo`].
pub fn yielding(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("nice");
    without_package(&mut command).args(["-n", "19"]).arg(program);
    command
}

/// The words of a command line, as a person would type them.
fn words(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    command.get_args().fold(program, |line, argument| line + " " + &argument.to_string_lossy())
}

/// Runs a command in the root of the checkout and passes on what it prints.
pub fn pass(command: &mut Command) -> Result<(), Error> {
    let program = words(command);
    let status =
        command.current_dir(root()).status().map_err(|source| Error::Start { program: program.clone(), source })?;
    if status.success() { Ok(()) } else { Err(Error::Ended { program, status }) }
}

/// Runs a command in the root of the checkout and returns what it prints to its standard output.
pub fn read(command: &mut Command) -> Result<String, Error> {
    let program = words(command);
    let output = command
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Error::Start { program: program.clone(), source })?;
    if !output.status.success() {
        return Err(Error::Ended { program, status: output.status });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a test runner, passes on what it prints, and returns the lines that hold a text, such as `test result:`.
///
/// The lines come back even when the runner failed, so that the summary can show what did run.
pub fn tests(command: &mut Command, summary: &str) -> (Vec<String>, Result<(), Error>) {
    let program = words(command);
    let mut child = match command.current_dir(root()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(source) => return (Vec::new(), Err(Error::Start { program, source })),
    };
    let mut summaries = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("{line}");
            if line.contains(summary) {
                summaries.push(line);
            }
        }
    }
    let outcome = match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::Ended { program, status }),
        Err(source) => Err(Error::Start { program, source }),
    };
    (summaries, outcome)
}
