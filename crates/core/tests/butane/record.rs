//! Recordings of the real tool.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::cases::{self, Case};
use super::files::Folder;

#[derive(Serialize, Deserialize)]
struct Recording {
    /// What the real tool says of itself.
    recorded_from: String,
    cases: BTreeMap<String, Answer>,
}

/// What was recorded of a topic.
pub fn read(topic: &str) -> BTreeMap<String, Answer> {
    let text = std::fs::read_to_string(path(topic)).unwrap();
    let recording: Recording = serde_json::from_str(&text).unwrap();
    assert!(recording.recorded_from.starts_with("Butane v"), "{topic} does not say what recorded it");
    recording.cases
}

fn path(topic: &str) -> PathBuf {
    cases::folder().join(format!("recorded/{topic}.json"))
}

/// Asks the real tool, named by the variable BUTANE, for its answers.
#[test]
#[ignore = "needs the real tool: BUTANE=path/to/butane"]
fn record() {
    let tool = std::env::var("BUTANE").expect("BUTANE names the real tool");
    let version = Command::new(&tool).arg("--version").output().unwrap();
    let recorded_from = String::from_utf8(version.stdout).unwrap().trim().to_owned();
    for topic in cases::TOPICS {
        let answers = cases::of(topic).iter().map(|case| (case.name.clone(), ask(&tool, case))).collect();
        let recording = Recording { recorded_from: recorded_from.clone(), cases: answers };
        let text = serde_json::to_string_pretty(&recording).unwrap();
        std::fs::write(path(topic), text + "\n").unwrap();
    }
}

fn ask(tool: &str, case: &Case) -> Answer {
    let folder = Folder::of_the_cases();
    let mut command = Command::new(tool);
    command.arg("--raw-errors").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if case.files {
        command.arg("--files-dir").arg(folder.path());
    }
    command.args(case.raw.then_some("--raw")).args(case.strict.then_some("--strict"));
    let mut child = command.spawn().unwrap();
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
