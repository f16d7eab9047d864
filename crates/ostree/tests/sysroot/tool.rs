//! Running programs and reading their answers.

use std::ffi::OsStr;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs a program that must succeed; returns its stdout.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = output(program, args);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs onlay-ostree, which must succeed; returns its JSON.
pub fn onlay_ostree(args: &[&str]) -> Value {
    let stdout = run(env!("CARGO_BIN_EXE_onlay-ostree"), args);
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// Runs onlay-ostree, which must fail; returns the last line of its stderr.
pub fn refused(args: &[&str]) -> String {
    let output = output(env!("CARGO_BIN_EXE_onlay-ostree"), args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?} must fail: {stderr}");
    assert!(output.stdout.is_empty(), "a failure prints nothing on stdout");
    stderr.lines().last().unwrap_or_default().to_string()
}

fn output(program: impl AsRef<OsStr>, args: &[&str]) -> Output {
    let program = program.as_ref();
    Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("failed to run {}: {error}", program.display()))
}
