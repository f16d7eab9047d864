//! Recordings of the real tool.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::{ask, cases};

#[derive(Serialize, Deserialize)]
struct Recording {
    /// What the real tool says of itself.
    recorded_from: String,
    cases: BTreeMap<String, Answer>,
}

/// What was recorded of a topic.
pub fn read(topic: &str) -> BTreeMap<String, Answer> {
    recording(topic).cases
}

/// The tool that a topic was recorded from, as it names itself.
pub fn recorded_from(topic: &str) -> String {
    recording(topic).recorded_from
}

fn recording(topic: &str) -> Recording {
    serde_json::from_str(&std::fs::read_to_string(path(topic)).unwrap()).unwrap()
}

fn path(topic: &str) -> PathBuf {
    cases::folder().join(format!("recorded/{topic}.json"))
}

/// Asks the real tool, named by the variable BUTANE, for its answers.
#[test]
#[ignore = "needs the real tool: BUTANE=path/to/butane"]
fn record() {
    let tool = std::env::var("BUTANE").expect("BUTANE names the real tool");
    let tool = Path::new(&tool);
    let recorded_from = ask::version(tool);
    for topic in cases::TOPICS {
        let answers =
            cases::of(topic, cases::RECORDED).iter().map(|case| (case.name.clone(), ask::ask(tool, case))).collect();
        let recording = Recording { recorded_from: recorded_from.clone(), cases: answers };
        let text = serde_json::to_string_pretty(&recording).unwrap();
        std::fs::write(path(topic), text + "\n").unwrap();
    }
}
