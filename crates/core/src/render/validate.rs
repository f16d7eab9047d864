//! Rules for single values of a MachineConfig, and for what may not stand side by side.
//!
//! Source of the rules: the specification of Ignition 3.5 (normalised paths, permission bits, one owner, nothing below a
//! link, no file in the place of a unit), and what a file system can hold.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use onlay_api::image_name;
use onlay_api::machine_config::MachineConfigSpec;

use super::error::{Fault, Problem, excerpt};
use super::ignition::merge::compare_paths;
use super::ignition::spec::check::{clean_path, is_clean};
use super::ignition::types::{Config, Unit};
use super::ignition::unit::UNITS;
use super::naming::Naming;
use super::problems::Problems;
use super::{extension, kargs};

/// Longest path in bytes, and longest name in it.
pub const PATH_MAX: usize = 4095;
const NAME_MAX: usize = 255;
/// The kernel of nodes that are not told another one.
pub const DEFAULT_KERNEL: &str = "default";

/// Checks that a path is absolute, normalised, and not the root itself.
pub fn path(path: &str) -> Result<(), Fault> {
    if path.is_empty() {
        return Err(Fault::Missing);
    }
    if !path.starts_with('/') {
        return Err(Fault::PathRelative(excerpt(path)));
    }
    let too_long = path.len() > PATH_MAX || path.split('/').any(|name| name.len() > NAME_MAX);
    if too_long || path == "/" || path.contains('\0') {
        return Err(Fault::PathImpossible(excerpt(path)));
    }
    if is_clean(path) {
        return Ok(());
    }
    Err(Fault::PathUnclean { path: excerpt(path), clean: excerpt(&clean_path(path)) })
}

/// The permission bits, or the default if none are given.
pub fn mode(mode: Option<i64>, default: u32) -> Result<u32, Fault> {
    match mode {
        None => Ok(default),
        Some(mode) => u32::try_from(mode).ok().filter(|mode| *mode <= 0o7777).ok_or(Fault::Mode(mode)),
    }
}

/// Checks that a public key stays on one line.
pub fn ssh_key(key: &str) -> Result<(), Fault> {
    if key.trim().is_empty() || key.contains(char::is_control) { Err(Fault::SshKey) } else { Ok(()) }
}

/// Checks the fields of a MachineConfig beside its Ignition configuration.
pub fn spec(spec: &MachineConfigSpec, problems: &mut Problems) {
    for (index, entry) in spec.kernel_arguments.iter().enumerate() {
        let split = kargs::split(entry).map(drop);
        problems.take(split.map_err(|fault| fault.at(format!("spec.kernelArguments[{index}]"))));
    }
    for (index, name) in spec.extensions.iter().enumerate() {
        problems.take(known_extension(name).map_err(|fault| fault.at(format!("spec.extensions[{index}]"))));
    }
    match spec.kernel_type.as_deref() {
        None | Some("" | "default" | "realtime" | "64k-pages") => {}
        Some(other) => problems.add(Fault::KernelType(excerpt(other)).at("spec.kernelType")),
    }
    problems.take(image(spec.os_image_url.as_deref(), "spec.osImageURL"));
    let extensions = spec.base_os_extensions_container_image.as_deref();
    problems.take(image(extensions, "spec.baseOSExtensionsContainerImage"));
}

fn known_extension(name: &str) -> Result<(), Fault> {
    if extension::KNOWN.contains(&name) { Ok(()) } else { Err(Fault::Extension(excerpt(name))) }
}

/// Checks what several MachineConfigs say together: the headers and tools of `kernel-devel` are those of the default kernel.
pub fn kernel(spec: &MachineConfigSpec) -> Result<(), Problem> {
    let kernel = spec.kernel_type.as_deref().filter(|kernel| !kernel.is_empty()).unwrap_or(DEFAULT_KERNEL);
    if kernel != DEFAULT_KERNEL && spec.extensions.iter().any(|name| name == extension::KERNEL_DEVEL) {
        return Err(Fault::KernelDevel(kernel.to_owned()).at("spec.kernelType"));
    }
    Ok(())
}

fn image(reference: Option<&str>, field: &str) -> Result<(), Problem> {
    let Some(text) = reference.filter(|text| !text.is_empty()) else { return Ok(()) };
    image_name::parse(text).map(drop).map_err(|reason| Fault::Image { image: excerpt(text), reason }.at(field))
}

/// Checks that each unit, each of its drop-ins and each user is named once. Paths are checked by [`no_clashes`].
pub fn no_duplicates(config: &Config) -> Result<(), Problem> {
    let units = config.systemd.units.iter();
    unique(units.clone().map(|unit| unit.name.as_str()), "systemd.units")?;
    for (index, unit) in units.enumerate() {
        let names = unit.dropins.iter().map(|dropin| dropin.name.as_str());
        unique(names, format_args!("systemd.units[{index}].dropins"))?;
    }
    unique(config.passwd.users.iter().map(|user| user.name.as_str()), "passwd.users")
}

