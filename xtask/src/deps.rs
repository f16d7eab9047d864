//! The arrow check: which crate may know which other crate, how long a file may be, and which names say nothing.
//!
//! The allowed arrows are the ones of docs/architecture.md. Dev-dependencies are free except that nothing but tests may
//! use `testkit`.

use crate::{Outcome, run};
use serde_json::Value;
use std::process::Command;

/// A crate and the crates of this workspace it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("onlay-api", &[]),
    ("onlay-core", &["onlay-api"]),
    ("onlay-host", &[]),
    ("onlay-ostree", &[]),
    ("onlay-guard", &["onlay-host"]),
    ("onlay-registry", &["onlay-api"]),
    ("onlay-controller", &["onlay-api", "onlay-core", "onlay-registry"]),
    ("onlay-agent", &["onlay-api", "onlay-core", "onlay-host"]),
    ("onlay-builder", &["onlay-api", "onlay-core", "onlay-host", "onlay-registry"]),
    ("onlay-webhook", &["onlay-api", "onlay-core"]),
    ("onlayd", &["onlay-agent", "onlay-builder", "onlay-controller", "onlay-webhook"]),
    ("onlay-cli", &["onlay-api", "onlay-builder", "onlay-core", "onlay-registry"]),
    ("onlay-testkit", &["onlay-api"]),
    ("onlay-fuzz", &["onlay-api", "onlay-core"]),
    ("onlay-e2e", &["onlay-api", "onlay-testkit"]),
    ("xtask", &["onlay-api", "onlay-cli", "onlay-testkit"]),
];

/// The longest a source file may be, in lines.
const MAX_LINES: usize = 500;

/// Names of modules that say nothing about what lives in them.
const NAMELESS: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

/// `cargo xtask deps`
pub fn run() -> Outcome {
    let metadata: Value =
        serde_json::from_str(&run::read(run::cargo().args(["metadata", "--no-deps", "--format-version=1"]))?)?;
    let files =
        run::read(Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]))?;
    let mut wrong = wrong_arrows(&metadata);
    for file in files.lines() {
        let Ok(text) = std::fs::read_to_string(run::root().join(file)) else { continue };
        wrong.extend(wrong_file(file, text.lines().count()));
    }
    if wrong.is_empty() {
        println!("deps: {} crates, {} files, every arrow points down", ARROWS.len(), files.lines().count());
        return Ok(());
    }
    Err(wrong.join("\n       ").into())
}

/// Every dependency between crates of the workspace that [`ARROWS`] does not allow.
fn wrong_arrows(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("crate {name} has no line in xtask/src/deps.rs: add it, and to docs/architecture.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let ours = packages.iter().any(|known| known["name"] == to);
            if ours && dependency["kind"].is_null() && !allowed.contains(&to) {
                wrong.push(format!("{name} -> {to}: this arrow is not in docs/architecture.md"));
            }
        }
    }
    wrong
}

/// What is wrong with one source file's name and length.
fn wrong_file(file: &str, lines: usize) -> Option<String> {
    let mut parts = file.split('/').map(|part| part.trim_end_matches(".rs"));
    if let Some(name) = parts.find(|part| NAMELESS.contains(part)) {
        return Some(format!("{file}: a module called {name} says nothing: name what lives there"));
    }
    (lines > MAX_LINES).then(|| format!("{file}: {lines} lines, at most {MAX_LINES}: split it by what the parts know"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<_> =
            dependencies.iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
        json!({"name": name, "dependencies": dependencies})
    }

    #[test]
    fn an_arrow_that_points_up_is_named() {
        let metadata = json!({"packages": [
            package("onlay-core", &[("onlay-controller", None), ("serde", None)]),
            package("onlay-controller", &[("onlay-core", None), ("onlay-testkit", Some("dev"))]),
            package("onlay-testkit", &[]),
        ]});
        assert_eq!(
            wrong_arrows(&metadata),
            ["onlay-core -> onlay-controller: this arrow is not in docs/architecture.md"]
        );
    }

    #[test]
    fn a_crate_without_a_line_is_named() {
        let metadata = json!({"packages": [package("onlay-new", &[])]});
        assert!(wrong_arrows(&metadata)[0].starts_with("crate onlay-new has no line"));
    }

    #[test]
    fn long_files_and_nameless_modules_are_named() {
        assert!(wrong_file("crates/core/src/utils.rs", 10).is_some());
        assert!(wrong_file("crates/core/src/common/mod.rs", 10).is_some());
        assert!(wrong_file("crates/core/src/merge.rs", 501).is_some());
        assert_eq!(wrong_file("crates/core/src/merge.rs", 500), None);
    }
}
