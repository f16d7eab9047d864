//! Whether a rendered configuration fits into an object of the API, and whose contents make it large.
//!
//! Source of the rule: etcd takes requests of 1.5 MiB (`--max-request-bytes`, 1,572,864 unless it is told otherwise),
//! which is less than the 3 MiB that the API server reads of a request. It stores custom objects as the JSON of Go's
//! `encoding/json`, which writes each of `<`, `>` and `&` as six characters.

use std::cmp::Reverse;

use onlay_api::machine_config::{MachineConfig, MachineConfigSpec};

use super::error::RenderError;
use super::ignition::types::{Config, File, Resource, Unit};
use super::origin::Index;
use super::{bytes, ignition, merge};

/// Largest request of etcd, in bytes.
pub const MAX_REQUEST: usize = 1_572_864;
/// Room for what the API server adds to an object (owners, field managers, times) and for the request around it.
const ROOM: usize = 16 << 10;
/// Largest sum of specification and annotations, in bytes as they are stored.
pub const MAX_STORED: usize = MAX_REQUEST - ROOM;
/// MachineConfigs that an error names at most, and the part of all bytes, one in so many, from which on the second and the
/// third one are worth it.
const NAMED: usize = 3;
const SHARE: usize = 100;

/// Bytes of a JSON text in etcd.
pub fn stored(json: &str) -> usize {
    const ESCAPED: usize = r"\u0026".len();
    json.len() + bytes::count(json, |byte| (byte == b'<') | (byte == b'>') | (byte == b'&')) * (ESCAPED - 1)
}

/// Refuses a configuration of this many bytes, merged from these MachineConfigs, if no object can hold it.
pub fn check(bytes: usize, ordered: &[&MachineConfig], index: &Index) -> Result<(), RenderError> {
    if bytes <= MAX_STORED {
        return Ok(());
    }
    let mut contributors = Vec::new();
    for (number, machine_config) in ordered.iter().enumerate() {
        contributors.push((merge::name(machine_config).to_owned(), contributed(machine_config, number, index)?));
    }
    contributors.sort_by_key(|(_, bytes)| Reverse(*bytes));
    let named = contributors.iter().skip(1).take_while(|(_, own)| own * SHARE >= bytes).count() + 1;
    contributors.truncate(named.min(NAMED));
    Err(RenderError::TooLarge { bytes, limit: MAX_STORED, contributors })
}

/// Bytes that a MachineConfig adds: all that it says, without contents that a later one overrides.
fn contributed(machine_config: &MachineConfig, number: usize, index: &Index) -> Result<usize, RenderError> {
    let invalid = |problem| RenderError::Invalid { machine_config: merge::name(machine_config).to_owned(), problem };
    let mut config = ignition::read(&machine_config.spec.config, &mut Vec::new()).map_err(invalid)?;
    leave_out_overridden(&mut config, number, index);
    let spec = MachineConfigSpec { config: super::to_json(&config, "spec.config")?, ..machine_config.spec.clone() };
    Ok(stored(&super::to_json(&spec, "spec")?.to_string()))
}

fn leave_out_overridden(config: &mut Config, number: usize, index: &Index) {
    for file in &mut config.storage.files {
        let part = index.paths.get(&file.node.path);
        if part.and_then(|part| part.last("contents")) != Some(number) {
            file.contents = Resource::default();
        }
        if !part.is_some_and(|part| part.all().contains(&number)) {
            *file = File::default();
        }
    }
    for unit in &mut config.systemd.units {
        let part = index.units.get(&unit.name);
        let counts = |field: &str| part.and_then(|part| part.last(field)) == Some(number);
        let contents = unit.contents.take().filter(|_| counts("contents"));
        let dropins = std::mem::take(&mut unit.dropins).into_iter().filter(|dropin| counts(&dropin.name)).collect();
        *unit = Unit { contents, dropins, ..std::mem::take(unit) };
    }
}

#[cfg(test)]
mod tests;
