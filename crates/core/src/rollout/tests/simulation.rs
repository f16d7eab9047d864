//! A cluster that moves: agents that work, fail and reboot, users who change their minds, a controller that is killed
//! between any two of its writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use onlay_api::machine_config_node::{MachineConfigNode, Permit, UpdatePhase};
use onlay_api::machine_config_pool::MachineConfigPoolStatus;
use onlay_api::names::CORDONED_ANNOTATION;

use super::objects::{BASE, Cluster, node, not_ready, now, pod, state};
use crate::rollout::candidates::max_unavailable;
use crate::rollout::drain::{DrainView, PodRef, Refusal, has_to_leave};
use crate::rollout::health::Health;
use crate::rollout::{Cordon, Decision, NodeDecision};

mod agent;

use agent::Agent;

/// What happens next; numbers choose a node or a pool by remainder.
#[derive(Debug, Clone)]
pub enum Event {
    /// The controller decides.
    Decide,
    /// It makes so many of its writes, and is killed if that is not all of them.
    Write(usize),
    /// The agent of a node sees the spec.
    AgentReads(usize),
    /// The agent does its next step.
    AgentActs(usize),
    /// The agent reports what it did.
    AgentReports(usize),
    /// The next update of a node fails in this phase, as far as it gets there.
    Fault(usize, UpdatePhase),
    /// Pods that were asked to leave have left.
    PodsEnd(usize),
    /// A budget protects the pods of a node, or does no longer.
    Budget(usize, bool),
    /// A new configuration for a pool.
    Configure(usize, u8),
    Pause(usize, bool),
    /// A node changes into the custom pool, or back.
    Relabel(usize, bool),
    /// A person cordons a node, or uncordons it.
    PersonCordons(usize, bool),
    /// The kubelet of a node stops, or comes back.
    Kubelet(usize, bool),
    /// A Node is deleted and registers anew.
    Recreate(usize),
    /// So many minutes pass.
    Minutes(u8),
}

/// One write of the controller.
#[derive(Debug, Clone)]
enum Write {
    Orphan(String),
    Node(NodeWrite, Box<NodeDecision>),
    Pool(String, Box<MachineConfigPoolStatus>),
}

#[derive(Debug, Clone, Copy)]
enum NodeWrite {
    Cordon,
    Conditions,
    Spec,
    Mirror,
    Evict,
}

#[derive(Debug)]
pub struct World {
    pub cluster: Cluster,
    now: Timestamp,
    agents: BTreeMap<String, Agent>,
    /// Nodes that were in service when we cordoned them, and are not back.
    taken: BTreeSet<String>,
    budgets: BTreeSet<String>,
    pending: Vec<Write>,
    /// What the pools' sizes and members were when the pending writes were decided.
    pools_then: BTreeMap<String, String>,
    generation: u64,
}

const POOLS: [&str; 2] = ["worker", "infra"];

impl World {
    /// A pool of `size` nodes that are updated, and an empty custom pool.
    pub fn new(size: usize, max: i32) -> Self {
        let mut cluster = Cluster::default().pool("worker", "rendered-worker-0").pool("infra", "rendered-infra-0");
        let max = k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(max);
        cluster.pools.values_mut().for_each(|pool| pool.spec.max_unavailable = Some(max.clone()));
        let mut agents = BTreeMap::new();
        for index in 0..size {
            let name = format!("n{index}");
            cluster = cluster.node(&name, "worker", "rendered-worker-0");
            let running = ("rendered-worker-0".to_owned(), BASE.to_owned());
            agents.insert(
                name.clone(),
                Agent { running, update: None, seen: None, generation: None, fault: None, stuck: false },
            );
            cluster.drains.insert(name, DrainView::default());
        }
        let (taken, budgets, pools_then) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let mut world =
            Self { cluster, now: now(), agents, taken, budgets, pending: Vec::new(), pools_then, generation: 0 };
        (0..size).for_each(|index| world.fill(index));
        world
    }

