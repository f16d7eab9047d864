//! The judge from outside: command lines of the real `butane`, and the same ones of `onlay butane`.
//!
//! `cargo xtask test` builds the real tool and names its directory in the variable ONLAY_JUDGES; without it this test fails.
//! That both translate alike is judged in crates/core/tests/judges; this is about arguments, streams, files and exit codes.

#![cfg(test)]

mod documents;
#[path = "../../../core/tests/judges/judge.rs"]
#[expect(dead_code, reason = "the other judges use the rest")]
mod judge;
mod table;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use table::{Line, Same, TABLE};

/// What is seen of a program that has run.
#[derive(Debug, PartialEq)]
struct Seen {
    exit: i32,
    /// Standard output as a value; none if it is empty.
    output: Option<Value>,
    /// The files that `--output` names; none for those that are not there.
    files: [Option<Value>; 2],
    /// Whether there are errors or warnings, whose words are each tool's own.
    speaks: bool,
}

#[test]
fn command_lines_end_as_those_of_the_real_tool() {
    let real = judge::program("butane");
    judge::all("butane, command lines", TABLE, |line| {
        let theirs = run(Command::new(&real).args(line.arguments.split_whitespace()), line);
        let mut onlay = Command::new(env!("CARGO_BIN_EXE_onlay"));
        let ours = run(onlay.arg("butane").args(line.arguments.split_whitespace()), line);
        let is_as_said = match line.same {
            Same::All => ours == theirs,
            Same::Exit(_) => ours.exit == theirs.exit,
            Same::Nothing { real, onlay, .. } => (theirs.exit, ours.exit) == (real, onlay),
        };
        let Line { name, arguments, same, .. } = line;
        (!is_as_said)
            .then(|| format!("{name}: `butane {arguments}`, {same:?}\ngives {ours:#?}\nbut the real tool {theirs:#?}"))
    });
}

#[test]
fn every_difference_has_a_reason_and_differs() {
    for line in TABLE {
        match line.same {
            Same::All => {}
            Same::Exit(why) => assert!(!why.is_empty(), "{}", line.name),
            Same::Nothing { real, onlay, why } => assert!(real != onlay && !why.is_empty(), "{}", line.name),
        }
    }
}

/// Runs a program where the documents lie.
fn run(command: &mut Command, line: &Line) -> Seen {
    let directory = documents::directory();
    command.current_dir(directory.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that reads no input may be gone before all of it is written.
    drop(child.stdin.take().unwrap().write_all(documents::bytes(line.input)));
    let ended = child.wait_with_output().unwrap();
    Seen {
        exit: ended.status.code().unwrap(),
        output: value(&ended.stdout),
        files: table::OUTPUTS.map(|name| value(&std::fs::read(directory.path().join(name)).ok()?)),
        speaks: !ended.stderr.is_empty(),
    }
}

/// A JSON or YAML text as a value; help and versions stay texts.
fn value(text: &[u8]) -> Option<Value> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let read = if text.starts_with('{') {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        serde_saphyr::from_str(&text).map_err(|error| error.to_string())
    };
    (!text.is_empty()).then(|| read.unwrap_or(Value::String(text)))
}
