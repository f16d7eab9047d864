//! Packages with all that they bring: extensions and another kernel, which the controller's metrics count, and a daemon with a
//! user, directories in /var, and a file of a MachineConfig.

use crate::cluster::{BUILD, Cluster, NODE, SOON, WORKERS, layered, machine_config, pool, updated};
use crate::controller::metrics;
use onlay_testkit::wait;
use serde_json::json;

const POOL: &str = "test";

#[tokio::test]
async fn extensions_and_a_kernel_of_a_machine_config_reach_the_node() {
    let cluster = Cluster::fresh().await;
    cluster.apply(pool(POOL)).await;
    let wanted =
        json!({"config": {"ignition": {"version": "3.4.0"}}, "extensions": ["sysstat"], "kernelType": "realtime"});
    cluster.apply(machine_config("60-test-packages", POOL, wanted)).await;
    let mut config = layered(POOL, "");
    config["spec"].as_object_mut().unwrap().remove("containerFile");
    cluster.apply(config).await;
    cluster.build_is(POOL, "Succeeded", BUILD).await;
    cluster.label(WORKERS[0], "node-role.kubernetes.io/test=").await;
    cluster.pool_is(POOL, "on the image", NODE, |pool| updated(pool, 1)).await;
    let booted = cluster
        .on_node(
            WORKERS[0],
            "ls /usr/lib/modules; ls /usr/lib/modules/*/vmlinuz /usr/lib/modules/*/initramfs.img | wc -l",
        )
        .await;
    let lines: Vec<&str> = booted.lines().collect();
    assert_eq!(
        (lines.len(), lines[0].contains("-rt-"), lines[1]),
        (2, true, "2"),
        "one kernel, the one for real time: {booted}"
    );
    assert!(cluster.on_node(WORKERS[0], "sar -V").await.contains("sysstat version"));

    // The phases are read from the log of the pod, when the build has ended.
    wait::until("metrics of the build", SOON, async || {
        let text = metrics(&cluster).await;
        let has = |line: &str| text.lines().any(|each| each.starts_with(line));
        let wanted = [
            "onlay_builds_total{pool=\"test\",result=\"succeeded\",reason=\"Ready\"}",
            "onlay_build_phase_duration_seconds_count{pool=\"test\",phase=\"instructions\"}",
            "onlay_build_phase_duration_seconds_count{pool=\"test\",phase=\"push\"}",
            "onlay_build_instructions_total{pool=\"test\",cache=\"miss\"}",
            "onlay_build_layer_size_bytes_count{pool=\"test\"}",
        ];
        if wanted.into_iter().all(has) { Ok(Some(())) } else { Err(text) }
    })
    .await
    .unwrap();
}

/// A daemon whose package makes a user and directories in /var, with its file and its unit from a MachineConfig.
#[tokio::test]
async fn sssd_runs_on_the_node_as_its_package_and_its_machine_config_say() {
    let cluster = Cluster::fresh().await;
    cluster.apply(pool(POOL)).await;
    // Its responders are started by sockets; one that is named here too would fail.
    let text = "[sssd]\ndomains = local\n[domain/local]\nid_provider = files\n";
    let source =
        format!("data:,{}", text.replace('\n', "%0A").replace(' ', "%20").replace('[', "%5B").replace(']', "%5D"));
    let config = json!({
        "ignition": {"version": "3.4.0"},
        "storage": {"files": [{"path": "/etc/sssd/sssd.conf", "mode": 0o600, "contents": {"source": source}}]},
        "systemd": {"units": [{"name": "sssd.service", "enabled": true}]},
    });
    cluster.apply(machine_config("60-test-sssd", POOL, json!({"config": config}))).await;
    let install = "apt-get update && apt-get install -y --no-install-recommends sssd-common && apt-get clean";
    cluster.apply(layered(POOL, &format!("FROM configs AS final\nRUN {install}\n"))).await;
    cluster.build_is(POOL, "Succeeded", BUILD).await;
    cluster.label(WORKERS[0], "node-role.kubernetes.io/test=").await;
    cluster.pool_is(POOL, "on the image", NODE, |pool| updated(pool, 1)).await;
    let state = "systemctl is-active sssd; systemctl is-enabled sssd; stat -c %a /etc/sssd/sssd.conf; getent passwd sssd | cut -d: -f1";
    assert_eq!(cluster.on_node(WORKERS[0], state).await, "active\nenabled\n600\nsssd");
    let directories = "stat -c '%F' /var/lib/sss/db /var/lib/sss/pipes /var/log/sssd | sort -u";
    assert_eq!(cluster.on_node(WORKERS[0], directories).await, "directory");
    let failed =
        cluster.on_node(WORKERS[0], "systemctl list-units --state=failed --plain --no-legend | grep sss; true").await;
    assert_eq!(failed, "");
}
