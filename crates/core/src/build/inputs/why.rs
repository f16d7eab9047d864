//! Why two configurations do not share one image.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Inputs, Matters, SENSITIVE, describe_what, hex, is_below};
use crate::render::canonical_json;

/// Bytes of a digest in a record, two digits each.
const RECORD_BYTES: usize = 8;
/// Longest record that names every path, in bytes: all annotations of an object together may have 256 KiB.
const MAX_RECORD: usize = 64 << 10;

/// One thing that makes a new image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The pool had no images of its own.
    First,
    /// The base image has another digest.
    Base,
    /// This base image is named, where nothing says what it was before.
    BaseNamed(String),
    /// Nothing says any more what the base image is; it was this one.
    BaseUnnamed(String),
    /// The text of the Containerfile differs.
    Containerfile,
    /// The image is for nodes of other architectures.
    Architectures,
    /// This file beside the Containerfile differs.
    Beside(String),
    /// This build argument has another value.
    Argument(String),
    /// This name stands for another image.
    Image(String),
    /// Images are pushed to another repository.
    Repository,
    /// The images belong to another MachineOSConfig.
    MachineOsConfig,
    /// Other extensions are installed.
    Extensions,
    /// The image with the packages of extensions has another digest.
    ExtensionsImage,
    /// Another kernel is installed.
    KernelType,
    /// What is at this path differs, and the build can see it.
    Path(String),
    /// This unit differs, and the build can see it.
    Unit(String),
    /// This file differs, which the namespace of builds provides for package managers.
    Mounted(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("the pool gets images of its own"),
            Self::Base => f.write_str("the base image differs"),
            Self::BaseNamed(image) => {
                write!(f, "the base image becomes {image}, and nothing says what it is now")
            }
            Self::BaseUnnamed(image) => {
                write!(f, "nothing says what the base image becomes, and it is {image} now")
            }
            Self::Containerfile => f.write_str("the Containerfile differs"),
            Self::Architectures => f.write_str("the nodes have other architectures"),
            Self::Beside(name) => write!(f, "the file {name} beside the Containerfile differs"),
            Self::Argument(name) => write!(f, "the build argument {name} differs"),
            Self::Image(name) => write!(f, "the image that is called {name} differs"),
            Self::Repository => f.write_str("images are pushed to another repository"),
            Self::MachineOsConfig => f.write_str("the images belong to another MachineOSConfig"),
            Self::Extensions => f.write_str("the extensions differ"),
            Self::ExtensionsImage => f.write_str("the image with the extensions differs"),
            Self::KernelType => f.write_str("the kernel type differs"),
            Self::Path(path) if is_below(path, "/usr") => write!(f, "{path} differs, and is part of the image"),
            Self::Path(path) if SENSITIVE.iter().any(|place| is_below(path, place)) => {
                write!(f, "{path} differs, and is read by package managers or what they start")
            }
            Self::Path(path) => write!(f, "{path} differs, and the Containerfile names it"),
            Self::Unit(name) => write!(f, "the unit {name} differs, and the Containerfile names it"),
            Self::Mounted(path) => {
                write!(f, "{path} is read by the package manager, and its ConfigMap or Secret differs")
            }
        }
    }
}

/// Why the new inputs give another image than the old ones, sorted; empty exactly if [`super::build_name`] names both
/// the same.
///
/// What the build can see is asked of the new Containerfile.
pub fn why(old: &Inputs<'_>, new: &Inputs<'_>) -> Vec<Reason> {
    let matters = Matters::of(new.texts);
    between(&describe_what(old, &matters), &describe_what(new, &matters))
}

/// What an image is made from, short enough for an annotation of its build: digests instead of contents.
pub fn record(inputs: &Inputs<'_>) -> String {
    let described = describe_what(inputs, &Matters::of(inputs.texts));
    let all = shortened(&described, true).to_string();
    if all.len() <= MAX_RECORD { all } else { shortened(&described, false).to_string() }
}

/// Why an image is another one than an earlier one, by their records; empty where the earlier one cannot be read, or says too
/// little to tell.
pub fn since(old: &str, new: &str) -> Vec<Reason> {
    let (Ok(old), Ok(new)) = (serde_json::from_str(old), serde_json::from_str(new)) else { return Vec::new() };
    between(&old, &new)
}

/// The same with digests for everything but names; of lists, one digest for all if `by_name` is not wanted.
fn shortened(described: &Value, by_name: bool) -> Value {
    let short = |value: &Value| {
        let digest = Sha256::digest(canonical_json(value));
        Value::from(hex(digest.get(..RECORD_BYTES).unwrap_or(&digest)))
    };
    let entry = |entry: &Value| match &entry[0] {
        Value::String(name) if entry.is_array() => serde_json::json!([name, short(entry)]),
        _ => short(entry),
    };
    let fields = described.as_object().into_iter().flatten();
    let fields = fields.map(|(key, value)| match value {
        Value::Array(entries) if by_name => (key.clone(), entries.iter().map(entry).collect()),
        value => (key.clone(), short(value)),
    });
    Value::Object(fields.collect())
}

fn between(old: &Value, new: &Value) -> Vec<Reason> {
    let whole = [
        ("base", Reason::Base),
        ("containerfile", Reason::Containerfile),
        ("architectures", Reason::Architectures),
        ("repository", Reason::Repository),
        ("machineOSConfig", Reason::MachineOsConfig),
        ("extensions", Reason::Extensions),
        ("extensionsImage", Reason::ExtensionsImage),
        ("kernelType", Reason::KernelType),
    ];
    let mut reasons: Vec<Reason> =
        whole.into_iter().filter(|(key, _)| old[key] != new[key]).map(|(_, reason)| reason).collect();
    for key in ["files", "directories", "links"] {
        reasons.extend(differing(&old[key], &new[key]).into_iter().map(Reason::Path));
    }
    reasons.extend(differing(&old["units"], &new["units"]).into_iter().map(Reason::Unit));
    let mut differ = |key: &str, reason: fn(String) -> Reason| {
        reasons.extend(differing(&old[key], &new[key]).into_iter().map(reason));
    };
    differ("beside", Reason::Beside);
    differ("arguments", Reason::Argument);
    differ("images", Reason::Image);
    differ("mounts", Reason::Mounted);
    reasons.sort();
    reasons.dedup();
    reasons
}

/// Names of the entries that differ, or that only one side has.
fn differing(old: &Value, new: &Value) -> Vec<String> {
    let by_name = |list: &Value| -> BTreeMap<String, Value> {
        let entries = list.as_array().into_iter().flatten();
        entries.map(|entry| (entry[0].as_str().unwrap_or_default().to_owned(), entry.clone())).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}
