//! Changes of nodes that go on running, and what happens when they are not well.

use crate::cluster::{Cluster, NODE, WORKERS, file, machine_config, pool_condition, updated};
use onlay_api::{MachineConfigNode, MachineConfigPool, UpdatePhase};
use onlay_testkit::timeline::Milestone;
use serde_json::{Value, json};

const NAME: &str = "60-worker-greeting";
const BOOT: &str = "cat /proc/sys/kernel/random/boot_id";

/// A service that fails if its file does not greet.
fn greeting(text: &str) -> Value {
    let mut spec = file("/etc/example/greeting", 0o644, text);
    let contents = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'grep -h hello /etc/example/greeting > /run/greeting'\n\
                    [Install]\nWantedBy=multi-user.target\n";
    spec["config"]["systemd"] = json!({"units": [{"name": "greeter.service", "enabled": true, "contents": contents}]});
    machine_config(NAME, "worker", spec)
}

/// A policy that restarts a unit when the greeting changes.
fn restarts(unit: &str) -> Value {
    json!({
        "apiVersion": "operator.openshift.io/v1", "kind": "MachineConfiguration", "metadata": {"name": "cluster"},
        "spec": {"nodeDisruptionPolicy": {"files": [
            {"path": "/etc/example", "actions": [{"type": "Restart", "restart": {"serviceName": unit}}]},
        ]}},
    })
}

fn phase(node: &MachineConfigNode) -> Option<UpdatePhase> {
    node.status.as_ref()?.onlay.as_ref()?.update.as_ref().map(|update| update.phase)
}

async fn greets(cluster: &Cluster, node: &str, words: &str) {
    assert_eq!(cluster.on_node(node, "cat /run/greeting").await, words, "on {node}");
}

#[tokio::test]
async fn a_change_that_is_not_well_is_taken_back_without_a_reboot() {
    let cluster = Cluster::fresh().await;
    cluster.apply(restarts("greeter.service")).await;
    cluster.apply(greeting("hello\n")).await;
    cluster.pool_is("worker", "on its way", NODE, |pool| !updated(pool, 2)).await;
    cluster.pool_is("worker", "Updated", NODE, |pool| updated(pool, 2)).await;
    let boots = [cluster.on_node(WORKERS[0], BOOT).await, cluster.on_node(WORKERS[1], BOOT).await];

    let timeline = cluster.timeline().await;
    cluster.apply(greeting("silence\n")).await;
    let told = |pool: &MachineConfigPool| json!(pool.status.as_ref().map(|status| &status.conditions)).to_string();
    let pool = cluster.pool_is("worker", "told of the way back", NODE, |pool| told(pool).contains("went back")).await;
    assert_eq!(pool_condition(&pool, "Degraded"), "True");
    assert!(told(&pool).contains("greeter.service"), "{}", told(&pool));
    let (mut back, mut untouched) = (0, 0);
    for node in WORKERS {
        assert_eq!(cluster.on_node(node, "cat /etc/example/greeting").await, "hello", "on {node}");
        greets(&cluster, node, "hello").await;
        let state = cluster.node_is(node, "looked at", NODE, |_| true).await;
        back += u32::from(phase(&state) == Some(UpdatePhase::RolledBack));
        let waits = matches!(phase(&state), Some(UpdatePhase::Preparing | UpdatePhase::Staged | UpdatePhase::Done));
        untouched += u32::from(waits);
    }
    assert_eq!((back, untouched), (1, 1), "the second node was not tried");

    cluster.apply(greeting("hello once more\n")).await;
    cluster.pool_is("worker", "Updated", NODE, |pool| updated(pool, 2)).await;
    for (node, boot) in WORKERS.iter().zip(boots) {
        greets(&cluster, node, "hello once more").await;
        assert_eq!(cluster.on_node(node, BOOT).await, boot, "{node} did not reboot");
    }
    let moments = timeline.moments();
    assert!(!moments.iter().any(|moment| moment.milestone == Milestone::Cordoned), "pods stayed: {moments:?}");
}

#[tokio::test]
async fn a_policy_that_names_no_unit_is_told_before_anything_changes() {
    let cluster = Cluster::fresh().await;
    cluster.apply(restarts("gretter.service")).await;
    cluster.apply(greeting("hello\n")).await;
    cluster.pool_is("worker", "on its way", NODE, |pool| !updated(pool, 2)).await;
    cluster.pool_is("worker", "Updated", NODE, |pool| updated(pool, 2)).await;
    cluster.apply(greeting("hello again\n")).await;
    cluster
        .node_is(WORKERS[0], "Degraded by the policy", NODE, |node| {
            json!(node.status).to_string().contains("gretter.service: cannot restart gretter.service")
        })
        .await;
    greets(&cluster, WORKERS[0], "hello").await;
    cluster.apply(restarts("greeter.service")).await;
    cluster.pool_is("worker", "Updated", NODE, |pool| updated(pool, 2)).await;
    greets(&cluster, WORKERS[0], "hello again").await;
}
