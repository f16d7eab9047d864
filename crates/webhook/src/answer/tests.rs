use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const V1: &str = "machineconfiguration.openshift.io/v1";

fn config(content: &str) -> Value {
    json!({
        "apiVersion": V1, "kind": "MachineOSConfig", "metadata": {"name": "layered"},
        "spec": {
            "machineConfigPool": {"name": "layered"}, "imageBuilder": {"imageBuilderType": "Job"},
            "renderedImagePushSecret": {"name": "push"}, "renderedImagePushSpec": "quay.io/os/image:1",
            "containerFile": [{"content": content}],
        },
    })
}

fn question(kind: &str, object: Value, old: Option<Value>) -> AdmissionReview<DynamicObject> {
    let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "1", "operation": operation, "name": "layered", "userInfo": {"username": "a"},
            "kind": {"group": "machineconfiguration.openshift.io", "version": "v1", "kind": kind},
            "resource": {"group": "machineconfiguration.openshift.io", "version": "v1", "resource": "x"},
            "object": object, "oldObject": old, "dryRun": false,
        },
    });
    serde_json::from_value(review).unwrap()
}

fn answer(review: AdmissionReview<DynamicObject>, absent: &[Finding]) -> AdmissionResponse {
    admit(review, absent).response.unwrap()
}

#[test]
fn a_good_object_is_allowed() {
    let response = answer(question("MachineOSConfig", config("FROM configs AS final"), None), &[]);
    assert!(response.allowed && response.warnings.is_none(), "{response:?}");
    assert_eq!(response.uid, "1");
}

#[test]
fn a_bad_one_is_refused_in_the_words_of_the_decision() {
    let response = answer(question("MachineOSConfig", config("FROM debian"), None), &[]);
    assert!(!response.allowed);
    assert_eq!((response.result.code, response.result.reason.as_str()), (422, "Invalid"));
    let begins = "MachineOSConfig layered: spec.containerFile[0].content: failed to read the Containerfile: line 1";
    assert!(response.result.message.starts_with(begins), "{}", response.result.message);
}

#[test]
fn all_that_is_wrong_is_told_as_far_as_people_read() {
    let refusal = |spec: Value| {
        let object = json!({
            "apiVersion": V1, "kind": "MachineConfig", "metadata": {"name": "layered"}, "spec": spec,
        });
        answer(question("MachineConfig", object, None), &[]).result.message
    };
    let message = refusal(json!({"extensions": ["foo"], "kernelType": "rt"}));
    assert!(message.contains("MachineConfig layered: spec.extensions[0]: \"foo\" is no known"), "{message}");
    assert!(message.contains("; spec.kernelType: \"rt\" is no kernel type"), "{message}");
    let message = refusal(json!({"extensions": vec!["foo"; 13]}));
    assert!(message.contains("spec.extensions[9]") && !message.contains("spec.extensions[10]"), "{message}");
    assert!(message.ends_with("; and 3 more, which `onlay validate` shows"), "{message}");
}

#[test]
fn a_machine_configuration_that_does_not_count_is_a_warning() {
    let object = |name: &str| {
        json!({
            "apiVersion": "operator.openshift.io/v1", "kind": "MachineConfiguration", "metadata": {"name": name}, "spec": {},
        })
    };
    let warnings = |name| answer(question("MachineConfiguration", object(name), None), &[]).warnings;
    assert_eq!(warnings("cluster"), None);
    assert_eq!(
        warnings("mine"),
        Some(vec!["metadata.name: has no effect: only the one named cluster counts".to_owned()])
    );
}

#[test]
fn what_is_absent_is_a_warning() {
    let review = question("MachineOSConfig", config(""), None);
    let absent: Vec<Finding> = references(&review).iter().map(|reference| reference.absent("machines")).collect();
    let response = answer(review, &absent);
    assert!(response.allowed);
    let warnings = response.warnings.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[1].contains("Secret push in namespace machines does not exist yet"), "{warnings:?}");
}

