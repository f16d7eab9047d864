//! What of the cluster is mounted into the pod of a build besides, and what is copied for it.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    KeyToPath, ProjectedVolumeSource, Secret, SecretProjection, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use onlay_api::names::TRUSTED_CA_KEY;

use super::{
    CONTEXT_DIRECTORY, MOUNTS_DIRECTORY, Parts, SECRETS_DIRECTORY, TRUSTED_DIRECTORY, config_map_volume, metadata,
    mount, secret_volume,
};
use crate::build::extras::{Contents, Extras, Kind, SecretFile};
use crate::build::pull_secret::Hidden;

/// The volumes of what a build is given, and where the builder finds them.
pub fn volumes(extras: &Extras) -> Vec<(Volume, VolumeMount)> {
    let directories = extras.mounts.iter().map(|given| {
        let name = given.place.volume();
        (volume(name, given.place.kind(), &given.name), mount(name, &format!("{MOUNTS_DIRECTORY}/{name}"), true))
    });
    let context = extras.source.as_ref().map(|source| {
        let name = "context";
        (volume(name, source.kind, &source.name), mount(name, CONTEXT_DIRECTORY, true))
    });
    let secrets = secrets(extras).map(|volume| (volume, mount("secrets", SECRETS_DIRECTORY, true)));
    let trusted = extras.trusted_ca.as_ref().map(|config_map| {
        let name = "trusted-ca";
        (config_map_volume(name, config_map, Some(TRUSTED_CA_KEY)), mount(name, TRUSTED_DIRECTORY, true))
    });
    directories.chain(context).chain(secrets).chain(trusted).collect()
}

/// One volume with a file for each secret, by what the Containerfile calls it.
fn secrets(extras: &Extras) -> Option<Volume> {
    let source = |SecretFile { id, name, key }: &SecretFile| VolumeProjection {
        secret: Some(SecretProjection {
            name: name.clone(),
            items: Some(vec![KeyToPath { key: key.clone(), path: id.clone(), mode: None }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let sources: Vec<_> = extras.secrets.iter().map(source).collect();
    let projected = ProjectedVolumeSource { sources: Some(sources), default_mode: None };
    let volume = Volume { name: "secrets".to_owned(), projected: Some(projected), ..Volume::default() };
    (!extras.secrets.is_empty()).then_some(volume)
}

fn volume(volume: &str, kind: Kind, name: &str) -> Volume {
    match kind {
        Kind::ConfigMap => config_map_volume(volume, name, None),
        Kind::Secret => secret_volume(volume, name),
    }
}

/// The Secret of this name with a copy of the cluster's entitlements, which goes away with the build.
pub fn entitlement(parts: &Parts<'_>, name: String, contents: &Contents) -> Hidden<Secret> {
    let data = contents.0.iter().map(|(key, value)| (key.clone(), ByteString(value.clone())));
    let metadata = ObjectMeta { name: Some(name), ..metadata(parts) };
    Hidden(Secret { metadata, data: Some(data.collect::<BTreeMap<_, _>>()), ..Secret::default() })
}
