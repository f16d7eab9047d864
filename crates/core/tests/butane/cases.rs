//! The files in `cases/`: documents by name, each for one or more versions.

use std::path::PathBuf;

/// The files, without their endings.
pub const TOPICS: [&str; 5] = ["fields", "contents", "storage", "sugar", "documents"];
/// The versions of openshift at which something changes, and the last: what was recorded.
pub const RECORDED: &[u8] = &[8, 9, 10, 12, 13, 14, 18, 19, 20, 22];
const METADATA: &str = "metadata:\n  name: 50-case\n  labels:\n    machineconfiguration.openshift.io/role: worker\n";

/// A document and how it is translated.
#[derive(Debug)]
pub struct Case {
    /// Unique in its topic.
    pub name: String,
    /// The Butane file.
    pub text: String,
    /// Whether Ignition alone is asked for.
    pub raw: bool,
    /// Whether warnings are refused.
    pub strict: bool,
    /// Whether there is a files directory.
    pub files: bool,
}

/// Where these tests lie.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/butane")
}

/// The cases of a topic; `ocp` stands for these versions of openshift 4.
pub fn of(topic: &str, openshift: &[u8]) -> Vec<Case> {
    let documents = folder().join(format!("cases/{topic}.jsonl"));
    if documents.exists() {
        return of_documents(&std::fs::read_to_string(documents).unwrap());
    }
    let text = std::fs::read_to_string(folder().join(format!("cases/{topic}.cases"))).unwrap();
    text.split("=== ")
        .filter(|section| !section.trim().is_empty())
        .flat_map(|section| of_section(section, openshift))
        .collect()
}

/// Documents that stand alone: a JSON text each line.
fn of_documents(text: &str) -> Vec<Case> {
    let lines = text.lines().filter(|line| !line.starts_with('#')).enumerate();
    lines
        .flat_map(|(index, line)| {
            let text: String = serde_json::from_str(line).unwrap();
            let ways = [("", false, false), (" raw", true, false), (" strict", false, true)];
            ways.map(|(way, raw, strict)| Case {
                name: format!("document {}{way}", index + 1),
                text: text.clone(),
                raw,
                strict,
                files: true,
            })
        })
        .collect()
}

/// `EDITIONS | NAME | FLAGS`, then what follows the header of the document.
fn of_section(section: &str, openshift: &[u8]) -> Vec<Case> {
    let (header, body) = section.split_once('\n').unwrap();
    let parts: Vec<&str> = header.split('|').map(str::trim).collect();
    let flags = parts.get(2).copied().unwrap_or_default();
    let editions = parts[0].split(',').map(str::trim).flat_map(|text| editions(text, openshift));
    editions
        .map(|(variant, version)| {
            let metadata = if variant == "openshift" { METADATA } else { "" };
            Case {
                name: format!("{} @ {variant} {version}", parts[1..].join(", ")),
                text: format!("variant: {variant}\nversion: {version}.0\n{metadata}{body}"),
                raw: flags.contains("raw"),
                strict: flags.contains("strict"),
                files: !flags.contains("nofiles"),
            }
        })
        .collect()
}

/// `fcos`, `ocp`, `fcos 1.4` or `fcos 1.0-1.2`.
fn editions(text: &str, openshift: &[u8]) -> Vec<(String, String)> {
    let versions: Vec<String> = match text {
        "fcos" => (0..=7).map(|minor| format!("fcos 1.{minor}")).collect(),
        "ocp" => openshift.iter().map(|minor| format!("openshift 4.{minor}")).collect(),
        text => match text.split_once('-') {
            None => vec![text.to_owned()],
            Some((first, last)) => {
                let (before, first) = first.rsplit_once('.').unwrap();
                let last = last.rsplit_once('.').unwrap().1;
                let range = first.parse::<u8>().unwrap()..=last.parse::<u8>().unwrap();
                range.map(|minor| format!("{before}.{minor}")).collect()
            }
        },
    };
    let split = |edition: String| {
        let (variant, version) = edition.split_once(' ').unwrap();
        (variant.to_owned(), version.to_owned())
    };
    versions.into_iter().map(split).collect()
}
