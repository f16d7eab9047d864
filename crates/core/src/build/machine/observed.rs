//! What is known when the next step of a MachineOSConfig is decided.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use onlay_api::layering_policy::LayeringPolicy;
use onlay_api::machine_config::MachineConfig;
use onlay_api::machine_config_pool::MachineConfigPool;
use onlay_api::machine_os_build::MachineOSBuild;
use onlay_api::machine_os_config::MachineOSConfig;
use sha2::{Digest, Sha256};

use crate::build::Settings;
use crate::build::base::watch::Answer;
use crate::build::extras::Provided;
use crate::build::inputs::hex;
use crate::build::part::Part;
use crate::build::pull_secret::RegistryEntry;
use crate::build::trust;

/// What stands before the digest of authorities that commands trust, too, in [`Observed::fingerprint`].
pub(super) const TRUSTED: &str = "trusted-";

/// What is known when the next step of a MachineOSConfig is decided.
#[derive(Debug, Clone)]
pub struct Observed<'a> {
    /// The MachineOSConfig.
    pub config: &'a MachineOSConfig,
    /// Its pool.
    pub pool: Option<&'a MachineConfigPool>,
    /// The configuration that the pool is told to reach.
    pub rendered: Option<&'a MachineConfig>,
    /// The base image.
    pub base: Base,
    /// The image with the base image's extensions, if one is named.
    pub extensions_image: Option<String>,
    /// When registries are to be asked again.
    pub ask_again: Option<Timestamp>,
    /// What registries last said of the images that were built, by digest: whether they have them.
    pub presences: BTreeMap<String, Answer<bool>>,
    /// Architectures of the pool's nodes, as Kubernetes names them; not none.
    pub architectures: BTreeSet<String>,
    /// What the build needs to talk to registries.
    pub credentials: Credentials,
    /// Every build of the MachineOSConfig.
    pub builds: Vec<Build<'a>>,
    /// Every image that a node runs or shall run, by digest.
    pub images_in_use: BTreeSet<String>,
    /// The credentials that nodes need to pull from a repository, as far as the build's secrets have them: of the one that the
    /// MachineOSConfig names, and of the one of the image that it serves.
    pub node_entries: BTreeMap<String, RegistryEntry>,
    /// The secret that was derived for the nodes.
    pub node_secret: Option<&'a Secret>,
    /// What people want of the pool's builds, if they have said anything.
    pub policy: Option<&'a LayeringPolicy>,
    /// What there is for builds in their namespace.
    pub provided: &'a Provided,
    /// Settings of the controller.
    pub settings: &'a Settings,
}

/// The base image, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// It cannot be said which one it is, or its digest could not be found.
    Unknown {
        /// Why, in words.
        why: String,
    },
    /// It is known.
    Known {
        /// The image as it was asked for, perhaps by a tag.
        asked: String,
        /// The image by digest.
        image: String,
        /// Why nothing can be built on it; none if it can.
        fault: Option<String>,
        /// Why it is the one that was asked for.
        standing: Standing,
    },
}

/// Why an image by digest is the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was asked for by digest.
    Digest,
    /// Its tag stands for what it was at first, by the pool's policy.
    Pinned,
    /// The registry says so.
    Answered,
    /// It was so before, and the registry does not say what it is now.
    Unanswered {
        /// Why, in words.
        why: String,
    },
}

/// What a build needs to talk to registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The secret to push with.
    pub push: Material,
    /// The secret to pull with, if the MachineOSConfig names one.
    pub pull: Option<Material>,
    /// The secret for nodes to pull with, if the MachineOSConfig names one (version v1alpha1 has a field for it).
    pub nodes: Option<Material>,
    /// The ConfigMap of registry authorities, if the controller is told to use one.
    pub authorities: Option<Material>,
}

/// A Secret or ConfigMap that a build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub state: MaterialState,
}

/// What is in a Secret or ConfigMap that a build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaterialState {
    /// The object does not exist.
    Missing,
    /// The object cannot be used.
    Unusable {
        /// Why, in words.
        why: String,
    },
    /// The object can be used.
    Usable {
        /// A digest of its contents.
        digest: String,
    },
}

/// A build, and what belongs to it.
#[derive(Debug, Clone)]
pub struct Build<'a> {
    /// The build.
    pub build: &'a MachineOSBuild,
    /// Its parts, sorted by architecture.
    pub parts: Vec<PartOfBuild<'a>>,
    /// What the registry has answered to the index of the images of several parts: under which digest it has it.
    pub joined: Option<Answer<String>>,
}

