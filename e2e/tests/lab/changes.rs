//! What changes lead to: a new build or none, one reboot a node, and nothing left of what was removed.

use crate::cluster::{BUILD, Cluster, NODE, WORKERS, file, layered, machine_config, pool, updated};
use kube::api::{Api, ListParams};
use onlay_api::{ConditionStatus, MachineOSBuild};
use onlay_testkit::timeline::{Milestone, Timeline};
use onlay_testkit::wait;
use serde_json::json;

const POOL: &str = "test";

/// A pool `test` with worker-0 in it.
async fn pool_with_a_node(cluster: &Cluster) {
    cluster.apply(pool(POOL)).await;
    cluster.label(WORKERS[0], "node-role.kubernetes.io/test=").await;
    cluster.pool_is(POOL, "Updated with 1 machine", NODE, |pool| updated(pool, 1)).await;
}

#[tokio::test]
async fn a_containerfile_builds_anew_and_a_file_does_not() {
    let cluster = Cluster::fresh().await;
    pool_with_a_node(&cluster).await;
    // Not on the node that reboots: for up to 45 s an API server does not notice that its connection to a kubelet is gone with
    // the boot before, and gives no log of its pods.
    let elsewhere = json!({"nodeSelector": {"kubernetes.io/hostname": WORKERS[1]}});
    cluster.apply(crate::builds::policy(&elsewhere)).await;
    cluster.apply(layered(POOL, "FROM configs AS final\nRUN echo one > /usr/share/onlay-test\n")).await;
    let first = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let image = |build: &MachineOSBuild| build.status.clone().unwrap().digested_image_push_spec.unwrap();
    runs(&cluster, &image(&first)).await;
    assert_eq!(cluster.on_node(WORKERS[0], "cat /usr/share/onlay-test").await, "one");

    cluster.apply(machine_config("60-test-motd", POOL, file("/etc/motd", 0o640, "a file\n"))).await;
    cluster.pool_is(POOL, "on its way", NODE, |pool| !updated(pool, 1)).await;
    cluster.pool_is(POOL, "Updated", NODE, |pool| updated(pool, 1)).await;
    assert_eq!(cluster.on_node(WORKERS[0], "cat /etc/motd; stat -c %a /etc/motd").await, "a file\n640");
    let builds = cluster.kubectl(&["get", "machineosbuild", "-o", "name"]).await;
    assert_eq!(builds.lines().count(), 1, "a file that the build cannot see matter builds nothing: {builds}");

    cluster.empty_build_caches().await;
    cluster.apply(layered(POOL, "FROM configs AS final\nRUN sleep 10; echo two > /usr/share/onlay-test\n")).await;
    a_build_says(&cluster, "step 2 of 3 of stage 2 of 2 (33 %): RUN sleep 10; echo two").await;
    cluster.pool_is(POOL, "on its way to its image", BUILD, |pool| !updated(pool, 1)).await;
    let second = cluster.build_is(POOL, "Succeeded", BUILD).await;
    assert_ne!(image(&first), image(&second));
    runs(&cluster, &image(&second)).await;
    assert_eq!(cluster.on_node(WORKERS[0], "cat /usr/share/onlay-test /etc/motd").await, "two\na file");
    cluster.label(WORKERS[0], "node-role.kubernetes.io/test-").await;
}

/// Waits until a build that runs says that it is there.
async fn a_build_says(cluster: &Cluster, words: &str) {
    let builds = Api::<MachineOSBuild>::all(cluster.client.clone());
    wait::until(&format!("a build to say {words:?}"), BUILD, async || {
        let all = builds.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let running = all.iter().flat_map(|build| build.status.iter().flat_map(|status| &status.conditions));
        let running: Vec<_> = running.filter(|known| known.status == ConditionStatus::True).collect();
        let there = running.iter().any(|known| known.type_ == "Building" && known.message.starts_with(words));
        if there { Ok(Some(())) } else { Err(json!(running).to_string()) }
    })
    .await
    .unwrap();
}

