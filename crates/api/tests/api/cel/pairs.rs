//! The pair of objects for each rule.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Place;
use crate::objects::{DIGEST, full, set, with};

/// Changes to the full object, by path.
type Changes = Vec<(&'static str, Value)>;

/// A kind, a part of a rule's message, and the changes for what is there before, is refused, is accepted.
type Comparison = (&'static str, &'static str, [Option<Changes>; 3]);

/// What shows that a rule works.
pub struct Pair {
    /// What is there before, for rules that compare with it.
    pub before: Option<Value>,
    pub refused: Value,
    pub accepted: Value,
}

/// A bad and a good value for rules that look at one value only, by a part of their message.
///
/// The bad value breaks this rule and no other one of its field.
fn values_for(message: &str) -> Option<(Value, Value)> {
    let table = [
        ("RFC 1123 subdomain must consist", json!("Not_A_Name"), json!("rendered-worker.2")),
        ("only lowercase alphanumeric characters and hyphens", json!("a.b"), json!("a-b")),
        ("a DNS-1035 label must consist", json!("1st"), json!("first-1")),
        ("Or it must be a valid .svc", json!("registry.example.com/os/node"), json!("10.0.0.1:5000/os/node:v1.2_3")),
        (
            "must end with a valid '@sha256:<digest>' suffix",
            json!("registry.example.com/os/node@sha256:0123"),
            json!(format!("registry.example.com:5000/node@{DIGEST}")),
        ),
        (
            "resembling a valid URL without the scheme",
            json!(format!("registry.example.com/a/b/node@{DIGEST}")),
            json!(format!("10.0.0.1:5000/os/node@{DIGEST}")),
        ),
        ("must start with `spec.`", json!("status.fips"), json!("spec.config")),
        ("only of alphanumeric characters, brackets", json!("spec.a-b"), json!("spec.a.b[0]")),
        ("Invalid ${SERVICETYPE} in service name", json!("chronyd.conf"), json!("chronyd.service")),
        ("Invalid ${NAME} in service name", json!("chrony d.service"), json!(r"chrony\x2dd.service")),
        ("must be ocp-release-bundle-", json!("release-1"), json!("ocp-release-bundle-4.19.0-arm64")),
    ];
    table.into_iter().find(|(part, _, _)| message.contains(part)).map(|(_, bad, good)| (bad, good))
}

/// The pairs of all rules that compare values with each other or with those before.
pub fn comparing() -> Vec<Comparison> {
    let mut table = names();
    table.extend(builds());
    table.extend(generations());
    table.extend(synchronizers());
    table.extend(policies());
    table
}

fn names() -> Vec<Comparison> {
    let another = |path: &'static str| [None, Some(vec![(path, json!("another"))]), Some(vec![])];
    vec![
        ("MachineConfigNode", "spec.node.name should match", another("spec.node.name")),
        ("MachineOSConfig", "name must match the referenced", another("spec.machineConfigPool.name")),
        (
            "MachineOSBuild",
            "machineOSBuildSpec is immutable",
            [
                Some(vec![]),
                Some(vec![("spec.machineOSConfig.name", json!("another"))]),
                Some(vec![("metadata", json!({"labels": {"changed": "yes"}}))]),
            ],
        ),
    ]
}

fn builds() -> Vec<Comparison> {
    let (start, end) = ("status.buildStart", "status.buildEnd");
    let time = |path: &'static str, time: &str| -> Option<Changes> { Some(vec![(path, json!(time))]) };
    let condition = |type_: &'static str, status: &'static str| -> Option<Changes> {
        Some(vec![("status.conditions[*].type", json!(type_)), ("status.conditions[*].status", json!(status))])
    };
    let last = |type_: &'static str| [condition(type_, "True"), condition(type_, "False"), condition(type_, "True")];
    let (kind, job) = ("status.builder.imageBuilderType", "status.builder.job");
    let without_job = Some(vec![(job, Value::Null)]);
    let other_without_job = Some(vec![(kind, json!("Other")), (job, Value::Null)]);
    vec![
        ("MachineOSBuild", "once a Failed", last("Failed")),
        ("MachineOSBuild", "once an Interrupted", last("Interrupted")),
        ("MachineOSBuild", "once an Succeeded", last("Succeeded")),
        (
            "MachineOSBuild",
            "buildStart is immutable",
            [Some(vec![]), time(start, "2024-12-31T00:00:00Z"), time(start, "2025-01-01T00:00:00Z")],
        ),
        (
            "MachineOSBuild",
            "buildEnd is immutable",
            [Some(vec![]), time(end, "2025-01-01T00:02:00Z"), time(end, "2025-01-01T00:01:00Z")],
        ),
        (
            "MachineOSBuild",
            "buildEnd must be after buildStart",
            [None, time(end, "2025-01-01T00:00:00Z"), time(end, "2025-01-01T00:00:01Z")],
        ),
        ("MachineOSBuild", "job is required when", [None, without_job, other_without_job]),
    ]
}

fn policies() -> Vec<Comparison> {
    let set = |path: &'static str, value: Value| Some(vec![(path, value)]);
    let (cache, selector) = ("spec.build.cache", "spec.build.nodeSelector");
    let (toleration, request) = ("spec.build.tolerations[*]", "spec.build.resources.requests.cpu");
    let pairs = [
        (
            "persistentVolumeClaim is required",
            set(cache, json!({"type": "Volume"})),
            set(cache, json!({"type": "Node"})),
        ),
        (
            "sizeLimit is forbidden",
            set(cache, json!({"type": "None", "sizeLimit": "1Gi"})),
            set(cache, json!({"sizeLimit": "1Gi"})),
        ),
        (
            "exactly one of configMapKeyRef",
            set("spec.build.containerfile", json!({})),
            set("spec.build.containerfile", json!({"secretKeyRef": {"name": "worker-image"}})),
        ),
        (
            "configs is the stage",
            set("spec.build.contexts[*].name", json!("configs")),
            set("spec.build.contexts[*].name", json!("tools-2")),
        ),
        ("a request must not be more", set(request, json!("2001m")), set(request, json!(2))),
        ("the name of a label", set(selector, json!({"a b": "c"})), set(selector, json!({"example.com/a_b": ""}))),
        (
            "kubernetes.io/os and",
            set(selector, json!({"kubernetes.io/arch": "amd64"})),
            set(selector, json!({"kubernetes.io/hostname": "node-1"})),
        ),
        (
            "operator must be Exists",
            set(toleration, json!({"effect": "NoSchedule"})),
            set(toleration, json!({"operator": "Exists"})),
        ),
        (
            "value must be absent",
            set(toleration, json!({"key": "a", "operator": "Exists", "value": "b"})),
            set(toleration, json!({"key": "a", "value": "b"})),
        ),
        (
            "tolerationSeconds must be absent",
            set(toleration, json!({"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1})),
            set(toleration, json!({"key": "a", "effect": "NoExecute", "tolerationSeconds": 1})),
        ),
    ];
    pairs.into_iter().map(|(part, refused, accepted)| ("LayeringPolicy", part, [None, refused, accepted])).collect()
}

fn generations() -> Vec<Comparison> {
    let falls = |path: &'static str, from: i64| -> [Option<Changes>; 3] {
        [Some(vec![(path, json!(from))]), Some(vec![(path, json!(from - 1))]), Some(vec![(path, json!(from + 1))])]
    };
    let set = |name: &'static str| match name {
        "current" => "status.pinnedImageSets[*].currentGeneration",
        "desired" => "status.pinnedImageSets[*].desiredGeneration",
        _ => "status.pinnedImageSets[*].lastFailedGeneration",
    };
    vec![
        ("MachineOSConfig", "observedGeneration must not move backwards", falls("status.observedGeneration", 5)),
        ("MachineConfigNode", "observedGeneration must not decrease", falls("status.observedGeneration", 5)),
        ("MachineConfigNode", "currentGeneration must not decrease", falls(set("current"), 3)),
        ("MachineConfigNode", "desiredGeneration must not decrease", falls(set("desired"), 9)),
        ("MachineConfigNode", "lastFailedGeneration must not decrease", falls(set("failed"), 2)),
        (
            "MachineConfigNode",
            "greater than or equal to the current generation",
            [None, Some(vec![(set("current"), json!(5))]), Some(vec![(set("current"), json!(4))])],
        ),
        (
            "MachineConfigNode",
            "greater than or equal to the last failed generation",
            [None, Some(vec![(set("failed"), json!(5))]), Some(vec![(set("failed"), json!(4))])],
        ),
        (
            "MachineConfigNode",
            "last failed generation error must be defined",
            [
                None,
                Some(vec![("status.pinnedImageSets[*].lastFailedGenerationError", Value::Null)]),
                Some(vec![("status.pinnedImageSets[*].lastFailedGenerationError", json!("pull failed"))]),
            ],
        ),
        (
            "MachineConfigPool",
            "must not move backwards except to zero",
            [
                Some(vec![]),
                Some(vec![("status.poolSynchronizersStatus[*].observedGeneration", json!(4))]),
                Some(vec![("status.poolSynchronizersStatus[*].observedGeneration", json!(0))]),
            ],
        ),
    ]
}

fn synchronizers() -> Vec<Comparison> {
    let more = |path: &'static str| [None, Some(vec![(path, json!(4))]), Some(vec![(path, json!(2))])];
    let at_most = "status.poolSynchronizersStatus[*].readyMachineCount";
    vec![
        (
            "MachineConfigPool",
            "machineCount must be greater than or equal to updatedMachineCount",
            more("status.poolSynchronizersStatus[*].updatedMachineCount"),
        ),
        (
            "MachineConfigPool",
            "machineCount must be greater than or equal to unavailableMachineCount",
            more("status.poolSynchronizersStatus[*].unavailableMachineCount"),
        ),
        (
            "MachineConfigPool",
            "machineCount must be greater than or equal to availableMachineCount",
            [
                None,
                Some(vec![("status.poolSynchronizersStatus[*].availableMachineCount", json!(4))]),
                Some(vec![("status.poolSynchronizersStatus[*].availableMachineCount", json!(3))]),
            ],
        ),
        (
            "MachineConfigPool",
            "machineCount must be greater than or equal to readyMachineCount",
            [None, Some(vec![(at_most, json!(4))]), Some(vec![(at_most, json!(3))])],
        ),
        (
            "MachineConfigPool",
            "availableMachineCount must be greater than or equal to readyMachineCount",
            [
                None,
                Some(vec![("status.poolSynchronizersStatus[*].availableMachineCount", json!(2))]),
                Some(vec![("status.poolSynchronizersStatus[*].availableMachineCount", json!(2)), (at_most, json!(2))]),
            ],
        ),
    ]
}

/// The pair of objects for a rule, by its place.
pub fn pair(place: &Place, name: &str, used: &mut BTreeSet<usize>) -> Option<Pair> {
    let full = full(&place.kind, name);
    let comparing = comparing();
    let found = comparing.into_iter().enumerate().find(|(_, (kind, part, _))| {
        // `availableMachineCount …` also ends the message of `unavailableMachineCount …`.
        *kind == place.kind
            && (place.message.starts_with(part) || (!part.contains("Count") && place.message.contains(part)))
    });
    if let Some((index, (_, _, [before, refused, accepted]))) = found {
        used.insert(index);
        return Some(Pair {
            before: before.map(|changes| changed(&full, &changes)),
            refused: changed(&full, &refused?),
            accepted: changed(&full, &accepted?),
        });
    }
    if let Some((path, bad, good)) = actions(place) {
        let with_value = |value| with(full.clone(), &[(path.as_str(), value)]);
        return Some(Pair { before: None, refused: with_value(bad), accepted: with_value(good) });
    }
    let (bad, good) = values_for(&place.message)?;
    let with_value = |value| {
        let mut object = full.clone();
        set(&mut object, &place.path, value);
        object
    };
    // The name of a MachineOSConfig's pool and of a MachineConfigNode's node is the name of the object.
    let named = ["spec.machineConfigPool.name", "spec.node.name"].contains(&place.path.as_str());
    let accepted = if named { full.clone() } else { with_value(good) };
    Some(Pair { before: None, refused: with_value(bad), accepted })
}

/// A bad and a good value for rules of the actions of a disruption policy, and the path where they are put: a whole action,
/// or the whole list, since one rule looks at several fields.
fn actions(place: &Place) -> Option<(String, Value, Value)> {
    let (above, below) = place.path.split_once("actions")?;
    let action = format!("{above}actions[*]");
    let first = place.message.split(' ').next().unwrap_or_default();
    match below {
        "" => Some((format!("{above}actions"), json!([{"type": first}, {"type": "Drain"}]), json!([{"type": first}]))),
        "[*]" => {
            let type_ = if first == "reload" { "Reload" } else { "Restart" };
            Some((action, json!({"type": type_}), json!({"type": type_, first: {"serviceName": "a.service"}})))
        }
        _ => {
            let (type_, field) = if below.contains("reload") { ("Reload", "reload") } else { ("Restart", "restart") };
            let (bad, good) = values_for(&place.message)?;
            let with_name = |name: Value| json!({"type": type_, field: {"serviceName": name}});
            Some((action, with_name(bad), with_name(good)))
        }
    }
}

fn changed(full: &Value, changes: &[(&str, Value)]) -> Value {
    let mut changes = changes.to_vec();
    let mut object = full.clone();
    if let Some(at) = changes.iter().position(|(path, _)| *path == "metadata") {
        let (_, metadata) = changes.remove(at);
        object["metadata"]["labels"] = metadata["labels"].clone();
    }
    with(object, &changes)
}
