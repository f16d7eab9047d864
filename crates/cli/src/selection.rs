//! Pools, what they select, and what is rendered of it, with errors at their places in the files.

use std::collections::BTreeSet;

use onlay_api::machine_config::MachineConfig;
use onlay_api::{MachineConfigPool, names};
use onlay_core::change::refusal::Refusal;
use onlay_core::pools::{self, PoolError};
use onlay_core::render::{self, Fault, Problem, RenderError, Rendered, Warning, is_rendered};

use crate::finding::{Finding, Spot};
use crate::input::Object;

/// A pool: one of the files, or the one of this name that a cluster has by default.
pub fn pool(objects: &[Object], name: &str) -> MachineConfigPool {
    let given = objects.iter().filter(|object| object.name == name).find_map(Object::pool);
    given.cloned().unwrap_or_else(|| pools::default_pool(name))
}

/// Names of the pools in the files, and of those that roles of MachineConfigs name.
pub fn pool_names(objects: &[Object]) -> BTreeSet<String> {
    let given = objects.iter().filter(|object| object.pool().is_some()).map(|object| object.name.clone());
    given.chain(roles(objects).into_iter().map(str::to_owned)).collect()
}

/// A warning about a pool that is nowhere named, which may be a mistake in typing.
pub fn misnamed(name: &str, objects: &[Object]) -> Option<Finding> {
    let known = pool_names(objects);
    if known.contains(name) {
        return None;
    }
    let gets = match name {
        names::WORKER_POOL | names::MASTER_POOL => "nothing",
        _ => "no more than the role worker gives it",
    };
    let message = format!("no file has this pool, and no MachineConfig has its role; it gets {gets}");
    let known: Vec<String> = known.into_iter().collect();
    let finding = Finding::warning(format!("MachineConfigPool {name}"), message);
    Some(if known.is_empty() { finding } else { finding.help(format!("the files name {}", known.join(", "))) })
}

/// What cannot change on nodes that run, at the places that say it.
pub fn refused(refusals: &[Refusal], configuration: &str, objects: &[Object]) -> Vec<Finding> {
    let written = || objects.iter().filter(|object| object.machine_config().is_some_and(|each| !is_rendered(each)));
    let finding = |refusal: &Refusal| {
        let found = written().rev().find_map(|object| Some((object.title(), object.spot_of_entry(&refusal.field)?)));
        let (title, spot) = found.map_or((configuration.to_owned(), None), |(title, spot)| (title, Some(spot)));
        let message = format!("cannot change on nodes that run: {}", refusal.way_out);
        Finding::error(title, message).in_field(&refusal.field).at(spot)
    };
    refusals.iter().map(finding).collect()
}

/// A warning about a MachineConfig that no pool can select, unless it is a rendered one.
pub fn unselected(object: &Object, pools: &[MachineConfigPool]) -> Option<Finding> {
    let machine_config = object.machine_config().filter(|each| !is_rendered(each))?;
    let one = std::slice::from_ref(machine_config);
    let selects = |pool| pools::machine_configs_of(pool, one).is_ok_and(|selected| !selected.is_empty());
    if pools.iter().any(selects) {
        return None;
    }
    let message = "is selected by no pool: a role that names a pool puts it there";
    let finding = Finding::warning(object.title(), message).in_field("metadata.labels");
    let help = format!("add the label {}: worker, or that of another pool", names::ROLE_LABEL);
    Some(finding.at(Some(object.spot("metadata.labels"))).help(help))
}

/// Roles of the MachineConfigs.
pub fn roles(objects: &[Object]) -> BTreeSet<&str> {
    let labels = objects.iter().filter_map(|object| object.machine_config()?.metadata.labels.as_ref());
    labels.filter_map(|labels| labels.get(names::ROLE_LABEL)).map(String::as_str).collect()
}

/// The MachineConfigs that a pool selects, without rendered ones.
pub fn selected<'a>(pool: &MachineConfigPool, objects: &'a [Object]) -> Result<Vec<&'a MachineConfig>, Finding> {
    let machine_configs = objects.iter().filter_map(Object::machine_config);
    pools::machine_configs_of(pool, machine_configs).map_err(|error| of_pool_error(&error, objects))
}

/// An error of a pool, at its place.
pub fn of_pool_error(error: &PoolError, objects: &[Object]) -> Finding {
    match error {
        PoolError::Selector { pool, field, reason } => {
            let object = objects.iter().find(|object| object.name == *pool && object.pool().is_some());
            let finding = Finding::error(format!("MachineConfigPool {pool}"), reason.to_string()).in_field(*field);
            finding.at(object.map(|object| object.spot(field)))
        }
        PoolError::Conflict { .. } => Finding::error("", error.to_string()),
    }
}

