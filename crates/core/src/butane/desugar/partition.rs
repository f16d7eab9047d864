//! Partitions that would probably not do what was meant.

use super::super::edition::Edition;
use super::super::fault::Fault;
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::tree::{Record, Tree};

/// Labels of the system's own partitions, with their numbers.
const RESERVED: [(&str, i64); 5] =
    [("BIOS-BOOT", 1), ("PowerPC-PReP-boot", 1), ("EFI-SYSTEM", 2), ("boot", 3), ("root", 4)];
/// Least size of the root partition in MiB.
const ROOT_MIN: i64 = 8192;
/// First version of fcos that looks at the size of the root partition.
const ROOT_CHECKED: u8 = 3;

/// Remarks on partitions, at paths of the Ignition configuration.
pub fn remarks(edition: Edition, config: &Record) -> Report {
    let mut report = Report::default();
    let disks = config.record("storage").map(|storage| storage.list("disks")).unwrap_or_default();
    for (index, disk) in disks.iter().filter_map(Tree::as_record).enumerate() {
        let partitions: Vec<&Record> = disk.list("partitions").iter().filter_map(Tree::as_record).collect();
        for (number, partition) in partitions.iter().enumerate() {
            let Some(label) = partition.given_text("label") else { continue };
            let at = Path::default().down(&["storage", "disks"]).nth(index).at("partitions").nth(number);
            if label == "root" && edition.level >= ROOT_CHECKED {
                root(partition, number, &partitions, &at, &mut report);
            }
            let own = partition.number("number").unwrap_or_default();
            let reserved = RESERVED.iter().find(|(reserved, number)| *reserved == label && *number != own);
            if let Some((label, number)) = reserved.filter(|_| !disk.is_true("wipeTable")) {
                let fault = Fault::PartitionNumber { label: (*label).to_owned(), number: *number };
                report.warning(at.at("label"), fault);
            }
        }
    }
    report
}

fn root(partition: &Record, number: usize, all: &[&Record], at: &Path, report: &mut Report) {
    let unplaced = |partition: &&Record| partition.number("startMiB").unwrap_or_default() == 0;
    let size = partition.number("sizeMiB").unwrap_or_default();
    let constrained = || all.iter().enumerate().any(|(other, partition)| other != number && unplaced(partition));
    if size == 0 && constrained() {
        report.warning(at.at("label"), Fault::RootConstrained);
    } else if size != 0 && size < ROOT_MIN {
        report.warning(at.at("size_mib"), Fault::RootTooSmall(size));
    }
}
