//! Which pods leave a node before it is disrupted, and what the drain waits for.
//!
//! Pods that would not go anywhere stay: those of DaemonSets, static pods (the kubelet's own, shown as mirror pods) and
//! pods that have ended. Controller and webhook stay too when no other node could take them, or nobody would finish the
//! update.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};

use super::health::Health;
use super::target::name_of;
use super::wait::Drain;

/// Annotation of the pods that the kubelet runs by itself.
const MIRROR_POD: &str = "kubernetes.io/config.mirror";
/// How long after a refused eviction the next try is made.
pub const RETRY: SignedDuration = SignedDuration::from_secs(5);

/// What is known about the pods of a node that is being drained.
#[derive(Debug, Clone, Default)]
pub struct DrainView {
    /// All pods of the node.
    pub pods: Vec<Arc<Pod>>,
    /// The last refused eviction of each pod, by the pod's UID.
    pub refused: BTreeMap<String, Refusal>,
}

/// An eviction that the API server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Its words; they name the PodDisruptionBudget.
    pub words: String,
}

/// A pod that shall leave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodRef {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// UID of the pod: its successor of the same name is another pod.
    pub uid: String,
}

/// What the drain of a node does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrainPlan {
    /// Nothing is left to wait for.
    Done,
    /// Pods have to leave.
    Wait {
        /// Pods to evict now.
        evict: Vec<PodRef>,
        /// What the drain waits for.
        drain: Drain,
        /// When to look again, besides every change of a pod.
        again: Option<Timestamp>,
    },
}

/// The drain of one node.
#[derive(Debug, Clone, Copy)]
pub struct DrainOrder<'a> {
    /// Health of the node: pods cannot end on a node that is not Ready, so those that are asked to end count as gone.
    pub health: Health,
    /// The pods that stay, as `NAMESPACE/NAME`.
    pub spared: &'a BTreeSet<String>,
    /// How long the drain may take.
    pub deadline: SignedDuration,
}

/// Says which pods to evict now, and what the drain waits for.
pub fn plan(view: &DrainView, order: &DrainOrder<'_>, now: Timestamp) -> DrainPlan {
    let deadline = order.health.cordoned_at.and_then(|at| at.checked_add(order.deadline).ok());
    let mut drain = Drain { deadline, late: deadline.is_some_and(|deadline| deadline <= now), ..Drain::default() };
    let (mut evict, mut retry) = (Vec::new(), None::<Timestamp>);
    for pod in view.pods.iter().filter(|pod| has_to_leave(pod) && !order.spared.contains(&key(pod))) {
        let pod_ref = pod_ref(pod);
        if pod.metadata.deletion_timestamp.is_some() {
            if order.health.ready {
                drain.ending.push(key(pod));
            }
            continue;
        }
        let refusal = view.refused.get(&pod_ref.uid);
        let due = refusal.and_then(|refusal| refusal.at.checked_add(RETRY).ok());
        match (refusal, due) {
            (Some(refusal), Some(due)) => {
                drain.refused.push((key(pod), refusal.words.clone()));
                if due <= now {
                    evict.push(pod_ref);
                } else {
                    retry = Some(retry.map_or(due, |retry| retry.min(due)));
                }
            }
            _ => {
                drain.asked.push(key(pod));
                evict.push(pod_ref);
            }
        }
    }
    if drain.refused.is_empty() && drain.ending.is_empty() && drain.asked.is_empty() {
        return DrainPlan::Done;
    }
    drain.refused.sort();
    drain.ending.sort();
    drain.asked.sort();
    let again = [retry, deadline.filter(|deadline| *deadline > now)].into_iter().flatten().min();
    DrainPlan::Wait { evict, drain, again }
}

/// Whether a pod has to leave a node before it is disrupted.
pub fn has_to_leave(pod: &Pod) -> bool {
    let of_daemon_set = pod.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "DaemonSet");
    let mirror = pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR_POD));
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !of_daemon_set && !mirror && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether a pod could be scheduled to a node that is in service, by node selector and taints.
///
/// Affinity and resources are left out: the scheduler says the last word.
pub fn could_run_on(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let labels = node.metadata.labels.as_ref();
    let selected = spec
        .node_selector
        .iter()
        .flatten()
        .all(|(key, value)| labels.is_some_and(|labels| labels.get(key) == Some(value)));
    let taints = node.spec.iter().filter_map(|spec| spec.taints.as_ref()).flatten();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let mut keeping_away = taints.filter(|taint| taint.effect != "PreferNoSchedule");
    Health::of(node).in_service()
        && selected
        && keeping_away.all(|taint| tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let exists = toleration.operator.as_deref() == Some("Exists");
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    (effect.is_empty() || effect == taint.effect)
        && (key == taint.key || (key.is_empty() && exists))
        && (exists || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default())
}

fn pod_ref(pod: &Pod) -> PodRef {
    PodRef {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: name_of(&pod.metadata).to_owned(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
    }
}

/// `NAMESPACE/NAME` of a pod.
pub(super) fn key(pod: &Pod) -> String {
    format!("{}/{}", pod.metadata.namespace.as_deref().unwrap_or_default(), name_of(&pod.metadata))
}
