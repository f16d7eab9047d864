//! What a node of a pool shall run: a rendered configuration and an image by digest.
//!
//! With a MachineOSConfig the image is the one that was built for exactly this configuration; else it is the
//! configuration's `osImageURL`; else the image that the node had when onlay first met it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use onlay_api::conditions::{self, BuildConditionType, ConditionStatus, OSConfigConditionType};
use onlay_api::machine_config_node::{MachineConfigNode, MachineConfigNodeSpec, Update};
use onlay_api::names::{ARCHITECTURES_ANNOTATION, CURRENT_BUILD_ANNOTATION, SERVES_ANNOTATION};
use onlay_api::{MachineConfig, MachineConfigPool, MachineOSBuild, MachineOSConfig};

use super::wait::WaitReason;
use crate::build::{part, pull_secret};

/// What a node shall run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name of the rendered configuration.
    pub config: String,
    /// The image by digest.
    pub image: String,
    /// Secret in the namespace of node secrets that can pull the image, if it needs one.
    pub pull_secret: Option<String>,
}

impl Target {
    /// Whether a spec asks for this target.
    pub fn is_asked_by(&self, spec: &MachineConfigNodeSpec) -> bool {
        let image = spec.config_image.as_ref().map(|image| image.desired_image.as_str());
        spec.config_version.desired == self.config && image == Some(&self.image)
    }

    /// Whether an update leads to this target.
    pub fn is_of(&self, update: &Update) -> bool {
        update.config == self.config && update.image == self.image
    }

    /// Whether a node runs this target, by its agent's report.
    pub fn is_run_by(&self, state: &MachineConfigNode) -> bool {
        let status = state.status.as_ref();
        let config = status.and_then(|status| status.config_version.as_ref()?.current.as_deref());
        let image = status.and_then(|status| status.config_image.as_ref()?.current_image.as_deref());
        config == Some(&self.config) && image == Some(&self.image)
    }
}

/// The image of a pool's target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolImage {
    /// The same for every node.
    Pinned {
        /// The image by digest.
        image: String,
        /// Secret that can pull it.
        pull_secret: Option<String>,
        /// For which nodes it was built, if it was.
        built: Option<Built>,
    },
    /// For each node the one that it had when it was first met.
    Adopted,
}

/// For which nodes an image was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Name of the MachineOSConfig.
    pub os_config: String,
    /// Architectures of nodes, as Kubernetes names them.
    pub architectures: BTreeSet<String>,
}

/// What the nodes of a pool shall run, before it is known which node is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolTarget {
    /// Name of the rendered configuration.
    pub config: String,
    /// The image, or what keeps it from being known.
    pub image: Result<PoolImage, WaitReason>,
}

impl PoolTarget {
    /// The target of one node of the pool, whose architecture is none if it does not say.
    pub fn for_node(&self, state: &MachineConfigNode, architecture: Option<&str>) -> Result<Target, WaitReason> {
        let adopted = || state.status.as_ref()?.onlay.as_ref()?.adopted_image.clone();
        let (image, pull_secret) = match self.image.clone()? {
            PoolImage::Pinned { image, pull_secret, built } => {
                if let Some((Built { os_config, architectures }, own)) = built.zip(architecture)
                    && !architectures.contains(own)
                {
                    return Err(WaitReason::ImageFor { os_config, architecture: own.to_owned() });
                }
                (image, pull_secret)
            }
            PoolImage::Adopted => (adopted().ok_or(WaitReason::NotMet)?, None),
        };
        Ok(Target { config: self.config.clone(), image, pull_secret })
    }
}

/// The objects that say what a pool's image is.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    /// MachineConfigs by name, the rendered ones among them.
    pub configs: &'a BTreeMap<&'a str, &'a MachineConfig>,
    /// All MachineOSConfigs.
    pub os_configs: &'a [Arc<MachineOSConfig>],
    /// All MachineOSBuilds.
    pub os_builds: &'a [Arc<MachineOSBuild>],
}

