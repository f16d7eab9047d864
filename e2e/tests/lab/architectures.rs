//! A pool whose nodes have two architectures.
//!
//! Only amd64 can run here. One of the workers is said to be arm64 by its label, and the base image for arm64 is that for amd64
//! with another word in its configuration. So everything is real but the machine's instructions: where pods are scheduled, what
//! Jobs build, images and index; and a node that pulls the index gets, and boots, the image for what it really is.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_api::MachineConfigNode;
use onlay_testkit::base_image::{self, FOR_TWO};
use onlay_testkit::{command, registry};
use serde_json::{Value, json};

use crate::builds::{self, POOL};
use crate::cluster::{BUILD, Cluster, NAMESPACE, NODE, WORKERS, layered, machine_config, updated};

/// Says where the build of an image ran.
fn text(architecture: &str) -> String {
    format!("FROM configs AS final\nRUN echo {architecture} > /usr/share/built-for")
}

/// The nodes of the pods of a build, by architecture.
async fn nodes_of_pods(cluster: &Cluster, build: &str) -> BTreeMap<String, String> {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), NAMESPACE).list(&ListParams::default()).await.unwrap();
    let node = |pod: Pod| {
        let (job, node) = (pod.labels().get("batch.kubernetes.io/job-name")?.clone(), pod.spec?.node_name?);
        Some((job.strip_prefix(&format!("build-{build}-"))?.to_owned(), node))
    };
    pods.into_iter().filter_map(node).collect()
}

/// An image in the lab's registry as skopeo sees it.
async fn inspect(cluster: &Cluster, arguments: &[&str], image: &str) -> Value {
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
    let [amd64, arm64] = WORKERS;
    cluster.label(arm64, "kubernetes.io/arch=arm64").await;
    for node in WORKERS {
        cluster.label(node, &format!("node-role.kubernetes.io/{POOL}=")).await;
    }
    cluster.apply(machine_config("60-test-base", POOL, json!({"osImageURL": FOR_TWO}))).await;
    let mut config = layered(POOL, &text("amd64"));
    let own = json!({"containerfileArch": "ARM64", "content": text("arm64")});
    config["spec"]["containerFile"].as_array_mut().unwrap().push(own);
    cluster.apply(config).await;

    let build = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let pods = nodes_of_pods(&cluster, &build.name_any()).await;
    let expected = [("amd64", amd64), ("arm64", arm64)].map(|(each, node)| (each.to_owned(), node.to_owned()));
    assert_eq!(pods, expected.into(), "where the scheduler has put the pods");
    let image = build.status.unwrap().digested_image_push_spec.unwrap();
    let index = inspect(&cluster, &["inspect", "--raw"], &image).await;
    let platforms: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|each| &each["platform"]).collect();
    assert_eq!(
        platforms,
        [&json!({"architecture": "amd64", "os": "linux"}), &json!({"architecture": "arm64", "os": "linux"})]
    );
    for architecture in ["amd64", "arm64"] {
        let config = inspect(&cluster, &["--override-arch", architecture, "inspect", "--config"], &image).await;
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config["config"]["Labels"]["org.opencontainers.image.base.digest"], digest);
        let history = config["history"].to_string();
        assert!(history.contains(&format!("echo {architecture} > /usr/share/built-for")), "{history}");
    }

    // What the node that was said to be arm64 says when it has booted: what it is. That makes no new image.
    cluster.pool_is(POOL, "Updated with 2 machines", 2 * NODE, |pool| updated(pool, 2)).await;
    for node in WORKERS {
        cluster.node_is(node, "booted from the index", NODE, |state| runs(state, &image)).await;
        assert_eq!(cluster.on_node(node, "cat /usr/share/built-for").await, "amd64");
        let label = "jsonpath={.metadata.labels.kubernetes\\.io/arch}";
        assert_eq!(cluster.kubectl(&["get", "node", node, "-o", label]).await, "amd64");
    }
    let builds = cluster.kubectl(&["get", "machineosbuilds", "-o", "name"]).await;
    assert_eq!(builds.lines().count(), 1, "{builds}");
}
