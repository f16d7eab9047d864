//! MachineOSConfig as the older version spells it: `buildInputs` and `buildOutputs`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HostNamed, Named};
use crate::conditions::Condition;
use crate::schema;

/// What image a pool gets, and where it is pushed.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "machineconfiguration.openshift.io",
    version = "v1alpha1",
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
    pub machine_config_pool: HostNamed,
    /// How the image is built, of what, and where it is pushed.
    pub build_inputs: BuildInputs,
    /// What nodes need to pull the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_outputs: Option<BuildOutputs>,
}

/// How an image is built, of what, and where it is pushed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = [
    "baseImagePullSecret", "imageBuilder", "renderedImagePushSecret", "renderedImagePushspec",
]))]
pub struct BuildInputs {
    /// The base image, by digest; those of the pool's MachineConfigs and of the cluster if absent.
    #[serde(default, rename = "baseOSImagePullspec", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digested_image")]
    pub base_os_image_pullspec: Option<String>,
    /// The image with the extensions of the base image, by digest.
    #[serde(default, rename = "baseOSExtensionsImagePullspec", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digested_image")]
    pub base_os_extensions_image_pullspec: Option<String>,
    /// Secret with the credentials to pull the base image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_image_pull_secret: Option<Named>,
    /// How the image is built.
    pub image_builder: ImageBuilder,
    /// Secret with the credentials to push the image.
    pub rendered_image_push_secret: Named,
    /// Where the image is pushed, as `HOST[:PORT]/[NAMESPACE/]NAME:TAG`.
    #[schemars(schema_with = "super::push_spec")]
    pub rendered_image_pushspec: String,
    /// The release that the base image is of; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_version: Option<String>,
    /// What to do on top of the base image and the configuration; at most one per architecture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 0, max = 7),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["containerfileArch"])
    )]
    pub container_file: Vec<Containerfile>,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageBuilder {
    /// What runs the build.
    #[schemars(extend("x-server-default" = "PodImageBuilder"))]
    pub image_builder_type: ImageBuilderType,
}

/// What runs a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ImageBuilderType {
    /// One unprivileged pod, run by a Kubernetes Job.
    #[default]
    PodImageBuilder,
}

/// The text of a Containerfile, for one architecture or for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Containerfile {
    /// The architecture of the nodes that the text is for.
    #[serde(default)]
    #[schemars(extend("x-server-default" = "noarch"))]
    pub containerfile_arch: ContainerfileArch,
    /// Instructions; `FROM configs AS final` begins with base image and configuration.
    pub content: String,
}

/// An architecture of nodes; two of them have two spellings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContainerfileArch {
    /// 64 bit ARM, as Kubernetes spells it.
    Arm64,
    /// 64 bit x86, as Kubernetes spells it.
    Amd64,
    /// 64 bit POWER, little endian.
    Ppc64le,
    /// IBM Z.
    S390x,
    /// 64 bit ARM, as the kernel spells it.
    Aarch64,
    /// 64 bit x86, as the kernel spells it.
    #[serde(rename = "x86_64")]
    X86_64,
    /// All of them.
    #[default]
    Noarch,
}

/// What nodes need to pull the image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildOutputs {
    /// Secret with the credentials to pull the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_image_pull_secret: Option<Named>,
}

/// What was built for a pool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["observedGeneration"]))]
pub struct MachineOSConfigStatus {
    /// The generation of the object that this status was computed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state of the object, aspect by aspect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The newest image that was built and pushed, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digested_image")]
    pub current_image_pullspec: Option<String>,
}
