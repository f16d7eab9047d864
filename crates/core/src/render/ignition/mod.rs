//! Ignition configurations: reading them, and merging one over another.
//!
//! Source of the rules: the Ignition specifications 3.0.0 to 3.5.0. A configuration of any of these versions becomes
//! one of 3.5.0: the newer ones only add fields.

mod fields;
pub(super) mod merge;
pub mod resource;
mod schema;
pub mod spec;
pub mod types;
pub mod unit;

#[cfg(test)]
mod tests;

use super::error::{Fault, Problem, excerpt};
pub use fields::Said;
use serde_json::Value;
use spec::path::At;
use types::Config;

/// Version of the specification that rendered configurations follow.
pub const VERSION: &str = "3.5.0";

const RELEASED: [&str; 6] = ["3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.4.0", VERSION];

/// Reads an Ignition configuration of version 3.0.0 to 3.5.0 as one of version 3.5.0.
///
/// An absent or empty `config` is an empty configuration. The paths of fields that the specification does not have are
/// added to `unknown`. Values are not looked at beyond their types.
pub fn read(config: &Value, unknown: &mut Vec<String>) -> Result<Config, Problem> {
    let mut said = Said::default();
    let known = read_all(config, &mut said);
    unknown.append(&mut said.unknown);
    said.problems.first().map(|()| known)
}

/// The same, with all that is wrong. Nothing is read of a version that is not known.
pub fn read_all(config: &Value, said: &mut Said) -> Config {
    let mut known = Config::default();
    let empty = config.is_null() || config.as_object().is_some_and(serde_json::Map::is_empty);
    let version = || check_version(config.get("ignition").and_then(|of| of.get("version")));
    if !empty && said.problems.take(version()).is_some() {
        fields::read(&mut known, config, At::Root, said);
    }
    VERSION.clone_into(&mut known.ignition.version);
    known
}

fn check_version(version: Option<&Value>) -> Result<(), Problem> {
    let fault = match version {
        None | Some(Value::Null) => Fault::VersionMissing,
        Some(Value::String(version)) if RELEASED.contains(&version.as_str()) => return Ok(()),
        Some(Value::String(version)) => unreadable_version(version),
        Some(other) => {
            Fault::Type { expected: "a text such as \"3.5.0\"".to_owned(), found: excerpt(&other.to_string()) }
        }
    };
    Err(fault.at("ignition.version"))
}

fn unreadable_version(version: &str) -> Fault {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten(), numbers.next()) {
        (Some(0..=2), Some(_), Some(_)) => Fault::VersionTooOld(excerpt(version)),
        (Some(3), Some(6..), Some(_)) | (Some(4..), Some(_), Some(_)) => Fault::VersionTooNew(excerpt(version)),
        _ => Fault::VersionUnknown(excerpt(version)),
    }
}
