//! The conditions of a MachineConfigNode that rollout owns: Cordoned, Drained, Uncordoned.

use jiff::Timestamp;
use onlay_api::conditions::{Condition, NodeConditionType, find, is_true, set};
use onlay_api::machine_config_node::MachineConfigNode;

use super::Cordon;
use super::health::Health;
use super::wait::WaitReason;

/// What the conditions are made of.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// The change of scheduling that is made before the conditions are written.
    pub(super) cordon: Option<&'a Cordon>,
    pub(super) health: Health,
    pub(super) draining: bool,
    /// Whether the drain has just ended.
    pub(super) drained: bool,
    /// Whether a drain that ended before still counts.
    pub(super) keeps_drained: bool,
    pub(super) wait: Option<&'a WaitReason>,
}

/// The three conditions, with the times of the old ones where the status stays the same.
pub(super) fn of(state: &MachineConfigNode, seen: &Seen<'_>, now: Timestamp) -> Vec<Condition> {
    use NodeConditionType::{Cordoned, Drained, Uncordoned};
    let old = state.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let mut new: Vec<Condition> =
        [Cordoned, Drained, Uncordoned].into_iter().filter_map(|type_| find(old, type_).cloned()).collect();
    let waiting = seen.wait.map(|wait| (wait.reason(), wait.to_string()));
    let in_service = || waiting.clone().unwrap_or(("InService", "pods are scheduled to the node".to_owned()));

    let by_us = match seen.cordon {
        Some(Cordon::Cordon { .. }) => true,
        Some(Cordon::Uncordon) => false,
        None => seen.health.cordoned_by_us && seen.health.unschedulable,
    };
    let by_others = !by_us && seen.health.unschedulable && seen.cordon.is_none();
    let (reason, message) = match (by_us, by_others) {
        (true, _) => ("CordonedForUpdate", "onlay keeps new pods away while the node is updated".to_owned()),
        (_, true) => {
            ("CordonedByOthers", "somebody else keeps new pods away, and has to let them come again".to_owned())
        }
        _ => in_service(),
    };
    let was_out = is_true(old, Cordoned) && find(old, Cordoned).is_some_and(|old| old.reason == "CordonedForUpdate");
    let came_back = !by_us && !by_others && (was_out || is_true(old, Uncordoned));
    set(&mut new, Cordoned, by_us || by_others, reason, message, now, None);

    let is_drained = seen.drained || (seen.keeps_drained && (by_us || by_others) && is_true(old, Drained));
    let (reason, message) = match (is_drained, seen.draining) {
        (true, _) => ("Drained", "the pods of the node were evicted".to_owned()),
        (_, true) => waiting.clone().unwrap_or(("Draining", "draining".to_owned())),
        _ => ("NotDraining", "no drain is under way".to_owned()),
    };
    set(&mut new, Drained, is_drained, reason, message, now, None);

    let (reason, message) = match came_back {
        true => ("InService", "pods are scheduled to the node again"),
        false if by_us || by_others => ("Cordoned", "pods are not scheduled to the node"),
        false => ("NeverCordoned", "the node was not cordoned by onlay yet"),
    };
    set(&mut new, Uncordoned, came_back, reason, message, now, None);
    new
}
