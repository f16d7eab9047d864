use jiff::SignedDuration;
use k8s_openapi::api::core::v1::NodeSpec;
use onlay_api::conditions::{NodeConditionType, set};
use onlay_api::machine_config_node::{Needs, Permit, UpdatePhase};
use onlay_api::names::{self, DESIRED_CONFIG_ANNOTATION, REASON_ANNOTATION, STATE_ANNOTATION};
use rstest::rstest;

use super::objects::{BASE, Cluster, condition, image, node, not_ready, now, pod, report, update};
use crate::rollout::wait::WaitReason;
use crate::rollout::{Controller, Cordon, NodeDecision};

const OLD: &str = "rendered-worker-old";
const NEW: &str = "rendered-worker-new";

/// One worker that runs the old configuration, in a pool that wants the new one.
fn behind() -> Cluster {
    Cluster::default().pool("worker", OLD).pool("worker", NEW).node("a", "worker", OLD)
}

fn permit(decision: &NodeDecision) -> Permit {
    decision.spec.as_ref().unwrap().onlay.permit
}

fn desired(decision: &NodeDecision) -> &str {
    &decision.spec.as_ref().unwrap().config_version.desired
}

fn staged() -> Cluster {
    behind().updating("a", NEW, Permit::Stage, UpdatePhase::Staged)
}

#[test]
fn a_new_node_is_met_and_nothing_else() {
    let mut cluster = behind();
    cluster.states.clear();
    let decision = cluster.node_decision("a");
    assert_eq!((permit(&decision), desired(&decision)), (Permit::Hold, NEW));
    assert_eq!(decision.spec.as_ref().unwrap().config_image, None);
    assert_eq!((decision.cordon, decision.wait), (None, Some(WaitReason::NotMet)));
}

#[test]
fn a_node_that_was_met_stages_the_image_it_had() {
    let mut cluster = behind();
    cluster.states.get_mut("a").unwrap().spec.config_image = None;
    let decision = cluster.node_decision("a");
    assert_eq!((permit(&decision), desired(&decision)), (Permit::Stage, NEW));
    assert_eq!(decision.spec.unwrap().config_image.unwrap().desired_image, BASE);
}

#[test]
fn a_node_whose_agent_says_nothing_is_left_alone() {
    let mut cluster = behind().cordoned("a");
    cluster.states.get_mut("a").unwrap().status = None;
    let decision = cluster.node_decision("a");
    assert_eq!((decision.cordon, decision.wait), (None, Some(WaitReason::NotMet)));
}

#[test]
fn a_staged_node_is_cordoned_first() {
    let decision = staged().node_decision("a");
    assert_eq!(decision.cordon, Some(Cordon::Cordon { mark: "2026-05-01T12:00:00Z".to_owned() }));
    assert_eq!((permit(&decision), decision.draining), (Permit::Stage, true));
    assert_eq!(condition(&decision, NodeConditionType::Cordoned).0, "True");
    assert_eq!(condition(&decision, NodeConditionType::Drained).0, "False");
    assert_eq!(decision.notes[0].text, format!("cordoned to update to {NEW}"));
}

#[test]
fn a_cordoned_node_waits_until_its_pods_are_known() {
    let decision = staged().cordoned("a").node_decision("a");
    assert_eq!((permit(&decision), decision.draining, decision.evict.len()), (Permit::Stage, true, 0));
}

#[test]
fn a_cordoned_node_is_drained() {
    let decision = staged().cordoned("a").draining("a", vec![pod("web")]).node_decision("a");
    assert_eq!((permit(&decision), decision.evict[0].name.as_str()), (Permit::Stage, "web"));
    assert_eq!(condition(&decision, NodeConditionType::Drained), ("False", "draining: evicting shop/web".to_owned()));
}

#[test]
fn a_drained_node_is_let_into_the_update() {
    let decision = staged().cordoned("a").draining("a", vec![]).node_decision("a");
    assert_eq!((permit(&decision), decision.draining), (Permit::Disrupt, false));
    assert_eq!(condition(&decision, NodeConditionType::Drained).0, "True");
}