    /// The scheduler puts pods on a node that takes them.
    fn fill(&mut self, index: usize) {
        let name = self.name(index);
        if Health::of(&self.cluster.nodes[&name]).in_service() {
            let pods = vec![Arc::new(pod(&format!("web-{name}")))];
            self.cluster.drains.insert(name, DrainView { pods, refused: BTreeMap::new() });
        }
    }

    fn name(&self, index: usize) -> String {
        self.agents.keys().nth(index % self.agents.len()).unwrap().clone()
    }

    pub fn happen(&mut self, event: &Event) {
        match event {
            Event::Decide => self.decide(),
            Event::Write(count) => self.write(*count),
            Event::AgentReads(index) => self.agent_reads(*index),
            Event::AgentActs(index) => self.agent_acts(*index),
            Event::AgentReports(index) => self.agent_reports(*index),
            Event::Fault(index, phase) => {
                let name = self.name(*index);
                self.agents.get_mut(&name).unwrap().fault = Some(*phase);
            }
            Event::PodsEnd(index) => self.pods_end(*index),
            Event::Budget(index, holds) => {
                let name = self.name(*index);
                if *holds {
                    self.budgets.insert(name)
                } else {
                    self.budgets.remove(&name)
                };
            }
            Event::Configure(index, number) => {
                let pool = POOLS[index % 2];
                self.cluster.target(pool, &format!("rendered-{pool}-{number}"));
            }
            Event::Pause(index, paused) => {
                self.cluster.pools.get_mut(POOLS[index % 2]).unwrap().spec.paused = *paused;
            }
            Event::Relabel(index, infra) => self.relabel(*index, *infra),
            Event::PersonCordons(index, cordon) => {
                let name = self.name(*index);
                self.cluster.nodes.get_mut(&name).unwrap().spec.as_mut().unwrap().unschedulable =
                    cordon.then_some(true);
            }
            Event::Kubelet(index, runs) => self.kubelet(*index, *runs),
            Event::Recreate(index) => self.recreate(*index),
            Event::Minutes(minutes) => self.now += SignedDuration::from_mins(i64::from(*minutes)),
        }
    }

    fn decide(&mut self) {
        self.pools_then = self.cluster.nodes.keys().map(|name| (name.clone(), self.pool_of(name))).collect();
        self.pending = writes(self.cluster.decide(self.now));
    }

    fn pool_of(&self, name: &str) -> String {
        let labels = self.cluster.nodes[name].metadata.labels.as_ref().unwrap();
        let infra = labels.contains_key("node-role.kubernetes.io/infra");
        if infra { "infra" } else { "worker" }.to_owned()
    }

    fn write(&mut self, count: usize) {
        let all = std::mem::take(&mut self.pending);
        for write in all.into_iter().take(count) {
            match write {
                Write::Orphan(name) => drop(self.cluster.states.remove(&name)),
                Write::Pool(name, status) => self.cluster.pools.get_mut(&name).unwrap().status = Some(*status),
                Write::Node(what, decision) => self.write_node(what, &decision),
            }
        }
    }

    fn write_node(&mut self, what: NodeWrite, decision: &NodeDecision) {
        let name = &decision.name;
        // Writes to another node of the same name are refused or find nothing.
        if self.cluster.nodes[name].metadata.uid.as_ref() != Some(&decision.uid) {
            return;
        }
        match what {
            NodeWrite::Cordon => match decision.cordon.as_ref().unwrap() {
                Cordon::Cordon { mark } => self.cordon(name, mark),
                Cordon::Uncordon => self.uncordon(name),
            },
            NodeWrite::Conditions => {
                if let Some(state) = self.cluster.states.get_mut(name) {
                    let conditions = &mut state.status.get_or_insert_default().conditions;
                    conditions.retain(|each| each.type_ == "NodeDegraded");
                    conditions.extend(decision.conditions.iter().flatten().cloned());
                }
            }
            NodeWrite::Spec => {
                let made = state(&self.cluster.nodes[name], "", "");
                let made = MachineConfigNode { status: None, ..made };
                let state = self.cluster.states.entry(name.clone()).or_insert(made);
                let before = state.spec.onlay.permit;
                state.spec.clone_from(decision.spec.as_ref().unwrap());
                *state.metadata.generation.get_or_insert_default() += 1;
                let after = state.spec.onlay.permit;
                let cordoned = Health::of(&self.cluster.nodes[name]).cordoned_by_us;
                match (before == Permit::Disrupt, after == Permit::Disrupt) {
                    (false, true) if !cordoned => self.take_out(name),
                    (true, false) if !cordoned => _ = self.taken.remove(name),
                    _ => (),
                }
            }
            NodeWrite::Mirror => {
                let annotations =
                    self.cluster.nodes.get_mut(name).unwrap().metadata.annotations.get_or_insert_default();
                for (key, value) in &decision.mirror {
                    match value {
                        Some(value) => annotations.insert((*key).to_owned(), value.clone()),
                        None => annotations.remove(*key),
                    };
                }
            }
            NodeWrite::Evict => decision.evict.iter().for_each(|pod| self.evict(name, pod)),
        }
    }

