//! What a configuration cannot change on nodes that run.
//!
//! Source of the rule: Ignition runs at the first boot of a node and never again, and FIPS mode is chosen when a node is
//! installed. Of what Ignition can say, files, directories, links, units and the SSH keys of `core` are applied to nodes
//! that run; everything else must be in a pool's configuration as it was when its nodes were made.

use std::collections::{BTreeMap, BTreeSet};

use onlay_api::machine_config::MachineConfigSpec;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The user whose keys are managed.
const CORE: &str = "core";
/// What a person can do instead, for everything that is made at the first boot.
const MAKE_NODES: &str = "nodes get it at their first boot; take it back, or make new nodes for a pool that has it";

/// Lists of things that are made at the first boot, and the field that names their entries.
const FIRST_BOOT: [(&str, &str, &str); 5] = [
    ("storage", "disks", "device"),
    ("storage", "raid", "name"),
    ("storage", "luks", "name"),
    ("storage", "filesystems", "device"),
    ("passwd", "groups", "name"),
];

/// A field that cannot change on nodes that run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{field} cannot change on nodes that run: {way_out}")]
pub struct Refusal {
    /// Path of the field: from the root of the Ignition configuration, or from `spec`. Entries of lists are named by key.
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
    let (old, new) = (&old.config, &new.config);
    for list in ["shouldExist", "shouldNotExist"] {
        if !same(&old["kernelArguments"][list], &new["kernelArguments"][list]) {
            let way_out = "they are for the first boot; write spec.kernelArguments of the MachineConfig instead";
            refusals.push(Refusal { field: format!("kernelArguments.{list}"), way_out });
        }
    }
    header(&old["ignition"], &new["ignition"], &mut refusals);
    for (section, list, key) in FIRST_BOOT {
        let (old, new) = (entries(&old[section][list], key), entries(&new[section][list], key));
        let changed = differing(&old, &new);
        let refusal = |entry| Refusal { field: format!("{section}.{list}[{entry}]"), way_out: MAKE_NODES };
        refusals.extend(changed.into_iter().map(refusal));
    }
    users(&old["passwd"]["users"], &new["passwd"]["users"], &mut refusals);
    refusals.sort();
    if refusals.is_empty() { Ok(()) } else { Err(Refused { refusals }) }
}

/// What Ignition is told about itself; the version of the specification may change.
fn header(old: &Value, new: &Value, refusals: &mut Vec<Refusal>) {
    for field in fields(old, new).into_iter().filter(|field| *field != "version") {
        if !same(&old[field], &new[field]) {
            refusals.push(Refusal { field: format!("ignition.{field}"), way_out: MAKE_NODES });
        }
    }
}

/// Users: of `core` the SSH keys may change, and nothing else of anybody.
fn users(old: &Value, new: &Value, refusals: &mut Vec<Refusal>) {
    let (old, new) = (entries(old, "name"), entries(new, "name"));
    for name in differing(&old, &new) {
        let (old, new) = (old.get(name).copied(), new.get(name).copied());
        let (old, new) = (old.unwrap_or(&Value::Null), new.unwrap_or(&Value::Null));
        if name != CORE {
            refusals.push(Refusal { field: format!("passwd.users[{name}]"), way_out: MAKE_NODES });
            continue;
        }
        for field in fields(old, new).into_iter().filter(|field| !["name", "sshAuthorizedKeys"].contains(field)) {
            if !same(&old[field], &new[field]) {
                refusals.push(Refusal { field: format!("passwd.users[{CORE}].{field}"), way_out: MAKE_NODES });
            }
        }
    }
}

/// Whether two values say the same: an empty one says what an absent one says.
fn same(old: &Value, new: &Value) -> bool {
    let said = |value: &Value| match value {
        Value::Null => false,
        Value::Array(entries) => !entries.is_empty(),
        Value::Object(fields) => fields.values().any(|value| !same(value, &Value::Null)),
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    old == new || (!said(old) && !said(new))
}

fn fields<'a>(old: &'a Value, new: &'a Value) -> BTreeSet<&'a str> {
    let both = [old, new].into_iter().filter_map(Value::as_object);
    both.flat_map(|fields| fields.keys().map(String::as_str)).collect()
}

/// The entries of a list by their key, which a rendered configuration has once each.
fn entries<'a>(list: &'a Value, key: &str) -> BTreeMap<&'a str, &'a Value> {
    let all = list.as_array().into_iter().flatten();
    all.map(|entry| (entry[key].as_str().unwrap_or_default(), entry)).collect()
}

/// Keys whose entries differ, or that only one side has.
fn differing<'a>(old: &BTreeMap<&'a str, &Value>, new: &BTreeMap<&'a str, &Value>) -> Vec<&'a str> {
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    keys.into_iter().filter(|key| old.get(key) != new.get(key)).collect()
}
