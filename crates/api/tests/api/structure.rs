//! Our definitions have the structure of the compatible ones, and exactly the additions and omissions listed here.

use std::collections::BTreeMap;

use onlay_api::names;
use serde_json::Value;

/// Paths below `spec` of a definition that ours have and the compatible ones have not.
const ADDITIONS: [(&str, &str); 4] = [
    ("machineconfignodes", "/versions/v1/schema/openAPIV3Schema/properties/spec/properties/configImage"),
    ("machineconfignodes", "/versions/v1/schema/openAPIV3Schema/properties/spec/properties/onlay"),
    ("machineconfignodes", "/versions/v1/schema/openAPIV3Schema/properties/status/properties/configImage"),
    ("machineconfignodes", "/versions/v1/schema/openAPIV3Schema/properties/status/properties/onlay"),
];

/// Paths below the schema of MachineConfiguration that ours has not: all that is not about the node disruption policy, but
/// for the fields that people's files always carry.
const OMISSIONS: [&str; 12] = [
    "/x-kubernetes-validations",
    "/properties/spec/properties/bootImageSkewEnforcement",
    "/properties/spec/properties/failedRevisionLimit",
    "/properties/spec/properties/forceRedeploymentReason",
    "/properties/spec/properties/irreconcilableValidationOverrides",
    "/properties/spec/properties/managedBootImages",
    "/properties/spec/properties/observedConfig",
    "/properties/spec/properties/succeededRevisionLimit",
    "/properties/spec/properties/unsupportedConfigOverrides",
    "/properties/status/properties/bootImageSkewEnforcementStatus",
    "/properties/status/properties/conditions",
    "/properties/status/properties/managedBootImagesStatus",
];

/// Plural names of the kinds that the compatible API has not.
const OWN: [&str; 1] = ["layeringpolicies"];

/// The plural names of the compatible kinds.
pub const PLURALS: [&str; 6] = [
    "machineconfigs",
    "machineconfigpools",
    "machineosconfigs",
    "machineosbuilds",
    "machineconfignodes",
    "machineconfigurations",
];

/// The API group of a kind, by its plural name or by its own.
pub fn group(of: &str) -> &'static str {
    match of {
        "machineconfigurations" | "MachineConfiguration" => names::OPERATOR_GROUP,
        "LayeringPolicy" => names::OWN_GROUP,
        _ => names::GROUP,
    }
}

/// The API version of a kind.
pub fn version(kind: &str) -> &'static str {
    if kind == "LayeringPolicy" { onlay_api::layering_policy::VERSION } else { names::VERSION }
}

/// The compatible definition of a kind, in the stored version.
pub fn reference(plural: &str) -> Value {
    reference_of(plural, names::VERSION)
}

