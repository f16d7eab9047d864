//! What a build is given besides the MachineOSConfig and the configuration: a Containerfile with files beside it, build
//! arguments, other images, secrets, and directories that its commands see.
//!
//! Source of the names and paths of directories: the compatible API. What lies in them is never part of a layer, so what they show a command
//! is part of what an image is built from, as far as it decides which packages come. Entitlements only open a door; they
//! are renewed all the time, and the same packages lie behind it.

use std::collections::{BTreeMap, BTreeSet};

use onlay_api::layering_policy::{BuildPolicy, BuildSecret, ContainerfileKey, Proxy, SecretKey};
use onlay_api::names;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::containerfile::{Containerfile, Outside};
use super::inputs::hex;
use super::pull_secret::Hidden;
use super::trust;

/// What is in a ConfigMap or Secret, by key.
pub type Contents = Hidden<BTreeMap<String, Vec<u8>>>;
/// Digests of what is in a ConfigMap or Secret, by key.
pub type Digests = BTreeMap<String, String>;

/// Names in the directory of a Containerfile that mean something to the builder.
pub const RESERVED: [&str; 3] = [".onlay", ".containerignore", ".dockerignore"];

/// What there is for builds in the namespace, and in the cluster's usual place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provided {
    /// The object with the Containerfile that the policy names.
    pub containerfile: Option<Contents>,
    /// The keys of each Secret that the policy names for commands, as far as they exist.
    pub secrets: BTreeMap<String, BTreeSet<String>>,
    /// ConfigMap [`names::REPOSITORIES_CONFIG_MAP`].
    pub repositories: Option<Contents>,
    /// Secret [`names::PACKAGE_KEYS_SECRET`].
    pub keys: Option<Contents>,
    /// Secrets with entitlements.
    pub entitlements: Entitlements,
    /// Proxies of the cluster.
    pub proxy: Option<Proxy>,
    /// The ConfigMap with authorities, see [`trust::config_map`].
    pub trusted_ca: Option<Contents>,
}

/// Secrets with entitlements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entitlements {
    /// The one of the pool alone.
    pub of_pool: Option<OfPool>,
    /// Whether the namespace of builds has one for all pools.
    pub own: bool,
    /// The one in the cluster's usual place.
    pub of_cluster: Option<Contents>,
}

/// Who has made the Secret with the entitlements of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfPool {
    /// A person.
    Person,
    /// A build, as a copy of what the cluster has.
    Build,
}

/// Where the entitlements of a build come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entitlement<'a> {
    /// From the Secret of this name in the namespace of builds.
    There(String),
    /// From what the cluster has, which is copied into the Secret of this name.
    Copied(String, &'a Contents),
}

impl Entitlements {
    /// The entitlements of a pool's builds. What a person has put into the namespace comes first.
    pub fn choose(&self, pool: &str) -> Option<Entitlement<'_>> {
        let name = names::entitlement_of(pool);
        match (self.of_pool, self.own, &self.of_cluster) {
            (Some(OfPool::Person), ..) => Some(Entitlement::There(name)),
            (_, true, _) => Some(Entitlement::There(names::ENTITLEMENT_SECRET.to_owned())),
            (_, false, Some(contents)) => Some(Entitlement::Copied(name, contents)),
            (_, false, None) => None,
        }
    }
}

/// Kind of an object that holds files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// The object and the key in which a Containerfile lies, if not in the MachineOSConfig.
pub fn named(policy: &BuildPolicy) -> Option<(Kind, &ContainerfileKey)> {
    let source = policy.containerfile.as_ref()?;
    let config_map = source.config_map_key_ref.as_ref().map(|key| (Kind::ConfigMap, key));
    config_map.or_else(|| source.secret_key_ref.as_ref().map(|key| (Kind::Secret, key)))
}

/// What a build is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extras {
    /// Where the Containerfile lies, if not in the MachineOSConfig.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Values of build arguments that the Containerfile declares.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// Images by another name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// What commands can see of secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretFile>,
    /// Environment of the builder and of commands that is no part of the image.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Directories that commands see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Name of the ConfigMap with authorities that builder and commands trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_ca: Option<String>,
}

/// What the builds of a pool are given, and the text of the Containerfile if it lies in an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// What they are given.
    pub extras: Extras,
    /// The text.
    pub containerfile: Option<String>,
}

impl Given {
    /// What the builds of a pool are given.
    pub fn of(policy: &BuildPolicy, provided: &Provided, pool: &str) -> Self {
        let text = named(policy).zip(provided.containerfile.as_ref());
        let text = text.and_then(|((_, key), contents)| String::from_utf8(contents.0.get(&key.key)?.clone()).ok());
        Self { extras: Extras::of(policy, provided, pool), containerfile: text.filter(|text| !text.trim().is_empty()) }
    }
}

/// A Containerfile with the files beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Kind of the object.
    pub kind: Kind,
    /// Name of the object.
    pub name: String,
    /// Key of the Containerfile.
    pub key: String,
    /// Digests of everything in the object.
    pub digests: Digests,
}

/// A key of a Secret that commands can see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretFile {
    /// What the Containerfile calls it.
    pub id: String,
    /// Name of the Secret.
    pub name: String,
    /// The key.
    pub key: String,
}

