//! What goes wrong while an image is built: the same build goes on, or says what to do.

use crate::builds::{POOL, another_pod, cluster, logs, node, nothing_leaks, pod_of, policy, state};
use crate::cluster::{
    BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, digest_of, held_workload, layered, pool_condition, updated,
};
use crate::controller::{Controller, holds_the_lease};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_api::{ConditionStatus, MachineConfigNode, MachineOSBuild};
use onlay_testkit::wait;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

/// Where the host is reached from nodes.
const HOST: &str = "10.223.0.1";
/// What the log says of a build that stands before a [`Gate`].
pub const AT_THE_GATE: &str = "RUN bash -c";
/// What the builder says when its image is in the registry.
const PUSHED: &str = "onlay: pushed ";
/// The label of a pod that names its Job.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// How long the API server is away at least.
const AWAY: Duration = Duration::from_secs(30);

/// Something that a build waits for in one of its instructions, until the test lets it pass.
pub struct Gate {
    socket: TcpSocket,
    port: u16,
}

impl Gate {
    /// Takes a port, at which nobody is let in yet.
    pub fn closed() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{HOST}:0").parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        Self { socket, port }
    }

    /// The command that waits for the gate.
    pub fn wait(&self) -> String {
        format!("bash -c 'until (exec 3<>/dev/tcp/{HOST}/{}) 2>/dev/null; do sleep 1; done'", self.port)
    }

    /// The text of an image whose build waits for the gate.
    pub fn containerfile(&self) -> String {
        format!("FROM configs AS final\nRUN {}\n", self.wait())
    }

    /// Lets everybody in, as long as the listener lives.
    pub fn open(self) -> TcpListener {
        self.socket.listen(16).unwrap()
    }
}

/// Begins a build, and waits until it stands before the gate.
pub async fn begin(cluster: &Cluster, gate: &Gate) -> (MachineOSBuild, Pod) {
    begin_as(cluster, layered(POOL, &gate.containerfile())).await
}

/// The same for a MachineOSConfig whose text is that of a gate.
pub async fn begin_as(cluster: &Cluster, config: Value) -> (MachineOSBuild, Pod) {
    cluster.apply(config).await;
    let build = cluster.build_is(POOL, "Building", BUILD).await;
    let pod = pod_of(cluster, &build).await;
    logs(cluster, &pod, AT_THE_GATE).await;
    (build, pod)
}

/// Waits until the same build has succeeded, and shows that nothing of it is left but its pods' logs.
pub async fn succeeds(cluster: &Cluster, build: &MachineOSBuild) {
    let done = cluster.build_is(POOL, "Succeeded", BUILD).await;
    assert_eq!(done.uid(), build.uid(), "the same build");
    nothing_leaks(cluster, POOL).await;
}

#[tokio::test]
async fn a_build_whose_node_is_drained_goes_on_elsewhere_and_loses_no_try() {
    let cluster = cluster().await;
    cluster.apply(policy(&json!({"retries": 0}))).await;
    let gate = Gate::closed();
    let (build, pod) = begin(&cluster, &gate).await;
    let job = pod.labels()[JOB_NAME].clone();
    let drain = ["drain", node(&pod), "--ignore-daemonsets", "--delete-emptydir-data", "--force"];
    cluster.kubectl(&[&drain[..], &["--pod-selector", &format!("{JOB_NAME}={job}")]].concat()).await;
    let next = another_pod(&cluster, &build, &pod).await;
    let _open = gate.open();
    succeeds(&cluster, &build).await;
    let next = Api::<Pod>::namespaced(cluster.client.clone(), NAMESPACE).get(&next.name_any()).await.unwrap();
    assert_ne!(node(&next), node(&pod));
    cluster.kubectl(&["uncordon", node(&pod)]).await;
}

#[tokio::test]
async fn a_build_whose_node_loses_power_is_built_again() {
    let cluster = cluster().await;
    let gate = Gate::closed();
    let (build, pod) = begin(&cluster, &gate).await;
    let machine = cluster.lab.node(node(&pod)).unwrap();
    machine.power_cut().await.unwrap();
    machine.start().await.unwrap();
    let _open = gate.open();
    another_pod(&cluster, &build, &pod).await;
    succeeds(&cluster, &build).await;
}

