//! MachineOSBuild: one build of one image.

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::Condition;
use crate::reference::ObjectStatusReference;
use crate::schema;

/// What is built, and where it is pushed. Never changes.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "machineconfiguration.openshift.io",
    version = "v1",
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
    /// The rendered configuration that is built.
    pub machine_config: RenderedConfigReference,
    /// The MachineOSConfig that asked for the build.
    #[serde(rename = "machineOSConfig")]
    pub machine_os_config: OSConfigReference,
    /// Where the image is pushed, as `HOST[:PORT]/[NAMESPACE/]NAME:TAG`.
    #[schemars(schema_with = "schema::push_spec")]
    pub rendered_image_push_spec: String,
}

/// Names the rendered configuration of a build.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenderedConfigReference {
    /// Name of the rendered MachineConfig.
    #[schemars(schema_with = "schema::subdomain", length(min = 10))]
    pub name: String,
}

/// Names the MachineOSConfig of a build.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OSConfigReference {
    /// Name of the MachineOSConfig.
    #[schemars(schema_with = "schema::subdomain", length(min = 1))]
    pub name: String,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.buildEnd) ? has(self.buildStart) && timestamp(self.buildStart) < timestamp(self.buildEnd) : true",
     "message": "buildEnd must be after buildStart"},
]))]
pub struct MachineOSBuildStatus {
    /// The state of the build; at most one condition is True, and Succeeded, Failed and Interrupted are final.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["type"],
        "x-kubernetes-validations" = [
            {"rule": "oldSelf.exists(x, x.type=='Failed' && x.status=='True') ? self==oldSelf : true",
             "message": "once a Failed condition is set, conditions are immutable"},
            {"rule": "oldSelf.exists(x, x.type=='Interrupted' && x.status=='True') ? self==oldSelf : true",
             "message": "once an Interrupted condition is set, conditions are immutable"},
            {"rule": "oldSelf.exists(x, x.type=='Succeeded' && x.status=='True') ? self==oldSelf : true",
             "message": "once an Succeeded condition is set, conditions are immutable"},
        ]
    ))]
    pub conditions: Vec<Condition>,
    /// What runs the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<BuilderReference>,
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
    #[schemars(schema_with = "schema::digested_image")]
    pub digested_image_push_spec: Option<String>,
    /// Objects that were made for the build and go away with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 10),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name", "resource"])
    )]
    pub related_objects: Vec<ObjectStatusReference>,
}

/// What runs a build.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.imageBuilderType) && self.imageBuilderType == 'Job' ?  has(self.job) : !has(self.job)",
     "message": "job is required when imageBuilderType is Job, and forbidden otherwise"},
]))]
pub struct BuilderReference {
    /// What kind of object runs the build: `Job`.
    pub image_builder_type: String,
    /// The Job that runs the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<ObjectStatusReference>,
}