/// Renders MachineConfigs; what is wrong is said at its places.
pub fn render(
    pool: &str,
    selected: &[&MachineConfig],
    objects: &[Object],
) -> Result<(Rendered, Vec<Finding>), Finding> {
    let rendered =
        render::render(pool, selected.iter().copied()).map_err(|error| of_error(pool, selected, &error, objects))?;
    let warnings = rendered.warnings.iter().map(|warning| of_warning(warning, objects)).collect();
    Ok((rendered, warnings))
}

fn machine_config<'a>(objects: &'a [Object], name: &str) -> Option<&'a Object> {
    objects.iter().find(|object| object.name == name && object.machine_config().is_some())
}

fn of_warning(warning: &Warning, objects: &[Object]) -> Finding {
    let object = machine_config(objects, &warning.machine_config);
    let finding = Finding::warning(format!("MachineConfig {}", warning.machine_config), &warning.text);
    finding.in_field(&warning.field).at(object.map(|object| object.spot(&warning.field)))
}

fn of_error(pool: &str, selected: &[&MachineConfig], error: &RenderError, objects: &[Object]) -> Finding {
    match error {
        RenderError::Invalid { machine_config: name, problem } => {
            let finding = Finding::error(format!("MachineConfig {name}"), problem.fault.to_string());
            finding.in_field(&problem.field).at(machine_config(objects, name).map(|object| spot(object, problem)))
        }
        RenderError::Conflict { machine_configs, problem } => conflict(machine_configs, problem, objects),
        RenderError::Rendered { problem } => {
            Finding::error(format!("configuration of the pool {pool}"), problem.fault.to_string())
                .in_field(&problem.field)
        }
        RenderError::TooLarge { bytes, limit, contributors } => {
            let by_itself = (selected.len() == 1).then_some(*bytes);
            too_large(pool, by_itself, [*bytes, *limit], contributors, objects)
        }
        RenderError::TooMany { number, bytes, limit } => {
            let message = format!("the names of its {number} MachineConfigs have {bytes} bytes, {limit} at most");
            Finding::error(format!("configuration of the pool {pool}"), message).help(render::TOO_MANY)
        }
    }
}

/// A configuration that cannot be stored, at the MachineConfigs that make it large. It is the fault of one of them only
/// if that is too large by itself; `by_itself` is its size where it is the only one.
fn too_large(
    pool: &str,
    by_itself: Option<usize>,
    [bytes, limit]: [usize; 2],
    contributors: &[(String, usize)],
    objects: &[Object],
) -> Finding {
    let message = |bytes| format!("has {bytes} bytes, the cluster's store takes {limit}");
    let finding = match contributors {
        [(name, own)] if by_itself.is_some() || *own > limit => {
            Finding::error(format!("MachineConfig {name}"), message(by_itself.unwrap_or(*own)))
        }
        all => {
            let most = |(name, own): &(String, usize)| {
                format!("; the largest part, {own} bytes, is that of MachineConfig {name}")
            };
            let most = all.first().map(most).unwrap_or_default();
            Finding::error(format!("configuration of the pool {pool}"), message(bytes) + &most)
        }
    };
    let finding = finding.help(render::TOO_LARGE);
    contributors.iter().fold(finding, |finding, (name, bytes)| {
        let spot = machine_config(objects, name).map(|object| object.spot("metadata.name"));
        let label = Some(format!("{bytes} of them come from MachineConfig {name}"));
        finding.at(spot.map(|spot| Spot { label, ..spot }))
    })
}

/// An error in a configuration that is rendered already.
pub fn of_rendered(title: &str, error: &RenderError) -> Finding {
    match error.problem() {
        Some(problem) => Finding::error(title, problem.fault.to_string()).in_field(&problem.field),
        None => Finding::error(title, error.to_string()),
    }
}

/// The place of a problem of one MachineConfig.
fn spot(object: &Object, problem: &Problem) -> Spot {
    match *problem.fault {
        Fault::UnitSyntax { line, .. } => object.spot_of_line(&problem.field, line),
        _ => object.spot(&problem.field),
    }
}

/// The places of a contradiction: in the last MachineConfig first, since it is the newer part.
fn conflict(machine_configs: &[String], problem: &Problem, objects: &[Object]) -> Finding {
    let other = match problem.fault.as_ref() {
        Fault::Below { field, .. } => field.as_str(),
        Fault::Duplicate { first, .. } => first.as_str(),
        _ => problem.field.as_str(),
    };
    let mut finding =
        Finding::error(format!("MachineConfigs {}", machine_configs.join(", ")), problem.fault.to_string())
            .in_field(&problem.field);
    for name in machine_configs.iter().rev() {
        let Some(object) = machine_config(objects, name) else { continue };
        let spot = object.spot_of_entry(&problem.field).or_else(|| object.spot_of_entry(other));
        let spot = spot.unwrap_or_else(|| object.spot(&problem.field));
        let label = (!finding.spots.is_empty()).then(|| format!("the other part is in MachineConfig {name}"));
        finding = finding.at(Some(Spot { label, ..spot }));
    }
    finding
}