/// A directory that commands see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Which one it is.
    pub place: Place,
    /// Name of the ConfigMap or Secret with its files.
    pub name: String,
    /// Digests of the files; none if they do not matter to the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<Digests>,
}

/// Directories that commands see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// Where packages come from.
    Repositories,
    /// Keys that packages are signed with.
    Keys,
    /// Certificates that open repositories.
    Entitlement,
}

impl Place {
    /// Where commands see it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Repositories => "/etc/yum.repos.d",
            Self::Keys => "/etc/pki/rpm-gpg",
            Self::Entitlement => "/etc/pki/entitlement",
        }
    }

    /// Its name as a volume of the pod, and below the directory where the builder finds all of them.
    pub const fn volume(self) -> &'static str {
        match self {
            Self::Repositories => "yum-repos-d",
            Self::Keys => "rpm-gpg",
            Self::Entitlement => "entitlement",
        }
    }

    /// Kind of the object with its files.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Repositories => Kind::ConfigMap,
            Self::Keys | Self::Entitlement => Kind::Secret,
        }
    }
}

impl Extras {
    /// Nothing.
    pub const NONE: Self = Self {
        source: None,
        arguments: BTreeMap::new(),
        images: BTreeMap::new(),
        secrets: Vec::new(),
        environment: BTreeMap::new(),
        mounts: Vec::new(),
        trusted_ca: None,
    };

    /// What the builds of a pool are given.
    pub fn of(policy: &BuildPolicy, provided: &Provided, pool: &str) -> Self {
        let source = named(policy).zip(provided.containerfile.as_ref());
        let source = source.map(|((kind, named), contents)| Source {
            kind,
            name: named.name.clone(),
            key: named.key.clone(),
            digests: digests(&contents.0),
        });
        let counted = |place: Place, name: &str, contents: &Option<Contents>| {
            let digests = Some(digests(&contents.as_ref()?.0));
            Some(Mount { place, name: name.to_owned(), digests })
        };
        let entitlement = provided.entitlements.choose(pool).map(|chosen| {
            let (Entitlement::There(name) | Entitlement::Copied(name, _)) = chosen;
            Mount { place: Place::Entitlement, name, digests: None }
        });
        let mounts = [
            counted(Place::Repositories, names::REPOSITORIES_CONFIG_MAP, &provided.repositories),
            counted(Place::Keys, names::PACKAGE_KEYS_SECRET, &provided.keys),
            entitlement,
        ];
        let trusted = trust::authorities(policy, provided.trusted_ca.as_ref()).is_ok_and(|found| found.is_some());
        let arguments = policy.build_args.iter().map(|given| (given.name.clone(), given.value.clone()));
        let images = policy.contexts.iter().map(|given| (given.name.clone(), given.image.clone()));
        let secrets = policy.secrets.iter().map(|BuildSecret { id, secret_key_ref: SecretKey { name, key } }| {
            SecretFile { id: id.clone(), name: name.clone(), key: key.clone() }
        });
        Self {
            source,
            arguments: arguments.collect(),
            images: images.collect(),
            secrets: secrets.collect(),
            environment: policy.proxy.as_ref().or(provided.proxy.as_ref()).map(environment).unwrap_or_default(),
            mounts: mounts.into_iter().flatten().collect(),
            trusted_ca: trusted.then(|| trust::config_map(policy).to_owned()),
        }
    }

    /// What the Containerfile finds outside of its text.
    pub fn outside(&self) -> Outside<'_> {
        Outside {
            files: self.source.iter().flat_map(|source| source.digests.keys()).map(String::as_str).collect(),
            images: self.images.keys().map(String::as_str).collect(),
            arguments: Some(&self.arguments),
        }
    }

    /// What of it counts: where no command runs, none sees anything; and nothing depends on build arguments that no Containerfile
    /// declares.
    #[must_use]
    pub fn settled(mut self, runs_commands: bool, files: &[&Containerfile]) -> Self {
        if !runs_commands {
            return Self { environment: self.environment, trusted_ca: self.trusted_ca, ..Self::NONE };
        }
        if !files.is_empty() {
            self.arguments.retain(|name, _| files.iter().any(|file| file.declares(name)));
        }
        self
    }

    /// What the results of commands depend on, although it is not in their text; none if there is nothing.
    pub fn mark(&self) -> Option<String> {
        let counted: BTreeMap<_, _> =
            self.mounts.iter().filter_map(|mount| Some((mount.place.path(), mount.digests.as_ref()?))).collect();
        (!counted.is_empty()).then(|| hex(&Sha256::digest(json!(counted).to_string())))
    }
}

/// Proxies as programs look for them, some in capitals and some not.
fn environment(proxy: &Proxy) -> BTreeMap<String, String> {
    let variables =
        [("HTTP_PROXY", &proxy.http_proxy), ("HTTPS_PROXY", &proxy.https_proxy), ("NO_PROXY", &proxy.no_proxy)];
    let set = variables.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    set.flat_map(|(name, value)| [(name.to_ascii_lowercase(), value.clone()), (name.to_owned(), value)]).collect()
}

/// Digests of what is in a ConfigMap or Secret.
pub fn digests(contents: &BTreeMap<String, Vec<u8>>) -> Digests {
    contents.iter().map(|(key, value)| (key.clone(), hex(&Sha256::digest(value)))).collect()
}

#[cfg(test)]
mod tests;
