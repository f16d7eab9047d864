//! A pool whose nodes have two architectures, with a real registry.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use onlay_api::MachineOSBuild;
use onlay_api::conditions::{BuildConditionType, ConditionStatus, OSConfigConditionType, find};
use onlay_core::build::spec::{Outcome, Spec};
use onlay_registry::{DockerConfig, Registry};
use onlay_testkit::{RegistryServer, objects};
use serde_json::{Value, json};

use crate::world::World;

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

fn labels() -> Value {
    json!({"ostree.final-diffid": "sha256:aa", "ostree.bootable": "1"})
}

/// A node of the pool for each architecture.
async fn add_nodes(world: &World) {
    for architecture in ARCHITECTURES {
        let labels = json!({"role": "worker", "kubernetes.io/arch": architecture});
        objects::apply(&world.all::<Node>(), architecture, json!({"metadata": {"labels": labels}})).await.unwrap();
    }
}

/// Plays the Job of a part, which pushes an image for an architecture.
async fn push(world: &World, build: &MachineOSBuild, part: &str, architecture: &str) {
    let job = world.job_named(format!("build-{}-{part}", build.name_any())).await;
    let spec: Spec = serde_json::from_str(&world.asked(&job).await.unwrap()).unwrap();
    assert_eq!(spec.architecture, part);
    world.pod_runs(&job).await;
    let target = spec.target.strip_prefix(&format!("{}/", world.registry.address())).unwrap();
    let image = world.registry.push_empty_for(architecture, target, &labels()).await.unwrap();
    world.ends(&job, &Outcome::Pushed { image }).await;
}

/// A build for two architectures, prepared.
async fn prepared() -> (World, MachineOSBuild) {
    let world = World::new().await;
    add_nodes(&world).await;
    let mut images = BTreeMap::new();
    for architecture in ARCHITECTURES {
        let name = format!("os/base:{architecture}");
        let image = world.registry.push_empty_for(architecture, &name, &labels()).await.unwrap();
        images.insert(architecture.to_owned(), image);
    }
    let base = format!("{}/os/base:both", world.registry.address());
    let credentials = world.registry.docker_config(RegistryServer::PASSWORD);
    let credentials = DockerConfig::parse(credentials.as_bytes()).unwrap();
    Registry::new(Some(world.registry.authority())).unwrap().join(&base, &images, &credentials).await.unwrap();
    world.machine_config("10-base", json!({"osImageURL": base})).await;
    world.config("FROM configs AS final\nRUN true\n").await;
    let build = world.build(BuildConditionType::Prepared).await;
    (world, build)
}

#[tokio::test]
async fn the_images_of_two_architectures_are_joined_in_the_registry() {
    let (world, build) = prepared().await;
    for architecture in ARCHITECTURES {
        push(&world, &build, architecture, architecture).await;
    }
    let done = world.build(BuildConditionType::Succeeded).await;
    let image = done.status.unwrap().digested_image_push_spec.unwrap();
    for architecture in ARCHITECTURES {
        let config = world.registry.config_of(&image, architecture).await.unwrap();
        assert_eq!(config["architecture"], architecture);
    }
    world
        .sees("the index", |config| {
            config.status.as_ref().and_then(|status| status.current_image_pull_spec.as_deref()) == Some(image.as_str())
        })
        .await;
}

#[tokio::test]
async fn an_image_for_another_architecture_than_its_job_is_told() {
    let (world, build) = prepared().await;
    push(&world, &build, "amd64", "amd64").await;
    push(&world, &build, "arm64", "amd64").await;
    world
        .sees("what is wrong with the image", |config| {
            let conditions = config.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            find(conditions, OSConfigConditionType::ImageReady).is_some_and(|ready| {
                ready.status == ConditionStatus::False
                    && ready.message.contains("it is for amd64, and was built for arm64")
            })
        })
        .await;
}

#[tokio::test]
async fn a_base_image_that_nodes_of_the_pool_cannot_run_fails_the_build() {
    let world = World::new().await;
    add_nodes(&world).await;
    world.config("FROM configs AS final\nRUN true\n").await;
    let failed = world.build(BuildConditionType::Failed).await;
    let condition = find(&failed.status.as_ref().unwrap().conditions, BuildConditionType::Failed).cloned().unwrap();
    assert_eq!(condition.reason, "BaseImageNotOstree");
    assert!(condition.message.contains("is for amd64, and nodes of the pool are arm64"), "{}", condition.message);
}