async fn runs(cluster: &Cluster, image: &str) {
    cluster
        .node_is(WORKERS[0], &format!("Done with {image}"), NODE, |node| {
            let status = node.status.clone().unwrap_or_default();
            status.config_image.and_then(|known| known.current_image).as_deref() == Some(image)
                && status
                    .onlay
                    .and_then(|onlay| onlay.update)
                    .is_some_and(|update| update.phase == onlay_api::UpdatePhase::Done)
        })
        .await;
    cluster.pool_is(POOL, "Updated", NODE, |pool| updated(pool, 1)).await;
}

#[tokio::test]
async fn what_leaves_the_configuration_is_gone_from_the_node() {
    let cluster = Cluster::fresh().await;
    let shipped = cluster.on_node(WORKERS[0], "cat /usr/etc/issue").await;
    let mut spec = file("/etc/issue", 0o644, "ours\n");
    spec["config"]["storage"]["files"].as_array_mut().unwrap().push(json!({
        "path": "/etc/onlay-test/deep/file", "mode": 0o600, "contents": {"source": "data:,x"},
    }));
    spec["config"]["storage"]["links"] = json!([{"path": "/etc/onlay-test/link", "target": "deep/file"}]);
    spec["config"]["systemd"] = json!({"units": [
        {"name": "onlay-test.service", "enabled": true,
         "contents": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"},
        {"name": "e2scrub_reap.service", "mask": true},
        {"name": "containerd.service", "dropins": [{"name": "50-test.conf", "contents": "[Service]\nEnvironment=ONLAY=1\n"}]},
    ]});
    spec["kernelArguments"] = json!(["onlay.test=1 onlay.quoted=\"a b\""]);
    pool_with_a_node(&cluster).await;
    cluster.apply(machine_config("60-test-things", POOL, spec)).await;
    cluster.pool_is(POOL, "on its way", NODE, |pool| !updated(pool, 1)).await;
    cluster.pool_is(POOL, "Updated", NODE, |pool| updated(pool, 1)).await;
    let node = WORKERS[0];
    assert_eq!(cluster.on_node(node, "cat /etc/issue; cat /etc/onlay-test/link").await, "ours\nx");
    assert_eq!(
        cluster.on_node(node, "systemctl is-active onlay-test; systemctl is-enabled onlay-test").await,
        "active\nenabled"
    );
    assert_eq!(cluster.on_node(node, "systemctl is-enabled e2scrub_reap.service; true").await, "masked");
    assert!(cluster.on_node(node, "systemctl show -p Environment containerd").await.contains("ONLAY=1"));
    assert!(cluster.on_node(node, "cat /proc/cmdline").await.contains("onlay.test=1 onlay.quoted=\"a b\""));

    let timeline = Timeline::start(&cluster.client, |_| {});
    cluster.kubectl(&["delete", "mc", "60-test-things"]).await;
    cluster.pool_is(POOL, "on its way", NODE, |pool| !updated(pool, 1)).await;
    cluster.pool_is(POOL, "Updated", NODE, |pool| updated(pool, 1)).await;
    assert_eq!(cluster.on_node(node, "cat /etc/issue").await, shipped, "the base image's own file is back");
    let left = "ls -d /etc/onlay-test /etc/systemd/system/onlay-test.service /etc/systemd/system/containerd.service.d/50-test.conf \
                /etc/systemd/system/multi-user.target.wants/onlay-test.service 2>/dev/null; true";
    assert_eq!(cluster.on_node(node, left).await, "");
    assert_ne!(cluster.on_node(node, "systemctl is-enabled e2scrub_reap.service; true").await, "masked");
    assert!(!cluster.on_node(node, "cat /proc/cmdline").await.contains("onlay.test"));
    let reboots = timeline.moments().iter().filter(|moment| moment.milestone == Milestone::Rebooted).count();
    assert_eq!(reboots, 1);
    cluster.label(node, "node-role.kubernetes.io/test-").await;
}
