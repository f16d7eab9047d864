//! Merging MachineConfigs into the configuration of a pool.
//!
//! Source of the rules: the compatible API. MachineConfigs of the role `worker` come first, by name, then all others,
//! by name, so that a custom pool overrides what it inherits.

use onlay_api::machine_config::{MachineConfig, MachineConfigSpec};
use onlay_api::names;
use serde_json::Value;

use super::desired::Desired;
use super::error::{Fault, Problem, RenderError};
use super::extension::KERNEL_DEVEL;
use super::ignition::Said;
use super::ignition::merge::{self as layers, Place, United};
use super::ignition::spec::configuration;
use super::ignition::spec::report::Severity;
use super::ignition::types::Config;
use super::naming::Naming;
use super::origin::{Collector, Index, Part};
use super::problems::Problems;
use super::validate::{self, DEFAULT_KERNEL};
use super::{Warning, desired, ignition, notice};

/// Warnings of one MachineConfig that are kept; people read the first ones.
const MAX_WARNINGS: usize = 20;

/// The MachineConfigs of a pool in merge order, without rendered ones.
pub fn order<'a>(machine_configs: impl IntoIterator<Item = &'a MachineConfig>) -> Vec<&'a MachineConfig> {
    let mut ordered: Vec<_> = machine_configs.into_iter().filter(|each| !super::is_rendered(each)).collect();
    ordered.sort_by_cached_key(|each| (!is_worker(each), name(each)));
    ordered
}

/// Name of a MachineConfig; empty if it has none.
pub fn name(machine_config: &MachineConfig) -> &str {
    machine_config.metadata.name.as_deref().unwrap_or_default()
}

fn is_worker(machine_config: &MachineConfig) -> bool {
    let labels = machine_config.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(names::ROLE_LABEL)).is_some_and(|role| role == names::WORKER_POOL)
}

/// What MachineConfigs become together.
pub struct Merged {
    /// The specification.
    pub spec: MachineConfigSpec,
    /// Which of them says what in it, by their positions.
    pub index: Index,
    /// What was accepted but probably not meant.
    pub warnings: Vec<Warning>,
}

/// Merges MachineConfigs, given in merge order, after checking each of them.
pub fn merge(ordered: &[&MachineConfig]) -> Result<Merged, RenderError> {
    let mut spec = empty();
    let mut extensions = United::default();
    let mut merged = layers::Merged::default();
    let mut origins = Collector::default();
    let mut warnings = Vec::new();
    let mut bytes = 0;
    for (number, machine_config) in ordered.iter().enumerate() {
        let name = name(machine_config);
        let invalid = |problem| RenderError::Invalid { machine_config: name.to_owned(), problem };
        let (config, own_bytes) = read(machine_config, &mut warnings).map_err(invalid)?;
        bytes += own_bytes;
        origins.add(number, &config, &machine_config.spec).map_err(invalid)?;
        merged.add(number, config);
        extensions.add(machine_config.spec.extensions.iter().cloned());
        merge_spec(&mut spec, &machine_config.spec);
    }
    spec.extensions = extensions.into_entries();
    validate::kernel(&spec).map_err(|problem| blame(ordered, &of_kernel(ordered), problem))?;
    check_entries(&merged).map_err(|(part, problem)| blame(ordered, part.all(), problem))?;
    let (mut config, paths, units) = merged.into_config();
    let index = origins.finish(paths, units);
    validate::no_clashes(&config, Naming::ByKey)
        .map_err(|clash| blame(ordered, &index.parts_in(clash.keys), clash.problem))?;
    overwrite_by_default(&mut config);
    if bytes > desired::MAX_TOTAL {
        // What is overridden was counted too: only now it matters how much is left.
        desired::check(&config, &spec)?;
    }
    spec.config = super::to_json(&config, "spec.config")?;
    Ok(Merged { spec, index, warnings })
}

/// Those that ask for kernel-devel or choose a kernel.
fn of_kernel(ordered: &[&MachineConfig]) -> Vec<usize> {
    let chooses = |spec: &MachineConfigSpec| {
        spec.kernel_type.as_deref().is_some_and(|kernel| !kernel.is_empty() && kernel != DEFAULT_KERNEL)
    };
    let asks = |spec: &MachineConfigSpec| spec.extensions.iter().any(|name| name == KERNEL_DEVEL);
    let found = ordered.iter().enumerate().filter(|(_, each)| asks(&each.spec) || chooses(&each.spec));
    found.map(|(number, _)| number).collect()
}

/// The error of a problem that these have together.
fn blame(ordered: &[&MachineConfig], numbers: &[usize], problem: Problem) -> RenderError {
    let names = numbers.iter().filter_map(|number| ordered.get(*number)).map(|each| name(each).to_owned());
    let machine_configs: Vec<String> = names.collect();
    match machine_configs.as_slice() {
        [machine_config] => RenderError::Invalid { machine_config: machine_config.clone(), problem },
        _ => RenderError::Conflict { machine_configs, problem },
    }
}

