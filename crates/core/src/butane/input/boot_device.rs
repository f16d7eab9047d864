//! The `boot_device` section.

use super::super::edition::Edition;
use super::super::fault::Fault;
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::tree::{Record, Tree};

const LAYOUTS: &str = "aarch64, ppc64le, s390x-eckd, s390x-virt, s390x-zfcp, x86_64";
const OLD_LAYOUTS: &str = "aarch64, ppc64le, x86_64";
/// First version of fcos with the layouts of s390x.
const S390X: u8 = 6;

/// The section as a whole.
pub fn boot_device(edition: Edition, fields: &Record, at: &Path, report: &mut Report) {
    let empty = Record::default();
    let mirror_fields = fields.record("mirror").unwrap_or(&empty);
    let luks = fields.record("luks").unwrap_or(&empty);
    let layout = fields.given_text("layout");
    let is_mirrored = !mirror_fields.list("devices").is_empty();
    if is_mirrored && layout.is_none() {
        if edition.level >= 7 {
            report.error(at.at("mirror"), Fault::MirrorWithoutLayout);
        } else {
            report.warning(at.at("mirror"), Fault::MirrorWithoutLayout);
        }
    }
    if let Some(layout) = layout {
        check_layout(edition, layout, luks.text("device"), at, report);
        if edition.level >= S390X && layout.starts_with("s390x") && is_mirrored {
            report.error(at.at("layout"), Fault::MirrorOnS390x(layout.to_owned()));
        }
    }
    if luks.record("cex").is_some_and(|cex| cex.is_true("enabled")) {
        match layout {
            None => report.error(at.at("luks").at("cex"), Fault::CexLayout),
            Some(layout) if !layout.starts_with("s390x") => report.error(at.at("layout"), Fault::CexLayout),
            Some(_) => {}
        }
        if !luks.list("tang").is_empty() || luks.is_true("tpm2") {
            report.error(at.at("luks"), Fault::CexWithClevis);
        }
    }
    // The real tool looks at the mirror twice: here, and as a section of its own.
    mirror(mirror_fields, &at.at("mirror"), report);
}

fn check_layout(edition: Edition, layout: &str, device: &str, at: &Path, report: &mut Report) {
    let at = at.at("layout");
    let (prefix, example) = match layout {
        "aarch64" | "ppc64le" | "x86_64" => return,
        "s390x-virt" if edition.level >= S390X => return,
        "s390x-eckd" if edition.level >= S390X => ("/dev/dasd", "one such as /dev/dasda"),
        "s390x-zfcp" if edition.level >= S390X => ("/dev/sd", "one such as /dev/sda"),
        _ => {
            let known = if edition.level >= S390X { LAYOUTS } else { OLD_LAYOUTS };
            return report.error(at, Fault::Layout { found: layout.to_owned(), known });
        }
    };
    let letter = device.rfind(prefix).map(|found| &device[found + prefix.len()..]);
    let is_disk =
        letter.is_some_and(|letter| letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase()));
    if device.is_empty() {
        report.error(at, Fault::BootDeviceMissing(layout.to_owned()));
    } else if !is_disk {
        let fault = Fault::BootDeviceName { device: device.to_owned(), layout: layout.to_owned(), example };
        report.error(at, fault);
    }
}

/// The encryption of the root filesystem.
pub fn luks(edition: Edition, luks: &Record, at: &Path, report: &mut Report) {
    if edition.level < 7 || luks.text("device").is_empty() {
        return;
    }
    let tang = luks.list("tang").iter().filter_map(Tree::as_record).any(|tang| !tang.is_zero());
    let cex = luks.record("cex").is_some_and(|cex| cex.is_true("enabled"));
    if !tang && !luks.is_true("tpm2") && !cex {
        report.error(at.at("luks"), Fault::NoLuksMethod);
    }
}

/// The mirror of the boot disk.
pub fn mirror(mirror: &Record, at: &Path, report: &mut Report) {
    if mirror.list("devices").len() == 1 {
        report.error(at.at("devices"), Fault::OneMirrorDevice);
    }
}
