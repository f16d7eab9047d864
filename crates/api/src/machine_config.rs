//! MachineConfig: what belongs on a node besides its image, and the rendered configurations that onlay makes of them.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{ClusterResourceScope, Resource};
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::names;

/// Files, units, kernel arguments and more for the nodes of the pools that select it.
///
/// The schema allows an object without a spec, which the derive of kube would refuse to read (and with it the whole list).
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct MachineConfig {
    /// Name, labels and the like.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What belongs on the node.
    #[serde(default)]
    pub spec: MachineConfigSpec,
}

/// What belongs on a node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineConfigSpec {
    /// An Ignition configuration, version 3.0 to 3.5.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(schema_with = "crate::schema::free_object")]
    pub config: Value,
    /// Arguments for the kernel's command line, each entry one or several of them.
    #[serde(default, deserialize_with = "null_is_empty", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("nullable" = true, "x-kubernetes-list-type" = "atomic"))]
    pub kernel_arguments: Vec<String>,
    /// Names of extensions of the base image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub extensions: Vec<String>,
    /// Whether the node runs in FIPS mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fips: Option<bool>,
    /// Which kernel the node runs; `default` or empty is the one of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_type: Option<String>,
    /// The image of the node's operating system.
    #[serde(default, rename = "osImageURL", skip_serializing_if = "Option::is_none")]
    pub os_image_url: Option<String>,
    /// The image that holds the extensions of the base image.
    #[serde(default, rename = "baseOSExtensionsContainerImage", skip_serializing_if = "Option::is_none")]
    pub base_os_extensions_container_image: Option<String>,
}

impl MachineConfig {
    /// A MachineConfig with a name and nothing else in its metadata.
    pub fn new(name: &str, spec: MachineConfigSpec) -> Self {
        Self { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, spec }
    }
}

impl Resource for MachineConfig {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        "MachineConfig".into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        names::GROUP.into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        names::VERSION.into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        "machineconfigs".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Serialize for MachineConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("MachineConfig", 4)?;
        object.serialize_field("apiVersion", &Self::api_version(&()))?;
        object.serialize_field("kind", &Self::kind(&()))?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &self.spec)?;
        object.end()
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
