//! Every CEL rule of the older version refuses one object with its message, and accepts another one. The rules are read from
//! the definitions: one without a breach here fails, and so does a breach without a rule.

use std::collections::BTreeSet;

use kube::api::{Patch, PatchParams, PostParams};
use onlay_api::names::GROUP;
use onlay_api::v1alpha1::VERSION;
use serde_json::{Value, json};

use crate::world::{cluster, object, older_config, v1alpha1};

const DIGEST: &str = "the OCI Image reference must end with a valid '@sha256";
const NAME: &str = "the OCI Image name should follow";
const TAG: &str = "the OCI Image reference must end with a valid :<tag>";
const CONFIG: &str = "MachineOSConfig";
const BUILD: &str = "MachineOSBuild";

/// When a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Made,
    Changed,
    Reported,
}

/// How a rule is broken: kind, path of the rule, how its message begins, when, and the change that breaks it.
type Breach = (&'static str, &'static str, &'static str, When, Value);

fn image(repository: &str) -> String {
    format!("{repository}@sha256:{}", "a".repeat(64))
}

fn breaches() -> Vec<Breach> {
    let inputs = |field: &str, value: &str| json!({"spec": {"buildInputs": {field: value}}});
    let spec = |field: &str, value: &str| json!({"spec": {field: value}});
    let status = |field: &str, value: Value| json!({"status": {field: value}});
    let base = "spec.buildInputs.baseOSImagePullspec";
    let extensions = "spec.buildInputs.baseOSExtensionsImagePullspec";
    let push = "spec.buildInputs.renderedImagePushspec";
    let (by_tag, local) = ("quay.io/os/image:1", image("localhost/image"));
    let builder = json!({"imageBuilderType": "Other", "buildPod": {"group": "", "resource": "pods", "name": "a"}});
    let later = json!("2027-01-01T00:00:00Z");
    vec![
        (CONFIG, base, DIGEST, When::Made, inputs("baseOSImagePullspec", by_tag)),
        (CONFIG, base, NAME, When::Made, inputs("baseOSImagePullspec", &local)),
        (CONFIG, extensions, DIGEST, When::Made, inputs("baseOSExtensionsImagePullspec", by_tag)),
        (CONFIG, extensions, NAME, When::Made, inputs("baseOSExtensionsImagePullspec", &local)),
        (CONFIG, push, TAG, When::Made, inputs("renderedImagePushspec", "quay.io/os/image")),
        (CONFIG, push, NAME, When::Made, inputs("renderedImagePushspec", "localhost/image:1")),
        (CONFIG, "status.currentImagePullspec", DIGEST, When::Reported, status("currentImagePullspec", json!(by_tag))),
        (CONFIG, "status.currentImagePullspec", NAME, When::Reported, status("currentImagePullspec", json!(local))),
        (BUILD, "spec", "machineOSBuildSpec is immutable", When::Changed, json!({"spec": {"version": 2}})),
        (BUILD, "spec.renderedImagePushspec", TAG, When::Made, spec("renderedImagePushspec", "quay.io/os/image")),
        (BUILD, "spec.renderedImagePushspec", NAME, When::Made, spec("renderedImagePushspec", "localhost/image:1")),
        (BUILD, "status.buildStart", "buildStart is immutable", When::Reported, status("buildStart", later.clone())),
        (BUILD, "status.buildEnd", "buildEnd is immutable", When::Reported, status("buildEnd", later)),
        (BUILD, "status.builderReference", "buildPod is required", When::Reported, status("builderReference", builder)),
        (BUILD, "status.finalImagePullspec", DIGEST, When::Reported, status("finalImagePullspec", json!(by_tag))),
    ]
}

/// An object that keeps all rules, and a status that does.
fn good(kind: &str, name: &str) -> (Value, Value) {
    if kind == CONFIG {
        let mut config = older_config(name, "");
        config["spec"]["buildInputs"]["baseOSImagePullspec"] = json!(image("quay.io/os/base"));
        config["spec"]["buildInputs"]["baseOSExtensionsImagePullspec"] = json!(image("quay.io/os/extensions"));
        return (config, json!({"observedGeneration": 1, "currentImagePullspec": image("quay.io/os/image")}));
    }
    let build = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1alpha1", "kind": BUILD, "metadata": {"name": name},
        "spec": {
            "configGeneration": 1, "version": 1, "desiredConfig": {"name": "rendered-a"},
            "machineOSConfig": {"name": "a"}, "renderedImagePushspec": "quay.io/os/image:1",
        },
    });
    let pod = json!({"group": "", "resource": "pods", "name": "a"});
    let status = json!({
        "buildStart": "2026-01-01T00:00:00Z", "buildEnd": "2026-01-01T00:01:00Z",
        "builderReference": {"imageBuilderType": "PodImageBuilder", "buildPod": pod},
        "finalImagePullspec": image("quay.io/os/image"),
    });
    (build, status)
}

