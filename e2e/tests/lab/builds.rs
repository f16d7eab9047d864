//! What a build leaves for later ones, and what a LayeringPolicy does to it.

use crate::cluster::{BUILD, Cluster, NAMESPACE, SOON, WORKERS, layered, pool};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_api::MachineOSBuild;
use onlay_testkit::wait;
use serde_json::{Value, json};

pub const POOL: &str = "test";
/// Says that an image comes from a registry.
const PULLED: &str = "Trying to pull ";
/// Says that an instruction does not run, since an earlier build has left its layer.
const REUSED: &str = "--> Using cache ";

/// A pool, and no node on which an earlier test has left anything.
pub async fn cluster() -> Cluster {
    let cluster = Cluster::fresh().await;
    cluster.empty_build_caches().await;
    cluster.apply(pool(POOL)).await;
    // A machine that tests may have little room left, and a cache is emptied that could take all of it.
    cluster.apply(policy(&json!({"cache": {"sizeLimit": "4Gi"}}))).await;
    cluster
}

fn text(last: &str) -> String {
    format!("FROM configs AS final\nRUN echo first > /usr/share/first\nRUN {last}\n")
}

/// Builds an image, and returns the newest pod of the build with its log.
async fn build(cluster: &Cluster, containerfile: &str) -> (Pod, String) {
    cluster.apply(layered(POOL, containerfile)).await;
    let build = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let pod = pod_of(cluster, &build).await;
    let log = cluster.kubectl(&["logs", "-n", NAMESPACE, &pod.name_any()]).await;
    (pod, log)
}

/// The newest pod of a build, once there is one.
pub async fn pod_of(cluster: &Cluster, build: &MachineOSBuild) -> Pod {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), NAMESPACE);
    let of_build = ListParams::default().labels(&format!("batch.kubernetes.io/job-name=build-{}", build.name_any()));
    wait::until("the pod of a build", SOON, async || {
        let all = pods.list(&of_build).await?;
        Ok::<_, kube::Error>(all.into_iter().max_by_key(|pod| pod.creation_timestamp().map(|time| time.0)))
    })
    .await
    .unwrap()
}

pub fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

#[tokio::test]
async fn a_changed_last_line_runs_alone_on_the_node_of_the_build_before() {
    let cluster = cluster().await;
    let (first, log) = build(&cluster, &text("echo a > /usr/share/last")).await;
    assert!(log.contains(PULLED) && !log.contains(REUSED), "{log}");
    let (second, log) = build(&cluster, &text("echo b > /usr/share/last")).await;
    assert_eq!(node(&second), node(&first));
    assert!(!log.contains(PULLED), "{log}");
    let lines: Vec<&str> = log.lines().collect();
    let after = |words: &str| lines.iter().skip_while(|line| !line.contains(words)).nth(1).copied().unwrap_or_default();
    assert!(after("RUN echo first").starts_with(REUSED), "{log}");
    assert!(!after("RUN echo b").starts_with(REUSED), "{log}");
}

#[tokio::test]
async fn a_person_who_asks_for_another_build_gets_every_instruction_anew() {
    let cluster = cluster().await;
    build(&cluster, &text("true")).await;
    let before = cluster.build_is(POOL, "Succeeded", BUILD).await.uid();
    cluster.kubectl(&["annotate", "machineosconfig", POOL, "machineconfiguration.openshift.io/rebuild="]).await;
    wait::until("another build", BUILD, async || {
        let now = cluster.build_is(POOL, "Succeeded", BUILD).await;
        Ok::<_, String>((now.uid() != before).then_some(()))
    })
    .await
    .unwrap();
    let again = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let pod = pod_of(&cluster, &again).await;
    let log = cluster.kubectl(&["logs", "-n", NAMESPACE, &pod.name_any()]).await;
    let ran = log.split("RUN echo first").nth(1).unwrap_or_default();
    assert!(!ran.contains(REUSED), "{log}");
}

#[tokio::test]
async fn a_build_runs_where_and_as_its_policy_says() {
    let cluster = cluster().await;
    let there = WORKERS[1];
    cluster.label(there, "example.com/builds=yes").await;
    cluster.kubectl(&["taint", "node", there, "example.com/builds=only:NoSchedule", "--overwrite"]).await;
    let wanted = json!({
        "resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": "50m", "memory": "128Mi"}},
        "nodeSelector": {"example.com/builds": "yes"},
        "tolerations": [{"key": "example.com/builds", "operator": "Exists", "effect": "NoSchedule"}],
        "timeoutSeconds": 600,
        "retries": 1,
        "cache": {"type": "None"},
    });
    cluster.apply(policy(&wanted)).await;
    let (pod, log) = build(&cluster, &text("true")).await;
    for undo in [["taint", "example.com/builds-"], ["label", "example.com/builds-"]] {
        cluster.kubectl(&[undo[0], "node", there, undo[1]]).await;
    }
    assert_eq!(node(&pod), there);
    let job = pod.labels()["batch.kubernetes.io/job-name"].clone();
    assert!(!log.contains("build cache"), "{log}");
    let pod = serde_json::to_value(&pod.spec).unwrap();
    assert_eq!(pod["containers"][0]["resources"], wanted["resources"]);
    assert!(pod["tolerations"].as_array().unwrap().contains(&wanted["tolerations"][0]), "{pod}");
    assert!(pod["volumes"].as_array().unwrap().iter().all(|volume| volume["name"] != "cache"), "{pod}");
    let limits = "jsonpath={.spec.activeDeadlineSeconds} {.spec.backoffLimit}";
    assert_eq!(cluster.kubectl(&["get", "job", "-n", NAMESPACE, &job, "-o", limits]).await, "600 1");
}

pub fn policy(build: &Value) -> Value {
    json!({
        "apiVersion": "onlay.dev/v1alpha1", "kind": "LayeringPolicy", "metadata": {"name": POOL},
        "spec": {"build": build},
    })
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_told_and_fails_no_build() {
    let cluster = cluster().await;
    for node in WORKERS {
        cluster.on_node(node, "chown 0:0 /var/lib/onlay/build-cache").await;
    }
    let (_, log) = build(&cluster, &text("true")).await;
    for node in WORKERS {
        cluster.on_node(node, "chown 1000:1000 /var/lib/onlay/build-cache").await;
    }
    assert!(
        log.contains("onlay: warning: the build cache /run/onlay/cache cannot be used: Permission denied"),
        "{log}"
    );
}

#[tokio::test]
async fn a_pod_that_is_killed_leaves_what_the_next_one_can_use() {
    let cluster = cluster().await;
    cluster.apply(layered(POOL, &text("sleep 300"))).await;
    let running = cluster.build_is(POOL, "Building", BUILD).await;
    let pod = pod_of(&cluster, &running).await;
    let first = node(&pod).to_owned();
    wait::until("the second command to run", BUILD, async || {
        let log = cluster.kubectl(&["logs", "-n", NAMESPACE, &pod.name_any()]).await;
        if log.contains("RUN sleep 300") { Ok(Some(())) } else { Err(log) }
    })
    .await
    .unwrap();
    cluster.kubectl(&["delete", "pod", "-n", NAMESPACE, "--grace-period=0", "--force", &pod.name_any()]).await;
    let (next, log) = build(&cluster, &text("true")).await;
    assert!(!log.contains("warning"), "{log}");
    assert!(node(&next) != first || log.contains(REUSED), "{log}");
}
