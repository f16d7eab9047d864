//! The cluster as a decision sees it: every node with its pool, its target, where it stands and what it was granted.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use onlay_api::MachineConfig;
use onlay_api::machine_config_node::MachineConfigNode;
use onlay_api::machine_config_pool::MachineConfigPool;

use super::Observed;
use super::candidates::{Grant, Member, Role, grant, max_unavailable};
use super::health::Health;
use super::stand::{Stand, stand};
use super::target::{Images, PoolTarget, Target, name_of};
use super::wait::WaitReason;
use crate::build::base;
use crate::change::refusal::{self, Refused};
use crate::pools::{Labels, pool_of};

/// Which changes of configuration nodes that run can take; each is looked at once.
struct Changes<'a, 'c> {
    configs: &'c BTreeMap<&'a str, &'a MachineConfig>,
    known: BTreeMap<(&'a str, String), Result<(), WaitReason>>,
}

impl<'a> Changes<'a, '_> {
    /// The target, if the node can get there from what it runs. What is not known any more stands in nobody's way.
    fn allow(&mut self, state: &'a MachineConfigNode, target: Target) -> Result<Target, WaitReason> {
        let running = state.status.as_ref().and_then(|status| status.config_version.as_ref()?.current.as_deref());
        let Some(running) = running.filter(|running| *running != target.config) else { return Ok(target) };
        let configs = self.configs;
        let outcome = self.known.entry((running, target.config.clone())).or_insert_with(|| {
            let (Some(old), Some(new)) = (configs.get(running), configs.get(target.config.as_str())) else {
                return Ok(());
            };
            let refused = |why: Refused| WaitReason::Refused { config: target.config.clone(), why: why.to_string() };
            refusal::check(&old.spec, &new.spec).map_err(refused)
        });
        outcome.clone().map(|()| target)
    }
}

/// A pool with its target.
#[derive(Debug)]
pub(super) struct PoolView<'a> {
    pub(super) pool: &'a MachineConfigPool,
    pub(super) name: &'a str,
    pub(super) target: Result<PoolTarget, WaitReason>,
}

/// A node with everything that is known about it.
#[derive(Debug)]
pub(super) struct NodeView<'a> {
    pub(super) node: &'a Node,
    pub(super) name: &'a str,
    pub(super) health: Health,
    /// Its MachineConfigNode.
    pub(super) state: Option<&'a MachineConfigNode>,
    /// Whether the MachineConfigNode of a former node of this name is still there.
    pub(super) succeeds: bool,
    /// Its pool, or why it has none.
    pub(super) pool: Result<&'a str, WaitReason>,
    /// Rendered configuration of its pool.
    pub(super) config: Option<String>,
    pub(super) target: Result<Target, WaitReason>,
    /// Where it stands; none without a MachineConfigNode.
    pub(super) stand: Option<Stand>,
}

/// All pools and nodes.
#[derive(Debug)]
pub(super) struct Views<'a> {
    pub(super) observed: &'a Observed<'a>,
    pub(super) pools: BTreeMap<&'a str, PoolView<'a>>,
    pub(super) nodes: Vec<NodeView<'a>>,
    /// What waits for what, of the nodes that want to go out of service; none may go.
    pub(super) grants: BTreeMap<&'a str, Option<WaitReason>>,
}

impl<'a> Views<'a> {
    pub(super) fn new(observed: &'a Observed<'a>, now: Timestamp) -> Self {
        let configs: BTreeMap<&str, &MachineConfig> =
            observed.configs.iter().map(|config| (name_of(&config.metadata), &**config)).collect();
        let images = Images { configs: &configs, os_configs: observed.os_configs, os_builds: observed.os_builds };
        let pools: BTreeMap<&str, PoolView<'_>> = observed
            .pools
            .iter()
            .map(|pool| (name_of(&pool.metadata), &**pool))
            .map(|(name, pool)| (name, PoolView { pool, name, target: images.target_of(pool) }))
            .collect();
        let states: BTreeMap<&str, &MachineConfigNode> =
            observed.node_states.iter().map(|state| (name_of(&state.metadata), &**state)).collect();
        let mut changes = Changes { configs: &configs, known: BTreeMap::new() };
        let nodes: Vec<NodeView<'_>> = observed
            .nodes
            .iter()
            .map(|node| {
                let state = states.get(name_of(&node.metadata)).copied();
                NodeView::new(node, observed.pools, &pools, state, &mut changes, now)
            })
            .collect();
        let grants =
            pools.values().flat_map(|pool| grants(pool, &nodes, observed.controller.node.as_deref())).collect();
        Self { observed, pools, nodes, grants }
    }
}