/// The compatible definition of a kind in one version.
fn reference_of(plural: &str, version: &str) -> Value {
    let path = format!("{}/tests/fixtures/reference/{plural}.{version}.yaml", env!("CARGO_MANIFEST_DIR"));
    serde_saphyr::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// A definition as if it had one version: the compatible ones have one each, which is stored.
fn alone(definition: &Value, index: usize) -> Value {
    let mut definition = definition.clone();
    let mut version = definition["spec"]["versions"][index].take();
    version["storage"] = Value::Bool(true);
    definition["spec"]["versions"] = Value::Array(vec![version]);
    definition
}

/// Our definitions by plural name.
pub fn ours() -> BTreeMap<String, Value> {
    let crds = onlay_api::crds().unwrap();
    crds.iter().map(|crd| (crd.spec.names.plural.clone(), serde_json::to_value(crd).unwrap())).collect()
}

/// Our definitions of compatible kinds by plural name.
fn compatible() -> BTreeMap<String, Value> {
    let mut all = ours();
    for own in OWN {
        assert!(all.remove(own).is_some(), "{own} is not there");
    }
    assert_eq!(all.len(), PLURALS.len(), "every kind is compared, or one of our own");
    all
}

/// Where a definition differs from the compatible ones in more than descriptions and the listed additions.
pub fn differences(plural: &str, definition: &Value) -> Vec<String> {
    let versions = definition["spec"]["versions"].as_array().unwrap();
    let of = |index| differences_of(plural, &alone(definition, index));
    (0..versions.len()).flat_map(of).collect()
}

fn differences_of(plural: &str, definition: &Value) -> Vec<String> {
    let version = definition["spec"]["versions"][0]["name"].as_str().unwrap();
    let mut found = leaves(definition);
    let mut expected = leaves(&reference_of(plural, version));
    if plural == "machineconfigurations" {
        leave_out(&mut expected);
    }
    for (_, addition) in ADDITIONS.iter().filter(|(kind, _)| *kind == plural && version == names::VERSION) {
        let before = found.len();
        found.retain(|path, _| !path.starts_with(&format!("{addition}/")));
        assert!(found.len() < before, "{plural}: the addition {addition} is not there");
    }
    let missing = expected.iter().filter(|(path, value)| found.get(*path) != Some(value));
    let surplus = found.iter().filter(|(path, _)| !expected.contains_key(*path));
    missing
        .map(|(path, value)| format!("{path}: {:?} instead of {value}", found.get(path)))
        .chain(surplus.map(|(path, value)| format!("{path}: {value} is too much")))
        .collect()
}

/// Takes the omissions out of what MachineConfiguration should have; each of them must be there.
fn leave_out(expected: &mut BTreeMap<String, Value>) {
    for omission in OMISSIONS {
        let path = format!("/versions/v1/schema/openAPIV3Schema{omission}");
        let before = expected.len();
        expected.retain(|each, _| !each.starts_with(&format!("{path}/")));
        assert!(expected.len() < before, "{omission} is not there to be left out");
    }
}

/// The `spec` of a definition as one line for each value, with what has no meaning for its structure left out.
fn leaves(definition: &Value) -> BTreeMap<String, Value> {
    let mut leaves = BTreeMap::new();
    collect("", &definition["spec"], &mut leaves);
    // Added by the API server to every definition.
    leaves.retain(|path, _| !path.starts_with("/conversion/"));
    leaves
}

fn collect(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            into.insert(format!("{path}/"), Value::Null);
            for (key, value) in fields {
                // A property may be called `description`; a schema's own description is text.
                if key != "description" || !value.is_string() {
                    collect(&format!("{path}/{key}"), value, into);
                }
            }
        }
        Value::Array(items) if path.ends_with("/required") || path.ends_with("/enum") => {
            let mut items = items.clone();
            items.sort_by_key(Value::to_string);
            into.insert(path.to_owned(), Value::Array(items));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let key = ["rule", "name"].iter().find_map(|key| item.get(key).and_then(Value::as_str));
                collect(&format!("{path}/{}", key.unwrap_or(&index.to_string())), item, into);
            }
        }
        Value::Number(number) => {
            into.insert(path.to_owned(), number.as_f64().into());
        }
        other => {
            into.insert(path.to_owned(), other.clone());
        }
    }
}

#[test]
fn every_definition_has_the_compatible_structure() {
    for (plural, definition) in compatible() {
        assert_eq!(differences(&plural, &definition), Vec::<String>::new(), "{plural}");
    }
}

#[test]
fn builds_and_what_asks_for_them_are_served_in_two_versions() {
    let versions = |plural: &str| {
        let versions = ours()[plural]["spec"]["versions"].as_array().unwrap().clone();
        versions.iter().map(|each| (each["name"].clone(), each["storage"] == true)).collect::<Vec<_>>()
    };
    for plural in ["machineosconfigs", "machineosbuilds"] {
        assert_eq!(versions(plural), [("v1".into(), true), ("v1alpha1".into(), false)], "{plural}");
    }
    assert_eq!(versions("machineconfigpools").len(), 1);
}

#[test]
fn columns_keep_their_order() {
    for (plural, definition) in compatible() {
        let names = |definition: &Value| {
            let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array().cloned();
            columns.unwrap_or_default().iter().map(|column| column["name"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&definition), names(&reference(&plural)), "{plural}");
    }
}

#[test]
fn every_field_is_described() {
    fn undescribed(path: &str, schema: &Value, found: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if property["description"].as_str().is_none_or(str::is_empty) && path != ".metadata" {
                found.push(path.clone());
            }
            undescribed(&path, property, found);
            undescribed(&format!("{path}[*]"), &property["items"], found);
        }
    }
    for (plural, definition) in ours() {
        let mut found = Vec::new();
        for version in definition["spec"]["versions"].as_array().unwrap() {
            undescribed("", &version["schema"]["openAPIV3Schema"], &mut found);
        }
        assert_eq!(found, Vec::<String>::new(), "{plural}");
    }
}
