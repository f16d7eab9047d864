//! References from one object to another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Names an object whose kind is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NameReference {
    /// Name of the object.
    #[schemars(schema_with = "schema::subdomain")]
    pub name: String,
}

impl NameReference {
    /// A reference to the object of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// Names an object of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatusReference {
    /// API group of the object; empty for the core group.
    #[schemars(schema_with = "schema::subdomain")]
    pub group: String,
    /// Plural name of the object's resource, such as `jobs`.
    #[schemars(schema_with = "schema::dns1035_label")]
    pub resource: String,
    /// Namespace of the object, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::dns1123_label")]
    pub namespace: Option<String>,
    /// Name of the object.
    #[schemars(schema_with = "schema::subdomain", length(min = 1))]
    pub name: String,
}
