//! Colours: where people look, and nowhere else. The terminal is a real one, which script(1) of util-linux makes.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::session::directory;
use rstest::rstest;

/// Columns of the terminal: as many as errors take where there is none.
const COLUMNS: u32 = 110;
const BROKEN: &str = "apiVersion: machineconfiguration.openshift.io/v1\nkind: KubeletConfig\nmetadata:\n  name: a\n";

/// What a line of a shell writes to a terminal of the kind `xterm`, where the files lie.
fn on_a_terminal(line: &str) -> String {
    let line = format!("stty cols {COLUMNS}; {line}");
    written(Command::new("script").args(["--quiet", "--return", "--command", &line, "/dev/null"])).replace("\r\n", "\n")
}

/// The same where there is no terminal.
fn into_a_pipe(line: &str) -> String {
    written(Command::new("sh").args(["-c", line]))
}

fn written(command: &mut Command) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_onlay")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), env::var("PATH").unwrap());
    let directory = directory(&[("a.yaml", BROKEN)]);
    command.current_dir(directory.path()).env_clear().env("PATH", path).env("TERM", "xterm").stdin(Stdio::null());
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// A text without what makes colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
}

#[rstest]
#[case::an_error("onlay validate a.yaml")]
#[case::help("onlay --help")]
#[case::wrong_arguments("onlay render")]
fn a_terminal_has_colours_and_a_pipe_the_same_text_without(#[case] line: &str) {
    let (seen, piped) = (on_a_terminal(line), into_a_pipe(&format!("{line} 2>&1")));
    assert!(seen.contains("\u{1b}["), "{seen:?}");
    assert_eq!(plain(&seen), piped);
}

#[rstest]
#[case::an_error("onlay validate a.yaml 2>&1 | cat")]
#[case::help("onlay --help | cat")]
#[case::an_error_where_nobody_wants_them("NO_COLOR=1 onlay validate a.yaml")]
#[case::help_where_nobody_wants_it("NO_COLOR=1 onlay --help")]
#[case::a_terminal_that_has_none("TERM=dumb onlay validate a.yaml")]
#[case::what_programs_read("onlay validate -o json a.yaml")]
fn no_colours(#[case] line: &str) {
    let seen = on_a_terminal(line);
    assert!(!seen.contains('\u{1b}') && seen.len() > 40, "{seen:?}");
}