/// Kind, path and message of every rule of the older version.
fn rules() -> BTreeSet<[String; 3]> {
    let mut rules = BTreeSet::new();
    for definition in onlay_api::crds().unwrap().into_iter().filter(|each| each.spec.group == GROUP) {
        for version in definition.spec.versions.iter().filter(|version| version.name == VERSION) {
            let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
            collect(&definition.spec.names.kind, "", &serde_json::to_value(schema).unwrap(), &mut rules);
        }
    }
    rules
}

fn collect(kind: &str, path: &str, schema: &Value, rules: &mut BTreeSet<[String; 3]>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        rules.insert([kind.to_owned(), path.to_owned(), rule["message"].as_str().unwrap().to_owned()]);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(kind, &path, property, rules);
    }
}

#[test]
fn every_rule_has_a_breach_and_every_breach_a_rule() {
    let (rules, breaches) = (rules(), breaches());
    let broken = |rule: &[String; 3]| {
        let is_of = |breach: &&Breach| breach.0 == rule[0] && breach.1 == rule[1] && rule[2].starts_with(breach.2);
        breaches.iter().filter(is_of).count()
    };
    let wrong: Vec<_> = rules.iter().filter(|rule| broken(rule) != 1).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rules.len(), breaches.len());
}

#[tokio::test]
async fn every_rule_refuses_its_breach_and_nothing_else() {
    let client = cluster().await;
    for (index, (kind, path, message, when, change)) in breaches().into_iter().enumerate() {
        let (api, name) = (v1alpha1(&client, kind), format!("rule-{index}"));
        let (mut good, status) = good(kind, &name);
        api.create(&PostParams::default(), &object(&good)).await.unwrap();
        let (params, status) = (PatchParams::default(), Patch::Merge(json!({"status": status})));
        api.patch_status(&name, &params, &status).await.unwrap();
        let outcome = match when {
            When::Changed => api.patch(&name, &params, &Patch::Merge(change)).await,
            When::Reported => api.patch_status(&name, &params, &Patch::Merge(change)).await,
            When::Made => {
                good["metadata"]["name"] = json!(format!("{name}-broken"));
                let (section, fields) = change["spec"].as_object().unwrap().iter().next().unwrap();
                match fields.as_object() {
                    Some(fields) => fields.iter().for_each(|(key, value)| good["spec"][section][key] = value.clone()),
                    None => good["spec"][section] = fields.clone(),
                }
                api.create(&PostParams::default(), &object(&good)).await
            }
        };
        let Err(kube::Error::Api(refusal)) = outcome else { panic!("{kind} {path}: {message}: {outcome:?}") };
        assert_eq!(refusal.code, 422, "{kind} {path}: {}", refusal.message);
        assert!(refusal.message.contains(&format!("{path}: ")), "{kind} {path}: {}", refusal.message);
        assert!(refusal.message.contains(message), "{kind} {path}: {}", refusal.message);
    }
}
