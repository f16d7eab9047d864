//! Disks, partitions, filesystems, RAID and LUKS.

use std::collections::HashSet;

use super::super::fault::Fault;
use super::super::path::At;
use super::super::report::Report;
use super::super::tree::{Record, Tree};
use super::node::absolute;
use super::{Rules, resource, url};

/// Formats by the first specification that has them, with the longest label in bytes.
const FORMATS: [(&str, u8, Option<usize>); 6] = [
    ("ext4", 0, Some(16)),
    ("btrfs", 0, Some(256)),
    ("xfs", 0, Some(12)),
    ("swap", 0, Some(15)),
    ("vfat", 0, Some(11)),
    ("none", 3, None),
];
const LUKS_LABEL_MAX: usize = 47;
const PARTITION_LABEL_MAX: usize = 36;

/// A disk and what its partitions must not be to each other.
pub fn disk(disk: &Record, at: &At<'_>, report: &mut Report) {
    let device = disk.text("device");
    if device.is_empty() {
        report.error(at.at("device"), Fault::DeviceMissing);
        return;
    }
    report.check(|| at.at("device"), absolute(device));
    let partitions: Vec<&Record> = disk.list("partitions").iter().filter_map(Tree::as_record).collect();
    let numbers = partitions.iter().map(|partition| partition.number("number").filter(|number| *number != 0));
    if let Some((index, number)) = repeated(numbers) {
        report.error(at.at("partitions").nth(index), Fault::NumbersCollide(number));
    }
    if let Some(index) = overlap(&partitions) {
        report.error(at.at("partitions").nth(index), Fault::Overlap);
    }
    if let Some((index, label)) = repeated(partitions.iter().map(|partition| partition.given_text("label"))) {
        report.error(at.at("partitions").nth(index), Fault::LabelsCollide(label.to_owned()));
    }
}

/// The first value that was there before, and where.
fn repeated<T: std::hash::Hash + Eq + Copy>(values: impl Iterator<Item = Option<T>>) -> Option<(usize, T)> {
    let mut known = HashSet::new();
    values
        .enumerate()
        .find_map(|(index, value)| value.filter(|value| !known.insert(*value)).map(|value| (index, value)))
}

/// The first partition that another one overlaps, of those with a start and a size.
fn overlap(partitions: &[&Record]) -> Option<usize> {
    let extent = |partition: &Record| {
        let start = partition.number("startMiB").filter(|start| *start != 0)?;
        let size = partition.number("sizeMiB")?;
        Some((start, if size == 0 { start } else { start.saturating_add(size).saturating_sub(1) }))
    };
    partitions.iter().enumerate().find_map(|(this, partition)| {
        let (start, end) = extent(partition)?;
        partitions.iter().enumerate().filter(|(other, _)| *other != this).find_map(|(index, other)| {
            let (other_start, other_end) = extent(other)?;
            let within = |place| place >= other_start && place <= other_end;
            (within(start) || within(end) || (start < other_start && end > other_end)).then_some(index)
        })
    })
}

/// A partition by itself.
pub fn partition(partition: &Record, at: &At<'_>, report: &mut Report) {
    let text = |name| !partition.text(name).is_empty();
    let given = |name| partition.get(name).is_some();
    let others = given("label") || text("typeGuid") || text("guid") || given("startMiB") || given("sizeMiB");
    if partition.flag("shouldExist") == Some(false) && others {
        report.error(at.path(), Fault::GoneWithOthers);
    }
    if partition.number("number").unwrap_or_default() == 0 && !given("label") {
        report.error(at.path(), Fault::NumberOrLabel);
    }
    let label = partition.text("label");
    if label.len() > PARTITION_LABEL_MAX {
        report.error(at.at("label"), Fault::PartitionLabelLong(label.len()));
    } else if label.contains(':') {
        report.error(at.at("label"), Fault::PartitionLabelColon);
    }
    for field in ["guid", "typeGuid"] {
        let guid = partition.text(field);
        if !guid.is_empty() && !is_guid(guid) {
            report.error(at.at(field), Fault::Guid(guid.to_owned()));
        }
    }
}

fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.len() == lengths.len()
        && groups.iter().zip(lengths).all(|(group, length)| group.len() == length && digits(group))
}

/// A filesystem by itself.
pub fn filesystem(rules: Rules, filesystem: &Record, at: &At<'_>, report: &mut Report) {
    match filesystem.text("path") {
        "" => {}
        path => report.check(|| at.at("path"), absolute(path)),
    }
    report.check(|| at.at("device"), absolute(filesystem.text("device")));
    let format = filesystem.text("format");
    let known = FORMATS.iter().find(|(name, since, _)| *name == format && *since <= rules.minor);
    if format.is_empty() {
        let texts = ["path", "label", "uuid"].iter().any(|field| !filesystem.text(field).is_empty());
        let lists = ["mountOptions", "options"].iter().any(|field| !filesystem.list(field).is_empty());
        if texts || lists || filesystem.is_true("wipeFilesystem") {
            report.error(at.at("format"), Fault::FormatMissing);
        }
    } else if known.is_none() {
        let formats =
            if rules.minor < 3 { "ext4, btrfs, xfs, swap or vfat" } else { "ext4, btrfs, xfs, swap, vfat or none" };
        report.error(at.at("format"), Fault::Format(format.to_owned(), formats));
    }
    let label = filesystem.text("label");
    if !label.is_empty() && format.is_empty() {
        report.error(at.at("label"), Fault::LabelNeedsFormat);
    }
    let longest = FORMATS.iter().find(|(name, ..)| *name == format).and_then(|(_, _, longest)| *longest);
    if let Some(longest) = longest.filter(|longest| label.len() > *longest) {
        report.error(at.at("label"), Fault::LabelLong { format: format.to_owned(), length: label.len(), longest });
    }
}

