//! Which image the nodes of a pool begin with.
//!
//! Source of the order: the MachineOSConfig, where version v1alpha1 has a field for it, else a MachineConfig's `osImageURL`,
//! else the ConfigMap of the cluster, else what the nodes had when they were first met.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::machine_config_node::MachineConfigNode;
use onlay_api::machine_config_pool::MachineConfigPool;
use onlay_api::machine_os_build::MachineOSBuild;
use onlay_api::machine_os_config::MachineOSConfig;
use onlay_api::names;

use self::watch::Found;
use super::machine;
use super::part::{self, ARCHITECTURE};
use crate::conversion;
use crate::pools::{self, Labels};

pub mod watch;

/// Label of a Node that names its architecture.
const ARCHITECTURE_LABEL: &str = "kubernetes.io/arch";

/// Annotation on a MachineOSConfig and on a MachineOSBuild: the base image as it is named, perhaps by a tag.
pub const ASKED_ANNOTATION: &str = "onlay.dev/base-image-asked";
/// Annotation on both: the image that this stands for, and stood for when the build was made, by digest.
pub const RESOLVED_ANNOTATION: &str = "onlay.dev/base-image";
/// Annotation on both: why nothing can be built on the base image; absent if something can.
pub const FAULT_ANNOTATION: &str = "onlay.dev/base-image-fault";

/// Annotation on a MachineOSConfig: the architectures that the image was looked up for, as [`names::ARCHITECTURES_ANNOTATION`]
/// of a MachineOSBuild says it.
pub const LOOKED_UP_ANNOTATION: &str = "onlay.dev/base-image-architectures";

/// Why it cannot be said which image a pool begins with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// Nothing names one.
    #[error(
        "failed to choose a base image: no MachineConfig of the pool sets osImageURL, there is no ConfigMap \
         machine-config-osimageurl, and no node has reported its image yet; set one of them, or wait for a node"
    )]
    Unknown,
    /// What the MachineOSConfig says cannot be read.
    #[error(
        "failed to choose a base image: annotation {} is not what onlay writes there when an object of version v1alpha1 is \
         stored; remove it",
        names::KEPT_V1ALPHA1_ANNOTATION
    )]
    Annotation,
    /// Nodes began with different images.
    #[error(
        "failed to choose a base image: the nodes began with different ones ({}); set osImageURL in a MachineConfig of \
         the pool, or the key baseOSContainerImage of ConfigMap machine-config-osimageurl",
        .0.join(", ")
    )]
    Differ(Vec<String>),
}

/// The architecture of a node, as Kubernetes names it, if it says.
pub fn architecture(node: &Node) -> Option<&str> {
    node.metadata.labels.as_ref()?.get(ARCHITECTURE_LABEL).map(String::as_str)
}

/// The architectures of nodes, as Kubernetes names them; the usual one where none says anything.
pub fn architectures<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> BTreeSet<String> {
    or_usual(nodes.into_iter().filter_map(architecture).map(str::to_owned).collect())
}

/// What the nodes of a pool say of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nodes {
    /// The images that they had when they were first met.
    pub adopted: BTreeSet<String>,
    /// Their architectures, as Kubernetes names them.
    pub architectures: BTreeSet<String>,
}

impl Nodes {
    /// The architectures that images are built for: those of the nodes, else the usual one.
    pub fn architectures_or_usual(&self) -> BTreeSet<String> {
        or_usual(self.architectures.clone())
    }
}

fn or_usual(known: BTreeSet<String>) -> BTreeSet<String> {
    if known.is_empty() { [ARCHITECTURE.to_owned()].into() } else { known }
}

/// What the nodes of a pool say of themselves; those of all pools but `master` if the pool has none.
pub fn nodes_of<'a>(
    pool: &str,
    pools: &[&MachineConfigPool],
    nodes: impl IntoIterator<Item = (&'a Node, Option<&'a MachineConfigNode>)>,
) -> Nodes {
    let (mut own, mut others) = (Nodes::default(), Nodes::default());
    let none = Labels::new();
    for (node, state) in nodes {
        let labels = node.metadata.labels.as_ref().unwrap_or(&none);
        let Ok(Some(home)) = pools::pool_of(labels, pools.iter().copied()) else { continue };
        let group = match home.metadata.name.as_deref() {
            Some(name) if name == pool => &mut own,
            Some(names::MASTER_POOL) => continue,
            _ => &mut others,
        };
        group.architectures.extend(architecture(node).map(str::to_owned));
        let onlay = state.and_then(|state| state.status.as_ref()?.onlay.as_ref());
        group.adopted.extend(onlay.and_then(|onlay| onlay.adopted_image.clone()));
    }
    if own == Nodes::default() && pool != names::MASTER_POOL { others } else { own }
}

