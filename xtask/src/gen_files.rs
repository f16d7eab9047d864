//! `cargo xtask gen`: files that are made from code, and the check that they are up to date.
//!
//! Each generated directory belongs to this command as a whole: what it does not write, it removes. docs/user is written
//! by people, but for one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::Value;

use crate::{Outcome, gen_cli, run};

const HEADER: &str = "# Written by `cargo xtask gen` from the types in crates/api.\n";

#[derive(clap::Args)]
pub struct Arguments {
    /// Change nothing; fail when a generated file is not up to date
    #[arg(long)]
    check: bool,
}

/// Why files cannot be generated, or are not as they should be.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Schema(#[from] onlay_api::SchemaError),
    #[error("failed to write {file} as YAML: {source}")]
    Yaml { file: String, source: serde_saphyr::ser::Error },
    #[error("failed to turn a definition or a schema into JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("failed to write what is made from the command line: {0}")]
    CommandLine(#[source] io::Error),
    #[error("failed to {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not up to date, {difference}; run `cargo xtask gen`", path.display())]
    Stale { path: PathBuf, difference: String },
}

/// Generated files of one directory.
struct Generated {
    /// Below the root of the checkout.
    directory: &'static str,
    /// Text by name.
    files: BTreeMap<String, String>,
    /// Whether every other file in the directory is a mistake.
    is_whole: bool,
}

/// `cargo xtask gen`
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.check {
        return check();
    }
    for generated in all()? {
        write(&run::root().join(generated.directory), &generated)?;
    }
    Ok(())
}

/// `cargo xtask gen --check`
pub fn check() -> Outcome {
    for generated in all()? {
        compare(&run::root().join(generated.directory), &generated)?;
    }
    Ok(())
}

fn all() -> Result<[Generated; 5], Error> {
    let whole = |directory, files| Generated { directory, files, is_whole: true };
    let reference = gen_cli::reference().map_err(Error::CommandLine)?;
    Ok([
        whole("deploy/crds", definitions()?),
        whole("docs/man", gen_cli::man_pages().map_err(Error::CommandLine)?),
        whole("docs/completions", gen_cli::completions()),
        whole("docs/schemas", gen_cli::schemas()?),
        Generated { directory: "docs/user", files: [("cli.md".to_owned(), reference)].into(), is_whole: false },
    ])
}

/// The files of the directory of definitions: text by name.
fn definitions() -> Result<BTreeMap<String, String>, Error> {
    let mut files = BTreeMap::new();
    for crd in onlay_api::crds()? {
        let name = format!("{}.yaml", crd.spec.names.plural);
        files.insert(name.clone(), yaml(&name, whole_numbers(serde_json::to_value(&crd)?))?);
    }
    let kustomization = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": files.keys().collect::<Vec<_>>(),
    });
    let name = "kustomization.yaml".to_owned();
    files.insert(name.clone(), yaml(&name, kustomization)?);
    Ok(files)
}

fn yaml(file: &str, value: Value) -> Result<String, Error> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(&value, options)
        .map(|text| format!("{HEADER}{text}"))
        .map_err(|source| Error::Yaml { file: file.to_owned(), source })
}

/// Bounds of numbers are floats in the type; as people write them they are whole.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => Value::from(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, whole_numbers(value))).collect(),
        other => other,
    }
}

fn write(directory: &Path, generated: &Generated) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(|source| failed("create", directory, source))?;
    for stranger in strangers(directory, generated)? {
        fs::remove_file(&stranger).map_err(|source| failed("remove", &stranger, source))?;
    }
    for (name, text) in &generated.files {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|source| failed("write", &path, source))?;
    }
    Ok(())
}

fn compare(directory: &Path, generated: &Generated) -> Result<(), Error> {
    for (name, expected) in &generated.files {
        let path = directory.join(name);
        let found = match fs::read_to_string(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(failed("read", &path, source)),
        };
        if let Some(difference) = first_difference(&found, expected) {
            return Err(Error::Stale { path, difference });
        }
    }
    match strangers(directory, generated)?.into_iter().next() {
        Some(path) => Err(Error::Stale { path, difference: "nothing makes this file any more".to_owned() }),
        None => Ok(()),
    }
}

/// Files of the directory that are not generated.
fn strangers(directory: &Path, generated: &Generated) -> Result<Vec<PathBuf>, Error> {
    if !generated.is_whole {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory).map_err(|source| failed("list", directory, source))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| failed("list", directory, source))?;
        if !generated.files.contains_key(entry.file_name().to_string_lossy().as_ref()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { action, path: path.to_owned(), source }
}

/// Where two texts part, in words.
fn first_difference(found: &str, expected: &str) -> Option<String> {
    if found == expected {
        return None;
    }
    let (mut left, mut right) = (found.lines(), expected.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (left.next(), right.next()) {
            (None, None) => return Some("only the line ends differ".to_owned()),
            (left, right) if left == right => {}
            (left, right) => {
                let show =
                    |line: Option<&str>| line.map_or("the end of the file".to_owned(), |line| format!("`{line}`"));
                return Some(format!("line {number} is {} instead of {}", show(left), show(right)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_text_reads_as_the_same_value() {
        for crd in onlay_api::crds().unwrap() {
            let value = whole_numbers(serde_json::to_value(&crd).unwrap());
            let read: Value = serde_saphyr::from_str(&yaml("x", value.clone()).unwrap()).unwrap();
            assert_eq!(read, value, "{}", crd.spec.names.kind);
        }
    }

    #[test]
    fn a_difference_is_named_by_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n").unwrap(), "line 2 is `b` instead of `c`");
        assert_eq!(first_difference("a\n", "a\nc\n").unwrap(), "line 2 is the end of the file instead of `c`");
        assert_eq!(first_difference("a", "a\n").unwrap(), "only the line ends differ");
    }

    #[test]
    fn a_changed_a_missing_and_a_strange_file_are_found_and_repaired() {
        let directory = std::env::temp_dir().join(format!("onlay-gen-{}", std::process::id()));
        let files = BTreeMap::from([("a.yaml".to_owned(), "a: 1\n".to_owned())]);
        let files = Generated { directory: "", files, is_whole: true };
        for break_it in [
            |directory: &Path| fs::write(directory.join("a.yaml"), "a: 2\n").unwrap(),
            |directory: &Path| fs::remove_file(directory.join("a.yaml")).unwrap(),
            |directory: &Path| fs::write(directory.join("b.yaml"), "b: 1\n").unwrap(),
        ] {
            write(&directory, &files).unwrap();
            compare(&directory, &files).unwrap();
            break_it(&directory);
            compare(&directory, &files).unwrap_err();
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