    /// The law: of the nodes that were in service, no more than allowed are out of service by our doing.
    fn take_out(&mut self, name: &str) {
        let node = &self.cluster.nodes[name];
        if Health::of(node).in_service() {
            let pool = self.pools_then[name].clone();
            let members: Vec<&String> = self.pools_then.iter().filter(|(_, of)| **of == pool).map(|(n, _)| n).collect();
            let out = members.iter().filter(|member| self.taken.contains(**member)).count();
            let written = self.cluster.pools[&pool].spec.max_unavailable.clone();
            let max = max_unavailable(written.as_ref(), members.len()).unwrap();
            assert!(out < max, "{name} is taken out of {pool}, where {out} of at most {max} are out: {:?}", self.taken);
            self.taken.insert(name.to_owned());
        }
    }

    fn cordon(&mut self, name: &str, mark: &str) {
        self.take_out(name);
        let node = self.cluster.nodes.get_mut(name).unwrap();
        node.spec.as_mut().unwrap().unschedulable = Some(true);
        let annotations = node.metadata.annotations.get_or_insert_default();
        annotations.insert(CORDONED_ANNOTATION.to_owned(), mark.to_owned());
    }

    fn uncordon(&mut self, name: &str) {
        let agent = &self.agents[name];
        let phase = agent.update.as_ref().map(|update| update.phase);
        let is_applying =
            matches!(phase, Some(UpdatePhase::Applying | UpdatePhase::Rebooting | UpdatePhase::Verifying));
        assert!(!is_applying, "{name} is uncordoned in the middle of its update");
        let node = self.cluster.nodes.get_mut(name).unwrap();
        node.spec.as_mut().unwrap().unschedulable = None;
        node.metadata.annotations.as_mut().unwrap().remove(CORDONED_ANNOTATION);
        self.taken.remove(name);
    }

    fn evict(&mut self, name: &str, pod: &PodRef) {
        let view = self.cluster.drains.get_mut(name).unwrap();
        if self.budgets.contains(name) {
            let words = "The disruption budget web allows nothing".to_owned();
            view.refused.insert(pod.uid.clone(), Refusal { at: self.now, words });
            return;
        }
        view.refused.remove(&pod.uid);
        for each in view.pods.iter_mut().filter(|each| each.metadata.uid.as_ref() == Some(&pod.uid)) {
            Arc::make_mut(each).metadata.deletion_timestamp = Some(Time(self.now));
        }
    }

    /// The law: nobody is disrupted who still has pods, unless it was broken before.
    fn assert_out(&self, name: &str) {
        let health = Health::of(&self.cluster.nodes[name]);
        if self.taken.contains(name) && health.ready {
            let pods = &self.cluster.drains[name].pods;
            let left: Vec<_> = pods.iter().filter(|pod| has_to_leave(pod)).collect();
            assert!(left.is_empty(), "{name} is disrupted under its pods: {left:?}");
        }
    }

    fn pods_end(&mut self, index: usize) {
        let name = self.name(index);
        self.cluster.drains.get_mut(&name).unwrap().pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        self.fill(index);
    }

    fn relabel(&mut self, index: usize, infra: bool) {
        let name = self.name(index);
        let labels = self.cluster.nodes.get_mut(&name).unwrap().metadata.labels.as_mut().unwrap();
        let role = "node-role.kubernetes.io/infra".to_owned();
        if infra {
            labels.insert(role, String::new())
        } else {
            labels.remove(&role)
        };
    }

