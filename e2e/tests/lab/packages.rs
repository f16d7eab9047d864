//! Extensions and another kernel: apt installs them, nodes boot them, and the controller's metrics count the build.

use crate::cluster::{BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, layered, machine_config, pool, updated};
use onlay_testkit::wait;
use serde_json::json;

const POOL: &str = "test";

/// What the controller's metrics say.
async fn metrics(cluster: &Cluster) -> String {
    let address = cluster
        .kubectl(&["get", "service", "onlay-controller", "-n", NAMESPACE, "-o", "jsonpath={.spec.clusterIP}"])
        .await;
    let get = "exec 3<>/dev/tcp/$0/8080; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    cluster.on_node(WORKERS[1], &format!("bash -c \"{}\" {address}", get.replace('$', "\\$"))).await
}

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