/// Checks the parts of an Ignition configuration that never reach a node, too: what Ignition refuses is refused here. An
/// empty configuration is none.
fn keeps_the_specification(config: &Value, problems: &mut Problems) {
    if config.as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    let Err(report) = configuration::of_value(config) else { return };
    for remark in report.into_remarks().into_iter().filter(|remark| remark.severity == Severity::Error) {
        problems.add(Fault::Specification(remark.message).at(remark.path.in_brackets()));
    }
}

/// What a MachineConfig says by itself.
struct Alone {
    config: Config,
    desired: Desired,
    unknown: Vec<String>,
    problems: Problems,
}

/// Reads one MachineConfig and checks it as if it were alone.
fn alone(machine_config: &MachineConfig) -> Alone {
    let spec = &machine_config.spec;
    let mut said = Said::default();
    let config = ignition::read_all(&spec.config, &mut said);
    let Said { unknown, mut problems } = said;
    // What follows from a value that could not be read is no problem of its own.
    let is_read = problems.are_refusals();
    let desired =
        if is_read { desired::of_config(&config, Naming::ByIndex, &mut problems) } else { Desired::default() };
    if problems.is_empty() {
        keeps_the_specification(&spec.config, &mut problems);
    }
    validate::spec(spec, &mut problems);
    Alone { config, desired, unknown, problems }
}

/// All that is wrong with one MachineConfig by itself, as far as people read.
pub fn problems(machine_config: &MachineConfig) -> Vec<Problem> {
    let mut problems = alone(machine_config).problems;
    problems.take(validate::kernel(&machine_config.spec));
    problems.into_vec()
}

/// Reads one MachineConfig, or says what is wrong with it first. The number is that of the bytes in its files.
fn read(machine_config: &MachineConfig, warnings: &mut Vec<Warning>) -> Result<(Config, usize), Problem> {
    let Alone { config, desired, unknown, problems } = alone(machine_config);
    problems.first()?;
    let notices =
        notice::unknown_fields(unknown).chain(notice::of_config(&config)).chain(notice::of_spec(&machine_config.spec));
    warnings.extend(notices.take(MAX_WARNINGS).map(|(field, text)| Warning {
        machine_config: name(machine_config).to_owned(),
        field,
        text,
    }));
    Ok((config, desired.files.iter().map(|file| file.contents.len()).sum()))
}

/// Checks entries that several have a part in, since what is right in each can be wrong together, and files that
/// are appended to, since somebody must say to what.
fn check_entries(merged: &layers::Merged) -> Result<(), (&Part, Problem)> {
    let appended = |place: &Place| matches!(place, Place::File(file) if !file.append.is_empty());
    for place in merged.places.values().filter(|at| at.part.all().len() > 1 || appended(&at.entry)) {
        let path = &place.entry.node().path;
        let checked = match &place.entry {
            Place::File(file) => desired::whole_file(file, format_args!("storage.files[{path}]")).map(drop),
            Place::Directory(directory) => {
                desired::directory(directory, format_args!("storage.directories[{path}]")).map(drop)
            }
            Place::Link(link) => desired::link(link, format_args!("storage.links[{path}]")).map(drop),
        };
        checked.map_err(|problem| (&place.part, problem))?;
    }
    for unit in merged.units.values().filter(|unit| unit.part.all().len() > 1) {
        let checked = desired::unit(&unit.entry, format_args!("systemd.units[{}]", unit.entry.name));
        checked.map_err(|problem| (&unit.part, problem))?;
    }
    Ok(())
}

/// Files with contents take the place of what is there, as the compatible API has it.
fn overwrite_by_default(config: &mut Config) {
    for file in &mut config.storage.files {
        if file.contents.source.is_some() && file.node.overwrite.is_none() {
            file.node.overwrite = Some(true);
        }
    }
}

fn empty() -> MachineConfigSpec {
    MachineConfigSpec {
        fips: Some(false),
        kernel_type: Some(DEFAULT_KERNEL.to_owned()),
        ..MachineConfigSpec::default()
    }
}

fn merge_spec(parent: &mut MachineConfigSpec, child: &MachineConfigSpec) {
    parent.kernel_arguments.extend_from_slice(&child.kernel_arguments);
    parent.fips = Some(parent.fips == Some(true) || child.fips == Some(true));
    let said = |field: &Option<String>| field.clone().filter(|value| !value.is_empty());
    if let Some(kernel) = said(&child.kernel_type).filter(|kernel| kernel != DEFAULT_KERNEL) {
        parent.kernel_type = Some(kernel);
    }
    if let Some(image) = said(&child.os_image_url) {
        parent.os_image_url = Some(image);
    }
    if let Some(image) = said(&child.base_os_extensions_container_image) {
        parent.base_os_extensions_container_image = Some(image);
    }
}
