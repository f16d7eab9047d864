//! A rendered configuration, turned into what a node must have: files, directories, links, units, arguments and keys.

use std::fmt::Arguments;

use onlay_api::machine_config::MachineConfigSpec;

use super::error::{Fault, Problem, RenderError, excerpt};
use super::ignition::types::{Config, Directory, DropIn as DropInConfig, File, Link, Node, Unit, User};
use super::ignition::{self, resource, unit};
use super::naming::Naming;
use super::problems::Problems;
use super::{kargs, validate};

pub use super::owner::Owner;

/// Largest sum of all contents of a configuration, in bytes. A node's agent holds them in memory.
pub const MAX_TOTAL: usize = 16 << 20;

/// The user whose keys are managed.
const CORE: &str = "core";

/// Everything that a rendered configuration asks of a node, each list sorted by path or name.
///
/// Equal values mean that nothing has to be done on a node to get from one to the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// Regular files.
    pub files: Vec<DesiredFile>,
    /// Directories.
    pub directories: Vec<DesiredDirectory>,
    /// Symbolic links.
    pub links: Vec<DesiredLink>,
    /// Units and their drop-ins.
    pub units: Vec<DesiredUnit>,
    /// Arguments of the kernel command line, one each, in order.
    pub kernel_arguments: Vec<String>,
    /// Public keys that let their holders in as the user `core`, in order.
    pub ssh_authorized_keys: Vec<String>,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredFile {
    /// Absolute, normalised path.
    pub path: String,
    /// Permission bits, up to 07777.
    pub mode: u32,
    /// Owning user.
    pub user: Owner,
    /// Owning group.
    pub group: Owner,
    /// The contents, decoded and unpacked.
    pub contents: Vec<u8>,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredDirectory {
    /// Absolute, normalised path.
    pub path: String,
    /// Permission bits, up to 07777.
    pub mode: u32,
    /// Owning user.
    pub user: Owner,
    /// Owning group.
    pub group: Owner,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredLink {
    /// Absolute, normalised path.
    pub path: String,
    /// The text of the link.
    pub target: String,
    /// Owning user of the link itself.
    pub user: Owner,
    /// Owning group of the link itself.
    pub group: Owner,
}

/// A unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredUnit {
    /// Name with its suffix.
    pub name: String,
    /// Contents of the unit file; none if the image brings the unit, or if it is masked.
    pub contents: Option<String>,
    /// Enabled or disabled; none leaves it as its preset says.
    pub enabled: Option<bool>,
    /// Masked or unmasked; none leaves it as it is.
    pub masked: Option<bool>,
    /// Drop-ins with contents, sorted by name.
    pub dropins: Vec<DropIn>,
}

/// A drop-in of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    /// File name, ending in `.conf`.
    pub name: String,
    /// Contents of the file.
    pub contents: String,
}

/// Turns a rendered configuration into what a node must have.
///
/// Fails if the configuration was not made by [`super::render`] and breaks one of its rules.
pub fn of(spec: &MachineConfigSpec) -> Result<Desired, RenderError> {
    let config = ignition::read(&spec.config, &mut Vec::new());
    config.and_then(|config| materialise(&config, spec)).map_err(|problem| RenderError::Rendered { problem })
}

/// Checks that [`of`] can read a specification, whose configuration is not in it yet.
pub(super) fn check(config: &Config, spec: &MachineConfigSpec) -> Result<(), RenderError> {
    materialise(config, spec).map(drop).map_err(|problem| RenderError::Rendered { problem })
}

fn materialise(config: &Config, spec: &MachineConfigSpec) -> Result<Desired, Problem> {
    let mut problems = Problems::default();
    validate::spec(spec, &mut problems);
    let mut desired = of_config(config, Naming::ByKey, &mut problems);
    let mut arguments = split_all(&spec.kernel_arguments, "spec.kernelArguments", &mut problems);
    problems.first()?;
    let total: usize = desired.files.iter().map(|file| file.contents.len()).sum();
    if total > MAX_TOTAL {
        return Err(Fault::TooLarge { limit: MAX_TOTAL }.at("storage.files"));
    }
    arguments.append(&mut desired.kernel_arguments);
    desired.kernel_arguments = arguments;
    Ok(desired)
}

