//! Rules for a Butane file before it is translated.
//!
//! Source: the checks that the real tool makes of its input, per version, measured.

mod boot_device;
mod merged;
mod mode;

use super::edition::Edition;
use super::fault::Fault;
use super::schema;
use crate::render::ignition::spec::fields::{CONFIG, Kind, Shape, Table};
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::tree::{Record, Tree};

/// The kernel argument that says where the key of CEX is.
const CEX_ARGUMENT: &str = "rd.luks.key=/etc/luks/cex.key";
/// The disk that the system boots from, wherever it is.
const BOOT_DISK: &str = "/dev/disk/by-id/coreos-boot-disk";
/// Label that names the pool of a MachineConfig.
const ROLE: &str = onlay_api::names::ROLE_LABEL;

/// Everything that is wrong with a configuration as it was written.
pub fn check(edition: Edition, config: &Record) -> Report {
    let mut report = Report::default();
    let path = Path::default();
    if edition.openshift.is_none() && edition.level >= 6 {
        disks(config, &path, &mut report);
        mounts(config, &path, &mut report);
    }
    if edition.is_openshift_since(19) {
        cex_argument(config, &path, &mut report);
    }
    record(&CONFIG, edition, config, &path, &mut report);
    report
}

fn record(table: &Table, edition: Edition, fields: &Record, at: &Path, report: &mut Report) {
    match table.kind {
        Kind::Resource => resource(edition, fields, at, report),
        Kind::Filesystem => filesystem(edition, fields, at, report),
        Kind::Directory | Kind::File => {
            let warning = fields.number("mode").and_then(|mode| mode::meant_octal(mode, table.kind == Kind::Directory));
            if let Some(mode) = warning {
                report.warning(at.at("mode"), Fault::DecimalMode(mode));
            }
        }
        Kind::Unit | Kind::DropIn if fields.get("contents").is_some() && fields.get("contents_local").is_some() => {
            report.error(at.at("contents_local"), Fault::ManyContents);
        }
        Kind::Foreign(name) => foreign(name, edition, fields, at, report),
        _ => {}
    }
    let empty = Record::default();
    for field in schema::known(table, edition) {
        let path = at.key(&schema::name_in_yaml(field));
        match field.shape {
            Shape::Record(table) => record(table, edition, fields.record(field.name).unwrap_or(&empty), &path, report),
            Shape::GivenRecord(table) => {
                if let Some(below) = fields.record(field.name) {
                    record(table, edition, below, &path, report);
                }
            }
            Shape::Records(table) => {
                for (index, entry) in fields.list(field.name).iter().filter_map(Tree::as_record).enumerate() {
                    record(table, edition, entry, &path.nth(index), report);
                }
            }
            _ => {}
        }
    }
}

fn foreign(name: &str, edition: Edition, fields: &Record, at: &Path, report: &mut Report) {
    match name {
        "tree" if fields.text("local").is_empty() => report.error(at.clone(), Fault::TreeWithoutLocal),
        "boot_device" => boot_device::boot_device(edition, fields, at, report),
        "boot_device.luks" => boot_device::luks(edition, fields, at, report),
        "boot_device.mirror" => boot_device::mirror(fields, at, report),
        "grub.user" => {
            if fields.text("name").is_empty() {
                report.error(at.at("name"), Fault::GrubName);
            }
            if fields.text("passwordHash").is_empty() {
                report.error(at.at("password_hash"), Fault::GrubHash);
            }
        }
        "metadata" => metadata(fields, at, report),
        "openshift" => {
            let kernel = fields.text("kernelType");
            if !["", "default", "realtime"].contains(&kernel) {
                report.error(at.at("kernel_type"), Fault::KernelType(kernel.to_owned()));
            }
        }
        _ => {}
    }
}

fn metadata(metadata: &Record, at: &Path, report: &mut Report) {
    if metadata.text("name").is_empty() {
        report.error(at.at("name"), Fault::NameMissing);
    }
    let labels = metadata.list("labels").iter().filter_map(Tree::as_record);
    let role = labels.filter(|label| label.text("name") == ROLE).map(|label| label.text("value")).next();
    if role.unwrap_or_default().is_empty() {
        report.error(at.at("labels"), Fault::RoleMissing);
    }
}