#[test]
fn a_node_that_somebody_else_cordoned_keeps_their_cordon() {
    let spec = NodeSpec { unschedulable: Some(true), ..NodeSpec::default() };
    let cluster = staged().with_node("a", |node| node.spec = Some(spec)).draining("a", vec![]);
    let decision = cluster.node_decision("a");
    assert_eq!((permit(&decision), decision.cordon.clone()), (Permit::Disrupt, None));
    let settled = Cluster::default().pool("worker", OLD).node("a", "worker", OLD);
    let spec = NodeSpec { unschedulable: Some(true), ..NodeSpec::default() };
    let decision = settled.with_node("a", |node| node.spec = Some(spec)).node_decision("a");
    assert_eq!(decision.cordon, None);
    assert_eq!(condition(&decision, NodeConditionType::Cordoned).0, "True");
}

#[test]
fn an_updated_node_comes_back_when_it_is_ready() {
    let done = Cluster::default().pool("worker", NEW).node("a", "worker", NEW);
    let done = done.updating("a", NEW, Permit::Disrupt, UpdatePhase::Done).cordoned("a");
    let waiting = done.clone().with_node("a", |node| not_ready(node, now())).node_decision("a");
    assert_eq!((waiting.cordon, waiting.wait), (None, Some(WaitReason::NotReady)));
    let decision = done.node_decision("a");
    assert_eq!((decision.cordon.clone(), permit(&decision)), (Some(Cordon::Uncordon), Permit::Hold));
    assert_eq!(decision.wait, None);
}

/// A node that was NotReady for too long got another target while it was let into the former one: whether its agent has
/// begun on that is known only when it says what it has seen.
#[rstest]
#[case::it_says_nothing_yet(Permit::Stage, 2, None)]
#[case::it_has_seen_that_it_may_not(Permit::Stage, 3, Some(Cordon::Uncordon))]
#[case::it_may_begin_at_any_moment(Permit::Disrupt, 3, None)]
fn a_permit_that_is_taken_back_counts_until_the_agent_knows(
    #[case] permit: Permit,
    #[case] seen: i64,
    #[case] cordon: Option<Cordon>,
) {
    let mut cluster = behind().updating("a", OLD, permit, UpdatePhase::Staged).cordoned("a").draining("a", vec![]);
    let state = cluster.states.get_mut("a").unwrap();
    state.metadata.generation = Some(3);
    state.status.as_mut().unwrap().observed_generation = Some(seen);
    report(state).update = Some(update("rendered-worker-former", BASE, UpdatePhase::Staged));
    assert_eq!(cluster.node_decision("a").cordon, cordon);
}

#[test]
fn coming_back_is_told_after_it_happened() {
    let mut cluster = Cluster::default().pool("worker", NEW).node("a", "worker", NEW).cordoned("a");
    let cordoned = cluster.node_decision("a");
    cluster.states.get_mut("a").unwrap().status.as_mut().unwrap().conditions =
        staged().node_decision("a").conditions.unwrap();
    let decision = cluster.node_decision("a");
    assert_eq!(condition(&decision, NodeConditionType::Uncordoned).0, "True");
    assert_eq!(condition(&decision, NodeConditionType::Cordoned).0, "False");
    assert_eq!(condition(&cordoned, NodeConditionType::Uncordoned).0, "False");
}

#[test]
fn a_permit_to_disrupt_is_not_taken_back() {
    let cluster = staged().updating("a", NEW, Permit::Disrupt, UpdatePhase::Staged).cordoned("a");
    let mut newer = cluster.with_pool("worker", |pool| pool.spec.paused = true);
    newer.target("worker", "rendered-worker-newest");
    let decision = newer.node_decision("a");
    assert_eq!((permit(&decision), desired(&decision)), (Permit::Disrupt, NEW));
    assert_eq!(decision.wait, Some(WaitReason::Update(UpdatePhase::Staged)));
    assert_eq!(decision.cordon, None);
}

