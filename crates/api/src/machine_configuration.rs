//! MachineConfiguration: what applying a change costs a node. Of the compatible kind only the node disruption policy is
//! here, and the fields of its operator that people's files always carry.
//!
//! One object is read, the one named [`NAME`].

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Name of the object that is read.
pub const NAME: &str = "cluster";

/// What applying a change costs a node.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "operator.openshift.io",
    version = "v1",
    kind = "MachineConfiguration",
    status = "MachineConfigurationStatus",
    derive = "PartialEq",
    derive = "Default",
    schema = "disabled",
    doc = "What applying a change of files, units or SSH keys costs a node."
)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfigurationSpec {
    /// How much the compatible operator logs; accepted, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::log_level")]
    pub log_level: Option<String>,
    /// Whether the compatible operator acts; accepted, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(Managed|Unmanaged|Force|Removed)$"))]
    pub management_state: Option<String>,
    /// How much the compatible operator logs about itself; accepted, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::log_level")]
    pub operator_log_level: Option<String>,
    /// What people want changes to cost; it takes precedence over the defaults, entry by entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_disruption_policy: Option<NodeDisruptionPolicy>,
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfigurationStatus {
    /// The generation of the object that this status was computed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_disruption_policy_status: Option<NodeDisruptionPolicyStatus>,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeDisruptionPolicyStatus {
    /// The defaults, with what people want merged over them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_policies: Option<ClusterPolicies>,
}

/// What people want changes to cost. What no entry covers takes a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeDisruptionPolicy {
    /// What changes of files cost; the longest path that a file is at, or lies below, counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 50),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"])
    )]
    pub files: Vec<FilePolicy<Action<ActionType>>>,
    /// What changes of the SSH keys cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sshkey: Option<SshKeyPolicy<Action<ActionType>>>,
    /// What changes of units cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 50),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub units: Vec<UnitPolicy<Action<ActionType>>>,
}

/// What changes cost: the defaults, with what people want merged over them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPolicies {
    /// What changes of files cost; the longest path that a file is at, or lies below, counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"])
    )]
    pub files: Vec<FilePolicy<Action<EffectiveActionType>>>,
    /// What changes of the SSH keys cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sshkey: Option<SshKeyPolicy<Action<EffectiveActionType>>>,
    /// What changes of units cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub units: Vec<UnitPolicy<Action<EffectiveActionType>>>,
}

/// What a change of the files in one place costs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FilePolicy<A> {
    /// What is done, in this order.
    #[schemars(
        length(max = 10),
        extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = schema::alone_rules())
    )]
    pub actions: Vec<A>,
    /// A file, or a directory with everything below it.
    pub path: String,
}

/// What a change of one unit costs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnitPolicy<A> {
    /// What is done, in this order.
    #[schemars(
        length(max = 10),
        extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = schema::alone_rules())
    )]
    pub actions: Vec<A>,
    /// Name of the unit, with its suffix.
    #[schemars(schema_with = "schema::unit_name")]
    pub name: String,
}

/// What a change of the SSH keys costs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshKeyPolicy<A> {
    /// What is done, in this order.
    #[schemars(
        length(max = 10),
        extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = schema::alone_rules())
    )]
    pub actions: Vec<A>,
}

/// One thing that is done when something changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::service_rules()))]
pub struct Action<T> {
    /// What is reloaded; for Reload only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Service>,
    /// What is restarted; for Restart only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Service>,
    /// What is done.
    #[serde(rename = "type")]
    pub type_: T,
}

/// A unit that is reloaded or restarted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Name of the unit, with its suffix.
    #[schemars(schema_with = "schema::unit_name")]
    pub service_name: String,
}

impl Service {
    /// The unit of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { service_name: name.into() }
    }
}

/// What people can ask for when something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ActionType {
    /// The node is drained and rebooted; stands alone.
    #[default]
    Reboot,
    /// Pods leave the node before the change.
    Drain,
    /// A unit is told to read its configuration again.
    Reload,
    /// A unit is started anew.
    Restart,
    /// systemd reads its units again.
    DaemonReload,
    /// Nothing; stands alone.
    None,
}

/// What is done when something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum EffectiveActionType {
    /// The node is drained and rebooted; stands alone.
    #[default]
    Reboot,
    /// Pods leave the node before the change.
    Drain,
    /// A unit is told to read its configuration again.
    Reload,
    /// A unit is started anew.
    Restart,
    /// systemd reads its units again.
    DaemonReload,
    /// Nothing; stands alone.
    None,
    /// It depends on what changes in the file; a default for `registries.conf` only.
    Special,
}

impl From<ActionType> for EffectiveActionType {
    fn from(wanted: ActionType) -> Self {
        match wanted {
            ActionType::Reboot => Self::Reboot,
            ActionType::Drain => Self::Drain,
            ActionType::Reload => Self::Reload,
            ActionType::Restart => Self::Restart,
            ActionType::DaemonReload => Self::DaemonReload,
            ActionType::None => Self::None,
        }
    }
}

impl<T> Action<T> {
    /// An action that names no unit.
    pub fn plain(type_: T) -> Self {
        Self { reload: None, restart: None, type_ }
    }
}
