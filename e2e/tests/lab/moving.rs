//! What changes in a registry by itself: the tag of a base image moves, and an image that is served vanishes.

use crate::architectures::inspect;
use crate::builds::{POOL, cluster, nothing_leaks, policy};
use crate::cluster::{BUILD, Cluster, SOON, digest_of, layered, machine_config};
use jiff::Timestamp;
use kube::ResourceExt;
use onlay_api::{ConditionStatus, MachineOSBuild, MachineOSConfig, names};
use onlay_testkit::base_image::{self, FOR_TWO, IMAGE};
use onlay_testkit::buildah::Buildah;
use onlay_testkit::registry;
use serde_json::{Value, json};

const TEXT: &str = "FROM configs AS final\nRUN echo built > /usr/share/built\n";
/// Where the base image lies whose tag moves.
const REPOSITORY: &str = "10.223.0.1:5000/os/moving";
/// The MachineConfig that names it.
const NAMES_THE_TAG: &str = "60-test-base";
/// The annotation that says what a base image is by digest.
const BASE: &str = "onlay.dev/base-image";

/// Registries are asked as often as a policy allows.
fn watchful() -> Value {
    policy(&json!({"pollIntervalSeconds": 10, "cache": {"sizeLimit": "4Gi"}}))
}

fn image_of(build: &MachineOSBuild) -> String {
    build.status.clone().unwrap().digested_image_push_spec.unwrap()
}

/// Whether a condition of a MachineOSConfig is True for this reason.
fn says(config: &MachineOSConfig, type_: &str, reason: &str) -> bool {
    let mut conditions = config.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|known| known.type_ == type_ && known.status == ConditionStatus::True && known.reason == reason)
}

/// Waits until the nodes of the pool would get this image.
async fn serves(cluster: &Cluster, image: &str) {
    let is_served = |config: &MachineOSConfig| {
        let current = config.status.as_ref().and_then(|status| status.current_image_pull_spec.as_deref());
        current == Some(image) && says(config, "ImageReady", "Built")
    };
    cluster.config_is(POOL, &format!("serving {image}"), SOON, is_served).await;
}

#[tokio::test]
async fn a_tag_that_moves_is_built_on_by_itself() {
    let cluster = cluster().await;
    let layout = cluster.lab.layout();
    let other = base_image::push_for_two(layout).await.unwrap();
    // The controller remembers for a while what a tag was; this one is new to it.
    let tag = format!("{REPOSITORY}:{}", Timestamp::now().as_second());
    registry::copy(layout, IMAGE, &tag).await.unwrap();
    cluster.apply(watchful()).await;
    cluster.apply(machine_config(NAMES_THE_TAG, POOL, json!({"osImageURL": tag}))).await;
    cluster.renders(POOL, NAMES_THE_TAG).await;
    cluster.apply(layered(POOL, TEXT)).await;
    let first = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let before = digest_of(&first.annotations()[BASE]).to_owned();
    assert_ne!(before, other);

    registry::copy(layout, FOR_TWO, &tag).await.unwrap();
    let second = cluster.next_build(POOL, &first).await;
    let moved = format!("{REPOSITORY}@{other}");
    assert_eq!(second.annotations()[BASE], moved);
    let words = format!("the tag {tag} moved from {before} to {other}");
    assert_eq!(second.annotations()[names::REASON_FOR_BUILD_ANNOTATION], words);
    cluster.event("MachineOSConfig", POOL, &words).await;
    let image = image_of(&second);
    assert_ne!(image, image_of(&first));
    serves(&cluster, &image).await;
    let told = format!("{tag} is {moved}");
    let is_told = |config: &MachineOSConfig| {
        let mut conditions = config.status.iter().flat_map(|status| &status.conditions);
        says(config, "BaseImageResolved", "LookedUp") && conditions.any(|known| known.message == told)
    };
    cluster.config_is(POOL, "telling what the tag is", SOON, is_told).await;
    let built = inspect(&cluster, &["inspect", "--config"], &image).await;
    assert_eq!(built["config"]["Labels"]["org.opencontainers.image.base.digest"], other);
    nothing_leaks(&cluster, POOL).await;
}

#[tokio::test]
async fn an_image_that_its_registry_has_lost_is_built_again_by_itself() {
    let cluster = cluster().await;
    let layout = cluster.lab.layout();
    cluster.apply(watchful()).await;
    cluster.apply(layered(POOL, TEXT)).await;
    let first = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let lost = image_of(&first);
    serves(&cluster, &lost).await;

    registry::delete(layout, &lost).await.unwrap();
    assert!(!Buildah::new(layout).is_pushed(&lost).await);
    let second = cluster.next_build(POOL, &first).await;
    assert_eq!(second.name_any(), first.name_any(), "the same inputs");
    let words = format!("is made anew: its registry does not have {lost} any more");
    cluster.event("MachineOSConfig", POOL, &words).await;
    let image = image_of(&second);
    serves(&cluster, &image).await;
    assert!(Buildah::new(layout).is_pushed(&image).await);
    nothing_leaks(&cluster, POOL).await;
}
