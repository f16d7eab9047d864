//! The seeds' clean-up as typed, without waits between the commands: everything converges.

use crate::cluster::{BUILD, Cluster, NAMESPACE, NODE, WORKERS, updated};
use onlay_testkit::timeline::Milestone;

#[tokio::test]
async fn the_clean_up_as_typed_brings_the_node_back() {
    let cluster = Cluster::fresh().await;
    let base = cluster.on_node(WORKERS[0], "onlay-ostree status").await;
    let base: serde_json::Value = serde_json::from_str(&base).unwrap();
    let booted = |status: &serde_json::Value| {
        status["deployments"].as_array().unwrap().iter().find(|known| known["booted"] == true).unwrap()["digest"]
            .clone()
    };
    cluster.kubectl(&["apply", "-k", "../lab/examples/autofs"]).await;
    cluster.build_is("worker-automount", "Succeeded", BUILD).await;
    let swap =
        ["label", "node", WORKERS[0], "node-role.kubernetes.io/worker-", "node-role.kubernetes.io/worker-automount="];
    cluster.kubectl(&swap).await;
    cluster.pool_is("worker-automount", "Updated with 1 machine", NODE, |pool| updated(pool, 1)).await;

    let timeline = cluster.timeline().await;
    let back =
        ["label", "node", WORKERS[0], "node-role.kubernetes.io/worker=", "node-role.kubernetes.io/worker-automount-"];
    cluster.kubectl(&back).await;
    cluster.kubectl(&["delete", "machineosconfigs", "worker-automount"]).await;
    cluster.kubectl(&["delete", "machineosbuilds", "--all"]).await;
    cluster.kubectl(&["delete", "mcp", "worker-automount"]).await;
    cluster.kubectl(&["delete", "secret/push-secret", "-n", NAMESPACE]).await;
    cluster.kubectl(&["delete", "secret/pull-and-push-secret", "-n", NAMESPACE]).await;

    cluster.node_is(WORKERS[0], "in the pool worker", NODE, |node| node.spec.pool.name == "worker").await;
    cluster.pool_is("worker", "Updated with 2 machines", NODE, |pool| updated(pool, 2)).await;
    let after = cluster.on_node(WORKERS[0], "onlay-ostree status").await;
    assert_eq!(booted(&serde_json::from_str(&after).unwrap()), booted(&base));
    assert_eq!(cluster.on_node(WORKERS[0], "ls /etc/auto.shared 2>/dev/null; true").await, "");
    assert!(!cluster.on_node(WORKERS[0], "cat /proc/cmdline").await.contains("audit=0"));
    let reboots = timeline.moments().iter().filter(|moment| moment.milestone == Milestone::Rebooted).count();
    assert_eq!(reboots, 1, "one reboot back");
    let left = cluster.kubectl(&["get", "machineosbuilds,machineosconfigs", "-o", "name"]).await;
    assert_eq!(left, "");
    let jobs = cluster
        .kubectl(&[
            "get",
            "jobs,pods",
            "-n",
            NAMESPACE,
            "-o",
            "name",
            "-l",
            "machineconfiguration.openshift.io/on-cluster-layering",
        ])
        .await;
    assert_eq!(jobs, "");
}

#[tokio::test]
async fn deleting_the_machineosconfig_brings_the_nodes_back_to_the_base_image() {
    let cluster = Cluster::fresh().await;
    let base =
        cluster.kubectl(&["get", "machineconfignode", WORKERS[0], "-o", "jsonpath={.status.onlay.adoptedImage}"]).await;
    cluster.kubectl(&["apply", "-k", "../lab/examples/autofs"]).await;
    cluster.build_is("worker-automount", "Succeeded", BUILD).await;
    cluster.label(WORKERS[0], "node-role.kubernetes.io/worker-automount=").await;
    cluster.pool_is("worker-automount", "Updated with 1 machine", NODE, |pool| updated(pool, 1)).await;
    cluster.kubectl(&["delete", "machineosconfigs", "worker-automount"]).await;
    cluster
        .node_is(WORKERS[0], "on the base image", NODE, |node| {
            let image =
                node.status.clone().and_then(|status| status.config_image).and_then(|image| image.current_image);
            image.as_deref() == Some(&base)
        })
        .await;
    cluster.pool_is("worker-automount", "Updated with 1 machine", NODE, |pool| updated(pool, 1)).await;
    assert_eq!(cluster.on_node(WORKERS[0], "test -e /etc/auto.shared && echo configured").await, "configured");
}