/// An encrypted device.
pub fn luks(rules: Rules, luks: &Record, at: &At<'_>, report: &mut Report) {
    if luks.text("name").contains('/') {
        report.error(at.at("name"), Fault::LuksName);
    }
    let label = luks.text("label");
    if label.len() > LUKS_LABEL_MAX {
        let fault = Fault::LabelLong { format: "LUKS".to_owned(), length: label.len(), longest: LUKS_LABEL_MAX };
        report.error(at.at("label"), fault);
    }
    match luks.text("device") {
        "" => report.error(at.at("device"), Fault::DeviceMissing),
        device => report.check(|| at.at("device"), absolute(device)),
    }
    let empty = Record::default();
    let clevis = luks.record("clevis").unwrap_or(&empty);
    let custom = clevis.record("custom");
    let pin = custom.is_some_and(|custom| rules.minor < 3 || !custom.text("pin").is_empty());
    let threshold = clevis.number("threshold").is_some_and(|threshold| threshold != 0);
    let others = !clevis.list("tang").is_empty() || clevis.is_true("tpm2") || threshold;
    if pin && others {
        report.error(at.at("clevis"), Fault::CustomWithOthers);
    }
    let key_file = luks.record("keyFile").unwrap_or(&empty);
    if let Err(fault) = resource::given_source(rules, key_file) {
        report.error(at.at("keys"), Fault::KeyFile(Box::new(fault)));
    }
    if luks.record("cex").is_some_and(|cex| cex.is_true("enabled")) {
        if pin || others {
            report.error(at.at("cex"), Fault::CexWithClevis);
        }
        if !key_file.text("source").is_empty() {
            report.error(at.at("cex"), Fault::CexWithKeyFile);
        }
    }
}

/// A pin of clevis that is configured by hand.
pub fn custom_pin(rules: Rules, custom: &Record, at: &At<'_>, report: &mut Report) {
    const PINS: [&str; 3] = ["tpm2", "tang", "sss"];
    let (pin, config) = (custom.text("pin"), custom.text("config"));
    let network = rules.minor >= 3 && custom.is_true("needsNetwork");
    if pin.is_empty() && config.is_empty() && !network {
        return;
    }
    if pin.is_empty() {
        report.error(at.at("pin"), Fault::PinMissing);
    } else if rules.minor < 6 && !PINS.contains(&pin) {
        report.error(at.at("pin"), Fault::Pin(pin.to_owned()));
    }
    if config.is_empty() {
        report.error(at.at("config"), Fault::PinConfigMissing);
    }
}

/// A tang server.
pub fn tang(rules: Rules, tang: &Record, at: &At<'_>, report: &mut Report) {
    let result = url::parse(tang.text("url")).and_then(|url| match url.scheme.as_str() {
        "http" | "https" => Ok(()),
        _ => Err(Fault::Scheme(url.scheme, "http or https")),
    });
    report.check(|| at.at("url"), result);
    if tang.text("thumbprint").is_empty() {
        report.error(at.at("thumbprint"), Fault::ThumbprintMissing);
    }
    let advertisement = tang.text("advertisement");
    let broken = || serde_json::from_str::<serde::de::IgnoredAny>(advertisement).is_err();
    if rules.minor >= 4 && !advertisement.is_empty() && broken() {
        report.error(at.at("advertisement"), Fault::Advertisement);
    }
}

/// An array of devices.
pub fn raid(rules: Rules, raid: &Record, at: &At<'_>, report: &mut Report) {
    let level = raid.text("level");
    let result = match level {
        "" if rules.minor >= 3 => Err(Fault::LevelMissing),
        "linear" | "raid0" | "0" | "stripe" if raid.number("spares").is_some_and(|spares| spares != 0) => {
            Err(Fault::Spares(level.to_owned()))
        }
        "linear" | "raid0" | "0" | "stripe" | "raid1" | "1" | "mirror" | "raid4" | "4" | "raid5" | "5" | "raid6"
        | "6" | "raid10" | "10" => Ok(()),
        _ => Err(Fault::Level(level.to_owned())),
    };
    report.check(|| at.at("level"), result);
    let devices = raid.list("devices");
    if devices.is_empty() {
        report.error(at.at("devices"), Fault::RaidDevices);
    }
    for (index, device) in devices.iter().filter_map(Tree::as_text).enumerate() {
        report.check(|| at.at("devices").nth(index), absolute(device));
    }
}
