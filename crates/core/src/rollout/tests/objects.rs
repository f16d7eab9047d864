//! Objects of the API for tests, with no more in them than the decisions read.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeSpec, NodeStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference, Time};
use onlay_api::conditions::{self, NodeConditionType};
use onlay_api::machine_config_node::{
    MachineConfigNode, MachineConfigNodeSpec, MachineConfigNodeStatus, Needs, Permit, SpecConfigImage,
    SpecConfigVersion, SpecOnlay, StatusConfigImage, StatusConfigVersion, StatusOnlay, Update, UpdatePhase,
};
use onlay_api::machine_config_pool::{MachineConfigPool, MachineConfigPoolSpec, PoolConfiguration};
use onlay_api::names::{CORDONED_ANNOTATION, RENDER_ERROR_ANNOTATION};
use onlay_api::reference::NameReference;
use onlay_api::{MachineConfig, MachineConfigSpec, MachineOSBuild, MachineOSConfig};

use crate::rollout::drain::DrainView;
use crate::rollout::{Controller, Decision, NodeDecision, Observed, PoolDecision, decide};

/// The image that every node has when it is met.
pub const BASE: &str = "registry/base@sha256:0000000000000000000000000000000000000000000000000000000000000000";

pub fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

pub fn image(digit: char) -> String {
    format!("registry/os@sha256:{}", digit.to_string().repeat(64))
}

/// A cluster of API objects.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    pub pools: BTreeMap<String, MachineConfigPool>,
    pub nodes: BTreeMap<String, Node>,
    pub states: BTreeMap<String, MachineConfigNode>,
    pub configs: BTreeMap<String, MachineConfig>,
    pub os_configs: BTreeMap<String, MachineOSConfig>,
    pub os_builds: BTreeMap<String, MachineOSBuild>,
    pub drains: BTreeMap<String, DrainView>,
    pub controller: Controller,
}

fn shared<K: Clone>(all: &BTreeMap<String, K>) -> Vec<Arc<K>> {
    all.values().cloned().map(Arc::new).collect()
}

impl Cluster {
    pub fn decide(&self, now: Timestamp) -> Decision {
        decide(
            &Observed {
                pools: &shared(&self.pools),
                nodes: &shared(&self.nodes),
                node_states: &shared(&self.states),
                configs: &shared(&self.configs),
                os_configs: &shared(&self.os_configs),
                os_builds: &shared(&self.os_builds),
                drains: &self.drains,
                controller: &self.controller,
                drain_deadline: SignedDuration::from_hours(1),
            },
            now,
        )
    }

    pub fn node_decision(&self, name: &str) -> NodeDecision {
        self.decide(now()).nodes.into_iter().find(|node| node.name == name).unwrap()
    }

    pub fn pool_decision(&self, name: &str) -> PoolDecision {
        self.decide(now()).pools.into_iter().find(|pool| pool.name == name).unwrap()
    }

    /// A pool that selects nodes by the role of its own name and has a rendered configuration.
    pub fn pool(mut self, name: &str, config: &str) -> Self {
        self.target(name, config);
        self
    }

    pub fn target(&mut self, name: &str, config: &str) {
        let pool = self.pools.entry(name.to_owned()).or_insert_with(|| pool(name));
        pool.spec.configuration = Some(PoolConfiguration { name: config.to_owned(), ..PoolConfiguration::default() });
        self.configs.insert(config.to_owned(), MachineConfig::new(config, MachineConfigSpec::default()));
    }

    pub fn with_pool(mut self, name: &str, change: impl FnOnce(&mut MachineConfigPool)) -> Self {
        change(self.pools.get_mut(name).unwrap());
        self
    }

    pub fn with_node(mut self, name: &str, change: impl FnOnce(&mut Node)) -> Self {
        change(self.nodes.get_mut(name).unwrap());
        self
    }

    /// A node in service with its MachineConfigNode, which runs `current` on the base image.
    pub fn node(mut self, name: &str, role: &str, current: &str) -> Self {
        let node = node(name, role);
        self.states.insert(name.to_owned(), state(&node, role, current));
        self.nodes.insert(name.to_owned(), node);
        self
    }

    /// A node whose permit and newest update are these; the update leads to what the spec asks for.
    pub fn updating(mut self, name: &str, config: &str, permit: Permit, phase: UpdatePhase) -> Self {
        let state = self.states.get_mut(name).unwrap();
        state.spec.config_version.desired = config.to_owned();
        state.spec.onlay.permit = permit;
        report(state).update = Some(update(config, BASE, phase));
        self
    }

