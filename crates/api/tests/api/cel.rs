//! Every CEL rule of our definitions refuses one object with its message, and accepts another one.
//!
//! The rules are read from the definitions; a rule without a pair of objects fails, and so does a pair without a rule.

mod pairs;

use std::collections::BTreeSet;

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, api::DynamicObject};
use serde_json::{Value, json};

use self::pairs::{Pair, comparing, pair};
use crate::server::{kind_api, object, with_definitions};
use crate::structure::ours;

/// Rules that cannot be broken alone: path, and what the rule that breaks with it says.
const NOT_ALONE: [(&str, &str, &str); 3] = [
    ("spec.node.name", "RFC 1123", "spec.node.name should match metadata.name"),
    ("spec.machineConfigPool.name", "RFC 1123", "name must match the referenced MachineConfigPool name"),
    (
        "status.poolSynchronizersStatus[*]",
        "machineCount must be greater than or equal to readyMachineCount",
        "availableMachineCount must be greater than or equal to readyMachineCount",
    ),
];

/// One rule where it stands in a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    kind: String,
    /// `status.conditions[*].type`; empty for the whole object.
    path: String,
    rule: String,
    message: String,
}

fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for definition in ours().values() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        collect(kind, "", schema, &mut places);
    }
    places
}

fn collect(kind: &str, path: &str, schema: &Value, places: &mut Vec<Place>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let text = |key: &str| rule[key].as_str().unwrap().to_owned();
        places.push(Place {
            kind: kind.to_owned(),
            path: path.to_owned(),
            rule: text("rule"),
            message: text("message"),
        });
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(kind, &path, property, places);
    }
    if schema["items"].is_object() {
        collect(kind, &format!("{path}[*]"), &schema["items"], places);
    }
}

/// The causes of a refusal as `field: message`, with list items written as in a rule's path.
fn causes(outcome: Result<DynamicObject, kube::Error>) -> Vec<String> {
    match outcome {
        Ok(_) => Vec::new(),
        Err(kube::Error::Api(status)) if status.code == 422 => {
            let causes = status.details.map(|details| details.causes).unwrap_or_default();
            causes.iter().map(|cause| format!("{}: {}", cause.field.replace("[0]", "[*]"), cause.message)).collect()
        }
        Err(other) => vec![format!("no refusal by the schema: {other}")],
    }
}

async fn create(api: &Api<DynamicObject>, value: &Value, dry_run: bool) -> Vec<String> {
    causes(api.create(&PostParams { dry_run, ..PostParams::default() }, &object(value)).await)
}

async fn patch_status(api: &Api<DynamicObject>, name: &str, value: &Value) -> Vec<String> {
    let patch = Patch::Merge(json!({"status": value["status"]}));
    causes(api.patch_status(name, &PatchParams::default(), &patch).await)
}

async fn patch(api: &Api<DynamicObject>, name: &str, value: &Value) -> Vec<String> {
    let patch = Patch::Merge(json!({"metadata": value["metadata"], "spec": value["spec"]}));
    causes(api.patch(name, &PatchParams::default(), &patch).await)
}

/// Sends a pair and returns the causes of the refusal, and those of what should have been accepted.
async fn send(api: &Api<DynamicObject>, place: &Place, name: &str, pair: &Pair) -> (Vec<String>, Vec<String>) {
    let in_status = place.path.starts_with("status");
    if !in_status && pair.before.is_none() {
        return (create(api, &pair.refused, true).await, create(api, &pair.accepted, true).await);
    }
    let before = pair.before.as_ref().unwrap_or(&pair.accepted);
    assert_eq!(create(api, before, false).await, Vec::<String>::new(), "{place:?}: the object before is refused");
    if !in_status {
        return (patch(api, name, &pair.refused).await, patch(api, name, &pair.accepted).await);
    }
    if let Some(before) = &pair.before {
        let refused = patch_status(api, name, before).await;
        assert_eq!(refused, Vec::<String>::new(), "{place:?}: the status before is refused");
    }
    (patch_status(api, name, &pair.refused).await, patch_status(api, name, &pair.accepted).await)
}

async fn problem(client: &Client, place: &Place, name: &str, pair: Option<Pair>) -> Option<String> {
    let Some(pair) = pair else { return Some(format!("{place:?} has no pair: add one")) };
    let (refused, accepted) = send(&kind_api(client, &place.kind), place, name, &pair).await;
    let by_this = |cause: &&String| {
        let (field, message) = cause.split_once(": ").unwrap_or_default();
        message.contains(&place.message) && (field == place.path || field == "<nil>" && place.path.is_empty())
    };
    let goes_along = |cause: &&String| {
        NOT_ALONE.iter().any(|(path, message, other)| {
            *path == place.path && place.message.contains(message) && cause.contains(other)
        })
    };
    let others = refused.iter().filter(|cause| !by_this(cause) && !goes_along(cause)).count();
    match (refused.iter().any(|cause| by_this(&cause)), others, accepted.is_empty()) {
        (true, 0, true) => None,
        _ => Some(format!("{place:?}: refused with {refused:?}, accepted with {accepted:?}")),
    }
}

#[tokio::test]
async fn every_rule_refuses_and_accepts() {
    let client = with_definitions().await;
    let (mut problems, mut used) = (Vec::new(), BTreeSet::new());
    let places = places();
    for (index, place) in places.iter().enumerate() {
        let name = format!("rule-{index}");
        let pair = pair(place, &name, &mut used);
        problems.extend(problem(&client, place, &name, pair).await);
    }
    assert!(places.len() > 50, "only {} rules were found", places.len());
    let unused: Vec<_> = (0..comparing().len()).filter(|index| !used.contains(index)).collect();
    problems.extend(unused.iter().map(|index| format!("the pair {:?} has no rule: remove it", comparing()[*index].1)));
    assert_eq!(problems, Vec::<String>::new(), "{} of {} rules", problems.len(), places.len());
}
