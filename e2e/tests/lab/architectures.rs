//! A pool whose nodes have two architectures.
//!
//! Only amd64 can run here. The node for arm64 is an object without a machine: the scheduler gives it the pod of the Job for arm64,
//! and the test says the pod's last word, having pushed the base image for arm64 (which is that for amd64 with another word in its
//! configuration) in its place. All else is real: the other Job, both images in the registry, their index, and the
//! worker that pulls the index and boots what is in it for amd64.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use onlay_api::{MachineConfigNode, MachineOSBuild};
use onlay_testkit::base_image::{self, FOR_TWO};
use onlay_testkit::{command, registry, wait};
use serde_json::{Value, json};

use crate::builds::{self, POOL};
use crate::cluster::{BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, layered, machine_config, pool};

/// The node without a machine.
pub const ARM: &str = "arm-0";
/// The taint that keeps pods from it which nobody would run.
const NOBODY: &str = "example.com/nobody";

async fn add_node(cluster: &Cluster) {
    let role = format!("node-role.kubernetes.io/{POOL}");
    let labels =
        json!({"kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": ARM, role: ""});
    let taint = json!({"key": NOBODY, "effect": "NoSchedule"});
    let node = json!({"metadata": {"name": ARM, "labels": labels}, "spec": {"taints": [taint]}});
    let node: Node = serde_json::from_value(node).unwrap();
    let nodes = Api::<Node>::all(cluster.client.clone());
    nodes.create(&PostParams::default(), &node).await.unwrap();
    let room = json!({"cpu": "2", "memory": "4Gi", "pods": "10"});
    let ready = json!({"type": "Ready", "status": "True", "reason": "Said", "message": ""});
    let status = json!({"status": {"capacity": room, "allocatable": room, "conditions": [ready]}});
    nodes.patch_status(ARM, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// The pod of the part of a build for an architecture, once the scheduler has given it a node.
async fn scheduled(cluster: &Cluster, build: &MachineOSBuild, architecture: &str) -> Pod {
    let job = format!("batch.kubernetes.io/job-name=build-{}-{architecture}", build.name_any());
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), NAMESPACE);
    wait::until(&format!("the pod for {architecture} to have a node"), SOON, async || {
        let all = pods.list(&ListParams::default().labels(&job)).await?;
        Ok::<_, kube::Error>(all.into_iter().find(|pod| !builds::node(pod).is_empty()))
    })
    .await
    .unwrap()
}

/// Says what a pod says that has pushed an image.
async fn say_pushed(cluster: &Cluster, pod: &Pod, image: &str) {
    let message = json!({"outcome": "pushed", "image": image}).to_string();
    let ended = json!({"exitCode": 0, "message": message, "reason": "Completed"});
    let container = json!({"name": "build", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": ended}});
    let status = json!({"status": {"phase": "Succeeded", "containerStatuses": [container]}});
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), NAMESPACE);
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// An image in the lab's registry as skopeo sees it.
pub async fn inspect(cluster: &Cluster, arguments: &[&str], image: &str) -> Value {
    let (auth, certs) = (registry::auth_file(cluster.lab.layout()), registry::cert_dir(cluster.lab.layout()));
    let access = ["--authfile", auth.as_str(), "--cert-dir", certs.as_str()];
    let image = format!("docker://{image}");
    let text = command::run(&[&["skopeo"], arguments, &access[..], &[&image]].concat()).await.unwrap();
    serde_json::from_str(&text).unwrap()
}

fn runs(state: &MachineConfigNode, image: &str) -> bool {
    let status = state.status.clone().unwrap_or_default();
    status.config_image.and_then(|known| known.current_image).as_deref() == Some(image)
}

#[tokio::test]
async fn a_pool_of_two_architectures_gets_an_image_for_each_and_one_index_of_both() {
    let cluster = builds::cluster().await;
    let digest = base_image::push_for_two(cluster.lab.layout()).await.unwrap();
    let mut of_two = pool(POOL);
    // A node that nobody runs is out of service.
    of_two["spec"]["maxUnavailable"] = 2.into();
    cluster.apply(of_two).await;
    cluster.apply(builds::policy(&json!({"tolerations": [{"key": NOBODY, "operator": "Exists"}]}))).await;
    add_node(&cluster).await;
    cluster.label(WORKERS[0], &format!("node-role.kubernetes.io/{POOL}=")).await;
    cluster.apply(machine_config("60-test-base", POOL, json!({"osImageURL": FOR_TWO}))).await;
    let mut config = layered(POOL, "FROM configs AS final\nRUN echo all others > /usr/share/built-for");
    let own = json!({"containerfileArch": "ARM64", "content": "FROM configs AS final\nRUN echo arm64"});
    config["spec"]["containerFile"].as_array_mut().unwrap().push(own);
    cluster.apply(config).await;

    let build = cluster.build_is(POOL, "Building", BUILD).await;
    let [amd64, arm64] = [scheduled(&cluster, &build, "amd64").await, scheduled(&cluster, &build, "arm64").await];
    assert!(WORKERS.contains(&builds::node(&amd64)), "{}", builds::node(&amd64));
    assert_eq!(builds::node(&arm64), ARM);
    let target = format!("10.223.0.1:5000/os/{POOL}:{}-arm64", build.name_any());
    let pushed = base_image::copy_other(cluster.lab.layout(), &target).await.unwrap();
    say_pushed(&cluster, &arm64, &format!("10.223.0.1:5000/os/{POOL}@{pushed}")).await;

    let build = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let image = build.status.unwrap().digested_image_push_spec.unwrap();
    let index = inspect(&cluster, &["inspect", "--raw"], &image).await;
    let platforms: Vec<_> =
        index["manifests"].as_array().unwrap().iter().map(|each| each["platform"].clone()).collect();
    assert_eq!(platforms, ["amd64", "arm64"].map(|each| json!({"architecture": each, "os": "linux"})));
    let config = inspect(&cluster, &["--override-arch", "amd64", "inspect", "--config"], &image).await;
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.base.digest"], digest);

    cluster.node_is(WORKERS[0], "booted from the index", NODE, |state| runs(state, &image)).await;
    assert_eq!(cluster.on_node(WORKERS[0], "cat /usr/share/built-for").await, "all others");

    // The last node of an architecture leaves: those that stay keep their image.
    cluster.kubectl(&["delete", "node", ARM]).await;
    cluster.pool_is(POOL, "Updated with one machine", NODE, |pool| crate::cluster::updated(pool, 1)).await;
    let builds = cluster.kubectl(&["get", "machineosbuilds", "-o", "name"]).await;
    assert_eq!(builds.lines().count(), 1, "{builds}");
}