    fn kubelet(&mut self, index: usize, runs: bool) {
        let name = self.name(index);
        let node = self.cluster.nodes.get_mut(&name).unwrap();
        match runs {
            false if Health::of(node).ready => not_ready(node, self.now),
            true => node.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].status = "True".to_owned(),
            false => (),
        }
    }

    fn recreate(&mut self, index: usize) {
        let name = self.name(index);
        let pool = self.pool_of(&name);
        let mut made = node(&name, "worker");
        self.generation += 1;
        made.metadata.uid = Some(format!("uid-{name}-{}", self.generation));
        if pool == "infra" {
            made.metadata.labels.as_mut().unwrap().insert("node-role.kubernetes.io/infra".into(), String::new());
        }
        self.cluster.nodes.insert(name.clone(), made);
        self.taken.remove(&name);
        let agent = self.agents.get_mut(&name).unwrap();
        (agent.seen, agent.generation) = (None, None);
    }

    /// Faults stop, people leave everything alone after one last change, and everybody goes on working.
    pub fn settle(&mut self) -> Result<(), String> {
        for (index, pool) in POOLS.into_iter().enumerate() {
            self.happen(&Event::Pause(index, false));
            self.cluster.target(pool, &format!("rendered-{pool}-last"));
        }
        for index in 0..self.agents.len() {
            self.happen(&Event::Budget(index, false));
            self.happen(&Event::Kubelet(index, true));
            let name = self.name(index);
            self.agents.get_mut(&name).unwrap().fault = None;
            if !Health::of(&self.cluster.nodes[&name]).cordoned_by_us {
                self.happen(&Event::PersonCordons(index, false));
            }
        }
        for _ in 0..40 * (self.agents.len() + 1) {
            self.happen(&Event::Decide);
            self.happen(&Event::Write(usize::MAX));
            for index in 0..self.agents.len() {
                for event in [
                    Event::PodsEnd(index),
                    Event::AgentReads(index),
                    Event::AgentActs(index),
                    Event::AgentReports(index),
                ] {
                    self.happen(&event);
                }
            }
            self.now += SignedDuration::from_secs(10);
            if self.is_settled() {
                return Ok(());
            }
        }
        let decision = self.cluster.decide(self.now);
        let waits: Vec<_> = decision.nodes.into_iter().map(|node| (node.name, node.wait)).collect();
        Err(format!("it never settles: {waits:?}; {:?}", self.agents))
    }

    fn is_settled(&self) -> bool {
        let nodes = self.cluster.nodes.iter().all(|(name, node)| {
            let target = format!("rendered-{}-last", self.pool_of(name));
            let held = self.cluster.states.get(name).is_some_and(|state| state.spec.onlay.permit == Permit::Hold);
            self.agents[name].running.0 == target && Health::of(node).in_service() && held
        });
        let updated = |pool: &onlay_api::MachineConfigPool| {
            let conditions = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            conditions.iter().any(|each| each.type_ == "Updated" && each.status.as_str() == "True")
        };
        nodes && self.cluster.pools.values().all(updated)
    }
}

/// The writes of a decision, in the order in which the controller makes them.
fn writes(decision: Decision) -> Vec<Write> {
    let mut writes: Vec<Write> = decision.orphans.into_iter().map(|orphan| Write::Orphan(orphan.name)).collect();
    for node in decision.nodes {
        let parts = [
            (NodeWrite::Cordon, node.cordon.is_some()),
            (NodeWrite::Conditions, node.conditions.is_some()),
            (NodeWrite::Spec, node.spec.is_some()),
            (NodeWrite::Mirror, true),
            (NodeWrite::Evict, !node.evict.is_empty()),
        ];
        let parts = parts.into_iter().filter(|(_, is_there)| *is_there);
        writes.extend(parts.map(|(part, _)| Write::Node(part, Box::new(node.clone()))));
    }
    writes.extend(decision.pools.into_iter().filter_map(|pool| Some(Write::Pool(pool.name, Box::new(pool.status?)))));
    writes
}
