//! The older version of MachineOSConfig and MachineOSBuild: served, never stored.
//!
//! `onlay_core::conversion` turns objects into those of the stored version and back.

mod machine_os_build;
mod machine_os_config;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use machine_os_build::{BuilderReference, MachineOSBuild, MachineOSBuildSpec, MachineOSBuildStatus};
pub use machine_os_config::{
    BuildInputs, BuildOutputs, Containerfile, ContainerfileArch, ImageBuilder, ImageBuilderType, MachineOSConfig,
    MachineOSConfigSpec, MachineOSConfigStatus,
};

use crate::schema;

/// The name of this version.
pub const VERSION: &str = "v1alpha1";

/// Names an object whose kind is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    /// Name of the object.
    pub name: String,
}

/// Names an object that has the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct HostNamed {
    /// Name of the object.
    #[schemars(length(max = 253), regex(pattern = schema::HOST_NAME))]
    pub name: String,
}

/// Names an object of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ObjectReference {
    /// API group of the object; empty for the core group.
    pub group: String,
    /// Name of the object.
    pub name: String,
    /// Namespace of the object, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Plural name of the object's resource, such as `jobs`.
    pub resource: String,
}

/// An image to push, by tag.
fn push_spec(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 447,
        "x-kubernetes-validations": [
            {
                "rule": r"((self.split(':').size() == 2 && self.split(':')[1].matches('^([a-zA-Z0-9-./:])+$')) || self.matches('^[^.]+\\.[^.]+\\.svc:\\d+\\/[^\\/]+\\/[^\\/]+:[^\\/]+$'))",
                "message": "the OCI Image reference must end with a valid :<tag>, where '<digest>' is 64 characters long and \
                            '<tag>' is any valid string  Or it must be a valid .svc followed by a port, repository, image \
                            name, and tag.",
            },
            {
                "rule": r"((self.split(':').size() == 2 && self.split(':')[0].matches('^([a-zA-Z0-9-]+\\.)+[a-zA-Z0-9-]+(:[0-9]{2,5})?/([a-zA-Z0-9-_]{0,61}/)?[a-zA-Z0-9-_.]*?$')) || self.matches('^[^.]+\\.[^.]+\\.svc:\\d+\\/[^\\/]+\\/[^\\/]+:[^\\/]+$'))",
                "message": "the OCI Image name should follow the host[:port][/namespace]/name format, resembling a valid URL \
                            without the scheme. Or it must be a valid .svc followed by a port, repository, image name, and \
                            tag.",
            },
        ],
    })
}

/// An image by digest, wherever it is.
fn final_image(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "x-kubernetes-validations": [{
            "rule": r"((self.split('@').size() == 2 && self.split('@')[1].matches('^sha256:[a-f0-9]{64}$')))",
            "message": schema::DIGEST_MESSAGE,
        }],
    })
}
