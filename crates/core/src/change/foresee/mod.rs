//! What a pool and its nodes go through when its configuration, its image, its settings or its nodes change.
//!
//! [`compare`] sets one configuration beside another one, [`rebuild`] says whether an image has to be built, and
//! [`pool`] puts both together with the nodes of a pool: each of them goes from what it runs, not from what its pool
//! was told.

mod images;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use onlay_api::machine_config_node::MachineConfigNode;
use onlay_api::machine_configuration::NodeDisruptionPolicy;
use onlay_api::{MachineConfigPool, MachineConfigSpec};
use schemars::JsonSchema;
use serde::Serialize;

use super::diff::{Description, State, between, same_image};
use super::disruption::{Because, Disruption, HostUnits, Rebuild, assess, in_force};
use super::plan::{Past, Plan, PlanNode, PlanPool, plan};
use super::refusal::{self, Refusal};
use crate::build::base;
use crate::render::desired::{self, Desired};
use crate::render::{RenderError, Rendered};
use crate::rollout::candidates::max_unavailable;
use crate::rollout::health::Health;

pub use images::{Side, rebuild};

/// A rendered configuration, and what is read from it. The default one says nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Configuration {
    /// Name of the rendered configuration.
    pub name: String,
    /// Its specification.
    pub spec: MachineConfigSpec,
    /// The same, materialised.
    pub desired: Desired,
}

impl Configuration {
    /// A rendered configuration by name and specification.
    ///
    /// # Errors
    /// Says what in it cannot be read.
    pub fn new(name: impl Into<String>, spec: MachineConfigSpec) -> Result<Self, RenderError> {
        Ok(Self { name: name.into(), desired: desired::of(&spec)?, spec })
    }

    /// A configuration as it was rendered.
    ///
    /// # Errors
    /// None, as long as rendering gives complete configurations.
    pub fn of(rendered: Rendered) -> Result<Self, RenderError> {
        Self::new(rendered.name, rendered.spec)
    }

    fn state<'a>(&'a self, image: Option<&'a str>) -> State<'a> {
        State { spec: &self.spec, desired: &self.desired, image }
    }
}

/// One thing that changes, with what it costs a node and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostedChange {
    /// What changes.
    #[serde(flatten)]
    pub description: Description,
    /// What it costs a node.
    pub disruption: Disruption,
    /// The same in words.
    pub cost: String,
    /// Why it costs that.
    pub because: Because,
    /// The same in words.
    pub why: String,
}

/// Everything that differs between two configurations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// What changes, in a fixed order.
    pub changes: Vec<CostedChange>,
    /// What cannot change on nodes that run.
    pub refusals: Vec<Refusal>,
    /// What all of it costs a node together, another image included.
    pub disruption: Disruption,
    /// The same in words.
    pub cost: String,
}

/// Sets one configuration beside another one. The images are those that nodes run, if both are known.
pub fn compare(
    old: &Configuration,
    new: &Configuration,
    images: Option<(&str, &str)>,
    policy: Option<&NodeDisruptionPolicy>,
    host: &HostUnits,
    rebuild: &Rebuild,
) -> Comparison {
    let diff = between(old.state(images.map(|(old, _)| old)), new.state(images.map(|(_, new)| new)));
    let assessment = assess(&diff, &in_force(policy, host), host, rebuild.clone());
    let changes = assessment.costs.into_iter().map(|cost| CostedChange {
        description: cost.change.describe(),
        cost: cost.disruption.to_string(),
        why: cost.because.to_string(),
        disruption: cost.disruption,
        because: cost.because,
    });
    Comparison {
        changes: changes.collect(),
        refusals: refusal::check(&old.spec, &new.spec).err().map(|refused| refused.refusals).unwrap_or_default(),
        cost: assessment.total.to_string(),
        disruption: assessment.total,
    }
}

/// A pool, and what its nodes are told to run.
#[derive(Debug, Clone, Copy)]
pub struct PoolSide<'a> {
    /// The pool.
    pub pool: &'a MachineConfigPool,
    /// Its configuration and image.
    pub side: Side<'a>,
}

/// A node of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The node.
    pub node: &'a Node,
    /// What its agent says, if it has said anything.
    pub state: Option<&'a MachineConfigNode>,
    /// The configuration that it runs; what its pool was told, if that is not known.
    pub running: &'a Configuration,
    /// Whether it comes from another pool, or from none.
    pub is_new: bool,
    /// Whether the controller runs on it.
    pub runs_controller: bool,
}

/// A setting of a pool that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Path of the field.
    pub field: String,
    /// The value before.
    pub old: String,
    /// The value afterwards.
    pub new: String,
}

/// Nodes that go from the same state to the same state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// The rendered configuration that the nodes run; empty if they run none that is known.
    pub from: String,
    /// Names of the nodes, in the order of the pool; empty if the pool has none.
    pub nodes: Vec<String>,
    /// What they go through.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// What a pool goes through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Name of the pool.
    pub pool: String,
    /// The rendered configuration that it is told to run before; none if the pool is new.
    pub from: Option<String>,
    /// The rendered configuration that it is told to run afterwards.
    pub to: String,
    /// Settings of the pool that differ.
    pub settings: Vec<Setting>,
    /// Whether a new image has to be built.
    pub rebuild: Rebuild,
    /// The same in words.
    pub rebuild_why: String,
    /// Its nodes, by where they come from.
    pub moves: Vec<Move>,
    /// How many of its nodes may be out of service at once; none if that cannot be read.
    pub max_unavailable: Option<usize>,
    /// Which node goes when; none if something cannot change on nodes that run.
    pub plan: Option<Plan>,
}