impl<'a> NodeView<'a> {
    fn new(
        node: &'a Node,
        all_pools: &'a [Arc<MachineConfigPool>],
        pools: &BTreeMap<&'a str, PoolView<'a>>,
        state: Option<&'a MachineConfigNode>,
        changes: &mut Changes<'a, '_>,
        now: Timestamp,
    ) -> Self {
        let own = state.filter(|state| owns(node, state) && state.metadata.deletion_timestamp.is_none());
        let no_labels = Labels::new();
        let labels = node.metadata.labels.as_ref().unwrap_or(&no_labels);
        let pool = match pool_of(labels, all_pools.iter().map(|pool| &**pool)) {
            Ok(Some(pool)) => Ok(name_of(&pool.metadata)),
            Ok(None) => Err(WaitReason::NoPool),
            Err(error) => Err(WaitReason::PoolConflict(error.to_string())),
        };
        let view = pool.clone().and_then(|pool| pools.get(pool).ok_or(WaitReason::NoPool));
        let of_pool = view.and_then(|view| view.target.as_ref().map_err(Clone::clone));
        let target = match (&of_pool, own) {
            (Ok(target), Some(state)) => {
                let target = target.for_node(state, base::architecture(node));
                target.and_then(|target| changes.allow(state, target))
            }
            (Ok(_), None) => Err(WaitReason::NotMet),
            (Err(reason), _) => Err(reason.clone()),
        };
        let health = Health::of(node);
        let paused = pool.as_ref().is_ok_and(|pool| pools.get(pool).is_some_and(|view| view.pool.spec.paused));
        Self {
            name: name_of(&node.metadata),
            succeeds: own.is_none() && state.is_some(),
            config: of_pool.ok().map(|target| target.config.clone()),
            stand: own.map(|state| stand(state, health, &target, paused, now)),
            state: own,
            node,
            health,
            pool,
            target,
        }
    }

    /// Whether it is out of service, or was let into an update.
    pub(super) fn is_out(&self) -> bool {
        !self.health.in_service() || matches!(self.stand, Some(Stand::InFlight(_)))
    }

    fn role(&self) -> Role {
        match &self.stand {
            Some(Stand::Candidate) => Role::Candidate,
            Some(Stand::Failed(_) | Stand::Held(WaitReason::RolledBack(_))) => Role::Failed,
            Some(Stand::Staging(_) | Stand::InFlight(_)) if self.health.ready => Role::Coming,
            _ => Role::Resting,
        }
    }
}

/// Answers the candidates of one pool.
fn grants<'a>(
    pool: &PoolView<'a>,
    nodes: &[NodeView<'a>],
    controller: Option<&str>,
) -> Vec<(&'a str, Option<WaitReason>)> {
    let members: Vec<Member<'a>> = nodes
        .iter()
        .filter(|view| view.pool.as_ref() == Ok(&pool.name))
        .map(|view| Member {
            name: view.name,
            out: view.is_out(),
            broken: !view.health.ready || (view.health.unschedulable && !view.health.cordoned_by_us),
            role: view.role(),
            runs_controller: Some(view.name) == controller,
        })
        .collect();
    let max = max_unavailable(pool.pool.spec.max_unavailable.as_ref(), members.len());
    let answer = |grant| match grant {
        Grant::Go(name) => (name, None),
        Grant::Wait(name, reason) => (name, Some(reason)),
    };
    grant(&members, &max).into_iter().map(answer).collect()
}

/// Whether a MachineConfigNode belongs to this very Node, and not to a former one of the same name.
pub(super) fn owns(node: &Node, state: &MachineConfigNode) -> bool {
    let mut owners = state.metadata.owner_references.iter().flatten();
    owners.any(|owner| owner.kind == "Node" && Some(&owner.uid) == node.metadata.uid.as_ref())
}
