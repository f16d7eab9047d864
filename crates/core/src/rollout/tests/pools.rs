use jiff::SignedDuration;
use onlay_api::conditions::{BuildConditionType, set};
use onlay_api::machine_config_node::{Permit, UpdatePhase};
use onlay_api::machine_config_pool::MachineConfigPoolStatus;
use onlay_api::machine_os_config::{MachineOSConfigSpec, MachineOSConfigStatus};
use onlay_api::names::{CURRENT_BUILD_ANNOTATION, SERVES_ANNOTATION};
use onlay_api::reference::NameReference;
use onlay_api::{MachineOSBuild, MachineOSConfig};

use super::objects::{Cluster, image, now, pod, pool};

const OLD: &str = "rendered-worker-old";
const NEW: &str = "rendered-worker-new";

/// The columns of `kubectl get mcp`: config, Updated, Updating, Degraded, machines, ready, updated, degraded.
fn columns(status: &MachineConfigPoolStatus) -> String {
    let condition = |type_: &str| {
        status.conditions.iter().find(|each| each.type_ == type_).map_or("-", |each| each.status.as_str())
    };
    format!(
        "{} {} {} {} {} {} {} {}",
        status.configuration.as_ref().map_or("-", |configuration| configuration.name.as_str()),
        condition("Updated"),
        condition("Updating"),
        condition("Degraded"),
        status.machine_count,
        status.ready_machine_count,
        status.updated_machine_count,
        status.degraded_machine_count
    )
}

fn message(status: &MachineConfigPoolStatus, type_: &str) -> String {
    status.conditions.iter().find(|each| each.type_ == type_).unwrap().message.clone()
}

fn worker(cluster: &Cluster) -> MachineConfigPoolStatus {
    cluster.pool_decision("worker").status.unwrap()
}

fn behind() -> Cluster {
    Cluster::default().pool("worker", OLD).pool("worker", NEW).node("a", "worker", OLD).node("b", "worker", NEW)
}

#[test]
fn a_new_pool_has_empty_columns_until_it_is_rendered() {
    let mut cluster = Cluster::default();
    cluster.pools.insert("worker".to_owned(), pool("worker"));
    assert_eq!(cluster.pool_decision("worker").status, None);
}

#[test]
fn an_empty_pool_is_updated() {
    assert_eq!(columns(&worker(&Cluster::default().pool("worker", NEW))), format!("{NEW} True False False 0 0 0 0"));
}

#[test]
fn a_pool_whose_nodes_all_run_the_target_is_updated() {
    let cluster = Cluster::default().pool("worker", NEW).node("a", "worker", NEW).node("b", "worker", NEW);
    assert_eq!(columns(&worker(&cluster)), format!("{NEW} True False False 2 2 2 0"));
}

#[test]
fn a_pool_on_the_way_keeps_the_configuration_that_all_had() {
    let mut cluster = behind();
    assert_eq!(columns(&worker(&cluster)), "- False True False 2 1 1 0");
    let before = Cluster::default().pool("worker", OLD).pool_decision("worker").status;
    cluster = cluster.with_pool("worker", |pool| pool.status = before);
    assert_eq!(columns(&worker(&cluster)), format!("{OLD} False True False 2 1 1 0"));
    assert_eq!(message(&worker(&cluster), "Updating"), "1 of 2 nodes updated; a: waiting for the agent to begin");
}

#[test]
fn a_paused_pool_with_a_node_that_waits_shows_nothing_but_false() {
    let cluster = behind().with_pool("worker", |pool| pool.spec.paused = true);
    let status = worker(&cluster);
    assert_eq!(columns(&status), "- False False False 2 1 1 0");
    assert_eq!(message(&status, "Updated"), "the pool is paused; 1 of 2 nodes wait");
}

#[test]
fn a_paused_pool_without_a_node_that_waits_is_updated() {
    let cluster = Cluster::default().pool("worker", NEW).node("a", "worker", NEW);
    let cluster = cluster.with_pool("worker", |pool| pool.spec.paused = true);
    assert_eq!(columns(&worker(&cluster)), format!("{NEW} True False False 1 1 1 0"));
}

#[test]
fn a_paused_pool_says_that_a_node_finishes() {
    let cluster = behind().updating("a", NEW, Permit::Disrupt, UpdatePhase::Rebooting);
    let status = worker(&cluster.with_pool("worker", |pool| pool.spec.paused = true));
    assert_eq!(columns(&status), "- False True False 2 1 1 0");
    assert!(message(&status, "Updating").ends_with("nodes that were let into an update finish it"));
}

