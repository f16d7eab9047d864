//! What the namespace of builds, and the cluster, provide for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use onlay_api::{BuildPolicy, names};
use onlay_core::build::extras::{self, Contents, Entitlements, Kind, OfPool, Provided};
use onlay_core::build::pull_secret::Hidden;
use onlay_core::build::trust;

use super::objects::Objects;

/// What there is for the builds of a pool.
pub async fn read(objects: &Objects, policy: &BuildPolicy, pool: &str, now: Timestamp) -> Provided {
    let containerfile = extras::named(policy).and_then(|(kind, key)| match kind {
        Kind::ConfigMap => objects.config_map(&key.name).as_deref().map(of_config_map),
        Kind::Secret => objects.secret(&key.name).as_deref().map(of_secret),
    });
    let of_pool = objects.secret(&names::entitlement_of(pool));
    let keys = |name: &String| {
        let secret = objects.secret(name)?;
        Some((name.clone(), secret.data.iter().flatten().map(|(key, _)| key.clone()).collect()))
    };
    Provided {
        containerfile,
        secrets: policy.secrets.iter().filter_map(|secret| keys(&secret.secret_key_ref.name)).collect(),
        repositories: objects.config_map(names::REPOSITORIES_CONFIG_MAP).as_deref().map(of_config_map),
        keys: objects.secret(names::PACKAGE_KEYS_SECRET).as_deref().map(of_secret),
        entitlements: Entitlements {
            of_pool: of_pool.as_deref().map(made_by),
            own: objects.secret(names::ENTITLEMENT_SECRET).is_some(),
            of_cluster: objects.cluster_entitlement().as_deref().map(of_secret),
        },
        proxy: objects.proxy.get(now).await,
        trusted_ca: trusted_ca(objects, policy),
    }
}

/// The ConfigMap with the authorities that builds of a pool trust.
pub fn trusted_ca(objects: &Objects, policy: &BuildPolicy) -> Option<Contents> {
    objects.config_map(trust::config_map(policy)).as_deref().map(of_config_map)
}

/// Who has made a secret: what builds make says so.
fn made_by(secret: &Secret) -> OfPool {
    let of_build = secret.labels().contains_key(names::EPHEMERAL_BUILD_OBJECT_LABEL);
    if of_build { OfPool::Build } else { OfPool::Person }
}

fn of_secret(secret: &Secret) -> Contents {
    Hidden(secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect())
}

fn of_config_map(config_map: &ConfigMap) -> Contents {
    let text = config_map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let bytes = config_map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    Hidden(text.chain(bytes).collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_and_bytes_of_a_config_map_are_its_contents() {
        let value = json!({"data": {"a": "x"}, "binaryData": {"b": "AQI="}});
        let contents = of_config_map(&serde_json::from_value(value).unwrap());
        assert_eq!(contents.0, [("a".to_owned(), b"x".to_vec()), ("b".to_owned(), vec![1, 2])].into());
    }

    #[test]
    fn a_secret_without_the_label_of_builds_is_a_persons() {
        let secret =
            |labels: serde_json::Value| serde_json::from_value(json!({"metadata": {"labels": labels}})).unwrap();
        assert_eq!(made_by(&secret(json!({}))), OfPool::Person);
        assert_eq!(made_by(&secret(json!({names::EPHEMERAL_BUILD_OBJECT_LABEL: ""}))), OfPool::Build);
    }
}
