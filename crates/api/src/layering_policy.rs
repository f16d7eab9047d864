//! LayeringPolicy: what people want of a pool's builds that the compatible kinds have no field for.
//!
//! One object is read for each pool, the one with the pool's name; every field may be absent.

mod inputs;
mod schema;

pub use inputs::{
    BuildArgument, BuildSecret, ContainerfileKey, ContainerfileSource, ImageContext, Proxy, SecretKey, TrustedCA,
};

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// API version of the kind.
pub const VERSION: &str = "v1alpha1";

/// What people want of a pool's builds.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "onlay.dev",
    version = "v1alpha1",
    kind = "LayeringPolicy",
    plural = "layeringpolicies",
    shortname = "lp",
    derive = "PartialEq",
    derive = "Default",
    schema = "disabled",
    doc = "What people want of the builds of the pool of the same name."
)]
#[serde(rename_all = "camelCase")]
pub struct LayeringPolicySpec {
    /// How the pool's images are built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildPolicy>,
}

/// How images are built.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildPolicy {
    /// What a tag that names the base image stands for; watched if absent. A change counts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_image_tag: Option<BaseImageTag>,
    /// Seconds between two looks at the tag of the base image, and at the pool's image in its registry; 3600 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 2_592_000))]
    pub poll_interval_seconds: Option<i64>,
    /// What a build leaves for later ones; on the node where it runs if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// What the pod of a build requests and may use; 100m of CPU and 256Mi of memory are requested if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Labels of the nodes on which builds may run, besides being Linux nodes of the pool's architecture.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::node_selector")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes on which builds may run all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Name of the PriorityClass of the pods of builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub priority_class_name: Option<String>,
    /// Seconds after which a build is given up, all its tries together; 7200 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 86400))]
    pub timeout_seconds: Option<i64>,
    /// How often a build is tried again after a failure that may not happen again; 3 times if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub retries: Option<i32>,
    /// The Containerfile, if it does not lie in the MachineOSConfig: of any length, and with files of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerfile: Option<ContainerfileSource>,
    /// Values of build arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub build_args: Vec<BuildArgument>,
    /// What commands can see with `RUN --mount=type=secret,id=…`. A change makes no new image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub secrets: Vec<BuildSecret>,
    /// Images that the Containerfile can name otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub contexts: Vec<ImageContext>,
    /// Proxies between builds and the network; those of the cluster if absent, none if there is nothing in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// Authorities that builds trust besides the machine's; ConfigMap onlay-trusted-ca if absent. A change makes no new image.
    #[serde(default, rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    pub trusted_ca: Option<TrustedCA>,
}

/// What a tag that names a base image stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum BaseImageTag {
    /// The image that the registry has for it now: when it moves, the pool's image is built anew.
    #[default]
    Watch,
    /// The image that it was when it was first looked up, or when a person last asked to build once more.
    Pin,
}

/// What a build leaves for later ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::cache_rules()))]
pub struct Cache {
    /// Where it is left.
    #[serde(default, rename = "type")]
    #[schemars(extend("x-server-default" = "Node"))]
    pub type_: CacheType,
    /// The volume, if the type is Volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<Claim>,
    /// Bytes that may be left, such as 20Gi, which is what counts if absent. A build that finds more begins with nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::size")]
    pub size_limit: Option<String>,
}

/// Where a build leaves something for later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum CacheType {
    /// On the node where it runs; builds of all pools share it.
    #[default]
    Node,
    /// In a volume.
    Volume,
    /// Nowhere.
    None,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Name of a PersistentVolumeClaim in the namespace of builds.
    #[schemars(schema_with = "schema::object_name")]
    pub claim_name: String,
}

/// What a pod requests and may use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::resource_rules()))]
pub struct Resources {
    /// What it may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub limits: BTreeMap<String, IntOrString>,
    /// What a node must have left for it; the limits if absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub requests: BTreeMap<String, IntOrString>,
}
