//! Asking the real tool.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::answer::Answer;
use super::cases::Case;
use super::files::Folder;

/// What the real tool says of itself.
pub fn version(tool: &Path) -> String {
    let output = Command::new(tool).arg("--version").output().unwrap_or_else(|error| panic!("{tool:?}: {error}"));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the real tool answers.
pub fn ask(tool: &Path, case: &Case) -> Answer {
    let folder = Folder::of_the_cases();
    let mut command = Command::new(tool);
    command.arg("--raw-errors").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if case.files {
        command.arg("--files-dir").arg(folder.path());
    }
    command.args(case.raw.then_some("--raw")).args(case.strict.then_some("--strict"));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{tool:?}: {error}"));
    child.stdin.take().unwrap().write_all(case.text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(folder.path().to_str().unwrap(), "FILES");
    Answer { exit: output.status.code().unwrap(), stdout: text(output.stdout), stderr: in_order(&text(output.stderr)) }
}

/// The findings sorted, since the real tool names unknown keys in a random order; then the rest.
fn in_order(stderr: &str) -> String {
    let is_finding = |line: &&str| line.starts_with("error at ") || line.starts_with("warning at ");
    let (mut findings, rest): (Vec<&str>, Vec<&str>) = stderr.split_inclusive('\n').partition(is_finding);
    findings.sort_unstable();
    findings.concat() + &rest.concat()
}
