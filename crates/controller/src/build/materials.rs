//! What a build needs to talk to registries, and what the controller itself asks them with.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use onlay_api::{LayeringPolicy, MachineOSConfig, names};
use onlay_core::build::machine::{Credentials, Material};
use onlay_core::build::pull_secret::{DOCKER_CONFIG_KEY, Hidden, RegistryEntry};
use onlay_core::build::{Settings, trust};
use onlay_core::conversion;
use onlay_registry::DockerConfig;

use super::objects::Objects;
use super::provided;

/// Keys of a secret that may hold credentials; the first one that is present counts.
const CREDENTIAL_KEYS: [&str; 2] = [DOCKER_CONFIG_KEY, ".dockercfg"];

/// What a build needs to talk to registries.
#[derive(Debug)]
pub struct Materials {
    push: Credential,
    pull: Option<Credential>,
    nodes: Option<Credential>,
    authorities: Option<Material>,
    pem: Option<Arc<str>>,
}

/// A secret, and what it holds if it can be used.
#[derive(Debug)]
struct Credential {
    material: Material,
    config: Option<DockerConfig>,
}

impl Materials {
    /// Reads the secrets that a MachineOSConfig names, the registry authorities, and those that the pool's builds trust.
    pub fn read(
        objects: &Objects,
        settings: &Settings,
        config: &MachineOSConfig,
        policy: Option<&LayeringPolicy>,
    ) -> Self {
        let secret = |name: &str| credential(name, objects.secret(name).as_deref());
        let authorities = settings.registry_ca.as_deref().map(|name| {
            let config_map = objects.config_map(name);
            authorities(name, config_map.as_deref().map(|config_map| config_map.data.as_ref()))
        });
        let (authorities, of_registries) = authorities.unzip();
        let policy = policy.and_then(|policy| policy.spec.build.clone()).unwrap_or_default();
        let trusted = trust::authorities(&policy, provided::trusted_ca(objects, &policy).as_ref());
        Self {
            push: secret(&config.spec.rendered_image_push_secret.name),
            pull: config.spec.base_image_pull_secret.as_ref().map(|reference| secret(&reference.name)),
            nodes: conversion::kept(config)
                .ok()
                .and_then(|kept| kept.build_outputs?.current_image_pull_secret)
                .map(|named| secret(&named.name)),
            authorities,
            pem: together([of_registries.flatten(), trusted.ok().flatten()]),
        }
    }

    /// The same, as decisions take it.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            push: self.push.material.clone(),
            pull: self.pull.as_ref().map(|credential| credential.material.clone()),
            nodes: self.nodes.as_ref().map(|credential| credential.material.clone()),
            authorities: self.authorities.clone(),
        }
    }

    /// The credentials that images are pulled with: those for the base image if there are any, else those to push.
    pub fn to_pull(&self) -> DockerConfig {
        let pull = self.pull.as_ref().unwrap_or(&self.push);
        pull.config.clone().unwrap_or_default()
    }

    /// The credentials that the image is pushed with.
    pub fn to_push(&self) -> DockerConfig {
        self.push.config.clone().unwrap_or_default()
    }

    /// Whether the secret to push with can be used.
    pub fn can_push(&self) -> bool {
        self.push.config.is_some()
    }

    /// More authorities of registries, in PEM.
    pub fn authorities(&self) -> Option<Arc<str>> {
        self.pem.clone()
    }

    /// What nodes need to pull from these repositories, as far as the secrets have it.
    pub fn node_entries<'a>(&self, repositories: impl Iterator<Item = &'a str>) -> BTreeMap<String, RegistryEntry> {
        repositories.filter_map(|each| Some((each.to_owned(), self.node_entry(each)?))).collect()
    }

    /// What nodes need to pull from a repository: of the secret that is named for them, else of the one to pull with, else of
    /// the one to push with.
    fn node_entry(&self, repository: &str) -> Option<RegistryEntry> {
        let configs =
            self.nodes.iter().chain(&self.pull).chain([&self.push]).filter_map(|credential| credential.config.as_ref());
        configs.filter_map(|config| config.entry(repository)).next().map(|(key, value)| {
            let value = Hidden(value.clone());
            RegistryEntry { key: key.to_owned(), value }
        })
    }
}

fn credential(name: &str, secret: Option<&Secret>) -> Credential {
    let Some(secret) = secret else { return Credential { material: Material::missing(name), config: None } };
    let data = secret.data.iter();
    let text = CREDENTIAL_KEYS.iter().find_map(|key| data.clone().find_map(|data| data.get(*key)));
    let Some(text) = text else {
        let why = "has neither the key .dockerconfigjson nor .dockercfg; make it with `kubectl create secret docker-registry`";
        return Credential { material: Material::unusable(name, why), config: None };
    };
    match DockerConfig::parse(&text.0) {
        Ok(config) => Credential { material: Material::usable(name, &text.0), config: Some(config) },
        Err(error) => Credential { material: Material::unusable(name, format!("is of no use: {error}")), config: None },
    }
}

type Data = BTreeMap<String, String>;

fn authorities(name: &str, config_map: Option<Option<&Data>>) -> (Material, Option<String>) {
    let Some(data) = config_map else { return (Material::missing(name), None) };
    match data.and_then(|data| data.get(names::REGISTRY_CA_KEY)) {
        Some(text) => (Material::usable(name, text.as_bytes()), Some(text.clone())),
        None => (Material::unusable(name, format!("has no key {}", names::REGISTRY_CA_KEY)), None),
    }
}

/// Texts of certificates as one; none if there are none.
fn together(texts: [Option<String>; 2]) -> Option<Arc<str>> {
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    (!texts.is_empty()).then(|| texts.join("\n").into())
}

#[cfg(test)]
mod tests;
