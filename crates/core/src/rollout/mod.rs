//! Which node goes next, how far it may go, and what every other one waits for.
//!
//! [`decide`] sees the whole cluster and answers with what each object shall be; whoever applies it writes only what
//! differs. Everything is computed anew from the API's objects each time, so it does not matter when the controller was
//! killed. Between controller and agent the rules are:
//!
//! 1. A node is met first: its MachineConfigNode is made with the permit `Hold`, and the agent reports what it runs.
//! 2. A node that differs from its target may `Stage` it, unless the pool is paused.
//! 3. A node that has staged its target and gets a slot is cordoned and drained, and only then may `Disrupt`.
//! 4. A permit to disrupt stands until the agent says how it ended.
//! 5. A node that runs its target and is Ready is uncordoned, if it was us who cordoned it.

pub mod candidates;
mod conditions;
pub mod drain;
pub mod health;
mod node;
pub mod pool_status;
pub mod stand;
pub mod target;
mod views;
pub mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Node;
use onlay_api::conditions::Condition;
use onlay_api::machine_config_node::{MachineConfigNode, MachineConfigNodeSpec};
use onlay_api::machine_config_pool::{MachineConfigPool, MachineConfigPoolStatus};
use onlay_api::{MachineConfig, MachineOSBuild, MachineOSConfig};

use self::drain::{DrainView, PodRef};
use self::views::Views;
use self::wait::WaitReason;

/// Everything that a decision needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// All pools.
    pub pools: &'a [Arc<MachineConfigPool>],
    /// All nodes.
    pub nodes: &'a [Arc<Node>],
    /// All MachineConfigNodes.
    pub node_states: &'a [Arc<MachineConfigNode>],
    /// All MachineConfigs.
    pub configs: &'a [Arc<MachineConfig>],
    /// All MachineOSConfigs.
    pub os_configs: &'a [Arc<MachineOSConfig>],
    /// All MachineOSBuilds.
    pub os_builds: &'a [Arc<MachineOSBuild>],
    /// The pods of nodes that are being drained, as far as they are known, by node.
    pub drains: &'a BTreeMap<String, DrainView>,
    /// Where the controller runs.
    pub controller: &'a Controller,
    /// How long a drain may take before it counts as failed.
    pub drain_deadline: SignedDuration,
}

/// Where the controller runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Controller {
    /// Its node, if it runs on one.
    pub node: Option<String>,
    /// Its pod, as `NAMESPACE/NAME`.
    pub pod: String,
}

/// What shall be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// For every node.
    pub nodes: Vec<NodeDecision>,
    /// For every pool.
    pub pools: Vec<PoolDecision>,
    /// MachineConfigNodes to delete: their node is gone, or is another one of the same name.
    pub orphans: Vec<Orphan>,
    /// When to decide again, besides every change of what was observed.
    pub again: Option<Timestamp>,
}

/// A MachineConfigNode without its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Name of the object.
    pub name: String,
    /// UID of the object: only this one is deleted.
    pub uid: Option<String>,
}

/// What shall be of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeDecision {
    /// Name of the node.
    pub name: String,
    /// UID of the Node, which owns the MachineConfigNode.
    pub uid: String,
    /// The spec of its MachineConfigNode; none while there is nothing to say, or its predecessor is still there.
    pub spec: Option<MachineConfigNodeSpec>,
    /// Whether its scheduling changes.
    pub cordon: Option<Cordon>,
    /// Whether it is being drained: its pods have to be known.
    pub draining: bool,
    /// Pods to evict now.
    pub evict: Vec<PodRef>,
    /// Conditions Cordoned, Drained and Uncordoned of its MachineConfigNode; none while there is no such object.
    pub conditions: Option<Vec<Condition>>,
    /// Annotations of the Node that mirror its MachineConfigNode; none removes one.
    pub mirror: BTreeMap<&'static str, Option<String>>,
    /// What it waits for.
    pub wait: Option<WaitReason>,
    /// What people should see beside the Node.
    pub notes: Vec<Note>,
    /// When to decide again, besides every change of what was observed.
    pub again: Option<Timestamp>,
}

/// A change of a node's scheduling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cordon {
    /// Keep new pods away, and mark that it was us.
    Cordon {
        /// Value of the mark.
        mark: String,
    },
    /// Let pods come again, and remove the mark.
    Uncordon,
}

/// What shall be of one pool.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolDecision {
    /// Name of the pool.
    pub name: String,
    /// Its status; none while nothing is known.
    pub status: Option<MachineConfigPoolStatus>,
    /// What people should see beside the pool.
    pub notes: Vec<Note>,
}

/// Something that people should see beside an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whether it is a warning.
    pub warning: bool,
    /// One CamelCase word for programs.
    pub reason: &'static str,
    /// The text.
    pub text: String,
}

impl Note {
    fn normal(reason: &'static str, text: impl Into<String>) -> Self {
        Self { warning: false, reason, text: text.into() }
    }

    fn warning(reason: &'static str, text: impl Into<String>) -> Self {
        Self { warning: true, reason, text: text.into() }
    }
}

/// Decides what every node and every pool shall be.
pub fn decide(observed: &Observed<'_>, now: Timestamp) -> Decision {
    let views = Views::new(observed, now);
    let nodes: Vec<NodeDecision> = views.nodes.iter().map(|view| node::decide(view, &views, now)).collect();
    let pools = views.pools.values().map(|pool| pool_status::decide(pool, &views.nodes, &nodes, now)).collect();
    let again = nodes.iter().filter_map(|node| node.again).min();
    Decision { nodes, pools, orphans: orphans(observed), again }
}

fn orphans(observed: &Observed<'_>) -> Vec<Orphan> {
    let has_node = |state: &&Arc<MachineConfigNode>| {
        observed.nodes.iter().any(|each| each.metadata.name == state.metadata.name && views::owns(each, state))
    };
    let orphaned = observed.node_states.iter().filter(|state| !has_node(state));
    orphaned
        .filter(|state| state.metadata.deletion_timestamp.is_none())
        .map(|state| Orphan { name: target::name_of(&state.metadata).to_owned(), uid: state.metadata.uid.clone() })
        .collect()
}

#[cfg(test)]
mod tests;
