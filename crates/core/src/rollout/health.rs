//! Whether a node is in service, and whether it was onlay that took it out.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use onlay_api::names::CORDONED_ANNOTATION;

/// What the Node object says about the node's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Whether its condition Ready is True.
    pub ready: bool,
    /// When Ready last changed.
    pub ready_changed: Option<Timestamp>,
    /// Whether new pods are kept away from it.
    pub unschedulable: bool,
    /// Whether onlay keeps new pods away from it.
    pub cordoned_by_us: bool,
    /// When onlay began to, as written by [`cordon_mark`].
    pub cordoned_at: Option<Timestamp>,
}

impl Health {
    /// Reads a Node.
    pub fn of(node: &Node) -> Self {
        let ready = ready_condition(node);
        let mark = node.metadata.annotations.as_ref().and_then(|all| all.get(CORDONED_ANNOTATION));
        Self {
            ready: ready.is_some_and(|ready| ready.status == "True"),
            ready_changed: ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|time| time.0),
            unschedulable: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or_default(),
            cordoned_by_us: mark.is_some(),
            cordoned_at: mark.and_then(|mark| mark.parse().ok()),
        }
    }

    /// Whether pods can run and be scheduled there, and onlay has no plan to stop that.
    pub fn in_service(&self) -> bool {
        self.ready && !self.unschedulable && !self.cordoned_by_us
    }
}

/// The value of the annotation that marks a cordon as ours: when it was set, in whole seconds.
pub fn cordon_mark(now: Timestamp) -> String {
    format!("{now:.0}")
}

fn ready_condition(node: &Node) -> Option<&NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready")
}
