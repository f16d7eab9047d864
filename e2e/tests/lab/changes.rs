//! What changes lead to: a new build or none, one reboot a node, and nothing left of what was removed.

use crate::build_faults::Gate;
use crate::cluster::{BUILD, Cluster, NODE, WORKERS, digest_of, file, layered, machine_config, pool, updated};
use kube::api::{Api, ListParams};
use onlay_api::conditions::Condition;
use onlay_api::{ConditionStatus, MachineOSBuild};
use onlay_testkit::timeline::Milestone;
use onlay_testkit::wait;
use serde_json::{Value, json};

const POOL: &str = "test";
/// A unit that the base image has enabled.
const SHIPPED: &str = "systemd-pstore.service";

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
    a_file_is_written_without_a_reboot(&cluster).await;
    let builds = cluster.kubectl(&["get", "machineosbuild", "-o", "name"]).await;
    assert_eq!(builds.lines().count(), 1, "a file that the build cannot see matter builds nothing: {builds}");
    assert_eq!(cluster.booted_digest(WORKERS[0]).await, digest_of(&image(&first)));

    cluster.empty_build_caches().await;
    let gate = Gate::closed();
    let text = format!("FROM configs AS final\nRUN {}; echo two > /usr/share/onlay-test\n", gate.wait());
    cluster.apply(layered(POOL, &text)).await;
    a_build_says(&cluster, "step 2 of 3 of stage 2 of 2 (33 %): RUN bash -c").await;
    let _open = gate.open();
    cluster.pool_is(POOL, "on its way to its image", BUILD, |pool| !updated(pool, 1)).await;
    let second = cluster.build_is(POOL, "Succeeded", BUILD).await;
    assert_ne!(image(&first), image(&second));
    runs(&cluster, &image(&second)).await;
    assert_eq!(cluster.on_node(WORKERS[0], "cat /usr/share/onlay-test /etc/motd").await, "two\na file");
    cluster.label(WORKERS[0], "node-role.kubernetes.io/test-").await;
}

/// Changes a file of the pool that the disruption policy lets pass, and sees it on the node, which goes on running.
async fn a_file_is_written_without_a_reboot(cluster: &Cluster) {
    let (node, path) = (WORKERS[0], "/etc/onlay-live");
    cluster
        .apply(json!({
            "apiVersion": "operator.openshift.io/v1", "kind": "MachineConfiguration", "metadata": {"name": "cluster"},
            "spec": {"nodeDisruptionPolicy": {"files": [{"path": path, "actions": [{"type": "None"}]}]}},
        }))
        .await;
    let observed = "--for=jsonpath={.status.observedGeneration}=1";
    cluster.kubectl(&["wait", "machineconfigurations.operator.openshift.io/cluster", observed, "--timeout=60s"]).await;
    let (boot, timeline) = (cluster.boot(node).await, cluster.timeline().await);
    let before = cluster.pool_is(POOL, "Updated", NODE, |pool| updated(pool, 1)).await.spec.configuration;
    cluster.apply(machine_config("61-test-live", POOL, file(path, 0o644, "live\n"))).await;
    cluster
        .pool_is(POOL, "Updated with the live file", NODE, |pool| updated(pool, 1) && pool.spec.configuration != before)
        .await;
    assert_eq!(
        (cluster.on_node(node, &format!("cat {path}")).await, cluster.boot(node).await),
        ("live".to_owned(), boot)
    );
    let moments = timeline.moments();
    assert!(!moments.iter().any(|moment| moment.milestone == Milestone::Cordoned), "pods stayed: {moments:?}");
}

