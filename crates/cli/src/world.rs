//! The objects of a cluster, as they are or as they shall be: a live cluster, or files.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use onlay_api::machine_configuration::{self, MachineConfiguration, NodeDisruptionPolicy};
use onlay_api::{LayeringPolicy, MachineConfigNode, MachineConfigPool, MachineOSBuild, MachineOSConfig, names};
use onlay_core::build::base;
use onlay_core::build::extras::{self, Kind};
use onlay_core::change::foresee::Configuration;
use onlay_core::render::RenderError;
use serde::de::DeserializeOwned;

use crate::finding::{Finding, any_error};
use crate::input::kubectl::Cluster;
use crate::input::{Input, Object};
use crate::{provided, selection};

/// Label of the controller's pods.
const CONTROLLER_LABEL: (&str, &str) = ("app.kubernetes.io/name", "onlay-controller");
/// Everything that a plan looks at, by full name, since other APIs have kinds of the same names.
const KINDS: &str = "machineconfigs.machineconfiguration.openshift.io,\
                     machineconfigpools.machineconfiguration.openshift.io,\
                     machineosconfigs.machineconfiguration.openshift.io,\
                     machineosbuilds.machineconfiguration.openshift.io,\
                     machineconfignodes.machineconfiguration.openshift.io,nodes";

/// The objects of a cluster, read.
#[derive(Debug)]
pub struct World {
    /// All objects, with their places.
    pub objects: Vec<Object>,
    /// Pools, by name.
    pub pools: Vec<MachineConfigPool>,
    /// MachineOSConfigs.
    pub os_configs: Vec<MachineOSConfig>,
    /// MachineOSBuilds.
    pub os_builds: Vec<MachineOSBuild>,
    /// Nodes, by name, which is the order in which the rollout sees them.
    pub nodes: Vec<Node>,
    /// What the agents say, by node.
    pub states: BTreeMap<String, MachineConfigNode>,
    /// What people want changes to cost.
    pub policy: Option<NodeDisruptionPolicy>,
    /// The node on which the controller runs.
    pub controller: Option<String>,
    config_map: Option<ConfigMap>,
}

/// What names the base image of a pool's builds, besides its configuration.
#[derive(Debug)]
pub struct Named<'a> {
    /// What is built for the pool.
    pub os_config: Option<&'a MachineOSConfig>,
    /// The ConfigMap of the cluster.
    pub config_map: Option<&'a ConfigMap>,
    /// The images that nodes had at first.
    pub adopted: BTreeSet<String>,
}

/// Everything of a live cluster that a plan looks at.
///
/// # Errors
/// What kubectl says.
pub fn ask(cluster: &Cluster) -> Result<Input, Finding> {
    let mut input = cluster.get(&[KINDS])?;
    let policy = [POLICY, machine_configuration::NAME, "--ignore-not-found"];
    input.objects.extend(cluster.get_if_served(&[LAYERING_POLICIES])?.objects);
    let read = provided::policies(&input.objects).map(Object::read::<LayeringPolicy>).collect::<Result<Vec<_>, _>>()?;
    let of_builds = read.iter().filter_map(|policy| extras::named(policy.spec.build.as_ref()?));
    let mut config_map =
        vec!["configmap", "--ignore-not-found", names::BASE_IMAGE_CONFIG_MAP, names::REPOSITORIES_CONFIG_MAP];
    config_map.extend(of_builds.filter(|(kind, _)| *kind == Kind::ConfigMap).map(|(_, key)| key.name.as_str()));
    let label = format!("--selector={}={}", CONTROLLER_LABEL.0, CONTROLLER_LABEL.1);
    let more = [cluster.get_if_served(&policy)?, cluster.get_own(&config_map)?, cluster.get_own(&["pods", &label])?];
    for each in more {
        input.objects.extend(each.objects);
        input.findings.extend(each.findings);
    }
    Ok(input)
}

/// The kind with people's wishes for builds, by full name.
const LAYERING_POLICIES: &str = "layeringpolicies.onlay.dev";
/// The kind with the node disruption policy, by full name.
pub const POLICY: &str = "machineconfigurations.operator.openshift.io";

/// What is there, what shall be there, and what of it the files say.
pub struct Worlds {
    /// As it is.
    pub before: World,
    /// As it shall be.
    pub after: World,
    /// The wanted objects.
    pub wanted: Vec<Object>,
}

impl World {
    /// Reads objects.
    ///
    /// # Errors
    /// Names the first one that does not have the shape of its kind.
    pub fn of(objects: Vec<Object>) -> Result<Self, Finding> {
        let group = format!("{}/{}", names::GROUP, names::VERSION);
        let mut nodes: Vec<Node> = all(&objects, "v1", "Node")?;
        nodes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        let mut pools: Vec<_> = objects.iter().filter_map(Object::pool).cloned().collect();
        pools.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        let states: Vec<MachineConfigNode> = all(&objects, &group, "MachineConfigNode")?;
        let named = |state: MachineConfigNode| (state.metadata.name.clone().unwrap_or_default(), state);
        let policies: Vec<MachineConfiguration> = all(&objects, "operator.openshift.io/v1", "MachineConfiguration")?;
        let is_read = |each: &MachineConfiguration| each.metadata.name.as_deref() == Some(machine_configuration::NAME);
        let config_maps: Vec<ConfigMap> = all(&objects, "v1", "ConfigMap")?;
        let is_base = |map: &ConfigMap| map.metadata.name.as_deref() == Some(names::BASE_IMAGE_CONFIG_MAP);
        Ok(Self {
            pools,
            os_configs: objects.iter().filter_map(Object::os_config).cloned().collect(),
            os_builds: all(&objects, &group, "MachineOSBuild")?,
            nodes,
            states: states.into_iter().map(named).collect(),
            policy: policies.into_iter().find(is_read).and_then(|each| each.spec.node_disruption_policy),
            controller: controller(&all(&objects, "v1", "Pod")?),
            config_map: config_maps.into_iter().find(is_base),
            objects,
        })
    }

