//! Parts of a MachineConfigNode's status that the compatible schema has and onlay does not write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::Condition;
use crate::schema;

/// A part of the configuration that differs from the node and cannot be brought there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IrreconcilableChange {
    /// The field of the MachineConfig, beginning with `spec.`.
    #[schemars(length(min = 1, max = 70), extend("x-kubernetes-validations" = [
        {"rule": "self.startsWith('spec.')", "message": "The fieldPath must start with `spec.`"},
        {"rule": r"self.matches('^[\\da-zA-Z\\.\\[\\]]+$')",
         "message": "The fieldPath must consist only of alphanumeric characters, brackets [] and dots ('.')."},
    ]))]
    pub field_path: String,
    /// How the two differ.
    #[schemars(length(min = 1, max = 4096))]
    pub diff: String,
}

/// How far a node is with a PinnedImageSet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.desiredGeneration) && has(self.currentGeneration) ? self.desiredGeneration >= self.currentGeneration : true",
     "message": "desired generation must be greater than or equal to the current generation"},
    {"rule": "has(self.lastFailedGeneration) && has(self.desiredGeneration) ? self.desiredGeneration >= self.lastFailedGeneration : true",
     "message": "desired generation must be greater than or equal to the last failed generation"},
    {"rule": "has(self.lastFailedGeneration) ? has(self.lastFailedGenerationError) : true",
     "message": "last failed generation error must be defined on image pull and pin failure"},
]))]
pub struct PinnedImageSetProgress {
    /// Name of the PinnedImageSet.
    #[schemars(schema_with = "schema::subdomain")]
    pub name: String,
    /// The generation that the node has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-kubernetes-validations" = [
        {"rule": "self >= oldSelf", "message": "currentGeneration must not decrease"},
    ]))]
    pub current_generation: Option<i32>,
    /// The generation that the node shall have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-kubernetes-validations" = [
        {"rule": "self >= oldSelf", "message": "desiredGeneration must not decrease"},
    ]))]
    pub desired_generation: Option<i32>,
    /// The newest generation that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-kubernetes-validations" = [
        {"rule": "self >= oldSelf", "message": "lastFailedGeneration must not decrease"},
    ]))]
    pub last_failed_generation: Option<i32>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub last_failed_generation_error: Option<String>,
}

/// Release bundles kept on a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InternalReleaseImage {
    /// The bundles.
    #[schemars(
        length(min = 1, max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub releases: Vec<InternalRelease>,
}

/// One release bundle kept on a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InternalRelease {
    /// Name of the bundle: `ocp-release-bundle-VERSION-ARCH`.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-validations" = [
        {"rule": r"self.matches('^ocp-release-bundle-[0-9]+\\.[0-9]+\\.[0-9]+-[A-Za-z0-9._-]+$')",
         "message": "must be ocp-release-bundle-<version>-<arch|stream> and <= 64 chars"},
    ]))]
    pub name: String,
    /// The image by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::release_image")]
    pub image: Option<String>,
    /// The state of the bundle, aspect by aspect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 5),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}
