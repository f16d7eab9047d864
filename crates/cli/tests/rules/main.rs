//! What `onlay validate` says of the rules in CEL, beside what an API server says: the pairs of objects are those that the tests of
//! onlay-api send to a real one.

#![cfg(test)]

mod cel;
#[path = "../../../api/tests/api/objects.rs"]
mod objects;
mod structure;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use cel::Place;
use cel::pairs::pair;

/// The rules about what people write, in all definitions.
fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for definition in structure::definitions() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        collect(kind, "", &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut places);
    }
    places.retain(|place| !place.path.starts_with("status"));
    places
}

fn collect(kind: &str, path: &str, schema: &Value, places: &mut Vec<Place>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().unwrap().to_owned();
        places.push(Place { kind: kind.to_owned(), path: path.to_owned(), message });
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(kind, &path, property, places);
    }
    if schema["items"].is_object() {
        collect(kind, &format!("{path}[*]"), &schema["items"], places);
    }
}

/// Errors of `onlay validate` about objects: title, field and message.
fn errors(objects: &[Value]) -> Vec<[String; 3]> {
    let directory = tempfile::tempdir().unwrap();
    for (index, object) in objects.iter().enumerate() {
        std::fs::write(directory.path().join(format!("{index}.json")), object.to_string()).unwrap();
    }
    let onlay =
        Command::new(env!("CARGO_BIN_EXE_onlay")).args(["validate", "-o", "json"]).arg(directory.path()).output();
    let output = onlay.unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = answer["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error");
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings.map(|finding| ["object", "field", "message"].map(|key| text(finding, key))).collect()
}

#[test]
fn every_rule_of_a_new_object_is_applied_as_an_api_server_applies_it() {
    let mut used = BTreeSet::new();
    let (mut refused, mut accepted, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for (index, place) in places().into_iter().enumerate() {
        let pair = pair(&place, &format!("rule-{index}"), &mut used).unwrap();
        if pair.before.is_none() {
            expected.push([
                format!("{} {}", place.kind, pair.refused["metadata"]["name"].as_str().unwrap()),
                place.message,
            ]);
            refused.push(pair.refused);
            accepted.push(pair.accepted);
        }
    }
    assert!(expected.len() > 20, "only {} rules were found", expected.len());
    assert_eq!(errors(&accepted), Vec::<[String; 3]>::new());
    let found = errors(&refused);
    let is_found = |[object, message]: &[String; 2]| found.iter().any(|[of, _, says]| of == object && says == message);
    let missing: Vec<_> = expected.iter().filter(|expected| !is_found(expected)).collect();
    assert!(missing.is_empty(), "{missing:#?} are missing in {found:#?}");
}