/// Waits until a build that runs says that it is at a step.
async fn a_build_says(cluster: &Cluster, words: &str) {
    let builds = Api::<MachineOSBuild>::all(cluster.client.clone());
    wait::until(&format!("a build to say {words:?}"), BUILD, async || {
        let all = builds.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let mut now: Vec<_> = all.into_iter().flat_map(|build| build.status.unwrap_or_default().conditions).collect();
        now.retain(|known| known.status == ConditionStatus::True);
        let says = |known: &Condition| known.type_ == "Building" && known.message.starts_with(words);
        if now.iter().any(says) { Ok(Some(())) } else { Err(json!(now).to_string()) }
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

/// What a MachineConfig can put on a node, of each kind something.
fn things() -> Value {
    let unit =
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    let dropin = "[Service]\nEnvironment=ONLAY=1\n";
    let (daemon, one) = (json!({"name": "daemon"}), json!({"id": 1}));
    let mut spec = file("/etc/issue", 0o644, "ours\n");
    let storage = &mut spec["config"]["storage"];
    storage["files"].as_array_mut().unwrap().extend([
        json!({"path": "/etc/onlay-test/deep/file", "mode": 0o600, "contents": {"source": "data:,x"}}),
        json!({"path": "/etc/onlay-test/owned/file", "mode": 0o604, "user": daemon, "group": daemon, "contents": {"source": "data:,y"}}),
    ]);
    storage["links"] = json!([{"path": "/etc/onlay-test/link", "target": "deep/file"}]);
    storage["directories"] = json!([
        {"path": "/etc/onlay-test/owned", "mode": 0o750, "user": one, "group": daemon},
        {"path": "/etc/onlay-test/empty", "mode": 0o1777},
    ]);
    spec["config"]["systemd"] = json!({"units": [
        {"name": "onlay-test.service", "enabled": true, "contents": unit},
        {"name": "onlay-off.service", "enabled": false, "contents": unit},
        {"name": SHIPPED, "enabled": false},
        {"name": "fstrim.service", "mask": true},
        {"name": "containerd.service", "dropins": [{"name": "50-test.conf", "contents": dropin}]},
    ]});
    spec["kernelArguments"] = json!(["onlay.test=1 onlay.quoted=\"a b\""]);
    spec
}

/// Shows that a node has the [`things`].
async fn has_the_things(cluster: &Cluster, node: &str) {
    assert_eq!(cluster.on_node(node, "cat /etc/issue; cat /etc/onlay-test/link").await, "ours\nx");
    let kinds = "cd /etc/onlay-test; stat -c '%a %U:%G %F' owned owned/file empty deep/file";
    let expected = "750 daemon:daemon directory\n604 daemon:daemon regular file\n1777 root:root directory\n600 root:root regular file";
    assert_eq!(cluster.on_node(node, kinds).await, expected);
    assert_eq!(
        cluster.on_node(node, "systemctl is-active onlay-test; systemctl is-enabled onlay-test").await,
        "active\nenabled"
    );
    assert_eq!(
        cluster.on_node(node, "systemctl is-active onlay-off; systemctl is-enabled onlay-off; true").await,
        "inactive\ndisabled"
    );
    assert_eq!(cluster.on_node(node, &format!("systemctl is-enabled {SHIPPED}; true")).await, "disabled");
    assert_eq!(cluster.on_node(node, "systemctl is-enabled fstrim.service; true").await, "masked");
    assert!(cluster.on_node(node, "systemctl show -p Environment containerd").await.contains("ONLAY=1"));
    assert!(cluster.on_node(node, "cat /proc/cmdline").await.contains("onlay.test=1 onlay.quoted=\"a b\""));
}

#[tokio::test]
async fn what_leaves_the_configuration_is_gone_from_the_node() {
    let cluster = Cluster::fresh().await;
    let node = WORKERS[0];
    let shipped = cluster.on_node(node, "cat /usr/etc/issue").await;
    let is_enabled = format!("systemctl is-enabled {SHIPPED}");
    assert_eq!(cluster.on_node(node, &is_enabled).await, "enabled", "the base image's own unit");
    pool_with_a_node(&cluster).await;
    cluster.apply(machine_config("60-test-things", POOL, things())).await;
    cluster.pool_is(POOL, "on its way", NODE, |pool| !updated(pool, 1)).await;
    cluster.pool_is(POOL, "Updated", NODE, |pool| updated(pool, 1)).await;
    has_the_things(&cluster, node).await;

    let timeline = cluster.timeline().await;
    cluster.kubectl(&["delete", "mc", "60-test-things"]).await;
    cluster.pool_is(POOL, "on its way", NODE, |pool| !updated(pool, 1)).await;
    cluster.pool_is(POOL, "Updated", NODE, |pool| updated(pool, 1)).await;
    assert_eq!(cluster.on_node(node, "cat /etc/issue").await, shipped, "the base image's own file is back");
    let left = "cd /etc/systemd/system; ls -d /etc/onlay-test onlay-test.service onlay-off.service \
                containerd.service.d/50-test.conf multi-user.target.wants/onlay-test.service 2>/dev/null; true";
    assert_eq!(cluster.on_node(node, left).await, "");
    assert_eq!(cluster.on_node(node, &is_enabled).await, "enabled", "the base image's own unit is as it was");
    assert_ne!(cluster.on_node(node, "systemctl is-enabled fstrim.service; true").await, "masked");
    assert!(!cluster.on_node(node, "cat /proc/cmdline").await.contains("onlay.test"));
    let reboots = timeline.moments().iter().filter(|moment| moment.milestone == Milestone::Rebooted).count();
    assert_eq!(reboots, 1);
    cluster.label(node, "node-role.kubernetes.io/test-").await;
}