/// Turns an Ignition configuration into what a node must have, checking every value and what stands side by side. What is wrong
/// is left out.
pub(super) fn of_config(config: &Config, naming: Naming, problems: &mut Problems) -> Desired {
    problems.take(validate::no_duplicates(config));
    let storage = &config.storage;
    let file: fn(&File, Arguments<'_>) -> _ = if naming == Naming::ByKey { whole_file } else { file };
    let directories = &storage.directories;
    let should_exist = &config.kernel_arguments.should_exist;
    let mut desired = Desired {
        files: naming.each(&storage.files, "storage.files", |file| &file.node.path, file, problems),
        directories: naming.each(directories, "storage.directories", |each| &each.node.path, directory, problems),
        links: naming.each(&storage.links, "storage.links", |link| &link.node.path, link, problems),
        units: naming.each(&config.systemd.units, "systemd.units", |unit| &unit.name, self::unit, problems),
        kernel_arguments: split_all(should_exist, "kernelArguments.shouldExist", problems),
        ssh_authorized_keys: naming
            .each(&config.passwd.users, "passwd.users", |user| &user.name, keys, problems)
            .concat(),
    };
    problems.take(validate::no_clashes(config, naming).map_err(|clash| clash.problem));
    desired.files.sort_by(|a, b| a.path.cmp(&b.path));
    desired.directories.sort_by(|a, b| a.path.cmp(&b.path));
    desired.links.sort_by(|a, b| a.path.cmp(&b.path));
    desired.units.sort_by(|a, b| a.name.cmp(&b.name));
    desired
}

/// A file of a merged configuration: what is appended needs contents that it follows.
pub(super) fn whole_file(file: &File, at: Arguments<'_>) -> Result<DesiredFile, Problem> {
    if file.contents.source.is_none() && !file.append.is_empty() {
        return Err(Fault::NeedsContents.at(format!("{at}.append")));
    }
    self::file(file, at)
}

/// A file as a node must have it. Without contents it is empty; appended contents follow.
fn file(file: &File, at: Arguments<'_>) -> Result<DesiredFile, Problem> {
    let (user, group) = node(&file.node, at)?;
    let mode = validate::mode(file.mode, 0o644).map_err(|fault| fault.at(format!("{at}.mode")))?;
    let contents = resource::decode(&file.contents, format_args!("{at}.contents"))?;
    if contents.is_none() && file.node.overwrite == Some(true) {
        return Err(Fault::NeedsContents.at(format!("{at}.overwrite")));
    }
    let mut contents = contents.unwrap_or_default();
    for (index, appended) in file.append.iter().enumerate() {
        let appended = resource::decode(appended, format_args!("{at}.append[{index}]"))?;
        contents.extend(appended.unwrap_or_default());
        if contents.len() > resource::MAX_CONTENTS {
            return Err(Fault::TooLarge { limit: resource::MAX_CONTENTS }.at(format!("{at}.append[{index}]")));
        }
    }
    Ok(DesiredFile { path: file.node.path.clone(), mode, user, group, contents })
}

/// A directory as a node must have it.
pub(super) fn directory(directory: &Directory, at: Arguments<'_>) -> Result<DesiredDirectory, Problem> {
    let (user, group) = node(&directory.node, at)?;
    let mode = validate::mode(directory.mode, 0o755).map_err(|fault| fault.at(format!("{at}.mode")))?;
    Ok(DesiredDirectory { path: directory.node.path.clone(), mode, user, group })
}

/// A link as a node must have it.
pub(super) fn link(link: &Link, at: Arguments<'_>) -> Result<DesiredLink, Problem> {
    let (user, group) = node(&link.node, at)?;
    if link.hard == Some(true) {
        return Err(
            Fault::Refused("hard links do not survive a new image; make it a symbolic link").at(format!("{at}.hard"))
        );
    }
    let target = link.target.clone().filter(|target| !target.is_empty());
    let target = target.ok_or_else(|| Fault::Missing.at(format!("{at}.target")))?;
    if target.len() > validate::PATH_MAX || target.contains('\0') {
        return Err(Fault::PathImpossible(excerpt(&target)).at(format!("{at}.target")));
    }
    Ok(DesiredLink { path: link.node.path.clone(), target, user, group })
}

/// Checks the path and reads the owners.
fn node(node: &Node, at: Arguments<'_>) -> Result<(Owner, Owner), Problem> {
    validate::path(&node.path).map_err(|fault| fault.at(format!("{at}.path")))?;
    let user = Owner::of(&node.user).map_err(|fault| fault.at(format!("{at}.user")))?;
    let group = Owner::of(&node.group).map_err(|fault| fault.at(format!("{at}.group")))?;
    Ok((user, group))
}

/// A unit as a node must have it.
pub(super) fn unit(unit: &Unit, at: Arguments<'_>) -> Result<DesiredUnit, Problem> {
    unit::check_name(&unit.name).map_err(|fault| fault.at(format!("{at}.name")))?;
    let contents = unit.contents.clone().filter(|contents| !contents.is_empty());
    unit::sections(contents.as_deref().unwrap_or_default()).map_err(|fault| fault.at(format!("{at}.contents")))?;
    let mut dropins = Vec::new();
    for (index, dropin) in unit.dropins.iter().enumerate() {
        let read = drop_in(dropin, format_args!("{at}.dropins[{index}]"));
        dropins.extend(read.map_err(|problem| problem.in_entry(&format!("{at}.dropins"), &dropin.name))?);
    }
    dropins.sort_by(|a, b| a.name.cmp(&b.name));
    let contents = contents.filter(|_| unit.mask != Some(true));
    Ok(DesiredUnit { name: unit.name.clone(), contents, enabled: unit.enabled, masked: unit.mask, dropins })
}

fn drop_in(dropin: &DropInConfig, at: Arguments<'_>) -> Result<Option<DropIn>, Problem> {
    unit::check_drop_in_name(&dropin.name).map_err(|fault| fault.at(format!("{at}.name")))?;
    let contents = dropin.contents.clone().unwrap_or_default();
    unit::sections(&contents).map_err(|fault| fault.at(format!("{at}.contents")))?;
    Ok((!contents.is_empty()).then(|| DropIn { name: dropin.name.clone(), contents }))
}

fn keys(user: &User, at: Arguments<'_>) -> Result<Vec<String>, Problem> {
    if user.name != CORE {
        return Err(Fault::User(excerpt(&user.name)).at(format!("{at}.name")));
    }
    for (index, key) in user.ssh_authorized_keys.iter().enumerate() {
        validate::ssh_key(key).map_err(|fault| fault.at(format!("{at}.sshAuthorizedKeys[{index}]")))?;
    }
    Ok(user.ssh_authorized_keys.iter().map(|key| key.trim().to_owned()).collect())
}

fn split_all(entries: &[String], list: &str, problems: &mut Problems) -> Vec<String> {
    let entries = entries.iter().enumerate();
    let split =
        |(index, entry): (usize, &String)| kargs::split(entry).map_err(|fault| fault.at(format!("{list}[{index}]")));
    entries.filter_map(|entry| problems.take(split(entry))).flatten().collect()
}
