//! Which fields an Ignition 3 configuration may have, and of which type.
//!
//! Source: the fields of specification 3.5.0, which has every field of 3.0 to 3.4 with the same meaning. As Ignition
//! does, fields that the specification does not have are ignored, and reported so that a typing mistake is seen.

use std::fmt;

use super::super::error::{Fault, Problem, excerpt};
use serde_json::{Map, Value};

/// What a field takes. `null` is an absent field everywhere.
pub(super) enum Shape {
    Text,
    Whole,
    Flag,
    List(&'static Shape),
    Record(&'static [(&'static str, Shape)]),
    /// Refused unless empty; the text is the way out.
    Refused(&'static str),
}

use Shape::{Flag, List, Record, Refused, Text, Whole};

const DISK: &str = "lay out disks when the node is installed and leave this field out";
const ACCOUNT: &str = "create accounts and groups in the image, with a Containerfile, and leave this field out";

/// The whole configuration.
pub(super) const CONFIG: Shape = Record(&[
    (
        "ignition",
        Record(&[("version", Text), ("config", Refused("write what it would fetch into a MachineConfig of its own"))]),
    ),
    (
        "kernelArguments",
        Record(&[
            ("shouldExist", List(&Text)),
            ("shouldNotExist", Refused("remove the argument from the MachineConfig that adds it, or from the image")),
        ]),
    ),
    ("passwd", Record(&[("users", List(&USER)), ("groups", Refused(ACCOUNT))])),
    (
        "storage",
        Record(&[
            ("disks", Refused(DISK)),
            ("raid", Refused(DISK)),
            ("luks", Refused(DISK)),
            ("filesystems", Refused(DISK)),
            ("files", List(&FILE)),
            ("directories", List(&DIRECTORY)),
            ("links", List(&LINK)),
        ]),
    ),
    ("systemd", Record(&[("units", List(&UNIT))])),
]);

const OWNER: Shape = Record(&[("id", Whole), ("name", Text)]);

const RESOURCE: Shape = Record(&[
    ("source", Text),
    ("compression", Text),
    ("verification", Record(&[("hash", Text)])),
    ("httpHeaders", Refused("contents are data URLs, which have no headers")),
]);

const FILE: Shape = Record(&[
    ("path", Text),
    ("overwrite", Flag),
    ("user", OWNER),
    ("group", OWNER),
    ("mode", Whole),
    ("contents", RESOURCE),
    ("append", List(&RESOURCE)),
]);

const DIRECTORY: Shape =
    Record(&[("path", Text), ("overwrite", Flag), ("user", OWNER), ("group", OWNER), ("mode", Whole)]);

const LINK: Shape =
    Record(&[("path", Text), ("overwrite", Flag), ("user", OWNER), ("group", OWNER), ("target", Text), ("hard", Flag)]);

const UNIT: Shape = Record(&[
    ("name", Text),
    ("contents", Text),
    ("enabled", Flag),
    ("mask", Flag),
    ("dropins", List(&Record(&[("name", Text), ("contents", Text)]))),
]);

const USER: Shape = Record(&[
    ("name", Text),
    ("sshAuthorizedKeys", List(&Text)),
    ("passwordHash", Refused("use sshAuthorizedKeys, or set the password in the image")),
    ("uid", Refused(ACCOUNT)),
    ("gecos", Refused(ACCOUNT)),
    ("homeDir", Refused(ACCOUNT)),
    ("noCreateHome", Refused(ACCOUNT)),
    ("primaryGroup", Refused(ACCOUNT)),
    ("groups", Refused(ACCOUNT)),
    ("noUserGroup", Refused(ACCOUNT)),
    ("noLogInit", Refused(ACCOUNT)),
    ("shell", Refused(ACCOUNT)),
    ("shouldExist", Refused(ACCOUNT)),
    ("system", Refused(ACCOUNT)),
]);

/// The path of a value, which is written out only where there is something to say about it.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    Root,
    Field(&'a At<'a>, &'a str),
    Entry(&'a At<'a>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => out.write_str(name),
            Self::Field(parent, name) => write!(out, "{parent}.{name}"),
            Self::Entry(parent, index) => write!(out, "{parent}[{index}]"),
        }
    }
}

/// Copies what the shape knows out of `value`; the paths of what it does not know are added to `unknown`.
pub(super) fn read(value: &Value, shape: &Shape, at: At<'_>, unknown: &mut Vec<String>) -> Result<Value, Problem> {
    match (shape, value) {
        (_, Value::Null) | (Text, Value::String(_)) | (Flag, Value::Bool(_)) => Ok(value.clone()),
        (Whole, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
        (List(each), Value::Array(entries)) => entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                let of_entry = At::Entry(&at, index);
                let known = read(entry, each, of_entry, unknown)
                    .map_err(|problem| problem.in_entry(&at.to_string(), key(entry)))?;
                if known.is_null() { Err(wrong_type(each, &known, of_entry)) } else { Ok(known) }
            })
            .collect(),
        (Record(fields), Value::Object(given)) => read_record(given, fields, at, unknown),
        (Refused(_), value) if is_empty(value) => Ok(Value::Null),
        (Refused(way_out), _) => Err(Fault::Refused(way_out).at(at.to_string())),
        (expected, found) => Err(wrong_type(expected, found, at)),
    }
}

/// The text by which an entry of a list is known; empty if it has none.
fn key(entry: &Value) -> &str {
    entry.get("path").or_else(|| entry.get("name")).and_then(Value::as_str).unwrap_or_default()
}

fn read_record(
    given: &Map<String, Value>,
    fields: &[(&str, Shape)],
    at: At<'_>,
    unknown: &mut Vec<String>,
) -> Result<Value, Problem> {
    let mut known = Map::new();
    for (name, value) in given {
        let path = At::Field(&at, name);
        match fields.iter().find(|(field, _)| field == name) {
            Some((_, shape)) => {
                let value = read(value, shape, path, unknown)?;
                if !value.is_null() {
                    known.insert(name.clone(), value);
                }
            }
            None if is_empty(value) => {}
            None => unknown.push(excerpt(&path.to_string())),
        }
    }
    Ok(Value::Object(known))
}

/// Whether nothing is said, as in the `security: {tls: {}}` that generators write.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

fn wrong_type(shape: &Shape, found: &Value, at: At<'_>) -> Problem {
    let expected = match (shape, found) {
        (Text, _) => "a text".to_owned(),
        (Flag, _) => "true or false".to_owned(),
        (Whole, Value::String(text)) if text.starts_with('0') => match i64::from_str_radix(text, 8) {
            Ok(number) => format!("a whole number in decimal ({number} is octal {text})"),
            Err(_) => "a whole number".to_owned(),
        },
        (Whole, _) => "a whole number".to_owned(),
        (List(_), _) => "a list".to_owned(),
        (Record(_) | Refused(_), _) => "fields with values".to_owned(),
    };
    Fault::Type { expected, found: excerpt(&found.to_string()) }.at(match at {
        At::Root => "spec.config".to_owned(),
        at => at.to_string(),
    })
}
