//! The two sides of `onlay diff`: files or the live cluster, read and rendered.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use onlay_api::machine_config::MachineConfig;
use onlay_api::machine_configuration::{self, NodeDisruptionPolicy};
use onlay_api::{MachineConfigPool, MachineOSConfig};
use onlay_core::build::base;
use onlay_core::build::extras::Given;
use onlay_core::change::foresee::{Configuration, Side};
use onlay_core::render::is_rendered;

use crate::finding::Finding;
use crate::input::kubectl::Cluster;
use crate::input::{self, Input, Object};
use crate::world::{self, Named, World, take};
use crate::{provided, selection};

/// What a side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand<'a> {
    /// A pool of the live cluster.
    Pool(&'a str),
    /// A MachineConfig of the live cluster.
    MachineConfig(&'a str),
    /// Files.
    Files(&'a str),
}

impl<'a> Operand<'a> {
    /// Reads an argument. `./pool/a` is a file.
    pub fn of(text: &'a str) -> Self {
        match text.split_once('/') {
            Some(("pool" | "machineconfigpool" | "mcp", name)) => Self::Pool(name),
            Some(("machineconfig" | "mc", name)) => Self::MachineConfig(name),
            _ => Self::Files(text),
        }
    }

    /// What is wrong if it is a pool that the cluster does not have.
    fn missing(self, world: &World) -> Option<Finding> {
        let Self::Pool(name) = self else { return None };
        if world.pool(name).is_some() {
            return None;
        }
        let known: Vec<&str> = world.pools.iter().filter_map(|pool| pool.metadata.name.as_deref()).collect();
        let finding = Finding::error(format!("MachineConfigPool {name}"), "is not in the cluster");
        Some(finding.help(format!("the cluster has {}", known.join(", "))))
    }
}

/// What both sides are, before they are read.
pub struct Sides<'a> {
    /// Old and new.
    pub operands: [Operand<'a>; 2],
    /// The pool to render files for.
    pub pool: Option<&'a str>,
    /// Whether directories below the given ones are read.
    pub recursive: bool,
    /// The live cluster.
    pub cluster: &'a Cluster,
}

/// Both sides, read.
pub struct Read {
    /// Old and new.
    pub sides: [OneSide; 2],
    /// The pool that both are for, if that is known.
    pub pool: Option<String>,
    bases: [Option<String>; 2],
    givens: [Given; 2],
}

/// One side, read.
pub struct OneSide {
    /// The configuration.
    pub configuration: Configuration,
    /// Everything that lies beside it.
    pub world: World,
    /// Whether it is a pool of the live cluster, of which everything is known.
    pub is_live: bool,
}

impl Sides<'_> {
    /// Reads both sides; what is wrong is added to the findings.
    pub fn read(&self, stdin: &mut dyn io::Read, findings: &mut Vec<Finding>) -> Option<Read> {
        let (mut worlds, mut asked) = (Vec::new(), None);
        for operand in &self.operands {
            match self.world(*operand, stdin, &mut asked, findings) {
                Ok(world) => worlds.extend(world),
                Err(finding) => findings.push(finding),
            }
        }
        let [old, new] = <[World; 2]>::try_from(worlds).ok()?;
        let live = self.operands.iter().find_map(|operand| match operand {
            Operand::Pool(name) => Some(*name),
            _ => None,
        });
        let pool = self.pool.or(live);
        let worlds = [&old, &new].into_iter().zip(&self.operands);
        let missing: Vec<Finding> = worlds.filter_map(|(world, operand)| operand.missing(world)).collect();
        if !missing.is_empty() {
            findings.extend(missing);
            return None;
        }
        let of_cluster = [&old, &new].into_iter().zip(&self.operands).find_map(|(world, operand)| match operand {
            Operand::Pool(name) if pool == Some(name) => world.pool(name).cloned(),
            _ => None,
        });
        let mut configurations = Vec::new();
        for (world, operand) in [&old, &new].into_iter().zip(&self.operands) {
            match configuration(*operand, world, pool, of_cluster.as_ref(), findings) {
                Ok(configuration) => configurations.push(configuration),
                Err(finding) => findings.push(finding),
            }
        }
        let [before, after] = <[Configuration; 2]>::try_from(configurations).ok()?;
        let named = [&after, &before].into_iter().find_map(|each| of_name(&each.name));
        let pool = pool.or(named).map(str::to_owned);
        let is_live = self.operands.map(|operand| matches!(operand, Operand::Pool(_)));
        let sides = [
            OneSide { configuration: before, world: old, is_live: is_live[0] },
            OneSide { configuration: after, world: new, is_live: is_live[1] },
        ];
        let given = |side: &OneSide| match pool.as_deref() {
            Some(pool) => provided::given(&side.world.objects, pool),
            None => Ok(Given::default()),
        };
        let givens = given(&sides[0]).and_then(|old| Ok([old, given(&sides[1])?]));
        let givens = givens.map_err(|finding| findings.push(finding)).ok()?;
        let mut read = Read { sides, bases: [None, None], givens, pool };
        read.bases = [read.base(0), read.base(1)];
        Some(read)
    }

    fn world(
        &self,
        operand: Operand<'_>,
        stdin: &mut dyn io::Read,
        asked: &mut Option<Result<Input, Finding>>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<World>, Finding> {
        let input = match operand {
            Operand::Files(path) => input::read(&[PathBuf::from(path)], self.recursive, stdin),
            // Both sides are of the same moment, and what is wrong is said once.
            Operand::Pool(_) => asked.get_or_insert_with(|| world::ask(self.cluster)).clone()?,
            Operand::MachineConfig(name) => {
                let mut input = self.cluster.get(&["machineconfigs.machineconfiguration.openshift.io", name])?;
                let policy = [world::POLICY, machine_configuration::NAME, "--ignore-not-found"];
                input.objects.extend(self.cluster.get_if_served(&policy)?.objects);
                input
            }
        };
        take(input, findings).map(World::of).transpose()
    }
}

/// The configuration of a side.
fn configuration(
    operand: Operand<'_>,
    world: &World,
    pool: Option<&str>,
    of_cluster: Option<&MachineConfigPool>,
    findings: &mut Vec<Finding>,
) -> Result<Configuration, Finding> {
    match operand {
        Operand::Pool(name) => world.pool(name).and_then(|pool| world.told(pool)).unwrap_or_else(|| {
            let message = "has no rendered configuration yet; its conditions say why";
            Err(Finding::error(format!("MachineConfigPool {name}"), message))
        }),
        Operand::MachineConfig(name) => {
            let object = world.objects.iter().find(|object| object.name == name && object.machine_config().is_some());
            alone(
                object.ok_or_else(|| Finding::error(format!("MachineConfig {name}"), "is not in the cluster"))?,
                findings,
            )
        }
        Operand::Files(path) => of_files(path, world, pool, of_cluster, findings),
    }
}

/// What files say: what a pool gets of them, or the one MachineConfig in them.
fn of_files(
    path: &str,
    world: &World,
    pool: Option<&str>,
    of_cluster: Option<&MachineConfigPool>,
    findings: &mut Vec<Finding>,
) -> Result<Configuration, Finding> {
    let is_made = |object: &&Object| object.machine_config().is_some_and(is_rendered);
    let is_written = |object: &&Object| object.machine_config().is_some_and(|each| !is_rendered(each));
    let made: Vec<&Object> = world.objects.iter().filter(is_made).collect();
    let written: Vec<&Object> = world.objects.iter().filter(is_written).collect();
    if let (Some(name), true) = (pool, made.is_empty() || !written.is_empty()) {
        let own = world.pool(name).or(of_cluster).cloned();
        if own.is_none() {
            findings.extend(selection::misnamed(name, &world.objects));
        }
        let pool = own.unwrap_or_else(|| selection::pool(&world.objects, name));
        let (configuration, warnings) = world::rendered(&pool, &world.objects)?;
        findings.extend(warnings);
        return Ok(configuration);
    }
    let of_pool = |object: &&&Object| pool.is_none_or(|pool| of_name(&object.name) == Some(pool));
    let made: Vec<&Object> = made.iter().filter(of_pool).copied().collect();
    match (made.as_slice(), written.as_slice()) {
        ([one], _) => world::read(one),
        ([], [one]) => alone(one, findings),
        (made, written) => {
            let message = format!(
                "expected one configuration, found {} MachineConfigs and {} rendered ones",
                written.len(),
                made.len()
            );
            Err(Finding::error(path, message).help("name the pool to render for with --pool"))
        }
    }
}

/// One MachineConfig by itself, as if a pool had no other one.
fn alone(object: &Object, findings: &mut Vec<Finding>) -> Result<Configuration, Finding> {
    if object.machine_config().is_some_and(is_rendered) {
        return world::read(object);
    }
    let selected: Vec<&MachineConfig> = object.machine_config().into_iter().collect();
    let (rendered, warnings) = selection::render("", &selected, std::slice::from_ref(object))?;
    findings.extend(warnings);
    let title = object.title();
    Configuration::new(&object.name, rendered.spec).map_err(|error| Finding::error(title, error.to_string()))
}

/// The pool of a rendered configuration, by its name: `rendered-<pool>-<hash>`.
fn of_name(rendered: &str) -> Option<&str> {
    Some(rendered.strip_prefix("rendered-")?.rsplit_once('-')?.0)
}

impl Read {
    /// Whether it is known what is built for the pool, if anything is.
    pub fn knows_builds(&self) -> bool {
        let is_known = |side: usize| self.sides[side].is_live || self.os_config(side).is_some();
        is_known(0) || is_known(1)
    }

    /// The side that alone has a MachineOSConfig, where the other one does not say whether it has one.
    pub fn only_build(&self) -> Option<usize> {
        let has = |side: &usize| self.own_os_config(*side).is_some();
        [0, 1].into_iter().find(|side| has(side) && !has(&(1 - side)) && !self.says_builds(1 - side))
    }

    fn own_os_config(&self, side: usize) -> Option<&MachineOSConfig> {
        self.sides[side].world.os_config(self.pool.as_deref()?)
    }

    /// Whether a side without a MachineOSConfig builds nothing: MachineConfigs alone do not say that, the pool itself does.
    fn says_builds(&self, side: usize) -> bool {
        let OneSide { world, is_live, .. } = &self.sides[side];
        *is_live || self.pool.as_deref().is_some_and(|pool| world.pool(pool).is_some())
    }

    /// The MachineOSConfig of a side; that of the other one if the side does not say whether it has one.
    fn os_config(&self, side: usize) -> Option<&MachineOSConfig> {
        let other = || self.own_os_config(1 - side).filter(|_| !self.says_builds(side));
        self.own_os_config(side).or_else(other)
    }

    /// The base image of a side's builds. Files rarely say what only a cluster knows: that is taken from the other side.
    fn base(&self, side: usize) -> Option<String> {
        let (pool, own, other) = (self.pool.as_deref()?, &self.sides[side], &self.sides[1 - side]);
        let mut named = Named { os_config: self.os_config(side), ..own.world.named(pool) };
        if !own.is_live {
            let of_other = other.world.named(pool);
            let of_cluster = of_other.config_map.filter(|_| other.is_live || !self.says_builds(side));
            named.config_map = named.config_map.or(of_cluster);
            if named.adopted.is_empty() {
                named.adopted = of_other.adopted;
            }
        }
        World::base(pool, &own.configuration, &named, &[&own.world, &other.world])
    }

    /// A side, as far as its image goes.
    pub fn build_side(&self, side: usize) -> Side<'_> {
        let builds = self.sides.iter().map(|side| side.world.os_builds.as_slice());
        Side {
            configuration: &self.sides[side].configuration,
            os_config: self.os_config(side),
            base: self.bases[side].as_deref(),
            builds: builds.max_by_key(|builds| builds.len()).unwrap_or_default(),
            given: &self.givens[side],
        }
    }

    /// The node disruption policy: that of the new side, else that of the old one.
    pub fn policy(&self) -> Option<&NodeDisruptionPolicy> {
        let [old, new] = &self.sides;
        new.world.policy.as_ref().or(old.world.policy.as_ref())
    }

    /// The container runtime of a node that is known.
    pub fn runtime(&self) -> Option<&str> {
        let mut nodes = self.sides.iter().rev().flat_map(|side| &side.world.nodes);
        nodes.find_map(|node| Some(node.status.as_ref()?.node_info.as_ref()?.container_runtime_version.as_str()))
    }

    /// The architectures of the nodes that are known: of the pool's, if it is known which these are.
    pub fn architectures(&self) -> BTreeSet<String> {
        let pool = self.pool.as_deref().unwrap_or_default();
        let of_pool = |side: &OneSide| {
            let pools: Vec<&MachineConfigPool> = side.world.pools.iter().collect();
            base::nodes_of(pool, &pools, side.world.nodes.iter().map(|node| (node, None))).architectures
        };
        let known = self.sides.iter().rev().map(of_pool).find(|known| !known.is_empty());
        known.unwrap_or_else(|| base::architectures(self.sides.iter().flat_map(|side| &side.world.nodes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::a_pool("pool/worker", Operand::Pool("worker"))]
    #[case::a_pool_by_its_short_name("mcp/worker", Operand::Pool("worker"))]
    #[case::a_machine_config("machineconfig/50-a", Operand::MachineConfig("50-a"))]
    #[case::a_file("a.yaml", Operand::Files("a.yaml"))]
    #[case::a_file_in_a_directory_that_is_called_pool("./pool/a.yaml", Operand::Files("./pool/a.yaml"))]
    fn an_argument_is_read(#[case] text: &str, #[case] expected: Operand<'_>) {
        assert_eq!(Operand::of(text), expected);
    }

    #[rstest]
    #[case("rendered-worker-0123", Some("worker"))]
    #[case("rendered-worker-gpu-0123", Some("worker-gpu"))]
    #[case("50-worker", None)]
    fn a_rendered_name_names_its_pool(#[case] name: &str, #[case] pool: Option<&str>) {
        assert_eq!(of_name(name), pool);
    }
}
