//! Which MachineConfig said what in a rendered configuration: who put this here, and whom did it override?

use std::collections::BTreeMap;

use onlay_api::machine_config::MachineConfig;

use super::error::RenderError;
use super::ignition::types::{Config, File, Link, Node, Unit};
use super::{ignition, kargs, merge};

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
    kind: &'static str,
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

    fn say(&mut self, kind: &'static str, name: &str, fields: impl IntoIterator<Item = (String, bool)>) {
        if !self.kind.is_empty() && self.kind != kind {
            let gone = std::mem::take(self);
            self.replaced = gone.replaced.into_iter().chain(gone.machine_configs).collect();
        }
        self.kind = kind;
        self.machine_configs.push(name.to_owned());
        for (field, _) in fields.into_iter().filter(|(_, is_said)| *is_said) {
            self.fields.entry(field).or_default().push(name.to_owned());
        }
    }
}

/// Who said what in the MachineConfigs that a configuration is rendered from, which [`super::render`] has accepted.
///
/// The order of the argument does not matter, and rendered configurations in it are left out.
pub fn of<'a>(machine_configs: impl IntoIterator<Item = &'a MachineConfig>) -> Result<Origins, RenderError> {
    let mut origins = Origins::default();
    let mut late: Vec<(String, &str)> = Vec::new();
    for machine_config in merge::order(machine_configs) {
        let name = merge::name(machine_config);
        let invalid = |problem| RenderError::Invalid { machine_config: name.to_owned(), problem };
        let config = ignition::read(&machine_config.spec.config, &mut Vec::new()).map_err(invalid)?;
        origins.add(name, &config);
        for extension in &machine_config.spec.extensions {
            origins.extensions.entry(extension.clone()).or_default().push(name.to_owned());
        }
        for entry in &machine_config.spec.kernel_arguments {
            origins.kernel_arguments.extend(split(entry, name, "spec.kernelArguments")?);
        }
        for entry in config.kernel_arguments.should_exist {
            // Entries of Ignition configurations unite: the first of equal ones stays where it is.
            if !late.iter().any(|(known, _)| *known == entry) {
                late.push((entry, name));
            }
        }
    }
    for (entry, name) in late {
        origins.kernel_arguments.extend(split(&entry, name, "kernelArguments.shouldExist")?);
    }
    Ok(origins)
}

/// The arguments of an entry, each with the name of the MachineConfig.
fn split(entry: &str, name: &str, field: &str) -> Result<Vec<(String, String)>, RenderError> {
    let arguments = kargs::split(entry)
        .map_err(|fault| RenderError::Invalid { machine_config: name.to_owned(), problem: fault.at(field) })?;
    Ok(arguments.into_iter().map(|argument| (argument, name.to_owned())).collect())
}

impl Origins {
    fn add(&mut self, name: &str, config: &Config) {
        for file in &config.storage.files {
            self.places.entry(file.node.path.clone()).or_default().say("file", name, of_file(file));
        }
        for directory in &config.storage.directories {
            let fields = of_node(&directory.node).into_iter().chain([("mode".to_owned(), directory.mode.is_some())]);
            self.places.entry(directory.node.path.clone()).or_default().say("directory", name, fields);
        }
        for link in &config.storage.links {
            self.places.entry(link.node.path.clone()).or_default().say("link", name, of_link(link));
        }
        for unit in &config.systemd.units {
            self.units.entry(unit.name.clone()).or_default().say("unit", name, of_unit(unit));
        }
    }
}

fn of_node(node: &Node) -> [(String, bool); 2] {
    let is_said = |id: Option<i64>, name: &Option<String>| id.is_some() || name.is_some();
    [
        ("user".to_owned(), is_said(node.user.id, &node.user.name)),
        ("group".to_owned(), is_said(node.group.id, &node.group.name)),
    ]
}

fn of_file(file: &File) -> impl Iterator<Item = (String, bool)> + use<> {
    let own = [
        ("contents".to_owned(), file.contents.source.is_some()),
        ("mode".to_owned(), file.mode.is_some()),
        ("append".to_owned(), !file.append.is_empty()),
    ];
    of_node(&file.node).into_iter().chain(own)
}

fn of_link(link: &Link) -> impl Iterator<Item = (String, bool)> + use<> {
    of_node(&link.node).into_iter().chain([("target".to_owned(), link.target.is_some())])
}

fn of_unit(unit: &Unit) -> Vec<(String, bool)> {
    let mut fields = vec![
        ("contents".to_owned(), unit.contents.is_some()),
        ("enabled".to_owned(), unit.enabled.is_some()),
        ("mask".to_owned(), unit.mask.is_some()),
    ];
    fields.extend(unit.dropins.iter().map(|dropin| (dropin.name.clone(), dropin.contents.is_some())));
    fields
}

#[cfg(test)]
mod tests;