/// What a pool goes through; none if nothing of it differs.
///
/// The members are all nodes of the pool as it is afterwards, in the order in which the rollout sees them.
pub fn pool(
    old: Option<PoolSide<'_>>,
    new: PoolSide<'_>,
    members: &[Member<'_>],
    policy: Option<&NodeDisruptionPolicy>,
    past: &Past,
) -> Option<Forecast> {
    let rebuild = rebuild(old.map(|old| old.side), new.side, &architectures(members));
    let settings = old.map(|old| settings(old.pool, new.pool)).unwrap_or_default();
    let to = new.side.configuration;
    let is_same = old.is_some_and(|old| old.side.configuration.name == to.name);
    if is_same && settings.is_empty() && !rebuild.is_another_image() && !members.iter().any(|each| each.is_new) {
        return None;
    }
    let (moves, of_node) = moves(old, new.side, members, policy, &rebuild);
    let max_unavailable = max_unavailable(new.pool.spec.max_unavailable.as_ref(), members.len());
    let plan_pool = PlanPool {
        nodes: members.iter().zip(&of_node).map(|(member, group)| member.to_plan(moves.get(*group))).collect(),
        max_unavailable: images::obstacle(new.side).map_or(max_unavailable.clone(), Err),
        paused: new.pool.spec.paused,
        rebuild: rebuild.clone(),
    };
    let is_refused = moves.iter().any(|group| !group.comparison.refusals.is_empty());
    let plan = (!is_refused).then(|| plan(&plan_pool, past));
    Some(Forecast {
        pool: new.pool.metadata.name.clone().unwrap_or_default(),
        from: old.map(|old| old.side.configuration.name.clone()),
        to: to.name.clone(),
        settings,
        rebuild_why: rebuild.to_string(),
        rebuild,
        plan,
        moves,
        max_unavailable: max_unavailable.ok(),
    })
}

/// Where nodes come from: configuration, units of the host, and the images before and afterwards if they differ.
type Origin<'a> = (&'a str, HostUnits, Option<(&'a str, &'a str)>);

/// The nodes by where they come from, and for each node its group. A pool without nodes goes from what it was told.
fn moves(
    old: Option<PoolSide<'_>>,
    new: Side<'_>,
    members: &[Member<'_>],
    policy: Option<&NodeDisruptionPolicy>,
    rebuild: &Rebuild,
) -> (Vec<Move>, Vec<usize>) {
    let (mut origins, mut moves, mut of_node) = (Vec::<Origin<'_>>::new(), Vec::<Move>::new(), Vec::new());
    let group = |running: &Configuration, images, host: &HostUnits| Move {
        from: running.name.clone(),
        nodes: Vec::new(),
        comparison: compare(running, new.configuration, images, policy, host, rebuild),
    };
    for member in members {
        let images = member.image().zip(images::for_member(new, member, rebuild));
        let images = images.filter(|(old, new)| !same_image(old, new));
        let origin: Origin<'_> = (&member.running.name, member.host(), images);
        let index = origins.iter().position(|known| *known == origin).unwrap_or_else(|| {
            moves.push(group(member.running, images, &origin.1));
            origins.push(origin);
            moves.len() - 1
        });
        moves[index].nodes.push(member.name().to_owned());
        of_node.push(index);
    }
    if let Some(old) = old.filter(|_| members.is_empty()) {
        moves.push(group(old.side.configuration, None, &HostUnits::of(None)));
    }
    (moves, of_node)
}

/// The architectures of the nodes, as Kubernetes names them.
pub fn architectures(members: &[Member<'_>]) -> BTreeSet<String> {
    base::architectures(members.iter().map(|member| member.node))
}

fn settings(old: &MachineConfigPool, new: &MachineConfigPool) -> Vec<Setting> {
    let limit = |pool: &MachineConfigPool| match &pool.spec.max_unavailable {
        None => "1".to_owned(),
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(text)) => text.clone(),
    };
    let paused = |pool: &MachineConfigPool| pool.spec.paused.to_string();
    let nodes = |pool: &MachineConfigPool| serde_json::to_string(&pool.spec.node_selector).unwrap_or_default();
    let both = [
        ("spec.paused", paused(old), paused(new)),
        ("spec.maxUnavailable", limit(old), limit(new)),
        ("spec.nodeSelector", nodes(old), nodes(new)),
    ];
    let differing = both.into_iter().filter(|(_, old, new)| old != new);
    differing.map(|(field, old, new)| Setting { field: field.to_owned(), old, new }).collect()
}

impl<'a> Member<'a> {
    fn name(&self) -> &'a str {
        self.node.metadata.name.as_deref().unwrap_or_default()
    }

    fn host(&self) -> HostUnits {
        let info = self.node.status.as_ref().and_then(|status| status.node_info.as_ref());
        HostUnits::of(info.map(|info| info.container_runtime_version.as_str()))
    }

    /// The image that it runs.
    fn image(&self) -> Option<&'a str> {
        self.state?.status.as_ref()?.config_image.as_ref()?.current_image.as_deref()
    }

    fn to_plan(self, group: Option<&Move>) -> PlanNode<'a> {
        PlanNode {
            name: self.name(),
            disruption: group.map(|group| group.comparison.disruption.clone()).unwrap_or_default(),
            out: self.is_out(),
            runs_controller: self.runs_controller,
        }
    }

    /// Whether it is out of service for reasons of its own.
    fn is_out(&self) -> bool {
        let health = Health::of(self.node);
        !health.ready || (health.unschedulable && !health.cordoned_by_us)
    }
}