    /// The pool of a name.
    pub fn pool(&self, name: &str) -> Option<&MachineConfigPool> {
        self.pools.iter().find(|pool| pool.metadata.name.as_deref() == Some(name))
    }

    /// The MachineOSConfig of a pool, the first one by name if there are several.
    pub fn os_config(&self, pool: &str) -> Option<&MachineOSConfig> {
        let of_pool = self.os_configs.iter().filter(|each| each.spec.machine_config_pool.name == pool);
        of_pool.min_by_key(|each| &each.metadata.name)
    }

    /// The builds of a MachineOSConfig.
    pub fn builds_of(&self, os_config: Option<&MachineOSConfig>) -> impl Iterator<Item = &MachineOSBuild> {
        let name = os_config.and_then(|os_config| os_config.metadata.name.as_deref());
        self.os_builds.iter().filter(move |build| Some(build.spec.machine_os_config.name.as_str()) == name)
    }

    /// What names the base image of a pool's builds, besides its configuration.
    pub fn named(&self, pool: &str) -> Named<'_> {
        let nodes = self.nodes.iter().map(|node| (node, self.state(node)));
        let pools: Vec<&MachineConfigPool> = self.pools.iter().collect();
        Named {
            os_config: self.os_config(pool),
            config_map: self.config_map.as_ref(),
            adopted: base::nodes_of(pool, &pools, nodes).adopted,
        }
    }

    /// The base image of a pool's builds, by digest if a build of one of the worlds has looked it up; none if nothing
    /// names it.
    pub fn base(pool: &str, configuration: &Configuration, named: &Named<'_>, worlds: &[&Self]) -> Option<String> {
        let asked = base::choose(named.os_config, &configuration.spec, named.config_map, &named.adopted).ok()?;
        let resolved = |world: &&Self| {
            let os_config = world.os_config(pool);
            base::remembered(os_config, world.builds_of(os_config), &asked, &BTreeSet::new()).map(|found| found.image)
        };
        worlds.iter().find_map(resolved).or(Some(asked))
    }

    /// What the agent of a node says.
    pub fn state(&self, node: &Node) -> Option<&MachineConfigNode> {
        self.states.get(node.metadata.name.as_deref()?)
    }

    /// The configuration that a pool is told to run, as far as it is among the objects.
    ///
    /// # Errors
    /// Says what in it cannot be read.
    pub fn told(&self, pool: &MachineConfigPool) -> Option<Result<Configuration, Finding>> {
        self.rendered(&pool.spec.configuration.as_ref()?.name)
    }

    /// The rendered configuration of a name, if it is among the objects.
    ///
    /// # Errors
    /// Says what in it cannot be read.
    pub fn rendered(&self, name: &str) -> Option<Result<Configuration, Finding>> {
        let object = self.objects.iter().find(|object| object.name == name && object.machine_config().is_some())?;
        Some(read(object))
    }
}

/// A MachineConfig as a configuration.
///
/// # Errors
/// Says what in it cannot be read.
pub fn read(object: &Object) -> Result<Configuration, Finding> {
    let spec = object.machine_config().map(|each| each.spec.clone()).unwrap_or_default();
    Configuration::new(&object.name, spec).map_err(|error| of_error(object, &error))
}

fn of_error(object: &Object, error: &RenderError) -> Finding {
    let finding = selection::of_rendered(&object.title(), error);
    let spot = object.spot(&finding.field);
    finding.at(Some(spot))
}

/// What a pool gets of the MachineConfigs among objects, and warnings about them.
///
/// # Errors
/// Says what cannot be merged, at its place.
pub fn rendered(pool: &MachineConfigPool, objects: &[Object]) -> Result<(Configuration, Vec<Finding>), Finding> {
    let name = pool.metadata.name.as_deref().unwrap_or_default();
    let selected = selection::selected(pool, objects)?;
    let (rendered, warnings) = selection::render(name, &selected, objects)?;
    let configuration = Configuration::of(rendered)
        .map_err(|error| Finding::error(format!("configuration of the pool {name}"), error.to_string()))?;
    Ok((configuration, warnings))
}

/// The objects of a kind, as their type.
fn all<T: DeserializeOwned>(objects: &[Object], api_version: &str, kind: &str) -> Result<Vec<T>, Finding> {
    let of_kind = objects.iter().filter(|object| object.kind == kind && object.api_version == api_version);
    of_kind.map(Object::read).collect()
}

/// The node of the controller, if all its pods are on one.
fn controller(pods: &[Pod]) -> Option<String> {
    let is_controller = |pod: &&Pod| {
        let labels = pod.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(CONTROLLER_LABEL.0)).is_some_and(|name| name == CONTROLLER_LABEL.1)
    };
    let mut nodes: Vec<&String> =
        pods.iter().filter(is_controller).filter_map(|pod| pod.spec.as_ref()?.node_name.as_ref()).collect();
    nodes.dedup();
    match nodes.as_slice() {
        [one] => Some((*one).clone()),
        _ => None,
    }
}

/// Whether an input can be used; its findings are added to those of the command either way.
pub fn take(input: Input, findings: &mut Vec<Finding>) -> Option<Vec<Object>> {
    let is_usable = !any_error(&input.findings);
    findings.extend(input.findings);
    is_usable.then_some(input.objects)
}