#[tokio::test]
async fn a_build_whose_pod_is_deleted_is_tried_again() {
    let cluster = cluster().await;
    let gate = Gate::closed();
    let (build, pod) = begin(&cluster, &gate).await;
    cluster.kubectl(&["delete", "pod", "-n", NAMESPACE, &pod.name_any()]).await;
    another_pod(&cluster, &build, &pod).await;
    let _open = gate.open();
    succeeds(&cluster, &build).await;
}

#[tokio::test]
async fn a_build_whose_job_is_deleted_is_interrupted_until_a_person_asks_for_another_one() {
    let cluster = cluster().await;
    let gate = Gate::closed();
    let (build, pod) = begin(&cluster, &gate).await;
    cluster.kubectl(&["delete", "job", "-n", NAMESPACE, &pod.labels()[JOB_NAME]]).await;
    let interrupted = cluster.build_is(POOL, "Interrupted", SOON).await;
    assert_eq!(interrupted.uid(), build.uid());
    nothing_leaks(&cluster, POOL).await;
    let _open = gate.open();
    cluster.kubectl(&["annotate", "machineosconfig", POOL, "machineconfiguration.openshift.io/rebuild="]).await;
    let done = cluster.build_is(POOL, "Succeeded", BUILD).await;
    assert_ne!(done.uid(), build.uid());
}

#[tokio::test]
async fn a_controller_killed_while_a_build_runs_and_when_it_has_ended_builds_once() {
    let cluster = cluster().await;
    let gate = Gate::closed();
    let (build, pod) = begin(&cluster, &gate).await;
    let first = Controller::find(&cluster).await;
    first.signal(&cluster, "KILL").await;
    holds_the_lease(&cluster, Timestamp::now()).await;
    let second = first.successor(&cluster).await;
    // Standing still it cannot say how the Job ends, until it is killed as well.
    second.signal(&cluster, "STOP").await;
    let _open = gate.open();
    let job = &pod.labels()[JOB_NAME];
    let complete = ["--for=condition=Complete", &format!("job/{job}"), "--timeout=300s"];
    cluster.kubectl(&[&["wait", "-n", NAMESPACE], &complete[..]].concat()).await;
    let builds = Api::<MachineOSBuild>::all(cluster.client.clone());
    assert_eq!(state(&builds.get(&build.name_any()).await.unwrap()), "Building");
    second.signal(&cluster, "KILL").await;
    succeeds(&cluster, &build).await;
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), NAMESPACE);
    let of_build = pods.list(&ListParams::default().labels(&format!("{JOB_NAME}={job}"))).await.unwrap();
    let of_build: Vec<_> = of_build.iter().map(ResourceExt::name_any).collect();
    assert_eq!(of_build, [pod.name_any()], "it was built once");
}

#[tokio::test]
async fn a_build_goes_on_while_the_api_server_is_away() {
    let cluster = cluster().await;
    let gate = Gate::closed();
    let (build, _) = begin(&cluster, &gate).await;
    cluster.lab.kill_api_server().await.unwrap();
    let since = Instant::now();
    let away = async || if since.elapsed() >= AWAY { Ok(Some(())) } else { Err(format!("{:?}", since.elapsed())) };
    wait::until("the API server to be away for long enough", 2 * AWAY, away).await.unwrap();
    let _open = gate.open();
    // Where docker-registry keeps which manifest a tag names.
    let tag = format!("_manifests/tags/{}/current/link", build.name_any());
    let images = cluster.lab.layout().state().join("registry/data/docker/registry/v2/repositories");
    wait::until("the image in the registry", BUILD, async || {
        let repositories = images.read_dir_utf8()?.collect::<Result<Vec<_>, _>>()?;
        let places = repositories.iter().flat_map(|place| {
            let below = place.path().read_dir_utf8().into_iter().flatten().flatten();
            below.map(|place| place.into_path()).chain([place.path().to_owned()])
        });
        Ok::<_, std::io::Error>(places.into_iter().any(|place| place.join(&tag).exists()).then_some(()))
    })
    .await
    .unwrap();
    cluster.lab.start_api_server().await.unwrap();
    succeeds(&cluster, &build).await;
}

