//! The secret that lets nodes pull a pool's image: derived from those of the build, and no more than that.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use onlay_api::machine_os_config::MachineOSConfig;
use onlay_api::names;
use serde_json::{Value, json};

/// Key of a secret that holds credentials of registries.
pub const DOCKER_CONFIG_KEY: &str = ".dockerconfigjson";
/// Type of such a secret.
const DOCKER_CONFIG_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// Something that no message may show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden<T>(pub T);

impl<T> Debug for Hidden<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str("(hidden)")
    }
}

/// The credentials for one registry, as an entry of `auths` in a Docker configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEntry {
    /// The registry, or a path in it, that the entry is for.
    pub key: String,
    /// The entry itself.
    pub value: Hidden<Value>,
}

/// Name of the secret for the nodes of a pool.
pub fn name(pool: &str) -> String {
    format!("pull-{pool}")
}

/// The secret for the nodes of a pool: at most one entry, owned by the MachineOSConfig that it comes from.
///
/// It exists without an entry too, for an image that anybody may pull.
pub fn derive(config: &MachineOSConfig, entry: Option<&RegistryEntry>, namespace: &str) -> Secret {
    let pool = &config.spec.machine_config_pool.name;
    let entries: BTreeMap<_, _> = entry.map(|entry| (&entry.key, &entry.value.0)).into_iter().collect();
    let document = json!({"auths": entries});
    Secret {
        metadata: ObjectMeta {
            name: Some(name(pool)),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([
                (names::ON_CLUSTER_LAYERING_LABEL.to_owned(), String::new()),
                (names::TARGET_POOL_LABEL.to_owned(), super::job::label_value(pool)),
            ])),
            owner_references: Some(vec![OwnerReference {
                api_version: format!("{}/{}", names::GROUP, names::VERSION),
                kind: "MachineOSConfig".to_owned(),
                name: config.metadata.name.clone().unwrap_or_default(),
                uid: config.metadata.uid.clone().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(DOCKER_CONFIG_KEY.to_owned(), ByteString(document.to_string().into_bytes()))])),
        type_: Some(DOCKER_CONFIG_TYPE.to_owned()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests;
