//! What a configuration cannot change on nodes that run.
//!
//! Source of the rule: FIPS mode is chosen when a node is installed, and Ignition, which reads `kernelArguments` of its own
//! configuration, runs at the first boot of a node and never again. Everything else that only a first boot reads (disks, RAID, LUKS,
//! file systems, groups, other users, `ignition.config`) no MachineConfig may have: [`crate::render`] refuses it, so no target has it.
//! What nodes run may, if another tool rendered it before onlay came; it was made then, and leaving it out changes nothing.

use onlay_api::machine_config::MachineConfigSpec;
use schemars::JsonSchema;
use serde::Serialize;

/// A field that cannot change on nodes that run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{field} cannot change on nodes that run: {way_out}")]
pub struct Refusal {
    /// Path of the field: from the root of the Ignition configuration, or from `spec`.
    pub field: String,
    /// Why not, and what to do.
    pub way_out: &'static str,
}

/// A configuration that nodes which run another one cannot get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to change the configuration: {}", refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Refused {
    /// Every field that cannot change, sorted by path.
    pub refusals: Vec<Refusal>,
}

/// Whether nodes that run the old rendered configuration can get the new one.
///
/// # Errors
/// Names every field that cannot change.
pub fn check(old: &MachineConfigSpec, new: &MachineConfigSpec) -> Result<(), Refused> {
    let mut refusals = Vec::new();
    if (old.fips == Some(true)) != (new.fips == Some(true)) {
        let way_out = "FIPS mode is chosen when a node is installed; take it back, or install nodes for another pool";
        refusals.push(Refusal { field: "spec.fips".to_owned(), way_out });
    }
    let should_exist = |spec: &MachineConfigSpec| {
        let list = spec.config["kernelArguments"]["shouldExist"].as_array();
        list.filter(|list| !list.is_empty()).cloned()
    };
    if should_exist(old) != should_exist(new) {
        let way_out = "they are for the first boot; write spec.kernelArguments of the MachineConfig instead";
        refusals.push(Refusal { field: "kernelArguments.shouldExist".to_owned(), way_out });
    }
    refusals.sort();
    if refusals.is_empty() { Ok(()) } else { Err(Refused { refusals }) }
}
