//! What a configuration has at a path, or as a kernel argument.

use std::collections::BTreeMap;

use onlay_core::render::desired::{Desired, DesiredUnit, Owner};
use onlay_core::render::origin::{Origin, Origins};

/// Where units of a configuration are written.
const UNITS: &str = "/etc/systemd/system/";

/// One thing of a configuration.
#[derive(Debug, Default)]
pub struct Found {
    /// `file`, `directory`, `link`, `unit`, `drop-in` or `argument`.
    pub kind: &'static str,
    /// Permission bits in octal.
    pub mode: Option<String>,
    /// Owning user and group.
    pub owner: Option<String>,
    /// The target of a link.
    pub target: Option<String>,
    /// Whether a unit is enabled, if the configuration says so.
    pub enabled: Option<bool>,
    /// Whether a unit is masked, if the configuration says so.
    pub masked: Option<bool>,
    /// The contents, if it has some.
    pub contents: Option<Vec<u8>>,
    /// By field: who says it; none if that is not known.
    pub origin: Option<BTreeMap<String, Vec<String>>>,
}

/// What is at a path, which is plain.
pub fn at(path: &str, desired: &Desired, origins: Option<&Origins>) -> Option<Found> {
    let place = || {
        let found = of_place(path, desired)?;
        let origin = origins.and_then(|origins| Some(origins.places.get(path)?.fields.clone()));
        Some(Found { origin, ..found })
    };
    place().or_else(|| of_unit(path.strip_prefix(UNITS)?, desired, origins))
}

fn of_place(path: &str, desired: &Desired) -> Option<Found> {
    if let Some(file) = desired.files.iter().find(|file| file.path == path) {
        let (owner, contents) = (owner(&file.user, &file.group), Some(file.contents.clone()));
        return Some(Found { kind: "file", mode: octal(file.mode), owner, contents, ..Found::default() });
    }
    if let Some(each) = desired.directories.iter().find(|each| each.path == path) {
        let owner = owner(&each.user, &each.group);
        return Some(Found { kind: "directory", mode: octal(each.mode), owner, ..Found::default() });
    }
    let link = desired.links.iter().find(|link| link.path == path)?;
    let owner = owner(&link.user, &link.group);
    Some(Found { kind: "link", target: Some(link.target.clone()), owner, ..Found::default() })
}

/// A unit or drop-in by its path below [`UNITS`]. A unit that the configuration only enables, disables or masks counts,
/// and one that it only gives drop-ins.
fn of_unit(name: &str, desired: &Desired, origins: Option<&Origins>) -> Option<Found> {
    let unit = |name: &str| desired.units.iter().find(|each| each.name == name);
    let origin = |unit: &str| origins.and_then(|origins| origins.units.get(unit));
    if let Some((of, drop_in)) = name.split_once(".d/") {
        let contents = &unit(of)?.dropins.iter().find(|each| each.name == drop_in)?.contents;
        let origin = origin(of).map(|origin| only(origin, drop_in));
        return Some(Found {
            kind: "drop-in",
            contents: Some(contents.clone().into_bytes()),
            origin,
            ..Found::default()
        });
    }
    let DesiredUnit { enabled, masked, contents, .. } = unit(name)?.clone();
    Some(Found {
        kind: "unit",
        enabled,
        masked,
        contents: contents.map(String::into_bytes),
        origin: origin(name).map(|origin| origin.fields.clone()),
        ..Found::default()
    })
}

/// The one field of an origin.
fn only(origin: &Origin, field: &str) -> BTreeMap<String, Vec<String>> {
    let names = origin.fields.get_key_value(field);
    names.map(|(field, names)| (field.clone(), names.clone())).into_iter().collect()
}

/// The kernel arguments that are this one, or have this name before their `=`.
pub fn argument(asked: &str, desired: &Desired, origins: Option<&Origins>) -> Option<Found> {
    let is_asked =
        |argument: &str| argument == asked || argument.split_once('=').is_some_and(|(name, _)| name == asked);
    let found: Vec<&String> = desired.kernel_arguments.iter().filter(|argument| is_asked(argument)).collect();
    if found.is_empty() {
        return None;
    }
    let mut origin: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (argument, name) in origins.iter().flat_map(|origins| &origins.kernel_arguments) {
        if found.contains(&argument) {
            origin.entry(argument.clone()).or_default().push(name.clone());
        }
    }
    let contents = found.iter().map(|argument| format!("{argument}\n")).collect::<String>().into_bytes();
    let origin = Some(origin).filter(|origin| !origin.is_empty());
    Some(Found { kind: "argument", contents: Some(contents), origin, ..Found::default() })
}

/// Every path that [`at`] answers for.
pub fn paths(desired: &Desired) -> impl Iterator<Item = String> {
    let files = desired.files.iter().map(|each| each.path.clone());
    let directories = desired.directories.iter().map(|each| each.path.clone());
    let links = desired.links.iter().map(|each| each.path.clone());
    let units = desired.units.iter().map(|unit| format!("{UNITS}{}", unit.name));
    let of_unit =
        |unit: &DesiredUnit| unit.dropins.iter().map(|each| format!("{UNITS}{}.d/{}", unit.name, each.name)).collect();
    let drop_ins = desired.units.iter().flat_map(move |unit| -> Vec<String> { of_unit(unit) });
    files.chain(directories).chain(links).chain(units).chain(drop_ins)
}

fn octal(mode: u32) -> Option<String> {
    Some(format!("{mode:04o}"))
}

fn owner(user: &Owner, group: &Owner) -> Option<String> {
    let name = |owner: &Owner| match owner {
        Owner::Id(0) => "root".to_owned(),
        Owner::Id(id) => id.to_string(),
        Owner::Name(name) => name.clone(),
    };
    Some(format!("{}:{}", name(user), name(group)))
}
