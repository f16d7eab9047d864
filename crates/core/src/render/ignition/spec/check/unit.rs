//! Units and drop-ins.

use std::collections::HashSet;

use super::super::fault::Fault;
use super::super::path::At;
use super::super::report::Report;
use super::super::tree::{Record, Tree};
use super::super::unit_text::options;

const SUFFIXES: [&str; 12] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "snapshot",
    "slice",
    "scope",
];
const UNITS: &str = "/etc/systemd/system/";

/// A unit by itself.
pub fn unit(unit: &Record, at: &At<'_>, report: &mut Report) {
    let name = unit.text("name");
    if !SUFFIXES.contains(&suffix(name).unwrap_or_default()) {
        report.error(at.at("name"), Fault::UnitName(name.to_owned()));
    }
    let contents = unit.text("contents");
    match options(contents) {
        Err(what) => report.error(at.at("contents"), Fault::UnitSyntax(what)),
        Ok(sections) => {
            if unit.is_true("enabled") && !contents.is_empty() && !sections.contains(&"Install".to_owned()) {
                report.warning(at.at("contents"), Fault::NoInstall(name.to_owned()));
            }
        }
    }
}

/// A drop-in by itself.
pub fn drop_in(drop_in: &Record, at: &At<'_>, report: &mut Report) {
    if let Err(what) = options(drop_in.text("contents")) {
        report.error(at.at("contents"), Fault::UnitSyntax(what));
    }
    let name = drop_in.text("name");
    if suffix(name) != Some("conf") {
        report.error(at.at("name"), Fault::DropInName(name.to_owned()));
    }
}

/// What follows the last dot of a file name.
fn suffix(name: &str) -> Option<&str> {
    let name = name.rsplit('/').next()?;
    name.rsplit_once('.').map(|(_, suffix)| suffix)
}

/// Enabled instances of templates that are in the same configuration.
pub fn instances(systemd: &Record, at: &At<'_>, report: &mut Report) {
    let units: Vec<&Record> = systemd.list("units").iter().filter_map(Tree::as_record).collect();
    for (index, unit) in units.iter().enumerate().filter(|(_, unit)| unit.is_true("enabled")) {
        let instance = unit.text("name");
        let Some(template) = template_of(instance) else { continue };
        let found = units.iter().rfind(|unit| unit.text("name") == template);
        let Some(contents) = found.map(|unit| unit.text("contents")).filter(|contents| !contents.is_empty()) else {
            continue;
        };
        if options(contents).is_ok_and(|sections| !sections.contains(&"Install".to_owned())) {
            let fault = Fault::TemplateNoInstall { instance: instance.to_owned(), template };
            report.warning(at.at("units").nth(index).at("contents"), fault);
        }
    }
}

/// `name@.service` for `name@instance.service`.
fn template_of(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".service").filter(|stem| !stem.contains('\n'))?;
    let at = stem.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at)?;
    (at + 1 < stem.len()).then(|| format!("{}@.service", &stem[..at]))
}

/// Files, directories and links in the place of a unit or drop-in.
pub fn paths(config: &Record, at: &At<'_>, report: &mut Report) {
    let mut taken = HashSet::new();
    let units = config.record("systemd").map(|systemd| systemd.list("units")).unwrap_or_default();
    for unit in units.iter().filter_map(Tree::as_record) {
        let name = unit.text("name");
        if !unit.text("contents").is_empty() {
            taken.insert(format!("{UNITS}{name}"));
        }
        for drop_in in unit.list("dropins").iter().filter_map(Tree::as_record) {
            if !drop_in.text("contents").is_empty() {
                taken.insert(format!("{UNITS}{name}.d/{}", drop_in.text("name")));
            }
        }
    }
    let Some(storage) = config.record("storage") else { return };
    for list in ["files", "directories", "links"] {
        for (index, entry) in storage.list(list).iter().filter_map(Tree::as_record).enumerate() {
            let path = entry.text("path");
            if taken.contains(path) {
                report.error(at.at("storage").at(list).nth(index).at("path"), Fault::UnitPath(path.to_owned()));
            }
        }
    }
}
