//! What objects provide for builds, as the namespace of builds does in the cluster.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use onlay_api::layering_policy::BuildPolicy;
use onlay_api::{LayeringPolicy, names};
use onlay_core::build::extras::{Contents, Entitlements, Given, Kind, OfPool, Provided, named};
use onlay_core::build::pull_secret::Hidden;
use onlay_core::build::trust;

use crate::finding::Finding;
use crate::input::Object;

/// The LayeringPolicy of a pool.
///
/// # Errors
/// Says what in it does not have the shape of its kind.
pub fn policy(objects: &[Object], pool: &str) -> Result<Option<LayeringPolicy>, Finding> {
    policies(objects).find(|object| object.name == pool).map(Object::read).transpose()
}

/// All LayeringPolicies.
pub fn policies(objects: &[Object]) -> impl Iterator<Item = &Object> {
    objects.iter().filter(|object| object.kind == "LayeringPolicy")
}

/// What the builds of a pool are given.
///
/// # Errors
/// As [`policy`].
pub fn given(objects: &[Object], pool: &str) -> Result<Given, Finding> {
    let of_builds = policy(objects, pool)?.and_then(|policy| policy.spec.build).unwrap_or_default();
    Ok(Given::of(&of_builds, &provided(objects, &of_builds, pool), pool))
}

/// What there is for the builds of a pool.
pub fn provided(objects: &[Object], policy: &BuildPolicy, pool: &str) -> Provided {
    let of = |kind: Kind, name: &str| contents(objects, kind, name);
    let keys = |name: &String| Some((name.clone(), of(Kind::Secret, name)?.0.into_keys().collect()));
    Provided {
        containerfile: named(policy).and_then(|(kind, key)| of(kind, &key.name)),
        secrets: policy.secrets.iter().filter_map(|secret| keys(&secret.secret_key_ref.name)).collect(),
        repositories: of(Kind::ConfigMap, names::REPOSITORIES_CONFIG_MAP),
        keys: of(Kind::Secret, names::PACKAGE_KEYS_SECRET),
        entitlements: Entitlements {
            of_pool: of(Kind::Secret, &names::entitlement_of(pool)).map(|_| OfPool::Person),
            own: of(Kind::Secret, names::ENTITLEMENT_SECRET).is_some(),
            of_cluster: None,
        },
        proxy: None,
        trusted_ca: of(Kind::ConfigMap, trust::config_map(policy)),
    }
}

/// What is in a ConfigMap or Secret.
pub fn contents(objects: &[Object], kind: Kind, name: &str) -> Option<Contents> {
    let object = objects.iter().find(|object| object.kind == kind.as_str() && object.name == name)?;
    let (text, bytes) = match kind {
        Kind::ConfigMap => {
            let object: ConfigMap = object.read().ok()?;
            (object.data, object.binary_data)
        }
        Kind::Secret => {
            let object: Secret = object.read().ok()?;
            (object.string_data, object.data)
        }
    };
    let bytes = bytes.into_iter().flatten().map(|(key, value)| (key, value.0));
    Some(Hidden(bytes.chain(text.into_iter().flatten().map(|(key, text)| (key, text.into_bytes()))).collect()))
}
