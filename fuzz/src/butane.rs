//! Butane files.

use onlay_core::butane::{LocalEntry, LocalError, LocalFiles, LocalNode, Options, Output, Severity, translate};
use onlay_core::render::ignition::spec::configuration;
use serde_json::Value;

/// A files directory with one of each.
struct Files;

const EXECUTABLE: &[u8] = b"#!/bin/sh\n";

impl LocalFiles for Files {
    fn read(&self, path: &str) -> Result<Vec<u8>, LocalError> {
        match path {
            "keys" => Ok(b"ssh-ed25519 AAAA a\r\n\nssh-ed25519 BBBB b".to_vec()),
            "unit" => Ok(b"[Service]\nExecStart=/bin/true\n".to_vec()),
            "raw" => Ok(vec![0xff; 200]),
            "tree" => Err(LocalError::IsFolder(path.to_owned())),
            _ => Err(LocalError::Missing(path.to_owned())),
        }
    }

    fn tree(&self, path: &str) -> Result<Vec<LocalEntry>, LocalError> {
        if path != "tree" {
            return Err(LocalError::Missing(path.to_owned()));
        }
        let file = |executable| LocalNode::File { contents: EXECUTABLE.to_vec(), executable };
        let link = LocalNode::Link { target: "etc/a".to_owned() };
        let nodes = [
            ("", LocalNode::Folder),
            ("etc", LocalNode::Folder),
            ("etc/a", file(false)),
            ("run", file(true)),
            ("l", link),
        ];
        Ok(nodes.map(|(path, node)| LocalEntry { path: path.to_owned(), node: Ok(node) }).into())
    }
}

/// Equal texts give equal results; what comes out is valid, and its text says what it is. A refusal names an error.
pub fn target(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Each text is tried one way; a blank behind it makes it the other.
    let options = Options { raw: text.len() % 2 == 1, strict: false };
    let translated = translate(text, &options, Some(&Files));
    assert_eq!(translated, translate(text, &options, Some(&Files)), "the same gave something else");
    match translated {
        Ok(translated) => check(&translated.output),
        Err(refusal) => assert!(
            refusal.findings.iter().any(|finding| finding.severity == Severity::Error),
            "a refusal without an error"
        ),
    }
}

fn check(output: &Output) {
    let value = output.value();
    let text = output.text(false);
    let (read, config) = match output {
        Output::Ignition(_) => (serde_json::from_str(&text).map_err(|error| error.to_string()), &value),
        Output::MachineConfig(_) => {
            let read = serde_saphyr::from_str::<Value>(&text).map_err(|error| error.to_string());
            (read, value.pointer("/spec/config").unwrap_or(&Value::Null))
        }
    };
    assert_eq!(read.as_ref(), Ok(&value), "the text is not what it says:\n{text}");
    let valid = configuration::of_value(config);
    assert!(valid.is_ok(), "what was translated is refused: {valid:?}\n{text}");
}