#[test]
fn a_failed_node_degrades_its_pool_with_its_own_words() {
    let status = worker(&behind().updating("a", NEW, Permit::Disrupt, UpdatePhase::RolledBack));
    assert_eq!(columns(&status), "- False False True 2 1 1 1");
    assert_eq!(message(&status, "NodeDegraded"), "a: went back to the system it had before: disk is full");
    assert_eq!(message(&status, "Degraded"), message(&status, "NodeDegraded"));
}

#[test]
fn a_render_error_degrades_the_pool_even_before_its_first_configuration() {
    let mut cluster = Cluster::default();
    cluster.pools.insert("worker".to_owned(), pool("worker"));
    let status = worker(&cluster.render_error("worker", "failed to read MachineConfig x"));
    assert_eq!(columns(&status), "- False False True 0 0 0 0");
    assert_eq!(message(&status, "RenderDegraded"), "failed to read MachineConfig x");
}

#[test]
fn times_of_conditions_move_only_with_their_status() {
    let first = worker(&behind());
    let cluster = behind().with_pool("worker", |pool| pool.status = Some(first.clone()));
    let later = now() + SignedDuration::from_mins(1);
    let decision = cluster.decide(later).pools.remove(0);
    assert_eq!(decision.status, Some(first));
    assert!(decision.notes.is_empty());
}

fn layered(serves: Option<&str>) -> Cluster {
    let mut cluster = behind();
    let mut os_config = MachineOSConfig::new(
        "layered",
        MachineOSConfigSpec { machine_config_pool: NameReference::new("worker"), ..MachineOSConfigSpec::default() },
    );
    let annotations = os_config.metadata.annotations.get_or_insert_default();
    annotations.insert(CURRENT_BUILD_ANNOTATION.to_owned(), "layered-1".to_owned());
    annotations.extend(serves.map(|serves| (SERVES_ANNOTATION.to_owned(), serves.to_owned())));
    os_config.status =
        Some(MachineOSConfigStatus { current_image_pull_spec: Some(image('1')), ..MachineOSConfigStatus::default() });
    cluster.os_configs.insert("layered".to_owned(), os_config);
    cluster
}

#[test]
fn nodes_wait_for_the_image_of_their_configuration() {
    let status = worker(&layered(Some(OLD)));
    assert_eq!(columns(&status), "- False True False 2 0 0 0");
    let text = format!("waiting for MachineOSConfig layered to have an image for {NEW}");
    assert_eq!(message(&status, "Updating"), format!("0 of 2 nodes updated; a: {text}, b: {text}"));
}

#[test]
fn a_served_image_is_rolled_out_with_its_secret() {
    let spec = layered(Some(NEW)).node_decision("a").spec.unwrap();
    assert_eq!(spec.config_image.unwrap().desired_image, image('1'));
    assert_eq!((spec.onlay.permit, spec.onlay.pull_secret.as_deref()), (Permit::Stage, Some("pull-worker")));
}

#[test]
fn a_failed_build_degrades_the_pool_and_touches_no_node() {
    let mut cluster = layered(Some(OLD)).cordoned("a").draining("a", vec![pod("web")]);
    let mut build = MachineOSBuild::new("layered-1", onlay_api::MachineOSBuildSpec::default());
    let conditions = &mut build.status.get_or_insert_default().conditions;
    set(conditions, BuildConditionType::Failed, true, "Failed", "RUN dnf: no such package", now(), None);
    cluster.os_builds.insert("layered-1".to_owned(), build);
    let status = worker(&cluster);
    assert_eq!(columns(&status), "- False False True 2 0 0 0");
    assert_eq!(message(&status, "ImageBuildDegraded"), "no image: MachineOSBuild layered-1: RUN dnf: no such package");
    let decision = cluster.node_decision("a");
    assert_eq!((decision.evict.len(), decision.spec.unwrap().onlay.permit), (0, Permit::Hold));
}

#[test]
fn a_deleted_os_config_brings_the_nodes_back_to_the_image_they_had() {
    let mut cluster = layered(Some(NEW));
    cluster.os_configs.get_mut("layered").unwrap().metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    let spec = cluster.node_decision("a").spec.unwrap();
    assert_eq!(spec.config_image.unwrap().desired_image, super::objects::BASE);
    assert_eq!(spec.onlay.pull_secret, None);
}
