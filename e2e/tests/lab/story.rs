//! The story of docs/user/autofs.md: a package, its files and its unit reach every node of a pool.

use crate::builds::node;
use crate::cluster::{BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, digest_of, updated};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_testkit::timeline::{Milestone, Moment, Timeline, most_cordoned};
use onlay_testkit::wait;
use serde_json::{Value, json};

const POOL: &str = "worker-automount";

#[tokio::test]
async fn a_pool_gets_the_image_that_it_built() {
    let cluster = Cluster::fresh().await;
    let before = workload(&cluster).await;
    cluster.kubectl(&["apply", "-k", "../lab/examples/autofs"]).await;
    columns_before_any_node(&cluster).await;
    let build = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let image = build.status.unwrap().digested_image_push_spec.unwrap();
    assert!(image.starts_with("10.223.0.1:5000/os/worker-automount@sha256:"), "{image}");

    let timeline = cluster.timeline().await;
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
    let first = is_left_by_its_pods(&cluster, &timeline, &WORKERS).await;
    let second = WORKERS.into_iter().find(|node| *node != first).unwrap();
    is_left_by_its_pods(&cluster, &timeline, &[second]).await;
    cluster.pool_is(POOL, "Updated with 2 machines", NODE * 2, |pool| updated(pool, 2)).await;
    let moments = wait::until("both nodes to take pods", SOON, async || {
        let moments = timeline.moments();
        let is_back = |moment: &&Moment| moment.milestone == Milestone::Uncordoned;
        if moments.iter().filter(is_back).count() == 2 { Ok(Some(moments)) } else { Err(format!("{moments:?}")) }
    })
    .await
    .unwrap();

    assert_eq!(most_cordoned(&moments), 1, "{moments:?}");
    for node in WORKERS {
        let order: Vec<_> =
            moments.iter().filter(|moment| moment.node == node).map(|moment| moment.milestone).collect();
        use Milestone::{Cordoned, Drained, Rebooted, Staged, Targeted, Uncordoned, Verified};
        assert_eq!(order, [Targeted, Staged, Cordoned, Drained, Rebooted, Verified, Uncordoned], "{node}");
        the_node_runs_the_image(&cluster, node, &image).await;
    }
    columns_after(&cluster).await;
    let after = workload_runs(&cluster).await;
    let stayed: Vec<_> = after.iter().filter(|pod| before.iter().any(|old| old.uid() == pod.uid())).collect();
    assert!(stayed.is_empty(), "every pod was evicted from its node: {stayed:?}");
}

/// A Deployment whose pods must move when their node is drained; some run on each worker.
async fn workload(cluster: &Cluster) -> Vec<Pod> {
    let container = json!({"name": "pause", "image": "10.223.0.1:5000/lab/pause:1", "imagePullPolicy": "IfNotPresent"});
    let labels = json!({"app": "shop"});
    let spread = json!({
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "nodeTaintsPolicy": "Honor", "labelSelector": {"matchLabels": labels},
    });
    let pod =
        json!({"containers": [container], "terminationGracePeriodSeconds": 1, "topologySpreadConstraints": [spread]});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "replicas": 4, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    });
    cluster.apply(object).await;
    let pods = workload_runs(cluster).await;
    for worker in WORKERS {
        assert!(pods.iter().any(|pod| node(pod) == worker), "none on {worker}: {pods:?}");
    }
    pods
}

/// The pods of the workload, when all of them are Ready.
async fn workload_runs(cluster: &Cluster) -> Vec<Pod> {
    cluster.kubectl(&["rollout", "status", "deployment/shop", "--timeout=90s"]).await;
    let mut pods = pods_of_the_workload(cluster).await;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    assert_eq!(pods.len(), 4, "{pods:?}");
    pods
}

async fn pods_of_the_workload(cluster: &Cluster) -> Vec<Pod> {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), "default");
    pods.list(&ListParams::default().labels("app=shop")).await.unwrap().items
}

/// Whether all containers of a pod have ended; the kubelet takes the object away a moment later.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Waits until one of `nodes` is drained, and shows that no pod of the workload runs there still and that one runs on the other
/// worker. The node is about to reboot, which takes longer than these looks.
async fn is_left_by_its_pods<'a>(cluster: &Cluster, timeline: &Timeline, nodes: &[&'a str]) -> &'a str {
    let what = format!("one of {nodes:?} to be drained");
    let drained = wait::until(&what, NODE, async || {
        let moments = timeline.moments();
        let drained =
            |node: &&str| moments.iter().any(|moment| moment.node == **node && moment.milestone == Milestone::Drained);
        nodes.iter().copied().find(drained).map(Some).ok_or_else(|| format!("{moments:?}"))
    });
    let drained = drained.await.unwrap();
    let pods = pods_of_the_workload(cluster).await;
    let left: Vec<_> = pods.iter().filter(|pod| node(pod) == drained && !has_ended(pod)).collect();
    assert!(left.is_empty(), "{drained} counts as drained, and has {left:?}");
    wait::until("a pod of the workload on the other worker", SOON, async || {
        let pods = pods_of_the_workload(cluster).await;
        let runs = |pod: &&Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
        };
        let running: Vec<_> = pods.iter().filter(runs).map(node).collect();
        let moved = running.iter().any(|on| *on != drained && WORKERS.contains(on));
        if moved { Ok(Some(())) } else { Err(format!("they run on {running:?}")) }
    })
    .await
    .unwrap();
    drained
}

async fn the_node_runs_the_image(cluster: &Cluster, node: &str, image: &str) {
    assert_eq!(cluster.booted_digest(node).await, digest_of(image));
    assert_eq!(cluster.on_node(node, "dpkg-query -Wf '${Status}' autofs").await, "install ok installed");
    assert_eq!(
        cluster.on_node(node, "systemctl is-active autofs; systemctl is-enabled autofs").await,
        "active\nenabled"
    );
    assert_eq!(cluster.on_node(node, "stat -c '%a %U:%G' /etc/shared/docs/hello.txt").await, "640 root:root");
    assert_eq!(cluster.on_node(node, "cat /var/shared/docs/hello.txt").await, "mounted on demand");
    let arguments = cluster.on_node(node, "cat /proc/cmdline").await;
    assert!(arguments.split(' ').any(|argument| argument == "audit=0"), "{arguments}");
    let done = r"--for=jsonpath={.metadata.annotations.machineconfiguration\.openshift\.io/state}=Done";
    cluster.kubectl(&["wait", &format!("node/{node}"), done, "--timeout=60s"]).await;
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