/// A part of a build, and what belongs to it.
#[derive(Debug, Clone)]
pub struct PartOfBuild<'a> {
    /// The part.
    pub part: Part,
    /// Its Job.
    pub job: Option<&'a Job>,
    /// Whether the ConfigMap is there that its pods read.
    pub has_config_map: bool,
    /// The Job's pods.
    pub pods: Vec<&'a Pod>,
    /// What the registry has answered to the part's tag: which image it is, by digest, if there is such a tag. It is asked only
    /// where nobody else knows what was pushed.
    pub pushed: Option<Answer<Option<String>>>,
    /// How far the newest pod says that it is, if it runs.
    pub progress: Option<String>,
}

impl Material {
    /// Something that can be used, with these contents.
    pub fn usable(name: &str, contents: &[u8]) -> Self {
        let digest = Sha256::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name: name.to_owned(), state: MaterialState::Usable { digest } }
    }

    /// Something that cannot be used.
    pub fn unusable(name: &str, why: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: MaterialState::Unusable { why: why.into() } }
    }

    /// Something that does not exist.
    pub fn missing(name: &str) -> Self {
        Self { name: name.to_owned(), state: MaterialState::Missing }
    }
}

impl Build<'_> {
    /// The name of the build.
    pub fn name(&self) -> &str {
        self.build.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether it is on its way out: it is being deleted, or its MachineOSConfig was another one of the same name.
    pub(super) fn is_leaving(&self, config: &MachineOSConfig) -> bool {
        let mut owners = self.build.metadata.owner_references.iter().flatten();
        let is_ours = owners.any(|owner| Some(&owner.uid) == config.metadata.uid.as_ref());
        self.build.metadata.deletion_timestamp.is_some() || !is_ours
    }

    /// Whether it has not ended, and nobody takes it away.
    pub(super) fn goes_on(&self, config: &MachineOSConfig) -> bool {
        !super::has_ended(self.build) && !self.is_leaving(config)
    }
}

impl Observed<'_> {
    /// Whether it is time to build once more, since a person asks for it and it is known on which image.
    pub(super) fn rebuild_is_due(&self) -> bool {
        let is_missed = matches!(self.base, Base::Known { standing: Standing::Unanswered { .. }, .. });
        super::rebuild_is_asked(self.config) && !is_missed
    }

    /// A digest of everything that a build talks to registries with; none, and the first problem in words, if something is not
    /// usable.
    pub(super) fn fingerprint(&self) -> Result<String, String> {
        let credentials = self.credentials.fingerprint(self.settings)?;
        let policy = self.policy.and_then(|policy| policy.spec.build.clone()).unwrap_or_default();
        let trusted = trust::authorities(&policy, self.provided.trusted_ca.as_ref())?;
        let trusted = trusted.map(|pem| format!("{TRUSTED}{}", hex(&Sha256::digest(pem))));
        Ok([Some(credentials), trusted].into_iter().flatten().collect::<Vec<_>>().join("."))
    }
}

impl Credentials {
    /// A digest of everything a build is given; none, and the first problem in words, if something is not usable.
    fn fingerprint(&self, settings: &Settings) -> Result<String, String> {
        let mut digests = Vec::new();
        for (material, role) in self.each() {
            match &material.state {
                MaterialState::Usable { digest } => digests.push(digest.as_str()),
                MaterialState::Missing => return Err(missing(material, role, settings)),
                MaterialState::Unusable { why } => {
                    let Material { name, .. } = material;
                    return Err(format!("{} {}/{name} ({}) {why}", role.kind, settings.namespace, role.field));
                }
            }
        }
        Ok(digests.join("."))
    }

    fn each(&self) -> impl Iterator<Item = (&Material, Role)> {
        let push = Role { kind: "Secret", field: "spec.renderedImagePushSecret" };
        let pull = Role { kind: "Secret", field: "spec.baseImagePullSecret" };
        let authorities = Role { kind: "ConfigMap", field: "flag --registry-ca-configmap" };
        let nodes = Role { kind: "Secret", field: "spec.buildOutputs.currentImagePullSecret" };
        let optional = [(&self.pull, pull), (&self.nodes, nodes), (&self.authorities, authorities)];
        let optional = optional.into_iter().filter_map(|(material, role)| Some((material.as_ref()?, role)));
        std::iter::once((&self.push, push)).chain(optional)
    }
}

#[derive(Clone, Copy)]
struct Role {
    kind: &'static str,
    field: &'static str,
}

fn missing(material: &Material, role: Role, settings: &Settings) -> String {
    let (Material { name, .. }, namespace) = (material, &settings.namespace);
    let create = if role.kind == "Secret" {
        format!("kubectl create secret docker-registry {name} -n {namespace} --docker-server=… --docker-username=…")
    } else {
        format!("kubectl create configmap {name} -n {namespace} --from-file=ca.crt=…")
    };
    format!("{} {namespace}/{name} ({}) does not exist; create it: `{create}`", role.kind, role.field)
}
