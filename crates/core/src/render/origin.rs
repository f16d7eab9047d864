//! Which MachineConfig said what in a rendered configuration: who put this here, and whom did it override?

mod index;

use std::collections::{BTreeMap, HashSet};

use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::names;

use super::error::Problem;
use super::ignition::types::Config;
use super::ignition::unit::UNITS;
use super::kargs;

pub(super) use index::{Index, Part};
pub use index::{MAX_INDEX, MAX_TOGETHER, decode};

/// Who said what about each thing of a rendered configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// Files, directories and links, by path.
    pub places: BTreeMap<String, Origin>,
    /// Units, by name.
    pub units: BTreeMap<String, Origin>,
    /// Kernel arguments in the order of the command line, each with the name of its MachineConfig.
    pub kernel_arguments: Vec<(String, String)>,
    /// Extensions, by name, each with the names of all MachineConfigs that ask for it.
    pub extensions: BTreeMap<String, Vec<String>>,
    /// Whether things are left out, since there was no room for them.
    pub truncated: bool,
}

/// Who said what about one thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// By field (`contents`, `mode`, `enabled`, …): names of the MachineConfigs that say it, in merge order. The last one
    /// counts; of `append`, all.
    pub fields: BTreeMap<String, Vec<String>>,
    /// Names of all MachineConfigs that have a part in it, in merge order.
    pub machine_configs: Vec<String>,
    /// Names of MachineConfigs whose thing of another kind at the same path is gone.
    pub replaced: Vec<String>,
}

impl Origins {
    /// What the annotations of a rendered configuration say of its origins; none if they say nothing that can be read.
    pub fn of_annotations(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let sources: Vec<String> = serde_json::from_str(annotations.get(names::SOURCES_ANNOTATION)?).ok()?;
        decode(annotations.get(names::ORIGINS_ANNOTATION)?, &sources)
    }

    /// The MachineConfigs that have a part in what is at a path: a file, a directory, a link, or the file of a unit or drop-in.
    pub fn at(&self, path: &str) -> &[String] {
        let unit = || {
            let below = path.strip_prefix(UNITS)?.strip_prefix('/')?;
            let (name, drop_in) = below.split_once('/').unwrap_or((below, ""));
            self.units.get(if drop_in.is_empty() { name } else { name.strip_suffix(".d")? })
        };
        self.places.get(path).or_else(unit).map_or(&[], |origin| &origin.machine_configs)
    }
}

impl Origin {
    /// The MachineConfig whose word on a field counts.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.last().map(String::as_str)
    }

    /// The MachineConfigs whose words on a field were overridden, in merge order.
    pub fn overridden(&self, field: &str) -> &[String] {
        self.fields.get(field).and_then(|names| names.split_last()).map_or(&[], |(_, before)| before)
    }
}

/// Origins of what stands beside files and units, under way: MachineConfigs are added in merge order.
#[derive(Debug, Default)]
pub(super) struct Collector {
    index: Index,
    /// Arguments of Ignition configurations, which follow all others.
    late: Vec<(String, usize)>,
    late_entries: HashSet<String>,
}

impl Collector {
    /// Adds what the MachineConfig of a number says.
    pub fn add(&mut self, number: usize, config: &Config, spec: &MachineConfigSpec) -> Result<(), Problem> {
        for extension in &spec.extensions {
            self.index.extensions.entry(extension.clone()).or_default().push(number);
        }
        for entry in &spec.kernel_arguments {
            self.index.kernel_arguments.extend(split(entry, number, "spec.kernelArguments")?);
        }
        for entry in &config.kernel_arguments.should_exist {
            // Entries of Ignition configurations unite: the first of equal ones stays where it is.
            if self.late_entries.insert(entry.clone()) {
                self.late.extend(split(entry, number, "kernelArguments.shouldExist")?);
            }
        }
        Ok(())
    }

    /// Who said what in all that was added, and in these files and units.
    pub fn finish(mut self, paths: BTreeMap<String, Part>, units: BTreeMap<String, Part>) -> Index {
        self.index.kernel_arguments.append(&mut self.late);
        Index { paths, units, ..self.index }
    }
}

/// The arguments of an entry, each with the number of the MachineConfig.
fn split(entry: &str, number: usize, field: &str) -> Result<Vec<(String, usize)>, Problem> {
    let arguments = kargs::split(entry).map_err(|fault| fault.at(field))?;
    Ok(arguments.into_iter().map(|argument| (argument, number)).collect())
}

#[cfg(test)]
mod tests;
