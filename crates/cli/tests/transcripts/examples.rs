//! Every example of the help, the man pages and docs/user/cli.md, run where they say.

use crate::session::{checkout, transcript};
use onlay_cli::examples::VERBS;

#[test]
fn every_example_shows_what_it_says() {
    let directory = checkout().join("examples/offline");
    for verb in VERBS {
        for (index, example) in verb.examples.iter().enumerate() {
            let text = transcript(&directory, example.line, b"");
            assert!(text.ends_with(&format!("exit {}\n", example.code)), "{text}");
            insta::assert_snapshot!(format!("{}_{}", verb.name, index + 1), text);
        }
    }
}

#[test]
fn the_files_of_the_examples_are_all_used() {
    let lines: Vec<&str> = VERBS.iter().flat_map(|verb| verb.examples).map(|example| example.line).collect();
    for entry in std::fs::read_dir(checkout().join("examples/offline")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(lines.iter().any(|line| line.contains(&name)), "no example uses examples/offline/{name}");
    }
}

#[test]
fn help_is_written_for_every_verb() {
    for verb in VERBS {
        insta::assert_snapshot!(
            format!("help_{}", verb.name),
            transcript(&checkout(), &format!("onlay {} --help", verb.name), b"")
        );
    }
    insta::assert_snapshot!("help", transcript(&checkout(), "onlay --help", b""));
    let kubectl = transcript(&checkout(), "kubectl-onlay render --help", b"");
    assert!(kubectl.contains("Usage: kubectl onlay render"), "{kubectl}");
}
