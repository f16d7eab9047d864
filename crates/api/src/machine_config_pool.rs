//! MachineConfigPool: which nodes share one configuration, and how they get it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::conditions::PoolCondition;
use crate::schema;

/// Which nodes belong to the pool, which MachineConfigs they get, and how fast.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "machineconfiguration.openshift.io",
    version = "v1",
    kind = "MachineConfigPool",
    shortname = "mcp",
    status = "MachineConfigPoolStatus",
    derive = "PartialEq",
    derive = "Default",
    schema = "disabled",
    doc = "Nodes that share one configuration and one image."
)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfigPoolSpec {
    /// Selects the MachineConfigs of the pool by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub machine_config_selector: Option<LabelSelector>,
    /// Selects the nodes of the pool by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub node_selector: Option<LabelSelector>,
    /// Whether new configurations wait: nothing is staged and no node is disrupted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// How many nodes may be out of service at once: a number, or a part of the pool such as `10%`. One if absent.
    #[serde(default, deserialize_with = "within_range", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_string")]
    pub max_unavailable: Option<IntOrString>,
    /// The target: the rendered configuration that every node of the pool shall run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<PoolConfiguration>,
    /// Sets of images that nodes keep; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub pinned_image_sets: Vec<PinnedImageSetReference>,
    /// The stream that the base image is taken from; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_image_stream: Option<OSImageStreamReference>,
}

/// What is known about the nodes of a pool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfigPoolStatus {
    /// The generation of the pool that this status was computed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last configuration that every node of the pool had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<PoolConfiguration>,
    /// Number of nodes in the pool.
    #[serde(default)]
    pub machine_count: i32,
    /// Number of nodes that run the target.
    #[serde(default)]
    pub updated_machine_count: i32,
    /// Number of nodes that run the target and are ready and schedulable.
    #[serde(default)]
    pub ready_machine_count: i32,
    /// Number of nodes that are not ready or not schedulable.
    #[serde(default)]
    pub unavailable_machine_count: i32,
    /// Number of nodes whose update failed.
    #[serde(default)]
    pub degraded_machine_count: i32,
    /// The state of the pool, aspect by aspect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub conditions: Vec<PoolCondition>,
    /// When certificates of the configuration run out; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub cert_expirys: Vec<CertificateExpiry>,
    /// The stream that the base image was taken from; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_image_stream: Option<OSImageStreamReference>,
    /// Progress of work besides configurations; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["poolSynchronizerType"]))]
    pub pool_synchronizers_status: Vec<PoolSynchronizerStatus>,
}

/// A rendered configuration, and the MachineConfigs it was made of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct PoolConfiguration {
    /// Name of the rendered MachineConfig.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The MachineConfigs that were merged, in merge order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::object_references")]
    pub source: Vec<ObjectReference>,
    /// API version of the rendered object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the rendered object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace of the rendered object; MachineConfigs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// UID of the rendered object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Resource version of the rendered object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// The part of the object that is meant, if not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_path: Option<String>,
}

/// Names a PinnedImageSet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinnedImageSetReference {
    /// Name of the PinnedImageSet.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::HOST_NAME))]
    pub name: String,
}

/// Names a stream of base images.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OSImageStreamReference {
    /// Name of the stream.
    #[schemars(schema_with = "schema::stream_name")]
    pub name: String,
}

/// When a certificate runs out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateExpiry {
    /// Name of the bundle that holds the certificate.
    pub bundle: String,
    /// Subject of the certificate.
    pub subject: String,
    /// When it runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date_time")]
    pub expiry: Option<Timestamp>,
}

/// Progress of work on the nodes of a pool besides configurations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.machineCount >= self.updatedMachineCount",
     "message": "machineCount must be greater than or equal to updatedMachineCount"},
    {"rule": "self.machineCount >= self.availableMachineCount",
     "message": "machineCount must be greater than or equal to availableMachineCount"},
    {"rule": "self.machineCount >= self.unavailableMachineCount",
     "message": "machineCount must be greater than or equal to unavailableMachineCount"},
    {"rule": "self.machineCount >= self.readyMachineCount",
     "message": "machineCount must be greater than or equal to readyMachineCount"},
    {"rule": "self.availableMachineCount >= self.readyMachineCount",
     "message": "availableMachineCount must be greater than or equal to readyMachineCount"},
]))]
pub struct PoolSynchronizerStatus {
    /// What the work is about.
    #[schemars(length(max = 256), extend("enum" = ["PinnedImageSets"]))]
    pub pool_synchronizer_type: String,
    /// Number of nodes that the work is for.
    #[schemars(range(min = 0))]
    pub machine_count: i64,
    /// Number of nodes where it is done.
    #[schemars(range(min = 0))]
    pub updated_machine_count: i64,
    /// Number of nodes where it is done and that are ready.
    #[schemars(range(min = 0))]
    pub ready_machine_count: i64,
    /// Number of nodes that can take part.
    #[schemars(range(min = 0))]
    pub available_machine_count: i64,
    /// Number of nodes that cannot take part.
    #[schemars(range(min = 0))]
    pub unavailable_machine_count: i64,
    /// The generation of the work's object that these numbers are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0), extend("x-kubernetes-validations" = [
        {"rule": "self >= oldSelf || (self == 0 && oldSelf > 0)",
         "message": "observedGeneration must not move backwards except to zero"},
    ]))]
    pub observed_generation: Option<i64>,
}

/// Reads a number of any size, since the schema has no bounds and one unreadable pool would hide all others.
fn within_range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IntOrString>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Number(i64),
        Text(String),
    }
    Ok(Option::<Any>::deserialize(deserializer)?.map(|any| match any {
        Any::Number(number) => {
            let bounded = number.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            IntOrString::Int(i32::try_from(bounded).unwrap_or_default())
        }
        Any::Text(text) => IntOrString::String(text),
    }))
}
