//! Two worlds, pool by pool: what the core is asked about each of them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Node;
use onlay_api::{MachineConfigPool, MachineOSConfig};
use onlay_core::build::base;
use onlay_core::build::containerfile;
use onlay_core::build::extras::Given;
use onlay_core::build::inputs::containerfile_for;
use onlay_core::build::packages::Packages;
use onlay_core::change::foresee::{self, Configuration, Forecast, Member, PoolSide, Side};
use onlay_core::change::past;
use onlay_core::pools::{self, Labels, PoolError};

use crate::finding::{Finding, Severity};
use crate::input::Object;
use crate::world::{self, World, Worlds};
use crate::{provided, selection};

/// The kind that says what is built for a pool.
const OS_CONFIG: &str = "MachineOSConfig";

/// What each pool goes through, none if nothing differs for it; what is wrong is added to the findings.
pub fn foresee(worlds: &Worlds, findings: &mut Vec<Finding>) -> Vec<(String, Option<Forecast>)> {
    if worlds.after.pools.is_empty() {
        let finding = Finding::error("", "there is no MachineConfigPool, neither in the files nor in what is there");
        findings.push(finding.help("`kubectl get machineconfigpools -o yaml` writes those of a cluster"));
        return Vec::new();
    }
    findings.extend(worlds.wanted.iter().filter_map(|object| homeless_build(object, worlds)));
    findings.extend(unselected(worlds));
    let homes = Homes::of(worlds, findings);
    let told = told(&worlds.before, findings);
    let mut running = BTreeMap::new();
    for state in worlds.before.states.values() {
        let name = state.status.as_ref().and_then(|status| status.config_version.as_ref()?.current.as_ref());
        let known = name.and_then(|name| Some((name.as_str(), worlds.before.rendered(name)?)));
        running.extend(known.and_then(|(name, read)| Some((name, read.ok()?))));
    }
    let seen = Seen { worlds, homes, told, running };
    let mut forecasts = Vec::new();
    for pool in &worlds.after.pools {
        match seen.forecast(pool, findings) {
            Ok(forecast) => forecasts.push((name(pool).to_owned(), forecast)),
            Err(finding) => findings.push(finding),
        }
    }
    forecasts
}

/// What each pool is told to run now, by name; one that cannot be rendered is left out.
fn told<'a>(before: &'a World, findings: &mut Vec<Finding>) -> BTreeMap<&'a str, Configuration> {
    let mut told = BTreeMap::new();
    for pool in &before.pools {
        let rendered = || world::rendered(pool, &before.objects).map(|(configuration, _)| configuration);
        match before.told(pool).unwrap_or_else(rendered) {
            Ok(configuration) => _ = told.insert(name(pool), configuration),
            Err(finding) => findings.push(finding),
        }
    }
    told
}

/// Everything that a forecast is made of.
struct Seen<'a> {
    worlds: &'a Worlds,
    homes: Homes<'a>,
    told: BTreeMap<&'a str, Configuration>,
    /// What nodes run, by name.
    running: BTreeMap<&'a str, Configuration>,
}

impl Seen<'_> {
    fn forecast(&self, pool: &MachineConfigPool, findings: &mut Vec<Finding>) -> Result<Option<Forecast>, Finding> {
        let (before, after, name) = (&self.worlds.before, &self.worlds.after, name(pool));
        let (configuration, warnings) = world::rendered(pool, &after.objects)?;
        let wanted: BTreeSet<String> = self.worlds.wanted.iter().map(Object::title).collect();
        findings.extend(warnings.into_iter().filter(|warning| wanted.contains(&warning.object)));
        let old = before.pool(name).zip(self.told.get(name));
        let (old_given, new_given) = (provided::given(&before.objects, name)?, provided::given(&after.objects, name)?);
        let base_in = |world: &World, told| World::base(name, told, &world.named(name), &[world]);
        let old_base = old.and_then(|(_, told)| base_in(before, told));
        let new_base = base_in(after, &configuration);
        let old = old.map(|(pool, configuration)| PoolSide {
            pool,
            side: Side {
                configuration,
                os_config: before.os_config(name),
                base: old_base.as_deref(),
                builds: &before.os_builds,
                given: &old_given,
            },
        });
        let os_config = after.os_config(name);
        let (base, builds) = (new_base.as_deref(), after.os_builds.as_slice());
        let new =
            PoolSide { pool, side: Side { configuration: &configuration, os_config, base, builds, given: &new_given } };
        let nothing = Configuration::default();
        let members = self.members(name, &nothing);
        let architectures = foresee::architectures(&members);
        os_config.map_or(Ok(()), |os_config| {
            buildable(os_config, &configuration, &new_given, &architectures, &after.objects)
        })?;
        let past = past::of(before.builds_of(os_config), before.states.values());
        let forecast = foresee::pool(old, new, &members, after.policy.as_ref(), &past);
        let mut told = BTreeSet::new();
        for group in forecast.iter().flat_map(|forecast| &forecast.moves) {
            let new = group.comparison.refusals.iter().filter(|refusal| told.insert((*refusal).clone()));
            let new: Vec<_> = new.cloned().collect();
            findings.extend(selection::refused(&new, &format!("MachineConfigPool {name}"), &after.objects));
        }
        Ok(forecast)
    }

    /// The nodes of a pool as it shall be. A node of which nothing is known runs what its pool was told.
    fn members<'m>(&'m self, pool: &str, nothing: &'m Configuration) -> Vec<Member<'m>> {
        let after = &self.worlds.after;
        let of_pool = after.nodes.iter().filter(|node| self.homes.after.get(node_name(node)) == Some(&Some(pool)));
        let member = |node: &'m Node| {
            let state = after.state(node);
            let current = state.and_then(|state| state.status.as_ref()?.config_version.as_ref()?.current.as_deref());
            let known = current.and_then(|current| self.running.get(current));
            let home = self.homes.before.get(node_name(node)).copied().flatten();
            Member {
                node,
                state,
                running: known.or(home.and_then(|home| self.told.get(home))).unwrap_or(nothing),
                is_new: home != Some(pool),
                runs_controller: after.controller.as_deref() == Some(node_name(node)),
            }
        };
        of_pool.map(member).collect()
    }
}

