//! MachineConfigNode: the one truth about a node: what it shall run, what it runs, and how far it is.

mod compatible;
mod onlay;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::compatible::{InternalRelease, InternalReleaseImage, IrreconcilableChange, PinnedImageSetProgress};
pub use self::onlay::{Deployment, Needs, Permit, SpecOnlay, StatusOnlay, Update, UpdatePhase};
use crate::conditions::Condition;
use crate::reference::NameReference;
use crate::schema;

/// What a node shall run, and how far it may go now. Written by the controller only.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "machineconfiguration.openshift.io",
    version = "v1",
    kind = "MachineConfigNode",
    status = "MachineConfigNodeStatus",
    derive = "PartialEq",
    derive = "Default",
    schema = "disabled",
    doc = "What one node shall run, what it runs, and how far its update is."
)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfigNodeSpec {
    /// The node; it has the name of this object.
    pub node: NameReference,
    /// The pool that the node belongs to.
    pub pool: NameReference,
    /// The configuration that the node shall run.
    pub config_version: SpecConfigVersion,
    /// The image that the node shall run; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_image: Option<SpecConfigImage>,
    /// How far the node may go towards exactly this target.
    #[serde(default)]
    pub onlay: SpecOnlay,
}

/// The configuration that a node shall run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpecConfigVersion {
    /// Name of the rendered MachineConfig.
    #[schemars(schema_with = "schema::subdomain")]
    pub desired: String,
}

/// The image that a node shall run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpecConfigImage {
    /// The image by digest, `HOST[:PORT]/PATH@sha256:DIGEST`.
    #[schemars(schema_with = "schema::pinned_image")]
    pub desired_image: String,
}

/// What a node runs, and how far its update is. Written by the node's agent, except Cordoned, Drained and Uncordoned.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfigNodeStatus {
    /// The generation of the object that this status was computed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-kubernetes-validations" = [
        {"rule": "self >= oldSelf", "message": "observedGeneration must not decrease"},
    ]))]
    pub observed_generation: Option<i64>,
    /// The state of the node, aspect by aspect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The configuration that the node runs, and the one it knows it shall run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_version: Option<StatusConfigVersion>,
    /// The image that the node runs, and the one it knows it shall run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_image: Option<StatusConfigImage>,
    /// What only onlay's controller and agent tell each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onlay: Option<StatusOnlay>,
    /// Parts of the configuration that differ from the node and cannot be brought there; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["fieldPath"])
    )]
    pub irreconcilable_changes: Vec<IrreconcilableChange>,
    /// Progress of pinned image sets; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub pinned_image_sets: Vec<PinnedImageSetProgress>,
    /// Release bundles kept on the node; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_release_image: Option<InternalReleaseImage>,
}

/// The configuration that a node runs, and the one it knows it shall run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusConfigVersion {
    /// Name of the rendered MachineConfig that the node runs; absent until the first update is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::subdomain")]
    pub current: Option<String>,
    /// Name of the rendered MachineConfig that the node knows it shall run.
    #[schemars(schema_with = "schema::subdomain")]
    pub desired: String,
}

/// The image that a node runs, and the one it knows it shall run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusConfigImage {
    /// The booted image by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pinned_image")]
    pub current_image: Option<String>,
    /// The image by digest that the node knows it shall run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pinned_image")]
    pub desired_image: Option<String>,
}
