//! MachineConfigs, merged into the one configuration of a pool.
//!
//! Source of the rules: the compatible API for the order and the fields of a MachineConfig, the specification of
//! Ignition for what its configurations say and how one is merged over another.

mod bytes;
pub mod desired;
mod error;
pub mod extension;
pub mod ignition;
pub mod kargs;
pub mod limit;
mod merge;
mod naming;
mod notice;
pub mod origin;
mod owner;
mod problems;
mod validate;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use onlay_api::machine_config::{MachineConfig, MachineConfigSpec};
use onlay_api::names;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use merge::Merged;
use origin::{Index, Origins};

pub use desired::Desired;
pub use error::{Fault, Problem, RenderError, TOO_LARGE, TOO_MANY};
pub use merge::problems;

/// Prefix of the names of rendered configurations.
const PREFIX: &str = "rendered-";
/// Bytes of the hash that a name shows, two digits each.
const HASH_BYTES: usize = 16;

/// The configuration of a pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// `rendered-<pool>-<32 hexadecimal digits>`; the digits depend on nothing but the specification.
    pub name: String,
    /// The merged specification.
    pub spec: MachineConfigSpec,
    /// Names of the MachineConfigs it was merged from, in merge order.
    pub sources: Vec<String>,
    /// The annotations that its object has in the cluster, whoever writes it: sources and origins.
    pub annotations: BTreeMap<String, String>,
    /// What was accepted but probably not meant.
    pub warnings: Vec<Warning>,
    index: Index,
}

impl Rendered {
    /// Which of the sources says what.
    pub fn origins(&self) -> Origins {
        self.index.named(&self.sources).unwrap_or_default()
    }
}

/// Something in a MachineConfig that is accepted but probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("MachineConfig {machine_config}: {field}: {text}")]
pub struct Warning {
    /// Name of the MachineConfig.
    pub machine_config: String,
    /// Path of the field.
    pub field: String,
    /// What there is to say about it.
    pub text: String,
}

/// Merges the MachineConfigs that a pool selects into its configuration.
///
/// The order of the argument does not matter, and rendered configurations in it are left out. No MachineConfig at all
/// gives an empty configuration. The result is complete: [`desired::of`] reads it without an error, and the API server
/// can store it.
pub fn render<'a>(
    pool_name: &str,
    machine_configs: impl IntoIterator<Item = &'a MachineConfig>,
) -> Result<Rendered, RenderError> {
    let ordered = merge::order(machine_configs);
    let Merged { mut spec, index, warnings } = merge::merge(&ordered)?;
    let text = canonical_spec(&mut spec)?;
    let hash: String = Sha256::digest(&text).iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let sources: Vec<String> = ordered.iter().map(|each| merge::name(each).to_owned()).collect();
    let annotations = annotations(&sources, &index)?;
    let stored = limit::stored(&text) + limit::stored(&json_text(&annotations, "metadata.annotations")?);
    limit::check(stored, &ordered, &index)?;
    Ok(Rendered { name: names::rendered(pool_name, &hash), spec, sources, annotations, warnings, index })
}

/// Whether a MachineConfig is a rendered configuration, which is never merged into another one.
pub fn is_rendered(machine_config: &MachineConfig) -> bool {
    merge::name(machine_config).starts_with(PREFIX)
}

fn annotations(sources: &[String], index: &Index) -> Result<BTreeMap<String, String>, RenderError> {
    let list = json_text(&sources, "metadata.annotations")?;
    let Some(room) = origin::MAX_TOGETHER.checked_sub(list.len()) else {
        return Err(RenderError::TooMany { number: sources.len(), bytes: list.len(), limit: origin::MAX_TOGETHER });
    };
    let index = index.encode(room.min(origin::MAX_INDEX))?;
    Ok(BTreeMap::from([(names::SOURCES_ANNOTATION.to_owned(), list), (names::ORIGINS_ANNOTATION.to_owned(), index)]))
}

/// The text of a specification. Its largest part is moved there and back, not copied.
fn canonical_spec(spec: &mut MachineConfigSpec) -> Result<String, RenderError> {
    let config = std::mem::take(&mut spec.config);
    let mut value = to_json(spec, "spec")?;
    value["config"] = config;
    let text = canonical_json(&value);
    spec.config = value["config"].take();
    Ok(text)
}

/// A JSON value as text that is the same for equal values: keys sorted, no white space.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_text(key, text);
                text.push(':');
                write_canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(entries) => {
            text.push('[');
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(entry, text);
            }
            text.push(']');
        }
        Value::String(plain) => write_text(plain, text),
        plain => text.push_str(&plain.to_string()),
    }
}

fn write_text(plain: &str, text: &mut String) {
    if bytes::all(plain, |byte| (byte >= b' ') & (byte != b'"') & (byte != b'\\')) {
        text.extend(["\"", plain, "\""]);
    } else {
        text.push_str(&Value::from(plain).to_string());
    }
}

fn to_json(value: &impl Serialize, field: &str) -> Result<Value, RenderError> {
    serde_json::to_value(value).map_err(|error| no_json(&error, field))
}

fn json_text(value: &impl Serialize, field: &str) -> Result<String, RenderError> {
    serde_json::to_string(value).map_err(|error| no_json(&error, field))
}

fn no_json(error: &serde_json::Error, field: &str) -> RenderError {
    let fault = Fault::Type { expected: "something that JSON can say".to_owned(), found: error.to_string() };
    RenderError::Rendered { problem: fault.at(field) }
}
