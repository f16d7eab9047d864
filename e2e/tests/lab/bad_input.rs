//! Bad input ends in a condition and an Event that a person can act on, and repairs itself when the input is corrected.
//! What the webhook would refuse already is tried without it.

use crate::builds::nothing_leaks;
use crate::cluster::{
    BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, file, layered, machine_config, pool, pool_condition, updated,
};
use onlay_api::{ConditionStatus, MachineConfigPool};
use onlay_testkit::Pki;
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

/// A package manager that does not find what it shall install.
const NO_PACKAGE: &str = "FROM configs AS final\nRUN apt-get update && apt-get install -y no-such-package\n";

/// A command that prints more than anybody reads at once, and then why it fails.
const MUCH: &str = "FROM configs AS final\nRUN seq 1 300000; echo E: the $(echo last) words; exit 3\n";

#[rstest]
#[case::an_unknown_instruction(layered("test", "FROM configs AS final\nRUM echo\n"), &["line 2", "RUM"])]
#[case::a_command_that_prints_a_lot(layered("test", MUCH), &["line 2", "exit code 3", "E: the last words"])]
#[case::a_registry_that_refuses_the_push(pushed_by_a_stranger(), &["10.223.0.1:5000"])]
#[tokio::test]
async fn a_build_that_cannot_succeed_says_why(#[case] bad: Value, #[case] words: &[&str]) {
    let cluster = Cluster::fresh().await;
    cluster.webhook(0).await;
    stranger(&cluster).await;
    cluster.apply(pool("test")).await;
    let repair = async || {
        the_build_says(&cluster, words).await;
        cluster.apply(layered("test", GOOD)).await;
    };
    fails_then_succeeds(&cluster, &bad, words, 0, repair).await;
}

#[tokio::test]
async fn a_package_that_does_not_exist_is_named_and_no_node_is_touched() {
    let cluster = Cluster::fresh().await;
    let node = WORKERS[0];
    cluster.apply(pool("test")).await;
    cluster.label(node, "node-role.kubernetes.io/test=").await;
    cluster.pool_is("test", "Updated with 1 machine", NODE, |pool| updated(pool, 1)).await;
    let state = async || (cluster.boot(node).await, cluster.booted_digest(node).await, cluster.schedulable(node).await);
    let before = state().await;
    assert!(before.2, "{node} takes pods");
    let words = ["line 2", "apt-get install -y no-such-package", "E: Unable to locate package no-such-package"];
    let repair = async || {
        the_build_says(&cluster, &words).await;
        assert_eq!(state().await, before, "boot, image, and whether it takes pods");
        cluster.apply(layered("test", GOOD)).await;
    };
    fails_then_succeeds(&cluster, &layered("test", NO_PACKAGE), &words, 1, repair).await;
    assert_ne!(cluster.booted_digest(node).await, before.1, "the corrected image reaches the node");
}

/// Waits until the build of pool `test` has failed, and shows that it says `words` by itself.
async fn the_build_says(cluster: &Cluster, words: &[&str]) {
    let status = cluster.build_is("test", "Failed", SOON).await.status.unwrap();
    let failed = status.conditions.into_iter().find(|known| known.type_ == "Failed").unwrap();
    for word in words {
        assert!(failed.message.contains(word), "{word:?} is missing in: {}", failed.message);
    }
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
    fails_then_succeeds(&cluster, &layered("test", GOOD), &[repository, "is no image of an ostree system"], 0, repair)
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
    fails_then_succeeds(&cluster, &layered("test", GOOD), &words, 0, repair).await;
}