fn unique<'a>(names: impl Iterator<Item = &'a str>, list: impl Display) -> Result<(), Problem> {
    let mut known = BTreeMap::new();
    for (index, name) in names.enumerate() {
        if let Some(first) = known.insert(name, index) {
            let fault = Fault::Duplicate { key: excerpt(name), first: format!("{list}[{first}]") };
            return Err(fault.at(format!("{list}[{index}].name")));
        }
    }
    Ok(())
}

/// What stands at a path.
#[derive(Debug, Clone)]
struct Occupant<'a> {
    path: Cow<'a, str>,
    kind: &'static str,
    /// Whether other things may stand below it.
    holds: bool,
    /// List, position and key of the entry that puts it there; the key is a path, or the name of a unit.
    entry: (&'static str, usize, &'a str),
    /// Which field of the entry.
    field: Cow<'static, str>,
}

impl Occupant<'_> {
    /// The field that puts it there.
    fn field(&self, naming: Naming) -> String {
        let (list, index, key) = self.entry;
        format!("{}{}", naming.entry(list, index, key), self.field)
    }
}

/// Two entries that cannot stand side by side.
#[derive(Debug)]
pub struct Clash<'a> {
    /// What is wrong, at the field of the second one.
    pub problem: Problem,
    /// Keys of both entries: a path, or the name of a unit.
    pub keys: [&'a str; 2],
}

/// Checks that no two entries share a path, and that none is below a file, a link or a unit.
pub fn no_clashes(config: &Config, naming: Naming) -> Result<(), Clash<'_>> {
    let mut occupants = occupants(config);
    // Whatever is below a path follows it directly.
    occupants.sort_by(|a, b| compare_paths(&a.path, &b.path));
    for (upper, lower) in occupants.iter().zip(occupants.iter().skip(1)) {
        let fault = if upper.path == lower.path {
            Fault::Duplicate { key: excerpt(&lower.path), first: upper.field(naming) }
        } else if !upper.holds && is_below(&lower.path, &upper.path) {
            Fault::Below {
                path: excerpt(&lower.path),
                above: excerpt(&upper.path),
                kind: upper.kind,
                field: upper.field(naming),
            }
        } else {
            continue;
        };
        return Err(Clash { problem: fault.at(lower.field(naming)), keys: [upper.entry.2, lower.entry.2] });
    }
    Ok(())
}

fn is_below(lower: &str, upper: &str) -> bool {
    lower.strip_prefix(upper).is_some_and(|rest| rest.starts_with('/'))
}

fn occupants(config: &Config) -> Vec<Occupant<'_>> {
    let storage = &config.storage;
    let place = |kind, holds, list, index, path| Occupant {
        path: Cow::Borrowed(path),
        kind,
        holds,
        entry: (list, index, path),
        field: Cow::Borrowed(".path"),
    };
    let directories = storage.directories.iter().enumerate();
    let files = storage.files.iter().enumerate();
    let links = storage.links.iter().enumerate();
    let mut all = Vec::with_capacity(directories.len() + files.len() + links.len() + config.systemd.units.len());
    all.extend(directories.map(|(i, each)| place("directory", true, "storage.directories", i, &each.node.path)));
    all.extend(files.map(|(i, each)| place("file", false, "storage.files", i, &each.node.path)));
    all.extend(links.map(|(i, each)| place("link", false, "storage.links", i, &each.node.path)));
    for (index, unit) in config.systemd.units.iter().enumerate() {
        unit_occupants(unit, index, &mut all);
    }
    all
}

fn unit_occupants<'a>(unit: &'a Unit, index: usize, all: &mut Vec<Occupant<'a>>) {
    let entry = ("systemd.units", index, unit.name.as_str());
    let said = |contents: &Option<String>| contents.as_ref().is_some_and(|contents| !contents.is_empty());
    if said(&unit.contents) || unit.mask == Some(true) {
        let path = Cow::Owned(format!("{UNITS}/{}", unit.name));
        all.push(Occupant { path, kind: "unit", holds: false, entry, field: Cow::Borrowed("") });
    }
    for (index, dropin) in unit.dropins.iter().enumerate().filter(|(_, dropin)| said(&dropin.contents)) {
        let path = Cow::Owned(format!("{UNITS}/{}.d/{}", unit.name, dropin.name));
        let field = Cow::Owned(format!(".dropins[{index}]"));
        all.push(Occupant { path, kind: "drop-in", holds: false, entry, field });
    }
}
