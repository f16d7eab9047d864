//! Builds that need more time, memory or disk than they may have, and one that keeps its cache in a volume.

use crate::build_faults::{Gate, begin};
use crate::builds::{POOL, REUSED, build, cluster, node, nothing_leaks, policy};
use crate::cluster::{BUILD, Cluster, WORKERS, layered, pool_condition};
use serde_json::{Value, json};

/// Waits until the build has failed, and gives what the pool says of it.
async fn fails(cluster: &Cluster) -> String {
    let degraded = cluster
        .pool_is(POOL, "ImageBuildDegraded", BUILD, |pool| pool_condition(pool, "ImageBuildDegraded") == "True")
        .await;
    let conditions = degraded.status.unwrap().conditions;
    let message = conditions.into_iter().find(|known| known.type_ == "ImageBuildDegraded").unwrap().message;
    cluster.build_is(POOL, "Failed", BUILD).await;
    nothing_leaks(cluster, POOL).await;
    message
}

/// Builds again as the message says, with what a person has given the build.
async fn succeeds_with(cluster: &Cluster, given: &Value) {
    cluster.apply(policy(given)).await;
    cluster.kubectl(&["delete", "machineosbuild", "--all"]).await;
    cluster.build_is(POOL, "Succeeded", BUILD).await;
    nothing_leaks(cluster, POOL).await;
}

#[tokio::test]
async fn a_build_that_needs_more_memory_than_its_policy_gives_says_so() {
    let cluster = cluster().await;
    cluster.apply(policy(&json!({"retries": 0, "resources": {"limits": {"memory": "192Mi"}}}))).await;
    cluster.apply(layered(POOL, "FROM configs AS final\nRUN perl -e 'my @many = (1) x 2e7'\n")).await;
    let message = fails(&cluster).await;
    for words in ["memory", "spec.build.resources"] {
        assert!(message.contains(words), "{message}");
    }
    succeeds_with(&cluster, &json!({"retries": 0})).await;
}

/// The kubelet measures about once a minute what a pod has written, and evicts it; the Job alone would try for two hours.
#[tokio::test]
async fn a_build_that_needs_more_disk_than_its_policy_gives_says_so() {
    let cluster = cluster().await;
    let limits =
        json!({"retries": 0, "cache": {"type": "None"}, "resources": {"limits": {"ephemeral-storage": "64Mi"}}});
    cluster.apply(policy(&limits)).await;
    let gate = Gate::closed();
    let text = format!("FROM configs AS final\nRUN head -c 100M /dev/zero > /usr/share/large; {}\n", gate.wait());
    cluster.apply(layered(POOL, &text)).await;
    let message = fails(&cluster).await;
    let _open = gate.open();
    for words in ["evicted pod", "ephemeral", "spec.build.resources", "delete the MachineOSBuild"] {
        assert!(message.contains(words), "{message}");
    }
    succeeds_with(&cluster, &json!({"retries": 0})).await;
}

/// A small file system stands for the disk of a node that others have filled.
#[tokio::test]
async fn a_build_whose_node_has_no_room_left_says_so_and_succeeds_once_there_is_some() {
    let cluster = cluster().await;
    cluster.apply(policy(&json!({"retries": 0}))).await;
    let small = "mount -t tmpfs -o size=16m,uid=1000,gid=1000,mode=0755 tmpfs /var/lib/onlay/build-cache";
    for node in WORKERS {
        cluster.on_node(node, small).await;
    }
    cluster.apply(layered(POOL, "FROM configs AS final\nRUN true\n")).await;
    let message = fails(&cluster).await;
    for node in WORKERS {
        cluster.on_node(node, "umount /var/lib/onlay/build-cache").await;
    }
    for words in ["no space left on device", "check space and memory of the build's node", "delete the MachineOSBuild"]
    {
        assert!(message.contains(words), "{message}");
    }
    succeeds_with(&cluster, &json!({"retries": 0})).await;
}

#[tokio::test]
async fn a_build_that_takes_longer_than_its_policy_gives_says_where_it_was() {
    let cluster = cluster().await;
    cluster.apply(policy(&json!({"timeoutSeconds": 120}))).await;
    let gate = Gate::closed();
    begin(&cluster, &gate).await;
    let message = fails(&cluster).await;
    for words in ["120 s", "line 2: `RUN bash -c", "spec.build.timeoutSeconds"] {
        assert!(message.contains(words), "{message}");
    }
    let _open = gate.open();
    succeeds_with(&cluster, &json!({"timeoutSeconds": 1200})).await;
}

/// The volume is on one node, as those of most clouds are at any time: builds follow it there.
#[tokio::test]
async fn a_cache_in_a_volume_is_used_where_the_volume_is() {
    let cluster = cluster().await;
    let (home, directory) = (WORKERS[1], "/var/lib/onlay-test-volume");
    cluster.on_node(home, &format!("mkdir -p {directory}")).await;
    let terms = json!([{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [home]}]}]);
    let (size, modes) = (json!({"storage": "4Gi"}), ["ReadWriteOnce"]);
    cluster
        .apply(json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "onlay-test"},
            "spec": {
                "capacity": size, "accessModes": modes, "local": {"path": directory}, "storageClassName": "",
                "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
            },
        }))
        .await;
    cluster
        .apply(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "build-cache", "namespace": crate::cluster::NAMESPACE},
            "spec": {
                "resources": {"requests": size}, "accessModes": modes, "volumeName": "onlay-test", "storageClassName": "",
            },
        }))
        .await;
    let volume = json!({"type": "Volume", "persistentVolumeClaim": {"claimName": "build-cache"}, "sizeLimit": "4Gi"});
    cluster.apply(policy(&json!({"cache": volume}))).await;
    let text = |last: &str| format!("FROM configs AS final\nRUN echo first > /usr/share/first\nRUN {last}\n");
    let (pod, log) = build(&cluster, &text("echo one")).await;
    assert_eq!((node(&pod), log.contains(REUSED)), (home, false), "{log}");
    let (pod, log) = build(&cluster, &text("echo two")).await;
    assert_eq!((node(&pod), log.matches(REUSED).count()), (home, 1), "{log}");
    nothing_leaks(&cluster, POOL).await;
    cluster.kubectl(&["delete", "machineosconfig", POOL]).await;
    cluster.kubectl(&["delete", "pvc", "-n", crate::cluster::NAMESPACE, "build-cache", "--wait=false"]).await;
    cluster.kubectl(&["delete", "pv", "onlay-test", "--wait=false"]).await;
    cluster.on_node(home, &format!("rm -r {directory}")).await;
}