/// Applies a MachineOSConfig that cannot be built for pool `test`, which has so many nodes, sees it explained, repairs it, and
/// sees it built.
async fn fails_then_succeeds(cluster: &Cluster, bad: &Value, words: &[&str], nodes: i32, repair: impl AsyncFnOnce()) {
    let timeline = cluster.timeline().await;
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
    nothing_leaks(cluster, "test").await;
    assert_eq!(timeline.moments(), [], "no node is touched");
    repair().await;
    cluster.build_is("test", "Succeeded", BUILD).await;
    cluster
        .pool_is("test", "Updated and not Degraded", NODE, |pool| {
            updated(pool, nodes) && pool_condition(pool, "Degraded") == "False"
        })
        .await;
    nothing_leaks(cluster, "test").await;
}

/// What Ignition of another major version says, and what it should say.
fn ignition(version: &str) -> Value {
    machine_config("60-worker-bad", "worker", json!({"config": {"ignition": {"version": version}}}))
}

#[tokio::test]
async fn a_machine_config_of_ignition_2_says_so_and_is_rendered_when_it_is_corrected() {
    let words = ["2.2.0", "60-worker-bad"];
    refused_then_repaired(&[ignition("2.2.0")], &words, async |cluster: &Cluster| {
        cluster.apply(ignition("3.4.0")).await;
        let has = |pool: &MachineConfigPool| json!(pool.spec.configuration).to_string().contains("60-worker-bad");
        cluster.pool_is("worker", "rendered with it", SOON, has).await;
    })
    .await;
}

#[tokio::test]
async fn a_unit_with_a_broken_section_says_where() {
    let unit = json!({"name": "broken.service", "contents": "[Service\nExecStart=/bin/true\n"});
    let spec = json!({"config": {"ignition": {"version": "3.4.0"}, "systemd": {"units": [unit]}}});
    let objects = [machine_config("60-worker-bad", "worker", spec)];
    refused_then_repaired(&objects, &["systemd.units[0].contents: line 1", "60-worker-bad"], deleted(&objects)).await;
}

#[tokio::test]
async fn two_machine_configs_that_cannot_merge_are_both_named() {
    let mut below = file("/etc/onlay-clash/below", 0o644, "x");
    below["config"]["storage"]["links"] = json!([]);
    let clash = file("/etc/onlay-clash", 0o644, "x");
    let objects = [machine_config("60-worker-bad", "worker", clash), machine_config("61-worker-bad", "worker", below)];
    let words = ["/etc/onlay-clash", "60-worker-bad", "61-worker-bad"];
    refused_then_repaired(&objects, &words, deleted(&objects)).await;
}

/// The repair that takes everything away again.
fn deleted(objects: &[Value]) -> impl AsyncFnOnce(&Cluster) {
    async move |cluster: &Cluster| {
        for object in objects {
            cluster.kubectl(&["delete", "mc", object["metadata"]["name"].as_str().unwrap()]).await;
        }
    }
}

async fn refused_then_repaired(objects: &[Value], words: &[&str], repair: impl AsyncFnOnce(&Cluster)) {
    let cluster = Cluster::fresh().await;
    cluster.webhook(0).await;
    let timeline = cluster.timeline().await;
    for object in objects {
        cluster.apply(object).await;
    }
    let degraded = cluster
        .pool_is("worker", "RenderDegraded", SOON, |pool| {
            let conditions = pool.status.clone().unwrap_or_default().conditions;
            let told = conditions.into_iter().find(|known| known.type_ == "RenderDegraded");
            told.is_some_and(|told| {
                told.status == ConditionStatus::True && words.iter().all(|word| told.message.contains(word))
            })
        })
        .await;
    assert_eq!(pool_condition(&degraded, "Degraded"), "True");
    cluster.event("MachineConfigPool", "worker", words[0]).await;
    assert_eq!(timeline.moments(), [], "no node is touched");
    repair(&cluster).await;
    cluster
        .pool_is("worker", "Updated again", NODE, |pool| {
            updated(pool, 2) && pool_condition(pool, "Degraded") == "False"
        })
        .await;
    assert_eq!(cluster.on_node(WORKERS[0], "ls -d /etc/onlay-clash 2>/dev/null; true").await, "");
}
