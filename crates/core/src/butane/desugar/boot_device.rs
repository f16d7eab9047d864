//! A mirrored or encrypted boot disk.
//!
//! Source of the layout: the partitions of the system's own images. The new ones must not be smaller.

use super::super::edition::Edition;
use super::{Source, over};
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::tree::{Record, Tree, Value};

const RESERVED_TYPE: &str = "8DA63339-0007-60C0-C436-083AC8230908";
const BIOS_TYPE: &str = "21686148-6449-6E6F-744E-656564454649";
const PREP_TYPE: &str = "9E1A2D38-C612-4316-AA26-8B49521E5A8B";
const ESP_TYPE: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

/// First partitions of a disk: the start of the label, the size in MiB, the type.
type First = (&'static str, i64, &'static str);

const RESERVED: First = ("reserved", 1, RESERVED_TYPE);
const BIOS: First = ("bios", 1, BIOS_TYPE);
const PREP: First = ("prep", 4, PREP_TYPE);
const ESP: First = ("esp", 127, ESP_TYPE);
const BOOT_MIB: i64 = 384;

/// Adds what the section asks for.
pub fn add(edition: Edition, config: &Record, made: Record) -> Record {
    let empty = Record::default();
    let boot_device = config.record("boot_device").unwrap_or(&empty);
    let luks = boot_device.record("luks").unwrap_or(&empty);
    let devices = boot_device.record("mirror").map(|mirror| mirror.list("devices")).unwrap_or_default();
    let cex = luks.record("cex").is_some_and(|cex| cex.is_true("enabled"));
    let encrypted = luks.is_true("tpm2") || !luks.list("tang").is_empty() || cex;
    if !encrypted && devices.is_empty() {
        return made;
    }
    let layout = boot_device.given_text("layout").unwrap_or("x86_64");
    let at = Path::default().at("boot_device");
    let source = Source(at.clone());
    let mut storage = Record::default();
    let mut filesystems = Vec::new();
    if !devices.is_empty() {
        mirror(edition, layout, devices, &at.at("mirror"), &mut storage, &mut filesystems);
    }
    if encrypted {
        let opened = opened_device(layout, luks.text("device"), devices.is_empty());
        let source = Source(at.at("luks"));
        storage.set("luks", source.list([volume(edition, luks, cex, &opened, &source)]));
    }
    let root = if encrypted { "/dev/mapper/root" } else { "/dev/md/md-root" };
    filesystems.push(filesystem(&source, root, "xfs", "root"));
    storage.set("filesystems", source.list(filesystems));
    let storage = Tree::new(Value::Record(storage), Some(&at));
    over(edition, Record::from_iter([("storage", storage)]), made)
}

fn first_partitions(layout: &str) -> [First; 2] {
    match layout {
        "x86_64" => [BIOS, ESP],
        "aarch64" => [RESERVED, ESP],
        "ppc64le" => [PREP, RESERVED],
        _ => [RESERVED, RESERVED],
    }
}

fn mirror(
    edition: Edition,
    layout: &str,
    devices: &[Tree],
    at: &Path,
    storage: &mut Record,
    filesystems: &mut Vec<Tree>,
) {
    let first = first_partitions(layout);
    let mut disks = Vec::new();
    for (index, device) in devices.iter().filter_map(Tree::as_text).enumerate() {
        let source = Source(at.at("devices").nth(index));
        let number = index + 1;
        disks.push(disk(&source, device, number, first));
        if first.contains(&ESP) {
            let label = format!("esp-{number}");
            filesystems.push(filesystem(&source, &format!("/dev/disk/by-partlabel/{label}"), "vfat", &label));
        }
    }
    let source = Source(at.clone());
    let raid = |name: &str, partition: &str, options: &[&str]| {
        let members =
            (1..=devices.len()).map(|number| source.text(&format!("/dev/disk/by-partlabel/{partition}-{number}")));
        let level = if edition.minor() < 3 { source.text("raid1") } else { source.given_text("raid1") };
        let array = [("devices", source.list(members)), ("level", level), ("name", source.text(name))];
        let mut array = Record::from_iter(array);
        if !options.is_empty() {
            array.set("options", source.list(options.iter().map(|option| source.text(option))));
        }
        Tree::new(Value::Record(array), Some(at))
    };
    // The superblock at the end keeps the boot loader from having to know of RAID.
    storage.set("raid", source.list([raid("md-boot", "boot", &["--metadata=1.0"]), raid("md-root", "root", &[])]));
    storage.set("disks", Source(at.at("devices")).list(disks));
    filesystems.push(filesystem(&source, "/dev/md/md-boot", "ext4", "boot"));
}

fn disk(source: &Source, device: &str, number: usize, first: [First; 2]) -> Tree {
    let label = |name: &str| ("label", source.given_text(&format!("{name}-{number}")));
    let mut partitions: Vec<Tree> = first
        .into_iter()
        .map(|(name, size, kind)| {
            source.record([label(name), ("sizeMiB", source.number(size)), ("typeGuid", source.given_text(kind))])
        })
        .collect();
    partitions.push(source.record([label("boot"), ("sizeMiB", source.number(BOOT_MIB))]));
    partitions.push(source.record([label("root")]));
    source.record([
        ("device", source.text(device)),
        ("partitions", source.list(partitions)),
        ("wipeTable", source.yes()),
    ])
}

fn filesystem(source: &Source, device: &str, format: &str, label: &str) -> Tree {
    source.record([
        ("device", source.text(device)),
        ("format", source.given_text(format)),
        ("label", source.given_text(label)),
        ("wipeFilesystem", source.yes()),
    ])
}

fn opened_device(layout: &str, device: &str, alone: bool) -> String {
    match layout {
        "s390x-eckd" => format!("{device}2"),
        "s390x-zfcp" => format!("{device}4"),
        _ if alone => "/dev/disk/by-partlabel/root".to_owned(),
        _ => "/dev/md/md-root".to_owned(),
    }
}

fn volume(edition: Edition, luks: &Record, cex: bool, device: &str, source: &Source) -> Tree {
    let mut volume = Record::from_iter([
        ("device", source.given_text(device)),
        ("label", source.given_text("luks-root")),
        ("name", source.text("root")),
        ("wipeVolume", source.yes()),
    ]);
    let copied = |names: &[&'static str], record: &Record| -> Record {
        names.iter().filter_map(|name| Some((*name, record.get(name)?.clone()))).collect()
    };
    if cex {
        let enabled = luks.record("cex").map(|cex| copied(&["enabled"], cex)).unwrap_or_default();
        volume.set("cex", Tree::new(Value::Record(enabled), Some(&source.0)));
    } else {
        let clevis = copied(&["tang", "threshold", "tpm2"], luks);
        let optional = edition.minor() < 3;
        volume.set("clevis", Tree { value: Value::Record(clevis), optional, from: Some(source.0.clone()) });
    }
    if let Some(discard) = luks.get("discard") {
        volume.set("discard", discard.clone());
    }
    Tree::new(Value::Record(volume), Some(&source.0))
}