    pub fn cordoned(self, name: &str) -> Self {
        self.with_node(name, |node| {
            node.spec = Some(NodeSpec { unschedulable: Some(true), ..NodeSpec::default() });
            let mark = (CORDONED_ANNOTATION.to_owned(), "2026-05-01T11:59:00Z".to_owned());
            node.metadata.annotations.get_or_insert_default().extend([mark]);
        })
    }

    pub fn draining(mut self, name: &str, pods: Vec<Pod>) -> Self {
        let pods = pods.into_iter().map(Arc::new).collect();
        self.drains.insert(name.to_owned(), DrainView { pods, refused: BTreeMap::new() });
        self
    }

    pub fn render_error(self, pool: &str, message: &str) -> Self {
        self.with_pool(pool, |pool| {
            let error = (RENDER_ERROR_ANNOTATION.to_owned(), message.to_owned());
            pool.metadata.annotations.get_or_insert_default().extend([error]);
        })
    }
}

pub fn update(config: &str, image: &str, phase: UpdatePhase) -> Update {
    Update {
        config: config.to_owned(),
        image: image.to_owned(),
        phase,
        needs: Needs::Reboot,
        step: String::new(),
        message: "disk is full".to_owned(),
    }
}

pub fn report(state: &mut MachineConfigNode) -> &mut StatusOnlay {
    state.status.get_or_insert_default().onlay.get_or_insert_default()
}

pub fn pool(name: &str) -> MachineConfigPool {
    let label = (format!("node-role.kubernetes.io/{name}"), String::new());
    let selector = LabelSelector { match_labels: Some(BTreeMap::from([label])), ..LabelSelector::default() };
    MachineConfigPool::new(
        name,
        MachineConfigPoolSpec { node_selector: Some(selector), ..MachineConfigPoolSpec::default() },
    )
}

pub fn node(name: &str, role: &str) -> Node {
    let ready = NodeCondition {
        type_: "Ready".to_owned(),
        status: "True".to_owned(),
        last_transition_time: Some(Time(now())),
        ..NodeCondition::default()
    };
    Node {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            uid: Some(format!("uid-{name}")),
            labels: Some(BTreeMap::from([(format!("node-role.kubernetes.io/{role}"), String::new())])),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec::default()),
        status: Some(NodeStatus { conditions: Some(vec![ready]), ..NodeStatus::default() }),
    }
}

pub fn not_ready(node: &mut Node, since: Timestamp) {
    let condition = &mut node.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
    condition.status = "Unknown".to_owned();
    condition.last_transition_time = Some(Time(since));
}

pub fn state(node: &Node, pool: &str, current: &str) -> MachineConfigNode {
    let name = node.metadata.name.clone().unwrap();
    let mut state = MachineConfigNode::new(
        &name,
        MachineConfigNodeSpec {
            node: NameReference::new(&name),
            pool: NameReference::new(pool),
            config_version: SpecConfigVersion { desired: current.to_owned() },
            config_image: Some(SpecConfigImage { desired_image: BASE.to_owned() }),
            onlay: SpecOnlay::default(),
        },
    );
    state.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name,
        uid: node.metadata.uid.clone().unwrap(),
        ..OwnerReference::default()
    }]);
    state.status = Some(MachineConfigNodeStatus {
        config_version: Some(StatusConfigVersion { current: Some(current.to_owned()), desired: current.to_owned() }),
        config_image: Some(StatusConfigImage { current_image: Some(BASE.to_owned()), desired_image: None }),
        onlay: Some(StatusOnlay { adopted_image: Some(BASE.to_owned()), ..StatusOnlay::default() }),
        ..MachineConfigNodeStatus::default()
    });
    state
}

pub fn pod(name: &str) -> Pod {
    Pod {
        metadata: ObjectMeta {
            namespace: Some("shop".to_owned()),
            name: Some(name.to_owned()),
            uid: Some(format!("uid-{name}")),
            ..ObjectMeta::default()
        },
        status: Some(PodStatus { phase: Some("Running".to_owned()), ..PodStatus::default() }),
        ..Pod::default()
    }
}

/// The status of one condition of a decision, and its message.
pub fn condition(decision: &NodeDecision, type_: NodeConditionType) -> (&'static str, String) {
    let condition = conditions::find(decision.conditions.as_deref().unwrap(), type_).unwrap();
    (condition.status.as_str(), condition.message.clone())
}
