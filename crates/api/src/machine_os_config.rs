//! MachineOSConfig: what image a pool gets, and where it is pushed.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::Condition;
use crate::reference::{NameReference, ObjectStatusReference};
use crate::schema;

/// What image a pool gets, and where it is pushed.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "machineconfiguration.openshift.io",
    version = "v1",
    kind = "MachineOSConfig",
    status = "MachineOSConfigStatus",
    derive = "PartialEq",
    derive = "Default",
    schema = "disabled",
    doc = "What is built into the image of a pool's nodes, and where the image is pushed."
)]
#[serde(rename_all = "camelCase")]
pub struct MachineOSConfigSpec {
    /// The pool whose nodes get the image; it has the name of this object.
    pub machine_config_pool: NameReference,
    /// How the image is built.
    pub image_builder: ImageBuilder,
    /// Secret with the credentials to pull the base image; the node's own are used if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_image_pull_secret: Option<NameReference>,
    /// Secret with the credentials to push the image.
    pub rendered_image_push_secret: NameReference,
    /// Where the image is pushed, as `HOST[:PORT]/[NAMESPACE/]NAME:TAG`.
    #[schemars(schema_with = "schema::push_spec")]
    pub rendered_image_push_spec: String,
    /// What to do on top of the base image and the configuration; at most one per architecture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 0, max = 4),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["containerfileArch"])
    )]
    pub container_file: Vec<Containerfile>,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageBuilder {
    /// What runs the build.
    pub image_builder_type: ImageBuilderType,
}

/// What runs a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ImageBuilderType {
    /// A Kubernetes Job with one unprivileged pod.
    #[default]
    Job,
}

/// The text of a Containerfile, for one architecture or for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Containerfile {
    /// The architecture of the nodes that the text is for.
    #[serde(default)]
    #[schemars(extend("x-server-default" = "NoArch"))]
    pub containerfile_arch: ContainerfileArch,
    /// Instructions; `FROM configs AS final` begins with base image and configuration.
    #[schemars(length(max = 4096))]
    pub content: String,
}

/// An architecture of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ContainerfileArch {
    /// 64 bit ARM.
    #[serde(rename = "ARM64")]
    Arm64,
    /// 64 bit x86.
    #[serde(rename = "AMD64")]
    Amd64,
    /// 64 bit POWER, little endian.
    #[serde(rename = "PPC64LE")]
    Ppc64le,
    /// IBM Z.
    #[serde(rename = "S390X")]
    S390x,
    /// All of them.
    #[default]
    NoArch,
}

/// What was built for a pool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineOSConfigStatus {
    /// The generation of the object that this status was computed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0), extend("x-kubernetes-validations" = [
        {"rule": "self >= oldSelf", "message": "observedGeneration must not move backwards"},
    ]))]
    pub observed_generation: Option<i64>,
    /// The state of the object, aspect by aspect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The newest image that was built and pushed, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digested_image")]
    pub current_image_pull_spec: Option<String>,
    /// The newest build.
    #[serde(default, rename = "machineOSBuild", skip_serializing_if = "Option::is_none")]
    pub machine_os_build: Option<ObjectStatusReference>,
}
