//! How long things took in this cluster, as far as its objects tell.
//!
//! A MachineOSBuild keeps when it began and ended. The conditions of a MachineConfigNode keep only their last change, so
//! they tell of a drain and a reboot until the node is uncordoned, and of nothing afterwards.

use jiff::{SignedDuration, Timestamp};
use onlay_api::conditions::{self, BuildConditionType, NodeConditionType, is_true};
use onlay_api::{MachineConfigNode, MachineOSBuild, Needs};

use super::plan::Past;

/// What the builds of a pool's image, and the nodes of a cluster, tell of the past.
pub fn of<'a>(
    builds: impl IntoIterator<Item = &'a MachineOSBuild>,
    nodes: impl IntoIterator<Item = &'a MachineConfigNode>,
) -> Past {
    let mut past = Past { build: builds.into_iter().filter_map(build).collect(), ..Past::default() };
    for node in nodes {
        past.drain.extend(drain(node));
        past.reboot.extend(reboot(node));
    }
    past
}

/// How long a build that succeeded took.
fn build(build: &MachineOSBuild) -> Option<SignedDuration> {
    let status = build.status.as_ref()?;
    let (begun, ended) = (status.build_start?, status.build_end?);
    is_true(&status.conditions, BuildConditionType::Succeeded).then(|| ended.duration_since(begun))
}

/// From the cordon of an update to the eviction of the last pod.
fn drain(node: &MachineConfigNode) -> Option<SignedDuration> {
    between(since(node, NodeConditionType::Cordoned)?, since(node, NodeConditionType::Drained)?)
}

/// From the eviction of the last pod until the new system was verified.
fn reboot(node: &MachineConfigNode) -> Option<SignedDuration> {
    let update = node.status.as_ref()?.onlay.as_ref()?.update.as_ref()?;
    let drained = since(node, NodeConditionType::Drained).filter(|_| update.needs == Needs::Reboot)?;
    between(drained, since(node, NodeConditionType::Updated)?)
}

/// Since when a condition is True.
fn since(node: &MachineConfigNode, type_: NodeConditionType) -> Option<Timestamp> {
    let conditions = &node.status.as_ref()?.conditions;
    let condition = conditions::find(conditions, type_).filter(|_| is_true(conditions, type_))?;
    Some(condition.last_transition_time)
}

fn between(begun: Timestamp, ended: Timestamp) -> Option<SignedDuration> {
    Some(ended.duration_since(begun)).filter(|took| !took.is_negative())
}
