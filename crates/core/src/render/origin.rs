//! Which MachineConfig said what in a rendered configuration: who put this here, and whom did it override?

mod index;

use std::collections::{BTreeMap, HashMap, HashSet};

use onlay_api::machine_config::MachineConfigSpec;

use super::error::Problem;
use super::ignition::types::{Config, File, Link, Node, Unit};
use super::kargs;

pub(super) use index::encode;
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

impl Origin {
    /// The MachineConfig whose word on a field counts.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.last().map(String::as_str)
    }

    /// The MachineConfigs whose words on a field were overridden, in merge order.
    pub fn overridden(&self, field: &str) -> &[String] {
        self.fields.get(field).and_then(|names| names.split_last()).map_or(&[], |(_, before)| before)
    }

    fn say<'a>(&mut self, name: &str, fields: impl IntoIterator<Item = (&'a str, bool)>) {
        self.machine_configs.push(name.to_owned());
        for (field, _) in fields.into_iter().filter(|(_, is_said)| *is_said) {
            self.fields.entry(field.to_owned()).or_default().push(name.to_owned());
        }
    }

    /// What is left when a thing of another kind takes the place of this one.
    fn gone(self) -> Self {
        Self { replaced: self.replaced.into_iter().chain(self.machine_configs).collect(), ..Self::default() }
    }
}

/// Origins under way: MachineConfigs are added in merge order.
#[derive(Debug, Default)]
pub(super) struct Collector {
    origins: Origins,
    kinds: HashMap<String, Kind>,
    /// Arguments of Ignition configurations, which follow all others.
    late: Vec<(String, String)>,
    late_entries: HashSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Link,
}

impl Collector {
    /// Adds what one MachineConfig says.
    pub fn add(&mut self, name: &str, config: &Config, spec: &MachineConfigSpec) -> Result<(), Problem> {
        for file in &config.storage.files {
            self.place(&file.node, Kind::File).say(name, of_file(file));
        }
        for directory in &config.storage.directories {
            let fields = of_node(&directory.node).into_iter().chain([("mode", directory.mode.is_some())]);
            self.place(&directory.node, Kind::Directory).say(name, fields);
        }
        for link in &config.storage.links {
            self.place(&link.node, Kind::Link).say(name, of_link(link));
        }
        for unit in &config.systemd.units {
            self.origins.units.entry(unit.name.clone()).or_default().say(name, of_unit(unit));
        }
        for extension in &spec.extensions {
            self.origins.extensions.entry(extension.clone()).or_default().push(name.to_owned());
        }
        for entry in &spec.kernel_arguments {
            self.origins.kernel_arguments.extend(split(entry, name, "spec.kernelArguments")?);
        }
        for entry in &config.kernel_arguments.should_exist {
            // Entries of Ignition configurations unite: the first of equal ones stays where it is.
            if self.late_entries.insert(entry.clone()) {
                self.late.extend(split(entry, name, "kernelArguments.shouldExist")?);
            }
        }
        Ok(())
    }

    /// Who said what in all that was added.
    pub fn finish(mut self) -> Origins {
        self.origins.kernel_arguments.append(&mut self.late);
        self.origins
    }

    fn place(&mut self, node: &Node, kind: Kind) -> &mut Origin {
        let origin = self.origins.places.entry(node.path.clone()).or_default();
        if self.kinds.insert(node.path.clone(), kind).is_some_and(|before| before != kind) {
            *origin = std::mem::take(origin).gone();
        }
        origin
    }
}

/// The arguments of an entry, each with the name of the MachineConfig.
fn split(entry: &str, name: &str, field: &str) -> Result<Vec<(String, String)>, Problem> {
    let arguments = kargs::split(entry).map_err(|fault| fault.at(field))?;
    Ok(arguments.into_iter().map(|argument| (argument, name.to_owned())).collect())
}

fn of_node(node: &Node) -> [(&'static str, bool); 2] {
    let is_said = |id: Option<i64>, name: &Option<String>| id.is_some() || name.is_some();
    [("user", is_said(node.user.id, &node.user.name)), ("group", is_said(node.group.id, &node.group.name))]
}

fn of_file(file: &File) -> impl Iterator<Item = (&'static str, bool)> + use<> {
    let own = [
        ("contents", file.contents.source.is_some()),
        ("mode", file.mode.is_some()),
        ("append", !file.append.is_empty()),
    ];
    of_node(&file.node).into_iter().chain(own)
}

fn of_link(link: &Link) -> impl Iterator<Item = (&'static str, bool)> + use<> {
    of_node(&link.node).into_iter().chain([("target", link.target.is_some())])
}

fn of_unit(unit: &Unit) -> impl Iterator<Item = (&str, bool)> {
    let own =
        [("contents", unit.contents.is_some()), ("enabled", unit.enabled.is_some()), ("mask", unit.mask.is_some())];
    own.into_iter().chain(unit.dropins.iter().map(|dropin| (dropin.name.as_str(), dropin.contents.is_some())))
}

#[cfg(test)]
mod tests;
