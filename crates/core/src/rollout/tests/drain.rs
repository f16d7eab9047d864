use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{NodeSpec, Pod, PodSpec, PodStatus, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use rstest::rstest;

use super::objects::{node, now, pod};
use crate::rollout::drain::{DrainOrder, DrainPlan, DrainView, Refusal, could_run_on, has_to_leave, plan};
use crate::rollout::health::Health;
use crate::rollout::wait::{Drain, WaitReason};

static SPARED: LazyLock<BTreeSet<String>> = LazyLock::new(|| BTreeSet::from(["onlay/controller".to_owned()]));

fn order(cordoned_at: &str, ready: bool) -> DrainOrder<'static> {
    DrainOrder {
        health: Health {
            ready,
            unschedulable: true,
            cordoned_by_us: true,
            cordoned_at: Some(cordoned_at.parse().unwrap()),
            ready_changed: None,
        },
        spared: &SPARED,
        deadline: SignedDuration::from_hours(1),
    }
}

fn ending(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = Some(Time(now()));
    pod
}

fn view(pods: Vec<Pod>) -> DrainView {
    DrainView { pods: pods.into_iter().map(Arc::new).collect(), refused: BTreeMap::new() }
}

fn refused(pods: Vec<Pod>, pod: &str, at: Timestamp) -> DrainView {
    let words = "The disruption budget cart needs 1 healthy pods and has 1 currently".to_owned();
    DrainView { refused: BTreeMap::from([(format!("uid-{pod}"), Refusal { at, words })]), ..view(pods) }
}

fn text(plan: &DrainPlan) -> String {
    match plan {
        DrainPlan::Done => "done".to_owned(),
        DrainPlan::Wait { drain, .. } => WaitReason::Drain(drain.clone()).to_string(),
    }
}

fn evicted(plan: &DrainPlan) -> Vec<&str> {
    match plan {
        DrainPlan::Done => Vec::new(),
        DrainPlan::Wait { evict, .. } => evict.iter().map(|pod| pod.name.as_str()).collect(),
    }
}

fn of_daemon_set(mut pod: Pod) -> Pod {
    let owner = OwnerReference { kind: "DaemonSet".to_owned(), ..OwnerReference::default() };
    pod.metadata.owner_references = Some(vec![owner]);
    pod
}

fn mirror(mut pod: Pod) -> Pod {
    pod.metadata.annotations = Some(BTreeMap::from([("kubernetes.io/config.mirror".to_owned(), "x".to_owned())]));
    pod
}

fn ended(mut pod: Pod) -> Pod {
    pod.status = Some(PodStatus { phase: Some("Succeeded".to_owned()), ..PodStatus::default() });
    pod
}

#[rstest]
#[case::an_ordinary_pod_leaves(pod("a"), true)]
#[case::a_daemon_set_would_only_make_it_again(of_daemon_set(pod("a")), false)]
#[case::a_static_pod_is_the_kubelets(mirror(pod("a")), false)]
#[case::a_pod_that_has_ended_is_in_nobodys_way(ended(pod("a")), false)]
fn who_has_to_leave(#[case] pod: Pod, #[case] leaves: bool) {
    assert_eq!(has_to_leave(&pod), leaves);
}

#[test]
fn all_pods_are_evicted_at_once_and_those_that_end_are_waited_for() {
    let plan = plan(&view(vec![pod("b"), ending(pod("c")), pod("a")]), &order("2026-05-01T11:59:00Z", true), now());
    assert_eq!(evicted(&plan), ["b", "a"]);
    assert_eq!(text(&plan), "draining: waiting for shop/c to end; evicting shop/a, shop/b");
}

#[test]
fn a_node_without_such_pods_is_drained() {
    let pods = vec![of_daemon_set(pod("a")), mirror(pod("b")), ended(pod("c"))];
    assert_eq!(plan(&view(pods), &order("2026-05-01T11:59:00Z", true), now()), DrainPlan::Done);
}

#[test]
fn pods_cannot_end_on_a_node_that_is_not_ready() {
    let order = order("2026-05-01T11:59:00Z", false);
    assert_eq!(plan(&view(vec![ending(pod("a"))]), &order, now()), DrainPlan::Done);
}