#[rstest]
#[case::deleted(question("MachineOSConfig", Value::Null, Some(config("FROM debian"))), true)]
#[case::of_another_kind(question("MachineConfigNode", json!({"metadata": {"name": "a"}}), None), true)]
#[case::of_another_shape(question("MachineOSConfig", json!({"metadata": {"name": "a"}, "spec": 3}), None), false)]
fn other_objects(#[case] review: AdmissionReview<DynamicObject>, #[case] allowed: bool) {
    assert_eq!(answer(review, &[]).allowed, allowed);
}

fn broken_pool() -> Value {
    let selector = json!({"matchExpressions": [{"key": "a", "operator": "In", "values": []}]});
    json!({"apiVersion": V1, "kind": "MachineConfigPool", "metadata": {"name": "a"}, "spec": {"nodeSelector": selector}})
}

/// The same object with other metadata.
fn with(mut object: Value, metadata: Value) -> Value {
    object["metadata"] = metadata;
    object
}

#[rstest]
#[case::is_labelled("MachineOSConfig", config("FROM debian"), json!({"name": "layered", "labels": {"a": "b"}}))]
#[case::is_being_deleted("MachineOSConfig", config("FROM debian"), json!({"name": "layered", "deletionTimestamp": "2026-11-30T20:00:00Z"}))]
#[case::is_a_pool("MachineConfigPool", broken_pool(), json!({"name": "a", "labels": {"a": "b"}}))]
fn an_object_that_is_stored_with_a_mistake_can_be_written(
    #[case] kind: &str,
    #[case] stored: Value,
    #[case] metadata: Value,
) {
    assert!(!answer(question(kind, stored.clone(), None), &[]).allowed);
    let response = answer(question(kind, with(stored.clone(), metadata), Some(stored)), &[]);
    assert!(response.allowed, "{response:?}");
}

#[test]
fn a_mistake_that_is_made_in_a_stored_object_is_refused() {
    let response = answer(question("MachineOSConfig", config("FROM debian"), Some(config("FROM configs"))), &[]);
    assert!(!response.allowed);
}

#[test]
fn an_object_replaces_one_that_nobody_can_read() {
    let stored = json!({"apiVersion": V1, "kind": "MachineOSConfig", "metadata": {"name": "layered"}, "spec": 3});
    assert!(answer(question("MachineOSConfig", config(""), Some(stored)), &[]).allowed);
}

#[test]
fn a_question_without_a_request_is_refused() {
    let review = AdmissionReview { request: None, ..question("MachineOSConfig", config(""), None) };
    assert!(!answer(review, &[]).allowed);
}

fn conversion_of(objects: Value, wanted: &str) -> ConversionReview {
    let review = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "request": {"uid": "1", "desiredAPIVersion": wanted, "objects": objects},
    });
    convert(serde_json::from_value(review).unwrap())
}

#[test]
fn objects_are_converted_in_their_order() {
    let wanted = "machineconfiguration.openshift.io/v1alpha1";
    let response = conversion_of(json!([config("a"), config("b")]), wanted).response.unwrap();
    let texts: Vec<_> = response
        .converted_objects
        .iter()
        .map(|each| &each["spec"]["buildInputs"]["containerFile"][0]["content"])
        .collect();
    assert_eq!(texts, ["a", "b"]);
    assert_eq!(response.uid, "1");
}

#[test]
fn one_that_cannot_be_converted_fails_the_question_in_words() {
    let other = json!({"apiVersion": V1, "kind": "MachineConfigPool", "metadata": {"name": "a"}});
    let response = conversion_of(json!([config("a"), other]), "machineconfiguration.openshift.io/v1alpha1");
    let result = response.response.unwrap().result;
    assert_eq!(result.status, Some(StatusSummary::Failure));
    assert!(result.message.contains("failed to convert MachineConfigPool a"), "{}", result.message);
}