fn resource(edition: Edition, resource: &Record, at: &Path, report: &mut Report) {
    let given: Vec<&'static str> =
        ["local", "inline", "source"].into_iter().filter(|name| resource.get(name).is_some()).collect();
    if edition.level == 0 {
        if given.len() > 1 {
            report.error(at.at("inline"), Fault::ManySources);
        }
        return;
    }
    let Some(last) = given.last() else { return };
    if given.len() > 1 {
        report.error(at.at(last), Fault::ManySources);
        return;
    }
    let merged = Path::default().down(&["ignition", "config"]);
    if let Some(inline) = resource.get("inline").and_then(Tree::as_bytes).filter(|_| merged.contains(at)) {
        merged::check(edition, inline, at, report);
    }
}

fn filesystem(edition: Edition, filesystem: &Record, at: &Path, report: &mut Report) {
    if !filesystem.is_true("with_mount_unit") {
        return;
    }
    let format = filesystem.text("format");
    let no_path = filesystem.text("path").is_empty();
    if edition.level <= 3 {
        // Swap units came later.
        if no_path {
            report.error(at.at("path"), Fault::MountWithoutPath);
        }
        if format.is_empty() {
            report.error(at.at("format"), Fault::MountWithoutFormat);
        }
    } else if format.is_empty() {
        report.error(at.at("format"), Fault::MountWithoutFormat);
    } else if format != "swap" && no_path {
        report.error(at.at("path"), Fault::MountWithoutPath);
    }
}

fn disks(config: &Record, at: &Path, report: &mut Report) {
    let boot_device = config.record("boot_device");
    let mirror = boot_device.and_then(|boot_device| boot_device.record("mirror"));
    let mirrored: Vec<&str> =
        mirror.map(|mirror| mirror.list("devices")).unwrap_or_default().iter().filter_map(Tree::as_text).collect();
    let disks = config.record("storage").map(|storage| storage.list("disks")).unwrap_or_default();
    for (index, disk) in disks.iter().filter_map(Tree::as_record).enumerate() {
        let device = disk.text("device");
        if device == BOOT_DISK || disk.is_true("wipeTable") || mirrored.contains(&device) {
            continue;
        }
        for (number, partition) in disk.list("partitions").iter().filter_map(Tree::as_record).enumerate() {
            if partition.number("number").unwrap_or_default() == 0 && partition.get("label").is_some() {
                let path = at.down(&["storage", "disks"]).nth(index).at("partitions").nth(number);
                report.warning(path.at("number"), Fault::ReuseByLabel);
            }
        }
    }
}

fn mounts(config: &Record, at: &Path, report: &mut Report) {
    let filesystems = config.record("storage").map(|storage| storage.list("filesystems")).unwrap_or_default();
    for (index, filesystem) in filesystems.iter().filter_map(Tree::as_record).enumerate() {
        let Some(path) = filesystem.given_text("path") else { continue };
        let below =
            |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if filesystem.is_true("with_mount_unit") && !below("/etc") && !below("/var") {
            let at = at.down(&["storage", "filesystems"]).nth(index).at("path");
            report.error(at, Fault::MountForbidden(path.to_owned()));
        }
    }
}

fn cex_argument(config: &Record, at: &Path, report: &mut Report) {
    let openshift = config.record("openshift");
    let arguments = openshift.map(|openshift| openshift.list("kernelArguments")).unwrap_or_default();
    if arguments.iter().any(|argument| argument.as_text() == Some(CEX_ARGUMENT)) {
        return;
    }
    let enabled =
        |record: Option<&Record>| record.and_then(|luks| luks.record("cex")).is_some_and(|cex| cex.is_true("enabled"));
    let boot_luks = config.record("boot_device").and_then(|boot_device| boot_device.record("luks"));
    let volumes = config.record("storage").map(|storage| storage.list("luks")).unwrap_or_default();
    let root =
        volumes.iter().filter_map(Tree::as_record).any(|luks| luks.text("name") == "root" && enabled(Some(luks)));
    for _ in [enabled(boot_luks), root].iter().filter(|needed| **needed) {
        report.error(at.down(&["openshift", "kernel_arguments"]), Fault::CexArgument);
    }
}