#[test]
fn a_node_that_does_not_come_back_gets_the_newest_target() {
    let mut cluster = staged().updating("a", NEW, Permit::Disrupt, UpdatePhase::Rebooting).cordoned("a");
    cluster.target("worker", "rendered-worker-cure");
    let shortly = cluster.clone().with_node("a", |node| not_ready(node, now() - SignedDuration::from_mins(2)));
    let decision = shortly.node_decision("a");
    assert_eq!(desired(&decision), NEW);
    assert_eq!(decision.again, Some(now() + SignedDuration::from_mins(8)));
    let long = cluster.with_node("a", |node| not_ready(node, now() - SignedDuration::from_mins(10)));
    let decision = long.node_decision("a");
    assert_eq!((permit(&decision), desired(&decision)), (Permit::Stage, "rendered-worker-cure"));
}

#[test]
fn a_node_that_went_back_returns_to_service_and_waits_for_another_target() {
    let cluster = behind().updating("a", NEW, Permit::Disrupt, UpdatePhase::RolledBack).cordoned("a");
    let decision = cluster.node_decision("a");
    assert_eq!((permit(&decision), decision.cordon.clone()), (Permit::Hold, Some(Cordon::Uncordon)));
    assert_eq!(decision.mirror[STATE_ANNOTATION].as_deref(), Some("Degraded"));
    let reason = decision.mirror[REASON_ANNOTATION].as_deref();
    assert_eq!(reason, Some("went back to the system it had before: disk is full"));
    let mut changed = cluster;
    changed.target("worker", "rendered-worker-fixed");
    assert_eq!(permit(&changed.node_decision("a")), Permit::Stage);
}

#[test]
fn a_failed_node_stays_as_it_is_and_is_tried_again_with_another_target() {
    let mut cluster = behind().updating("a", NEW, Permit::Disrupt, UpdatePhase::Failed).cordoned("a");
    let decision = cluster.node_decision("a");
    assert_eq!((permit(&decision), decision.cordon.clone()), (Permit::Disrupt, None));
    assert_eq!(decision.wait.as_ref().unwrap().to_string(), "the update failed: disk is full");
    assert_eq!(decision.notes[0].reason, "UpdateFailed");
    cluster.target("worker", "rendered-worker-fixed");
    assert_eq!(permit(&cluster.node_decision("a")), Permit::Stage);
}

#[test]
fn an_update_that_cannot_be_applied_makes_way_for_another_target() {
    let mut cluster = staged().updating("a", NEW, Permit::Disrupt, UpdatePhase::Applying).cordoned("a");
    let conditions = &mut cluster.states.get_mut("a").unwrap().status.as_mut().unwrap().conditions;
    set(conditions, NodeConditionType::NodeDegraded, true, "UpdateFailed", "/etc/x is a directory", now(), None);
    let same = cluster.node_decision("a");
    assert_eq!((permit(&same), same.wait), (Permit::Disrupt, Some(WaitReason::Update(UpdatePhase::Applying))));
    assert_eq!(same.mirror[REASON_ANNOTATION].as_deref(), Some("/etc/x is a directory"));
    cluster.target("worker", "rendered-worker-fixed");
    let other = cluster.node_decision("a");
    assert_eq!((permit(&other), desired(&other)), (Permit::Stage, "rendered-worker-fixed"));
    assert_eq!(other.cordon, None, "the node is not in order before the agent has undone what it applied");
}

#[test]
fn going_back_to_what_runs_needs_no_update_unless_one_failed_midway() {
    let reverted = Cluster::default().pool("worker", OLD).node("a", "worker", OLD);
    let staged = reverted.clone().updating("a", NEW, Permit::Stage, UpdatePhase::Staged);
    let decision = staged.node_decision("a");
    assert_eq!((permit(&decision), desired(&decision), &decision.wait), (Permit::Hold, OLD, &None));
    let failed = reverted.updating("a", NEW, Permit::Disrupt, UpdatePhase::Failed);
    assert_eq!(permit(&failed.node_decision("a")), Permit::Stage);
}

