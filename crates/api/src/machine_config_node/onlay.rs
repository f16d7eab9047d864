//! What only onlay's controller and agent tell each other through a MachineConfigNode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How far a node may go towards the target in the same object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpecOnlay {
    /// How far the node may go.
    pub permit: Permit,
    /// Name of a Secret in the namespace `onlay-node-secrets` with the credentials to pull the desired image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_name")]
    pub pull_secret: Option<String>,
}

/// How far a node may go towards its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
pub enum Permit {
    /// Change nothing.
    #[default]
    Hold,
    /// Prepare what does not disturb pods: pull and stage.
    Stage,
    /// Go through with it: apply, and reboot if needed.
    Disrupt,
}

/// What a node's agent reports besides the compatible status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusOnlay {
    /// Identity of the running boot, from `/proc/sys/kernel/random/boot_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::boot_id")]
    pub boot_id: Option<String>,
    /// The image by digest that the node had when onlay first met it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pinned_image")]
    pub adopted_image: Option<String>,
    /// The deployments on the node's disk, in boot order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub deployments: Vec<Deployment>,
    /// The newest update that the node began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
}

/// One bootable system on a node's disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Identity of the deployment: `OSNAME/CHECKSUM.SERIAL`.
    #[schemars(length(min = 1, max = 253))]
    pub id: String,
    /// The image by digest that it was made from, if it was made from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pinned_image")]
    pub image: Option<String>,
    /// Manifest digest of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<String>,
    /// Whether the node runs it now.
    #[serde(default)]
    pub booted: bool,
    /// Whether it waits for the next shutdown to become bootable.
    #[serde(default)]
    pub staged: bool,
    /// Whether the node was found well with it.
    #[serde(default)]
    pub confirmed: bool,
}

/// One update of a node to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// Name of the rendered MachineConfig of the target.
    #[schemars(schema_with = "schema::subdomain")]
    pub config: String,
    /// The image by digest of the target.
    #[schemars(schema_with = "schema::pinned_image")]
    pub image: String,
    /// How far the update is.
    pub phase: UpdatePhase,
    /// What applying the target will take.
    pub needs: Needs,
    /// The journal step that is being done, or was done last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub step: String,
    /// What people should know about the phase, such as why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// How far an update is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum UpdatePhase {
    /// Pulling and staging.
    Preparing,
    /// Everything is prepared; waiting for the permit to disrupt.
    Staged,
    /// Writing files and units, making the staged image the next one to boot.
    Applying,
    /// On the way through the reboot.
    Rebooting,
    /// Comparing the booted system with the target.
    Verifying,
    /// The node runs the target.
    Done,
    /// The update cannot go on; the message says why.
    Failed,
    /// The node went back to the system it had before.
    RolledBack,
}

/// What applying a target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Needs {
    /// Not known yet.
    #[default]
    Unknown,
    /// Nothing: only names differ.
    None,
    /// Files of the running system are written, and nothing is told about it.
    Write,
    /// Units are reloaded or restarted after files were written.
    Services,
    /// The same, after pods have left the node.
    Drain,
    /// A reboot.
    Reboot,
}
