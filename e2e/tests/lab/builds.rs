//! What a build leaves for later ones, and what a LayeringPolicy does to it.

use crate::cluster::{BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, layered, pool};
use crate::controller::metrics;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_api::{ConditionStatus, MachineOSBuild, names};
use onlay_testkit::wait;
use serde_json::{Value, json};

pub const POOL: &str = "test";
/// Says that an image comes from a registry.
const PULLED: &str = "Trying to pull ";
/// Says that an instruction does not run, since an earlier build has left its layer.
pub const REUSED: &str = "--> Using cache ";

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
pub async fn build(cluster: &Cluster, containerfile: &str) -> (Pod, String) {
    cluster.apply(layered(POOL, containerfile)).await;
    let build = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let pod = pod_of(cluster, &build).await;
    let log = log_of(cluster, &pod.name_any()).await;
    (pod, log)
}

/// The log of a pod, or of a Job's, that has ended. For up to 45 s an API server may not notice that a kubelet's node has booted anew.
pub async fn log_of(cluster: &Cluster, name: &str) -> String {
    wait::until(&format!("the log of {name}"), SOON, async || {
        cluster.kubectl.run(&["logs", "-n", NAMESPACE, name]).await.map(Some)
    })
    .await
    .unwrap()
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

/// Waits for a pod of the build besides this one.
pub async fn another_pod(cluster: &Cluster, build: &MachineOSBuild, first: &Pod) -> Pod {
    wait::until("another pod of the build", NODE, async || {
        let newest = pod_of(cluster, build).await;
        Ok::<_, String>((newest.uid() != first.uid()).then_some(newest))
    })
    .await
    .unwrap()
}

/// Waits until the log of a build's pod has these words.
pub async fn logs(cluster: &Cluster, pod: &Pod, words: &str) {
    wait::until(&format!("{words:?} in the log of the build"), BUILD, async || {
        match cluster.kubectl.run(&["logs", "-n", NAMESPACE, &pod.name_any()]).await {
            Ok(log) if log.contains(words) => Ok(Some(())),
            Ok(log) => Err(log),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
    .unwrap();
}

/// The condition of a build that is True; empty if there is none yet.
pub fn state(build: &MachineOSBuild) -> &str {
    let mut conditions = build.status.iter().flat_map(|status| &status.conditions);
    let now = conditions.find(|known| known.status == ConditionStatus::True);
    now.map(|known| known.type_.as_str()).unwrap_or_default()
}

/// Waits until nothing is left of the builds of a pool but what explains them: the Job of each that has succeeded or failed,
/// which has ended, and its pods.
pub async fn nothing_leaks(cluster: &Cluster, pool: &str) {
    wait::until(&format!("nothing to be left of the builds of {pool} but what explains them"), SOON, async || {
        let left = leaks(cluster, pool).await?;
        if left.is_empty() { Ok::<_, Box<dyn std::error::Error>>(Some(())) } else { Err(left.join(", ").into()) }
    })
    .await
    .unwrap();
}

async fn leaks(cluster: &Cluster, pool: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let client = &cluster.client;
    let of_pool = ListParams::default().labels(&format!("{}={pool}", names::TARGET_POOL_LABEL));
    let builds = Api::<MachineOSBuild>::all(client.clone()).list(&of_pool).await?;
    let ended = builds.iter().filter(|build| matches!(state(build), "Succeeded" | "Failed"));
    let explain: Vec<String> = ended.map(|build| names::build_job(&build.name_any())).collect();
    let jobs = Api::<Job>::namespaced(client.clone(), NAMESPACE).list(&of_pool).await?;
    let jobs = jobs.iter().filter(|job| !(explain.contains(&job.name_any()) && has_ended(job)));
    let mut left: Vec<String> = jobs.map(|job| format!("Job {}", job.name_any())).collect();
    for pod in Api::<Pod>::namespaced(client.clone(), NAMESPACE).list(&of_pool).await? {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
        let explains = pod.labels().get("batch.kubernetes.io/job-name").is_some_and(|job| explain.contains(job));
        if !(explains && matches!(phase, "Succeeded" | "Failed")) {
            left.push(format!("Pod {} ({phase})", pod.name_any()));
        }
    }
    let only_while =
        ["get", "secrets,configmaps", "-n", NAMESPACE, "-o", "name", "-l", names::EPHEMERAL_BUILD_OBJECT_LABEL];
    let entitlement = names::entitlement_of(pool);
    let copied = ["get", "secrets", "-n", NAMESPACE, "-o", "name", "--ignore-not-found", &entitlement];
    for words in [only_while, copied] {
        left.extend(cluster.kubectl.run(&words).await?.lines().map(str::to_owned));
    }
    Ok(left)
}

fn has_ended(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ends = conditions.filter(|known| matches!(known.type_.as_str(), "Complete" | "Failed"));
    ends.any(|known| known.status == "True")
}

pub fn node(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// Instructions of the pool's builds whose layers were there already, as the metrics count them.
async fn reused_instructions(cluster: &Cluster) -> usize {
    let figure = format!("onlay_build_instructions_total{{pool=\"{POOL}\",cache=\"hit\"}} ");
    let text = metrics(cluster).await;
    text.lines().find_map(|line| line.strip_prefix(&figure)).map_or(0, |figure| figure.trim().parse().unwrap())
}

#[tokio::test]
async fn a_changed_last_line_runs_alone_on_the_node_of_the_build_before() {
    let cluster = cluster().await;
    let (first, log) = build(&cluster, &text("echo a > /usr/share/last")).await;
    assert!(log.contains(PULLED) && !log.contains(REUSED), "{log}");
    let before = reused_instructions(&cluster).await;
    let (second, log) = build(&cluster, &text("echo b > /usr/share/last")).await;
    assert_eq!(node(&second), node(&first));
    assert!(!log.contains(PULLED), "{log}");
    let lines: Vec<&str> = log.lines().collect();
    let after = |words: &str| lines.iter().skip_while(|line| !line.contains(words)).nth(1).copied().unwrap_or_default();
    assert!(after("RUN echo first").starts_with(REUSED), "{log}");
    assert!(!after("RUN echo b").starts_with(REUSED), "{log}");
    // They are counted when the controller has read the log.
    let wanted = before + lines.iter().filter(|line| line.starts_with(REUSED)).count();
    wait::until(&format!("{wanted} instructions that did not run in the metrics"), SOON, async || {
        let found = reused_instructions(&cluster).await;
        if found >= wanted { Ok(Some(())) } else { Err(found.to_string()) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_person_who_asks_for_another_build_gets_every_instruction_anew() {
    let cluster = cluster().await;
    build(&cluster, &text("true")).await;
    let before = cluster.build_is(POOL, "Succeeded", BUILD).await;
    cluster.kubectl(&["annotate", "machineosconfig", POOL, "machineconfiguration.openshift.io/rebuild="]).await;
    let again = cluster.next_build(POOL, &before).await;
    let pod = pod_of(&cluster, &again).await;
    let log = log_of(&cluster, &pod.name_any()).await;
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

/// A kubelet keeps what it was told of the first build for as long as a pod of it is there.
#[tokio::test]
async fn a_build_made_anew_on_the_node_of_the_one_before_does_what_the_policy_says_now() {
    let cluster = cluster().await;
    let there = WORKERS[1];
    let with_cache = |cache: Value| policy(&json!({"cache": cache, "nodeSelector": {"kubernetes.io/hostname": there}}));
    let kept = async || cluster.on_node(there, "ls /var/lib/onlay/build-cache").await;
    cluster.apply(with_cache(json!({"type": "None"}))).await;
    let (pod, _) = build(&cluster, &text("true")).await;
    assert_eq!((node(&pod), kept().await.as_str()), (there, ""));
    let first = cluster.build_is(POOL, "Succeeded", SOON).await;
    cluster.apply(with_cache(json!({"sizeLimit": "4Gi"}))).await;
    cluster.kubectl(&["annotate", "machineosconfig", POOL, "machineconfiguration.openshift.io/rebuild="]).await;
    let second = cluster.next_build(POOL, &first).await;
    assert_eq!(second.name_any(), first.name_any(), "the same inputs");
    assert!(kept().await.contains("storage-"), "{}", kept().await);
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
async fn a_pod_that_is_killed_and_a_build_that_is_given_up_leave_what_the_next_one_can_use() {
    let cluster = cluster().await;
    cluster.apply(layered(POOL, &text("sleep 300"))).await;
    let running = cluster.build_is(POOL, "Building", BUILD).await;
    let pod = pod_of(&cluster, &running).await;
    let first = node(&pod).to_owned();
    logs(&cluster, &pod, "RUN sleep 300").await;
    cluster.kubectl(&["delete", "pod", "-n", NAMESPACE, "--grace-period=0", "--force", &pod.name_any()]).await;
    let again = another_pod(&cluster, &running, &pod).await;
    logs(&cluster, &again, "RUN sleep 300").await;
    let (next, log) = build(&cluster, &text("true")).await;
    assert!(!log.contains("warning"), "{log}");
    assert!([&first, node(&again)].iter().all(|warm| node(&next) != *warm) || log.contains(REUSED), "{log}");
    let before = Api::<MachineOSBuild>::all(cluster.client.clone()).get(&running.name_any()).await.unwrap();
    assert_eq!((state(&before), before.uid()), ("Interrupted", running.uid()));
    nothing_leaks(&cluster, POOL).await;
}