#[rstest]
#[case::before_anything(behind(), OLD)]
#[case::while_staging(behind().updating("a", NEW, Permit::Stage, UpdatePhase::Preparing), NEW)]
#[case::when_staged(staged(), NEW)]
#[case::while_draining(staged().cordoned("a").draining("a", vec![pod("web")]), NEW)]
fn pausing_holds_a_node(#[case] cluster: Cluster, #[case] target: &str) {
    let cordoned = cluster.nodes["a"].spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let decision = cluster.with_pool("worker", |pool| pool.spec.paused = true).node_decision("a");
    assert_eq!((permit(&decision), desired(&decision)), (Permit::Hold, target));
    assert_eq!(decision.wait, Some(WaitReason::Paused));
    assert_eq!(decision.cordon, cordoned.then_some(Cordon::Uncordon));
    assert_eq!(decision.mirror[DESIRED_CONFIG_ANNOTATION].as_deref(), Some(target));
}

#[rstest]
#[case::nothing_is_not_let_out_of_service(Needs::None, false, Permit::Stage)]
#[case::files_are_not_either(Needs::Write, false, Permit::Stage)]
#[case::services_keep_the_pods(Needs::Services, false, Permit::Disrupt)]
#[case::a_drain_comes_first(Needs::Drain, true, Permit::Stage)]
#[case::a_reboot_drains_too(Needs::Reboot, true, Permit::Stage)]
fn an_update_that_needs(#[case] needs: Needs, #[case] cordons: bool, #[case] expected: Permit) {
    let mut cluster = staged();
    report(cluster.states.get_mut("a").unwrap()).update.as_mut().unwrap().needs = needs;
    let decision = cluster.node_decision("a");
    assert_eq!((decision.cordon.is_some(), permit(&decision)), (cordons, expected));
}

#[test]
fn nodes_whose_services_restart_take_turns() {
    let mut cluster = staged().node("b", "worker", OLD).updating("b", NEW, Permit::Stage, UpdatePhase::Staged);
    for name in ["a", "b"] {
        report(cluster.states.get_mut(name).unwrap()).update.as_mut().unwrap().needs = Needs::Services;
    }
    let permits = ["a", "b"].map(|name| permit(&cluster.node_decision(name)));
    assert_eq!(permits, [Permit::Disrupt, Permit::Stage]);
}

#[test]
fn a_change_that_nodes_cannot_take_moves_nobody() {
    let mut cluster = behind();
    cluster.configs.get_mut(NEW).unwrap().spec.fips = Some(true);
    let decision = cluster.node_decision("a");
    assert_eq!((permit(&decision), desired(&decision), decision.cordon.clone()), (Permit::Hold, OLD, None));
    let wait = decision.wait.unwrap();
    assert_eq!((wait.reason(), wait.is_degraded()), ("ChangeRefused", true));
    assert!(wait.to_string().contains("spec.fips cannot change on nodes that run"), "{wait}");
}

#[test]
fn a_relabelled_node_follows_its_new_pool() {
    let cluster = behind().pool("infra", "rendered-infra-1").with_node("a", |node| {
        node.metadata.labels.get_or_insert_default().insert("node-role.kubernetes.io/infra".into(), String::new());
    });
    let decision = cluster.node_decision("a");
    assert_eq!((desired(&decision), permit(&decision)), ("rendered-infra-1", Permit::Stage));
    assert_eq!(decision.spec.unwrap().pool.name, "infra");
}

#[test]
fn a_node_of_two_custom_pools_does_not_move() {
    let cluster = behind().pool("infra", "rendered-infra-1").pool("gpu", "rendered-gpu-1").with_node("a", |node| {
        let labels = node.metadata.labels.get_or_insert_default();
        labels.insert("node-role.kubernetes.io/infra".into(), String::new());
        labels.insert("node-role.kubernetes.io/gpu".into(), String::new());
    });
    let decision = cluster.node_decision("a");
    assert_eq!((desired(&decision), permit(&decision)), (OLD, Permit::Hold));
    assert!(decision.wait.unwrap().to_string().contains("gpu and infra select the node"));
    let pool = cluster.pool_decision("infra").status.unwrap();
    assert_eq!((pool.machine_count, pool.degraded_machine_count), (0, 1));
}

#[test]
fn a_node_without_a_pool_stays_as_it_is() {
    let mut cluster = staged().cordoned("a");
    cluster.pools.clear();
    let decision = cluster.node_decision("a");
    assert_eq!((desired(&decision), permit(&decision)), (NEW, Permit::Hold));
    assert_eq!((decision.cordon, decision.wait), (Some(Cordon::Uncordon), Some(WaitReason::NoPool)));
}