#[test]
fn a_refused_eviction_is_told_with_the_budget_and_tried_again_later() {
    let view = refused(vec![pod("cart-6d4")], "cart-6d4", now());
    let plan = plan(&view, &order("2026-05-01T11:59:00Z", true), now());
    assert_eq!(evicted(&plan), Vec::<&str>::new());
    assert_eq!(
        text(&plan),
        "draining: pod shop/cart-6d4 may not be evicted (The disruption budget cart needs 1 healthy pods and has 1 \
         currently); trying on until 2026-05-01T12:59:00Z"
    );
    let DrainPlan::Wait { again, .. } = plan else { panic!("drained") };
    assert_eq!(again, Some("2026-05-01T12:00:05Z".parse().unwrap()));
}

#[test]
fn a_refused_eviction_is_due_again_after_a_while() {
    let view = refused(vec![pod("a")], "a", now() - SignedDuration::from_secs(5));
    assert_eq!(evicted(&plan(&view, &order("2026-05-01T11:59:00Z", true), now())), ["a"]);
}

#[test]
fn a_drain_past_its_deadline_is_an_error_that_is_tried_on() {
    let view = refused(vec![pod("a")], "a", now() - SignedDuration::from_secs(5));
    let plan = plan(&view, &order("2026-05-01T11:00:00Z", true), now());
    assert_eq!(evicted(&plan), ["a"]);
    let DrainPlan::Wait { drain, .. } = plan else { panic!("drained") };
    assert!(WaitReason::Drain(drain.clone()).is_degraded());
    let text = drain.to_string();
    assert!(
        text.starts_with("cannot be drained: ") && text.ends_with("given up at 2026-05-01T12:00:00Z, still trying")
    );
}

#[test]
fn the_spared_pod_stays() {
    let mut own = pod("controller");
    own.metadata.namespace = Some("onlay".to_owned());
    assert_eq!(plan(&view(vec![own]), &order("2026-05-01T11:59:00Z", true), now()), DrainPlan::Done);
}

#[test]
fn a_drain_that_only_waits_names_no_time() {
    assert_eq!(Drain::default().to_string(), "draining");
}

fn with_taint(effect: &str) -> NodeSpec {
    let taint = Taint { key: "dedicated".to_owned(), effect: effect.to_owned(), ..Taint::default() };
    NodeSpec { taints: Some(vec![taint]), ..NodeSpec::default() }
}

fn tolerating(key: Option<&str>, operator: Option<&str>) -> PodSpec {
    let toleration =
        Toleration { key: key.map(str::to_owned), operator: operator.map(str::to_owned), ..Toleration::default() };
    PodSpec { tolerations: Some(vec![toleration]), ..PodSpec::default() }
}

fn selecting(role: &str) -> PodSpec {
    let label = (format!("node-role.kubernetes.io/{role}"), String::new());
    PodSpec { node_selector: Some(BTreeMap::from([label])), ..PodSpec::default() }
}

#[rstest]
#[case::a_node_in_service_takes_any_pod(PodSpec::default(), NodeSpec::default(), true)]
#[case::a_taint_keeps_it_away(PodSpec::default(), with_taint("NoSchedule"), false)]
#[case::a_mild_taint_does_not(PodSpec::default(), with_taint("PreferNoSchedule"), true)]
#[case::a_toleration_helps(tolerating(Some("dedicated"), Some("Exists")), with_taint("NoSchedule"), true)]
#[case::a_toleration_of_equal_value_helps(tolerating(Some("dedicated"), None), with_taint("NoExecute"), true)]
#[case::a_toleration_of_everything_helps(tolerating(None, Some("Exists")), with_taint("NoSchedule"), true)]
#[case::a_toleration_of_something_else_does_not(tolerating(Some("x"), None), with_taint("NoSchedule"), false)]
#[case::a_matching_selector_is_fine(selecting("worker"), NodeSpec::default(), true)]
#[case::another_selector_is_not(selecting("control-plane"), NodeSpec::default(), false)]
#[case::a_cordoned_node_takes_none(PodSpec::default(),
    NodeSpec { unschedulable: Some(true), ..NodeSpec::default() }, false)]
fn who_could_run_where(#[case] pod_spec: PodSpec, #[case] node_spec: NodeSpec, #[case] could: bool) {
    let pod = Pod { spec: Some(pod_spec), ..pod("a") };
    let mut node = node("b", "worker");
    node.spec = Some(node_spec);
    assert_eq!(could_run_on(&pod, &node), could);
}