#[tokio::test]
async fn a_registry_that_is_away_at_the_push_is_tried_again_until_it_is_back() {
    let cluster = cluster().await;
    let gate = Gate::closed();
    let (build, _) = begin(&cluster, &gate).await;
    cluster.lab.stop_registry().await.unwrap();
    let _open = gate.open();
    wait::until("the build to tell its first try", BUILD, async || {
        let builds = Api::<MachineOSBuild>::all(cluster.client.clone());
        let conditions = builds.get(&build.name_any()).await.map_err(|error| error.to_string())?.status;
        let said = serde_json::to_string(&conditions).unwrap();
        if said.contains("try 2 of 4") && said.contains("connection refused") { Ok(Some(())) } else { Err(said) }
    })
    .await
    .unwrap();
    cluster.lab.start_registry().await.unwrap();
    succeeds(&cluster, &build).await;
}

/// Whether a node says that it cannot fetch its image, since nobody listens where its registry was.
fn waits_for_its_registry(node: &MachineConfigNode) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|known| {
        let words = ["10.223.0.1:5000", "connection refused"];
        known.type_ == "NodeDegraded"
            && known.status == ConditionStatus::True
            && words.iter().all(|words| known.message.contains(words))
    })
}

/// What is seen of worker-0 and of a pod that nothing but a drain takes away from there.
async fn sight(cluster: &Cluster) -> (String, String, bool, Vec<Option<String>>) {
    let node = WORKERS[0];
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), "default");
    let pods = pods.list(&ListParams::default().labels("app=held")).await.unwrap();
    let pods = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(ResourceExt::uid).collect();
    (cluster.boot(node).await, cluster.booted_digest(node).await, cluster.schedulable(node).await, pods)
}

#[tokio::test]
async fn a_registry_that_is_away_right_after_the_push_keeps_nodes_as_they_are_until_it_is_back() {
    let cluster = cluster().await;
    cluster.label(WORKERS[0], &format!("node-role.kubernetes.io/{POOL}=")).await;
    cluster.pool_is(POOL, "Updated with 1 machine", NODE, |pool| updated(pool, 1)).await;
    cluster.apply(held_workload()).await;
    cluster.kubectl(&["delete", "pdb", "held"]).await;
    cluster.kubectl(&["rollout", "status", "deployment/held", "--timeout=60s"]).await;
    let before = sight(&cluster).await;
    assert!(before.2 && before.3.len() == 1, "{before:?}");

    // However fast a build is said to have succeeded, the node asks for the image when the registry is away already.
    let pause = async |paused: bool| {
        let patch = json!({"spec": {"paused": paused}}).to_string();
        cluster.kubectl(&["patch", "mcp", POOL, "--type=merge", "-p", &patch]).await;
    };
    pause(true).await;
    let gate = Gate::closed();
    let (build, pod) = begin(&cluster, &gate).await;
    let _open = gate.open();
    logs(&cluster, &pod, PUSHED).await;
    cluster.lab.stop_registry().await.unwrap();
    succeeds(&cluster, &build).await;
    pause(false).await;
    cluster.node_is(WORKERS[0], "waiting for its registry", NODE, waits_for_its_registry).await;
    // Whoever decides about cordons and drains knows of it.
    let degraded = |pool: &_| pool_condition(pool, "NodeDegraded") == "True";
    cluster.pool_is(POOL, "NodeDegraded", SOON, degraded).await;
    assert_eq!(sight(&cluster).await, before, "boot, image, whether it takes pods, and its pod");

    cluster.lab.start_registry().await.unwrap();
    let well = |pool: &_| updated(pool, 1) && pool_condition(pool, "Degraded") == "False";
    cluster.pool_is(POOL, "Updated with 1 machine, and not Degraded", NODE, well).await;
    let done = cluster.build_is(POOL, "Succeeded", BUILD).await;
    assert_eq!(done.uid(), build.uid(), "it was built once");
    let image = done.status.unwrap().digested_image_push_spec.unwrap();
    assert_eq!(cluster.booted_digest(WORKERS[0]).await, digest_of(&image));
}