#[test]
fn a_node_of_the_same_name_starts_anew() {
    let mut cluster = behind();
    cluster.nodes.get_mut("a").unwrap().metadata.uid = Some("another".to_owned());
    cluster.states.get_mut("a").unwrap().metadata.uid = Some("uid-of-the-old-one".to_owned());
    let decision = cluster.decide(now());
    assert_eq!(decision.orphans[0].uid.as_deref(), Some("uid-of-the-old-one"));
    assert_eq!(decision.nodes[0].spec, None, "its predecessor has to go first");
    cluster.states.clear();
    assert!(cluster.decide(now()).orphans.is_empty());
    assert_eq!(permit(&cluster.node_decision("a")), Permit::Hold);
}

#[test]
fn the_state_of_a_node_that_is_gone_is_removed() {
    let mut cluster = behind();
    cluster.nodes.clear();
    assert_eq!(cluster.decide(now()).orphans[0].name, "a");
}

#[test]
fn only_one_node_of_a_pool_goes_and_the_other_says_why_it_waits() {
    let cluster = staged().node("b", "worker", OLD).updating("b", NEW, Permit::Stage, UpdatePhase::Staged);
    assert!(cluster.node_decision("a").cordon.is_some());
    let waiting = cluster.node_decision("b");
    assert_eq!(waiting.cordon, None);
    let message = "waiting for a: at most 1 of the pool may be out of service".to_owned();
    assert_eq!(condition(&waiting, NodeConditionType::Cordoned), ("False", message));
}

#[test]
fn controller_and_webhook_stay_where_no_other_node_could_take_them() {
    let of = |name: &str, app: &str| {
        let mut pod = pod(name);
        pod.spec = Some(k8s_openapi::api::core::v1::PodSpec::default());
        pod.metadata.labels = Some([(names::APP_LABEL.to_owned(), app.to_owned())].into());
        pod
    };
    let own = vec![of("controller-1", "onlay-controller"), of("webhook-1", "onlay-webhook")];
    let mut cluster = staged().cordoned("a").draining("a", own);
    cluster.controller = Controller { node: Some("a".to_owned()), pod: "shop/controller-1".to_owned() };
    assert_eq!(permit(&cluster.node_decision("a")), Permit::Disrupt);
    cluster.nodes.insert("b".to_owned(), node("b", "infra"));
    let decision = cluster.node_decision("a");
    assert_eq!((permit(&decision), decision.evict.len()), (Permit::Stage, 2));
}

#[test]
fn a_pod_that_only_calls_itself_a_webhook_leaves() {
    let mut stranger = pod("webhook-1");
    stranger.spec = Some(k8s_openapi::api::core::v1::PodSpec::default());
    stranger.metadata.labels = Some([(names::APP_LABEL.to_owned(), "onlay-webhook".to_owned())].into());
    let mut cluster = staged().cordoned("a").draining("a", vec![stranger]);
    cluster.controller = Controller { node: None, pod: "onlay/controller-1".to_owned() };
    assert_eq!(cluster.node_decision("a").evict.len(), 1);
}

#[test]
fn an_image_by_tag_is_refused_with_the_way_out() {
    let mut cluster = behind();
    cluster.configs.get_mut(NEW).unwrap().spec.os_image_url = Some("registry/os:latest".to_owned());
    let decision = cluster.node_decision("a");
    assert_eq!((permit(&decision), desired(&decision)), (Permit::Hold, OLD));
    assert!(decision.wait.unwrap().to_string().contains("write it as HOST[:PORT]/PATH@sha256:DIGEST"));
}

#[test]
fn an_image_by_digest_is_rolled_out() {
    let mut cluster = behind();
    cluster.configs.get_mut(NEW).unwrap().spec.os_image_url = Some(image('1'));
    let spec = cluster.node_decision("a").spec.unwrap();
    assert_eq!(spec.config_image.unwrap().desired_image, image('1'));
    report(cluster.states.get_mut("a").unwrap()).update = Some(update(NEW, BASE, UpdatePhase::Staged));
    assert_eq!(cluster.node_decision("a").cordon, None, "another image was staged");
}
