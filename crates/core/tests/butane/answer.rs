//! What the real tool answered.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use onlay_core::butane::{Finding as Found, Severity};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Exit code and what was printed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    pub exit: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

/// A finding without its words, which are our own: whether it is an error, path, line and column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    is_error: bool,
    path: String,
    place: Option<(usize, usize)>,
}

impl Answer {
    /// The output as a value.
    pub fn value(&self) -> Value {
        parsed(&self.stdout)
    }

    /// The findings of the report, one a line: `error at $.a.b, line 1 col 2: words`.
    pub fn findings(&self) -> Vec<Finding> {
        self.stderr.lines().filter_map(finding).collect()
    }
}

fn finding(line: &str) -> Option<Finding> {
    let (is_error, rest) = match line.strip_prefix("error") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix("warning")?),
    };
    let Some(rest) = rest.strip_prefix(" at ") else {
        return rest.starts_with(": ").then(|| Finding { is_error, path: "$".to_owned(), place: None });
    };
    let (path, rest) =
        if rest.starts_with('$') { rest.split_once(", line ")? } else { ("$", rest.strip_prefix("line ")?) };
    let (line, rest) = rest.split_once(" col ")?;
    let (column, _) = rest.split_once(": ")?;
    Some(Finding { is_error, path: path.to_owned(), place: Some((line.parse().ok()?, column.parse().ok()?)) })
}

impl From<&Found> for Finding {
    fn from(found: &Found) -> Self {
        Self {
            is_error: found.severity == Severity::Error,
            path: found.path.clone(),
            place: found.place.map(|place| (place.line, place.column)),
        }
    }
}

/// A JSON or YAML text as a value.
pub fn parsed(text: &str) -> Value {
    if text.starts_with('{') { serde_json::from_str(text).unwrap() } else { serde_saphyr::from_str(text).unwrap() }
}

/// The value with the contents of every resource unpacked, since two compressors seldom agree.
pub fn unpacked(value: &Value) -> Value {
    match value {
        Value::Array(entries) => entries.iter().map(unpacked).collect(),
        Value::Object(fields) => {
            let mut fields: serde_json::Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), unpacked(value))).collect();
            let source = fields.get("source").and_then(Value::as_str).and_then(bytes);
            let is_packed = fields.get("compression").and_then(Value::as_str) == Some("gzip");
            if let Some(source) = source {
                let contents = if is_packed { unpack(&source) } else { Some(source) };
                if let Some(contents) = contents {
                    fields.insert("source".to_owned(), Value::from(format!("{contents:?}")));
                    fields.entry("compression").and_modify(|compression| *compression = Value::from("any"));
                }
            }
            Value::Object(fields)
        }
        other => other.clone(),
    }
}

fn bytes(source: &str) -> Option<Vec<u8>> {
    let source = source.strip_prefix("data:")?;
    match source.strip_prefix(";base64,") {
        Some(text) => STANDARD.decode(text).ok(),
        None => Some(percent_encoding::percent_decode_str(source.strip_prefix(',')?).collect()),
    }
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut contents).ok()?;
    Some(contents)
}
