//! What the fuzzer begins with: the cases of the ordinary tests, and the files of the project.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Error, file};
use crate::run;

/// Writes the seeds of a target into a directory.
pub fn write(target: &str, directory: &Path) -> Result<(), Error> {
    for (number, seed) in of(target)?.iter().enumerate() {
        let path = directory.join(number.to_string());
        fs::write(&path, seed).map_err(file("write", &path))?;
    }
    Ok(())
}

/// The seeds of a target.
pub fn of(target: &str) -> Result<BTreeSet<String>, Error> {
    match target {
        "butane" => butane(),
        "containerfile" => containerfiles(),
        "unit" => {
            let mut units = of_configurations("contents", |text| text.contains('['))?;
            units.extend(texts(&["crates/host/units", "lab/base/files"], |path| {
                has_ending(path, &["service", "preset"])
            })?);
            Ok(units)
        }
        "data-url" => of_configurations("source", |_| true),
        _ => Ok(configurations()?.iter().map(ToString::to_string).collect()),
    }
}

/// The Butane files of core's tests: in the newest version of both variants, or as they are.
fn butane() -> Result<BTreeSet<String>, Error> {
    let cases = run::root().join("crates/core/tests/butane/cases");
    let mut seeds = BTreeSet::new();
    for path in files_below(&cases)? {
        let text = fs::read_to_string(&path).map_err(file("read", &path))?;
        if has_ending(&path, &["jsonl"]) {
            seeds.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
            continue;
        }
        for (_, body) in text.split("=== ").filter_map(|section| section.split_once('\n')) {
            seeds.insert(format!("variant: fcos\nversion: 1.7.0\n{body}"));
            let labels = "{machineconfiguration.openshift.io/role: worker}";
            let metadata = format!("metadata: {{name: a, labels: {labels}}}\n");
            seeds.insert(format!("variant: openshift\nversion: 4.20.0\n{metadata}{body}"));
        }
    }
    Ok(seeds)
}

/// The Containerfiles of the project and of the cases that were kept.
fn containerfiles() -> Result<BTreeSet<String>, Error> {
    let is_one = |path: &Path| path.to_string_lossy().ends_with("Containerfile");
    let mut seeds = texts(&["images", "lab/base"], is_one)?;
    // Those in MachineOSConfigs, and those of the pages for users.
    for text in texts(&["examples", "docs/user"], |path| has_ending(path, &["yaml", "md"]))? {
        let blocks = text.split("FROM configs AS final").skip(1);
        seeds.extend(blocks.map(|block| {
            let lines = block.lines().take_while(|line| !line.contains("```"));
            let lines: Vec<_> = lines.map(|line| line.trim_start().to_owned()).collect();
            format!("FROM configs AS final{}\n", lines.join("\n"))
        }));
    }
    Ok(seeds)
}

/// What the real Butane made of core's Butane files.
fn configurations() -> Result<Vec<Value>, Error> {
    let mut found = Vec::new();
    for path in files_below(&run::root().join("crates/core/tests/butane/recorded"))? {
        let text = fs::read_to_string(&path).map_err(file("read", &path))?;
        let recording: Value = serde_json::from_str(&text).unwrap_or_default();
        let answers = recording["cases"].as_object().into_iter().flat_map(|cases| cases.values());
        found.extend(answers.filter_map(|answer| serde_json::from_str(answer["stdout"].as_str()?).ok()));
    }
    Ok(found)
}

/// The texts of all fields of this name in configurations.
fn of_configurations(field: &str, is_seed: fn(&str) -> bool) -> Result<BTreeSet<String>, Error> {
    let mut seeds = BTreeSet::new();
    configurations()?.iter().for_each(|config| collect(config, field, &mut seeds));
    seeds.retain(|seed| is_seed(seed));
    Ok(seeds)
}

fn collect(value: &Value, field: &str, seeds: &mut BTreeSet<String>) {
    match value {
        Value::Array(entries) => entries.iter().for_each(|entry| collect(entry, field, seeds)),
        Value::Object(fields) => {
            for (name, value) in fields {
                seeds.extend(value.as_str().filter(|_| name == field).map(str::to_owned));
                collect(value, field, seeds);
            }
        }
        _ => {}
    }
}

fn texts(directories: &[&str], is_one: impl Fn(&Path) -> bool) -> Result<BTreeSet<String>, Error> {
    let mut texts = BTreeSet::new();
    for directory in directories {
        for path in files_below(&run::root().join(directory))?.iter().filter(|path| is_one(path)) {
            texts.insert(fs::read_to_string(path).map_err(file("read", path))?);
        }
    }
    Ok(texts)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| endings.contains(&ending))
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(file("list", directory))? {
        let path = entry.map_err(file("list", directory))?.path();
        if path.is_dir() { found.extend(files_below(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}
