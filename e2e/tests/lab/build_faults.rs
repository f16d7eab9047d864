//! What goes wrong while an image is built: the same build goes on, or says what to do.

use crate::builds::{POOL, cluster, node, pod_of, policy};
use crate::cluster::{BUILD, Cluster, NAMESPACE, NODE, SOON, layered, pool_condition};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::Api;
use onlay_api::MachineOSBuild;
use onlay_testkit::wait;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

/// Where the host is reached from nodes.
const HOST: &str = "10.223.0.1";

/// Something that a build waits for in one of its instructions, until the test lets it pass.
struct Gate {
    socket: TcpSocket,
    port: u16,
}

impl Gate {
    /// Takes a port, at which nobody is let in yet.
    fn closed() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{HOST}:0").parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        Self { socket, port }
    }

    /// The text of an image whose build waits for the gate.
    fn containerfile(&self) -> String {
        let wait = format!("until (exec 3<>/dev/tcp/{HOST}/{}) 2>/dev/null; do sleep 1; done", self.port);
        format!("FROM configs AS final\nRUN bash -c '{wait}'\n")
    }

    /// Lets everybody in, as long as the listener lives.
    fn open(self) -> TcpListener {
        self.socket.listen(16).unwrap()
    }
}

/// Begins a build, and waits until it stands before the gate.
async fn begin(cluster: &Cluster, gate: &Gate) -> (MachineOSBuild, Pod) {
    cluster.apply(layered(POOL, &gate.containerfile())).await;
    let build = cluster.build_is(POOL, "Building", BUILD).await;
    let pod = pod_of(cluster, &build).await;
    stands_before_the_gate(cluster, &pod).await;
    (build, pod)
}

async fn stands_before_the_gate(cluster: &Cluster, pod: &Pod) {
    wait::until("the build to stand before the gate", BUILD, async || {
        match cluster.kubectl.run(&["logs", "-n", NAMESPACE, &pod.name_any()]).await {
            Ok(log) if log.contains("RUN bash -c") => Ok(Some(())),
            Ok(log) => Err(log),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
    .unwrap();
}

/// Waits for a pod of the build besides this one.
async fn another_pod(cluster: &Cluster, build: &MachineOSBuild, first: &Pod) -> Pod {
    wait::until("another pod of the build", NODE, async || {
        let newest = pod_of(cluster, build).await;
        Ok::<_, String>((newest.uid() != first.uid()).then_some(newest))
    })
    .await
    .unwrap()
}

/// Waits until the same build has succeeded, and shows that nothing of it is left but its pods' logs.
async fn succeeds(cluster: &Cluster, build: &MachineOSBuild) {
    let done = cluster.build_is(POOL, "Succeeded", BUILD).await;
    assert_eq!(done.uid(), build.uid(), "the same build");
    wait::until("what the build needed to be gone", SOON, async || {
        let label = "machineconfiguration.openshift.io/ephemeral-build-object";
        let left = cluster.kubectl(&["get", "secrets,configmaps", "-n", NAMESPACE, "-l", label, "-o", "name"]).await;
        if left.is_empty() { Ok(Some(())) } else { Err(left) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_build_whose_node_is_drained_goes_on_elsewhere_and_loses_no_try() {
    let cluster = cluster().await;
    cluster.apply(policy(&json!({"retries": 0}))).await;
    let gate = Gate::closed();
    let (build, pod) = begin(&cluster, &gate).await;
    let job = pod.labels()["batch.kubernetes.io/job-name"].clone();
    let drain = ["drain", node(&pod), "--ignore-daemonsets", "--delete-emptydir-data", "--force"];
    cluster.kubectl(&[&drain[..], &["--pod-selector", &format!("batch.kubernetes.io/job-name={job}")]].concat()).await;
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
async fn a_build_goes_on_while_the_api_server_is_away() {
    let cluster = cluster().await;
    let gate = Gate::closed();
    let (build, _) = begin(&cluster, &gate).await;
    cluster.lab.kill_api_server().await.unwrap();
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

#[tokio::test]
async fn a_build_that_needs_more_memory_than_its_policy_gives_says_so() {
    let cluster = cluster().await;
    cluster.apply(policy(&json!({"retries": 0, "resources": {"limits": {"memory": "192Mi"}}}))).await;
    cluster.apply(layered(POOL, "FROM configs AS final\nRUN perl -e 'my @many = (1) x 1e9'\n")).await;
    let degraded = cluster
        .pool_is(POOL, "ImageBuildDegraded", BUILD, |pool| pool_condition(pool, "ImageBuildDegraded") == "True")
        .await;
    let conditions = degraded.status.unwrap().conditions;
    let message = conditions.into_iter().find(|known| known.type_ == "ImageBuildDegraded").unwrap().message;
    for words in ["memory", "spec.build.resources"] {
        assert!(message.contains(words), "{message}");
    }
    cluster.apply(policy(&json!({"retries": 0}))).await;
    cluster.apply(layered(POOL, "FROM configs AS final\nRUN true\n")).await;
    cluster.build_is(POOL, "Succeeded", BUILD).await;
}