impl Images<'_> {
    /// What the nodes of a pool shall run.
    pub fn target_of(&self, pool: &MachineConfigPool) -> Result<PoolTarget, WaitReason> {
        let configuration = pool.spec.configuration.as_ref().filter(|configuration| !configuration.name.is_empty());
        let config = configuration.ok_or(WaitReason::NotRendered)?.name.clone();
        let rendered = self.configs.get(config.as_str()).ok_or(WaitReason::NotRendered)?;
        let image = match self.os_config_of(pool) {
            Some(os_config) => self.built(os_config, &config),
            None => named(rendered, &config),
        };
        Ok(PoolTarget { config, image })
    }

    /// The MachineOSConfig of a pool, unless it is being deleted; the first one by name if there are several.
    fn os_config_of(&self, pool: &MachineConfigPool) -> Option<&MachineOSConfig> {
        let of_pool = self.os_configs.iter().filter(|os_config| {
            Some(&os_config.spec.machine_config_pool.name) == pool.metadata.name.as_ref()
                && os_config.metadata.deletion_timestamp.is_none()
        });
        of_pool.min_by_key(|os_config| &os_config.metadata.name).map(|os_config| &**os_config)
    }

    fn built(&self, os_config: &MachineOSConfig, config: &str) -> Result<PoolImage, WaitReason> {
        let name = name_of(&os_config.metadata);
        let status = os_config.status.as_ref();
        let image = status.and_then(|status| status.current_image_pull_spec.clone());
        match (annotation(&os_config.metadata, SERVES_ANNOTATION), image) {
            (Some(serves), Some(image)) if serves == config => {
                let pull_secret = Some(pull_secret::name(&os_config.spec.machine_config_pool.name));
                let architectures = annotation(&os_config.metadata, ARCHITECTURES_ANNOTATION).map(part::read);
                let built = architectures.map(|architectures| Built { os_config: name.to_owned(), architectures });
                Ok(PoolImage::Pinned { image, pull_secret, built })
            }
            _ => Err(self.why_not_built(os_config, name, config)),
        }
    }

    fn why_not_built(&self, os_config: &MachineOSConfig, name: &str, config: &str) -> WaitReason {
        let conditions = os_config.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let valid = conditions::find(conditions, OSConfigConditionType::Valid);
        if let Some(invalid) = valid.filter(|valid| valid.status == ConditionStatus::False) {
            return WaitReason::ImageFailed {
                object: format!("MachineOSConfig {name}"),
                message: invalid.message.clone(),
            };
        }
        let current = annotation(&os_config.metadata, CURRENT_BUILD_ANNOTATION);
        let build = current.and_then(|current| self.os_builds.iter().find(|each| name_of(&each.metadata) == current));
        let conditions = build.and_then(|build| build.status.as_ref()).map(|status| status.conditions.as_slice());
        let failed = conditions::find(conditions.unwrap_or_default(), BuildConditionType::Failed);
        match failed.filter(|failed| failed.status == ConditionStatus::True) {
            Some(failed) => WaitReason::ImageFailed {
                object: format!("MachineOSBuild {}", current.unwrap_or_default()),
                message: failed.message.clone(),
            },
            None => WaitReason::Image { os_config: name.to_owned(), config: config.to_owned() },
        }
    }
}

fn named(rendered: &MachineConfig, config: &str) -> Result<PoolImage, WaitReason> {
    match rendered.spec.os_image_url.as_deref() {
        None | Some("") => Ok(PoolImage::Adopted),
        Some(image) if image.contains("@sha256:") => {
            Ok(PoolImage::Pinned { image: image.to_owned(), pull_secret: None, built: None })
        }
        Some(image) => Err(WaitReason::NotPinned { config: config.to_owned(), image: image.to_owned() }),
    }
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The name in an object's metadata.
pub(crate) fn name_of(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}
