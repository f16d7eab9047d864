//! What goes into an image besides what the compatible kinds name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A Containerfile that lies in a ConfigMap or Secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::containerfile_rules()))]
pub struct ContainerfileSource {
    /// A key of a ConfigMap. The other keys are files that COPY and ADD can name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ContainerfileKey>,
    /// A key of a Secret. The other keys are files that COPY and ADD can name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<ContainerfileKey>,
}

/// A key with a Containerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerfileKey {
    /// Name of the object, in the namespace of builds.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// The key.
    #[serde(default = "containerfile")]
    #[schemars(schema_with = "schema::containerfile_key")]
    pub key: String,
}

/// A value of a build argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildArgument {
    /// Its name; without an ARG of this name it has no effect.
    #[schemars(schema_with = "schema::argument_name")]
    pub name: String,
    /// Its value, which can be read in the image's history.
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// Something that commands can see with `RUN --mount=type=secret,id=…`, and that is in no layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuildSecret {
    /// By which the Containerfile names it.
    #[schemars(schema_with = "schema::id")]
    pub id: String,
    /// Where it lies.
    pub secret_key_ref: SecretKey,
}

/// A key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret, in the namespace of builds.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// The key.
    #[schemars(schema_with = "schema::key")]
    pub key: String,
}

/// An image that the Containerfile can name otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageContext {
    /// By which `FROM`, `COPY --from` and `RUN --mount=…,from=` name it.
    #[schemars(schema_with = "schema::context_name")]
    pub name: String,
    /// The image; by digest if builds shall not depend on where a tag points.
    #[schemars(schema_with = "schema::image")]
    pub image: String,
}

/// Proxies between builds and the network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// For addresses that begin with `http://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::proxy")]
    pub http_proxy: Option<String>,
    /// For addresses that begin with `https://`, registries among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::proxy")]
    pub https_proxy: Option<String>,
    /// Hosts, domains and networks that are reached without a proxy, with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::no_proxy")]
    pub no_proxy: Option<String>,
}

/// A ConfigMap with certificates of authorities in PEM, in its key `ca-bundle.crt`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedCA {
    /// Name of the ConfigMap, in the namespace of builds.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

fn containerfile() -> String {
    schema::CONTAINERFILE_KEY.to_owned()
}
