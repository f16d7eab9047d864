//! MachineOSBuild as the older version spells it.

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HostNamed, Named, ObjectReference};
use crate::conditions::Condition;
use crate::schema;

/// What is built, and where it is pushed. Never changes.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "machineconfiguration.openshift.io",
    version = "v1alpha1",
    kind = "MachineOSBuild",
    status = "MachineOSBuildStatus",
    derive = "PartialEq",
    derive = "Default",
    schema = "disabled",
    doc = "One build of the image of a pool."
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self == oldSelf", "message": "machineOSBuildSpec is immutable once set"},
]))]
pub struct MachineOSBuildSpec {
    /// Generation of the MachineOSConfig that asked for the build; 1 where nobody counted.
    #[schemars(range(min = 1))]
    pub config_generation: i64,
    /// The rendered configuration that is built.
    pub desired_config: HostNamed,
    /// The MachineOSConfig that asked for the build.
    #[serde(rename = "machineOSConfig")]
    pub machine_os_config: Named,
    /// Where the image is pushed, as `HOST[:PORT]/[NAMESPACE/]NAME:TAG`.
    #[schemars(schema_with = "super::push_spec")]
    pub rendered_image_pushspec: String,
    /// Number of the build; 1 where nobody counted.
    #[schemars(range(min = 1))]
    pub version: i64,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["buildStart"]))]
pub struct MachineOSBuildStatus {
    /// The state of the build; at most one condition is True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What runs the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder_reference: Option<BuilderReference>,
    /// When the build began. Never changes once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date_time", extend("x-kubernetes-validations" = [
        {"rule": "self == oldSelf", "message": "buildStart is immutable once set"},
    ]))]
    pub build_start: Option<Timestamp>,
    /// When the build ended. Never changes once set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::date_time", extend("x-kubernetes-validations" = [
        {"rule": "self == oldSelf", "message": "buildEnd is immutable once set"},
    ]))]
    pub build_end: Option<Timestamp>,
    /// The image that was pushed, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::final_image")]
    pub final_image_pullspec: Option<String>,
    /// Objects that were made for the build and go away with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related_objects: Vec<ObjectReference>,
}

/// What runs a build.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.imageBuilderType) && self.imageBuilderType == 'PodImageBuilder' ?  true : !has(self.buildPod)",
     "message": "buildPod is required when imageBuilderType is PodImageBuilder, and forbidden otherwise"},
]))]
pub struct BuilderReference {
    /// What kind of object runs the build: `PodImageBuilder`.
    pub image_builder_type: String,
    /// The object that runs the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_pod: Option<ObjectReference>,
}
