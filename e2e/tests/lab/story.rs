//! The story of docs/user/autofs.md: a package, its files and its unit reach every node of a pool.

use crate::cluster::{BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, updated};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_testkit::timeline::{Milestone, Timeline, most_cordoned};
use onlay_testkit::wait;
use serde_json::{Value, json};

const POOL: &str = "worker-automount";

#[tokio::test]
async fn a_pool_gets_the_image_that_it_built() {
    let cluster = Cluster::fresh().await;
    workload(&cluster).await;
    cluster.kubectl(&["apply", "-k", "../lab/examples/autofs"]).await;
    columns_before_any_node(&cluster).await;
    let build = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let image = build.status.unwrap().digested_image_push_spec.unwrap();
    assert!(image.starts_with("10.223.0.1:5000/os/worker-automount@sha256:"), "{image}");

    let timeline = Timeline::start(&cluster.client, |_| {});
    cluster.label(WORKERS[0], "node-role.kubernetes.io/worker-automount=").await;
    cluster
        .kubectl(&[
            "label",
            "node",
            WORKERS[1],
            "node-role.kubernetes.io/worker-",
            "node-role.kubernetes.io/worker-automount=",
        ])
        .await;
    cluster.pool_is(POOL, "Updated with 2 machines", NODE * 2, |pool| updated(pool, 2)).await;
    wait::until("both nodes to take pods", SOON, async || {
        Ok::<_, String>((cluster.schedulable(WORKERS[0]).await && cluster.schedulable(WORKERS[1]).await).then_some(()))
    })
    .await
    .unwrap();

    let moments = timeline.moments();
    assert_eq!(most_cordoned(&moments), 1, "{moments:?}");
    for node in WORKERS {
        let order: Vec<_> =
            moments.iter().filter(|moment| moment.node == node).map(|moment| moment.milestone).collect();
        use Milestone::{Cordoned, Drained, Rebooted, Staged, Targeted, Uncordoned, Verified};
        assert_eq!(order, [Targeted, Staged, Cordoned, Drained, Rebooted, Verified, Uncordoned], "{node}");
        the_node_runs_the_image(&cluster, node, &image).await;
    }
    columns_after(&cluster).await;
    workload_runs(&cluster).await;
}

/// A Deployment whose pods must move when their node is drained.
async fn workload(cluster: &Cluster) {
    let container = json!({"name": "pause", "image": "10.223.0.1:5000/lab/pause:1", "imagePullPolicy": "IfNotPresent"});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "replicas": 4, "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}},
        },
    });
    cluster.apply(object).await;
    workload_runs(cluster).await;
}

/// All pods of the workload are Ready, and no pod of it is older than its node's last drain.
async fn workload_runs(cluster: &Cluster) {
    cluster.kubectl(&["rollout", "status", "deployment/shop", "--timeout=90s"]).await;
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), "default").list(&ListParams::default()).await.unwrap();
    let running: Vec<_> =
        pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(ResourceExt::name_any).collect();
    assert_eq!(running.len(), 4, "{running:?}");
}

async fn the_node_runs_the_image(cluster: &Cluster, node: &str, image: &str) {
    let status: Value = serde_json::from_str(&cluster.on_node(node, "onlay-ostree status").await).unwrap();
    let booted = status["deployments"].as_array().unwrap().iter().find(|known| known["booted"] == true).unwrap();
    assert_eq!(booted["digest"].as_str().unwrap(), image.split('@').nth(1).unwrap());
    assert_eq!(cluster.on_node(node, "dpkg-query -Wf '${Status}' autofs").await, "install ok installed");
    assert_eq!(
        cluster.on_node(node, "systemctl is-active autofs; systemctl is-enabled autofs").await,
        "active\nenabled"
    );
    assert_eq!(cluster.on_node(node, "stat -c '%a %U:%G' /etc/shared/docs/hello.txt").await, "640 root:root");
    assert_eq!(cluster.on_node(node, "cat /var/shared/docs/hello.txt").await, "mounted on demand");
    let arguments = cluster.on_node(node, "cat /proc/cmdline").await;
    assert!(arguments.split(' ').any(|argument| argument == "audit=0"), "{arguments}");
    let mirror = cluster.kubectl(&["get", "node", node, "-o", "jsonpath={.metadata.annotations}"]).await;
    let mirror: Value = serde_json::from_str(&mirror).unwrap();
    let annotation = |name: &str| {
        mirror[format!("machineconfiguration.openshift.io/{name}")].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        (annotation("currentImage"), annotation("desiredImage"), annotation("state")),
        (image.into(), image.into(), "Done".into())
    );
    assert_eq!(annotation("currentConfig"), annotation("desiredConfig"));
}

/// A pool without nodes is Updated, as in the seeds' tables.
async fn columns_before_any_node(cluster: &Cluster) {
    cluster.pool_is(POOL, "Updated and empty", SOON, |pool| updated(pool, 0)).await;
    let table = cluster.kubectl(&["get", "mcp", POOL]).await;
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let header = "NAME CONFIG UPDATED UPDATING DEGRADED MACHINECOUNT READYMACHINECOUNT UPDATEDMACHINECOUNT DEGRADEDMACHINECOUNT AGE";
    assert_eq!(rows[0].join(" "), header);
    assert_eq!(rows[1][2..9].join(" "), "True False False 0 0 0 0");
}

async fn columns_after(cluster: &Cluster) {
    let pool = cluster.kubectl(&["get", "mcp", POOL, "--no-headers"]).await;
    let fields: Vec<_> = pool.split_whitespace().collect();
    assert_eq!(fields[2..9].join(" "), "True False False 2 2 2 0");
    let build = cluster.kubectl(&["get", "machineosbuild"]).await;
    let rows: Vec<Vec<_>> = build.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0].join(" "), "NAME PREPARED BUILDING SUCCEEDED INTERRUPTED FAILED AGE");
    assert_eq!(rows[1][1..6].join(" "), "False False True False False");
    let left = cluster
        .kubectl(&[
            "get",
            "configmaps,secrets",
            "-n",
            NAMESPACE,
            "-o",
            "name",
            "-l",
            "machineconfiguration.openshift.io/ephemeral-build-object",
        ])
        .await;
    assert_eq!(left, "", "a build that succeeded leaves only its Job, for the log");
    let nodes = cluster.kubectl(&["get", "machineconfignode", WORKERS[0], "--no-headers"]).await;
    let fields: Vec<_> = nodes.split_whitespace().collect();
    assert_eq!((fields[1], fields[2] == fields[3], fields[4]), (POOL, true, "True"));
    assert!(cluster.kubectl(&["get", "machineosconfig"]).await.contains(POOL));
}
