//! Our definitions, as the objects of the tests ask for them.

use serde_json::Value;

/// All definitions.
pub fn definitions() -> Vec<Value> {
    onlay_api::crds().unwrap().iter().map(|definition| serde_json::to_value(definition).unwrap()).collect()
}

/// The group of a kind.
pub fn group(kind: &str) -> String {
    of_kind(kind)["spec"]["group"].as_str().unwrap().to_owned()
}

/// The stored version of a kind.
pub fn version(kind: &str) -> String {
    of_kind(kind)["spec"]["versions"][0]["name"].as_str().unwrap().to_owned()
}

fn of_kind(kind: &str) -> Value {
    definitions().into_iter().find(|definition| definition["spec"]["names"]["kind"] == kind).unwrap()
}