/// The base image of a pool, by tag or by digest.
///
/// `adopted` is what [`nodes_of`] gives.
pub fn choose(
    config: Option<&MachineOSConfig>,
    rendered: &MachineConfigSpec,
    config_map: Option<&ConfigMap>,
    adopted: &BTreeSet<String>,
) -> Result<String, BaseError> {
    let own = config.map(conversion::kept).transpose().map_err(|_| BaseError::Annotation)?;
    if let Some(image) = own.and_then(|kept| kept.base_image) {
        return Ok(image);
    }
    let configured = rendered.os_image_url.as_deref().filter(|image| !image.is_empty());
    if let Some(image) = configured.or_else(|| named(config_map?.data.as_ref()?)) {
        return Ok(image.to_owned());
    }
    let by_digest: BTreeMap<&str, &String> = adopted.iter().map(|image| (digest(image), image)).collect();
    match by_digest.into_values().collect::<Vec<_>>().as_slice() {
        [] => Err(BaseError::Unknown),
        [image] => Ok((*image).clone()),
        several => Err(BaseError::Differ(several.iter().map(|image| (*image).clone()).collect())),
    }
}

/// The image with the extensions of a base image; none if the configuration wants nothing of it, or nothing names one.
///
/// Source of the order: as for [`choose`].
pub fn extensions_image(
    config: Option<&MachineOSConfig>,
    rendered: &MachineConfigSpec,
    config_map: Option<&ConfigMap>,
) -> Option<String> {
    // An annotation that cannot be read is told by `choose`.
    let own = config.and_then(|config| conversion::kept(config).ok()?.extensions_image);
    let of_cluster =
        || config_map?.data.as_ref()?.get(names::EXTENSIONS_IMAGE_KEY).map(|image| image.trim().to_owned());
    let named = own.or_else(|| rendered.base_os_extensions_container_image.clone()).or_else(of_cluster);
    named.filter(|image| !image.is_empty())
}

fn named(data: &BTreeMap<String, String>) -> Option<&str> {
    let values = names::BASE_IMAGE_KEYS.iter().filter_map(|key| data.get(*key));
    values.map(|image| image.trim()).find(|image| !image.is_empty())
}

fn digest(image: &str) -> &str {
    image.split_once('@').map_or(image, |(_, digest)| digest)
}

/// What a base image was for the builds before: what is noted on the MachineOSConfig; where that was written anew, what
/// its newest build says that has not failed. Nothing is known of one that was not looked up for one of the architectures.
pub fn remembered<'a>(
    config: Option<&'a MachineOSConfig>,
    builds: impl IntoIterator<Item = &'a MachineOSBuild>,
    asked: &str,
    architectures: &BTreeSet<String>,
) -> Option<Found> {
    let found = |metadata: &ObjectMeta, noted: &str| found(metadata, asked, noted, architectures);
    let noted = config.and_then(|config| found(&config.metadata, LOOKED_UP_ANNOTATION));
    noted.or_else(|| {
        let of_image = builds.into_iter().filter(|build| !machine::has_failed(build));
        let of_image =
            of_image.filter_map(|build| Some((build, found(&build.metadata, names::ARCHITECTURES_ANNOTATION)?)));
        let newest = of_image.max_by_key(|(build, _)| build.metadata.creation_timestamp.clone());
        newest.map(|(_, found)| found)
    })
}

/// What an object says of a base image; one of its annotations says for which architectures.
fn found(metadata: &ObjectMeta, asked: &str, noted: &str, architectures: &BTreeSet<String>) -> Option<Found> {
    let annotations = metadata.annotations.as_ref()?;
    annotations.get(ASKED_ANNOTATION).filter(|of| *of == asked)?;
    let looked_up_for = annotations.get(noted).map(|noted| part::read(noted)).unwrap_or_default();
    looked_up_for.is_superset(architectures).then_some(())?;
    Some(Found {
        image: annotations.get(RESOLVED_ANNOTATION)?.clone(),
        fault: annotations.get(FAULT_ANNOTATION).cloned(),
    })
}

#[cfg(test)]
mod tests;