/// The pools of the nodes, by node; none of a node without a pool.
struct Homes<'a> {
    before: BTreeMap<&'a str, Option<&'a str>>,
    after: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> Homes<'a> {
    /// Finds them. A node that loses its pool, or gets two of them, by the files is told about.
    fn of(worlds: &'a Worlds, findings: &mut Vec<Finding>) -> Self {
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        for node in &worlds.after.nodes {
            let name = node_name(node);
            let (old, new) = (home(node, &worlds.before), home(node, &worlds.after));
            findings.extend(
                lost(&old, &new)
                    .map(|(severity, message)| Finding { severity, ..Finding::error(format!("Node {name}"), message) }),
            );
            before.insert(name, old.ok().flatten());
            after.insert(name, new.ok().flatten());
        }
        Self { before, after }
    }
}

/// What is wrong where a node has no pool afterwards. What was wrong before is not the fault of the files.
fn lost(old: &Result<Option<&str>, PoolError>, new: &Result<Option<&str>, PoolError>) -> Option<(Severity, String)> {
    match (old, new) {
        (Err(before), Err(error)) if before == error => Some((Severity::Warning, error.to_string())),
        (_, Err(error)) => Some((Severity::Error, error.to_string())),
        (Ok(Some(pool)), Ok(None)) => {
            let message = "and no other one selects it; it keeps what it runs, and gets nothing new";
            Some((Severity::Warning, format!("leaves the pool {pool}, {message}")))
        }
        _ => None,
    }
}

fn home<'a>(node: &Node, world: &'a World) -> Result<Option<&'a str>, PoolError> {
    let none = Labels::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    Ok(pools::pool_of(labels, &world.pools)?.map(name))
}

/// A wanted MachineOSConfig without a pool.
fn homeless_build(object: &Object, worlds: &Worlds) -> Option<Finding> {
    let is_it = |each: &&MachineOSConfig| each.metadata.name.as_ref() == Some(&object.name);
    let os_config = worlds.after.os_configs.iter().find(is_it).filter(|_| object.kind == OS_CONFIG)?;
    let (pool, field) = (&os_config.spec.machine_config_pool.name, "spec.machineConfigPool.name");
    if worlds.after.pool(pool).is_some() {
        return None;
    }
    let finding = Finding::error(object.title(), format!("there is no MachineConfigPool {pool}; create it"));
    Some(finding.in_field(field).at(Some(object.spot(field))))
}

/// Whether builds can read the Containerfiles of a pool, and do what its configuration asks of an image.
fn buildable(
    os_config: &MachineOSConfig,
    configuration: &Configuration,
    given: &Given,
    architectures: &BTreeSet<String>,
    objects: &[Object],
) -> Result<(), Finding> {
    let name = os_config.metadata.name.as_deref().unwrap_or_default();
    let extensions_image = base::extensions_image(Some(os_config), &configuration.spec, None);
    let packages = Packages::of(&configuration.spec, extensions_image.as_deref());
    let title = format!("{OS_CONFIG} {name}");
    if let Some(failure) = architectures.iter().find_map(|architecture| packages.refusal(architecture)) {
        return Err(Finding::error(title, format!("no image can be built: {}", failure.message)));
    }
    let files = &os_config.spec.container_file;
    let missing = architectures.iter().find_map(|architecture| containerfile_for(files, architecture).err());
    if let Some(missing) = missing.filter(|_| given.containerfile.is_none()) {
        return Err(Finding::error(title, missing.to_string()).in_field("spec.containerFile"));
    }
    for (index, entry) in os_config.spec.container_file.iter().enumerate() {
        let Err(error) = containerfile::parse_with(&entry.content, &given.extras.outside()) else { continue };
        let field = format!("spec.containerFile[{index}].content");
        let object = objects.iter().find(|object| object.kind == OS_CONFIG && object.name == name);
        let finding = Finding::error(title, error.to_string()).in_field(&field);
        return Err(finding.at(object.map(|object| object.spot(&field))));
    }
    Ok(())
}

/// Wanted MachineConfigs that no pool selects.
fn unselected(worlds: &Worlds) -> Vec<Finding> {
    worlds.wanted.iter().filter_map(|object| selection::unselected(object, &worlds.after.pools)).collect()
}

fn name(pool: &MachineConfigPool) -> &str {
    pool.metadata.name.as_deref().unwrap_or_default()
}

fn node_name(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}
