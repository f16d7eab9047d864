//! Bad input ends in a condition and an Event that a person can act on, and repairs itself when the input is corrected.
//! What the webhook would refuse already is tried without it.

use crate::cluster::{
    BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, file, layered, machine_config, pool, pool_condition, updated,
};
use onlay_testkit::Pki;
use onlay_testkit::timeline::Timeline;
use rstest::rstest;
use serde_json::{Value, json};

const GOOD: &str = "FROM configs AS final\nRUN true\n";

/// The secret of a user whom the registry does not know.
const STRANGER: &str = "stranger";

/// A MachineOSConfig that pushes as somebody whom the registry refuses.
fn pushed_by_a_stranger() -> Value {
    let mut object = layered("test", GOOD);
    object["spec"]["renderedImagePushSecret"]["name"] = json!(STRANGER);
    object
}

/// Writes the secret of [`STRANGER`].
async fn stranger(cluster: &Cluster) {
    let config = json!({"auths": {"10.223.0.1:5000": {"username": "nobody", "password": "wrong"}}}).to_string();
    cluster
        .apply(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": STRANGER, "namespace": NAMESPACE}, "stringData": {".dockerconfigjson": config},
        }))
        .await;
}

#[rstest]
#[case::an_unknown_instruction(layered("test", "FROM configs AS final\nRUM echo\n"), &["line 2", "RUM"])]
#[case::a_package_that_does_not_exist(layered("test", "FROM configs AS final\nRUN apt-get update && apt-get install -y no-such-package\n"), &["line 2", "no-such-package"])]
#[case::a_registry_that_refuses_the_push(pushed_by_a_stranger(), &["10.223.0.1:5000"])]
#[tokio::test]
async fn a_build_that_cannot_succeed_says_why(#[case] bad: Value, #[case] words: &[&str]) {
    let cluster = Cluster::fresh().await;
    cluster.webhook(0).await;
    stranger(&cluster).await;
    cluster.apply(pool("test")).await;
    fails_then_succeeds(&cluster, &bad, words, async || cluster.apply(layered("test", GOOD)).await).await;
}

#[tokio::test]
async fn a_base_image_that_is_no_ostree_image_is_named() {
    let cluster = Cluster::fresh().await;
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    let plain = cluster.kubectl(&["get", "deployment", "onlay-controller", "-n", NAMESPACE, "-o", image]).await;
    let (repository, _tag) = plain.rsplit_once(':').unwrap();
    cluster.apply(pool("test")).await;
    cluster.apply(machine_config("60-test-base", "test", json!({"osImageURL": plain}))).await;
    let repair = async || drop(cluster.kubectl(&["delete", "mc", "60-test-base"]).await);
    fails_then_succeeds(&cluster, &layered("test", GOOD), &[repository, "is no image of an ostree system"], repair)
        .await;
}

#[tokio::test]
async fn a_registry_whose_authority_is_not_known_is_named() {
    let cluster = Cluster::fresh().await;
    let authority = |pem: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "registry-ca", "namespace": NAMESPACE},
            "data": {"ca.crt": pem},
        })
    };
    let stranger = Pki::ensure(&cluster.lab.layout().state().join("stranger")).unwrap();
    cluster.apply(authority(stranger.ca_pem())).await;
    cluster.apply(pool("test")).await;
    let repair = async || cluster.apply(authority(cluster.lab.pki().ca_pem())).await;
    let words = ["10.223.0.1:5000", "is not trusted", "ConfigMap"];
    fails_then_succeeds(&cluster, &layered("test", GOOD), &words, repair).await;
}

/// Applies a MachineOSConfig that cannot be built for pool `test`, sees it explained, repairs it, and sees it built.
async fn fails_then_succeeds(cluster: &Cluster, bad: &Value, words: &[&str], repair: impl AsyncFnOnce()) {
    let timeline = Timeline::start(&cluster.client, |_| {});
    cluster.apply(bad).await;
    let degraded = cluster
        .pool_is("test", "ImageBuildDegraded", BUILD, |pool| pool_condition(pool, "ImageBuildDegraded") == "True")
        .await;
    let conditions = degraded.status.unwrap().conditions;
    let message = conditions.into_iter().find(|known| known.type_ == "ImageBuildDegraded").unwrap().message;
    for word in words {
        assert!(message.contains(word), "{word:?} is missing in: {message}");
    }
    cluster.event("MachineOSConfig", "test", words[0]).await;
    assert_eq!(timeline.moments(), [], "no node is touched");
    repair().await;
    cluster.build_is("test", "Succeeded", BUILD).await;
    cluster
        .pool_is("test", "Updated and not Degraded", SOON, |pool| {
            updated(pool, 0) && pool_condition(pool, "Degraded") == "False"
        })
        .await;
}

#[rstest]
#[case::ignition_2(json!({"config": {"ignition": {"version": "2.2.0"}}}), "2.2.0")]
#[case::a_unit_with_a_broken_section(json!({"config": {"ignition": {"version": "3.4.0"}, "systemd": {"units": [{"name": "broken.service", "contents": "[Service\nExecStart=/bin/true\n"}]}}}), "systemd.units[0].contents: line 1")]
#[tokio::test]
async fn a_machine_config_that_cannot_be_rendered_says_why(#[case] spec: Value, #[case] word: &str) {
    refused_then_repaired(vec![machine_config("60-worker-bad", "worker", spec)], word).await;
}

#[tokio::test]
async fn two_machine_configs_that_cannot_merge_are_both_named() {
    let mut below = file("/etc/onlay-clash/below", 0o644, "x");
    below["config"]["storage"]["links"] = json!([]);
    let clash = file("/etc/onlay-clash", 0o644, "x");
    let objects =
        vec![machine_config("60-worker-bad", "worker", clash), machine_config("61-worker-bad", "worker", below)];
    refused_then_repaired(objects, "/etc/onlay-clash").await;
}

async fn refused_then_repaired(objects: Vec<Value>, word: &str) {
    let cluster = Cluster::fresh().await;
    cluster.webhook(0).await;
    let timeline = Timeline::start(&cluster.client, |_| {});
    for object in &objects {
        cluster.apply(object).await;
    }
    let degraded = cluster
        .pool_is("worker", "RenderDegraded", SOON, |pool| pool_condition(pool, "RenderDegraded") == "True")
        .await;
    let message =
        degraded.status.unwrap().conditions.into_iter().find(|known| known.type_ == "RenderDegraded").unwrap().message;
    assert!(message.contains(word) && message.contains("60-worker-bad"), "{message}");
    cluster.event("MachineConfigPool", "worker", word).await;
    assert_eq!(timeline.moments(), [], "no node is touched");
    for object in &objects {
        cluster.kubectl(&["delete", "mc", object["metadata"]["name"].as_str().unwrap()]).await;
    }
    cluster
        .pool_is("worker", "Updated again", NODE, |pool| {
            updated(pool, 2) && pool_condition(pool, "Degraded") == "False"
        })
        .await;
    assert_eq!(cluster.on_node(WORKERS[0], "ls -d /etc/onlay-clash 2>/dev/null; true").await, "");
}
