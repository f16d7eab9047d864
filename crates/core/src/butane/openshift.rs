//! MachineConfigs: wrapping an Ignition configuration, and what a MachineConfig cannot have.
//!
//! Source of the rules: the real tool, per version, measured. Refused is what the compatible operator cannot render,
//! does not apply, or must not see changed on a node.

use super::edition::Edition;
use super::fault::Fault;
use super::schema::OPENSHIFT;
use crate::render::ignition::spec::check::scheme;
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::tree::{Record, Tree, Value};

const API_VERSION: &str = "machineconfiguration.openshift.io/v1";
const KIND: &str = "MachineConfig";
/// Up to this version, FIPS needs a cipher of its own for LUKS.
const FIPS_CIPHER_UNTIL: u8 = 19;

/// A MachineConfig around an Ignition configuration.
pub fn wrap(edition: Edition, written: &Record, mut config: Record) -> Record {
    let at = Path::default();
    let empty = Record::default();
    let section = written.record("openshift").unwrap_or(&empty);
    let fips_before = edition.openshift.is_some_and(|minor| minor <= FIPS_CIPHER_UNTIL);
    if section.is_true("fips") && fips_before {
        add_fips_cipher(&mut config, &at.down(&["openshift", "fips"]));
    }
    let mut spec = Record::default();
    spec.set("config", Tree::new(Value::Record(config), Some(&at)));
    for field in OPENSHIFT.fields {
        if let Some(value) = section.get(field.name) {
            spec.set(field.name, value.clone());
        }
    }
    let metadata = written.record("metadata").cloned().unwrap_or_default();
    let version = at.at("version");
    let text = |text: &str| Tree::new(Value::Text(text.to_owned()), Some(&version));
    Record::from_iter([
        ("apiVersion", text(API_VERSION)),
        ("kind", text(KIND)),
        ("metadata", Tree::new(Value::Record(metadata), Some(&at.at("metadata")))),
        ("spec", Tree::new(Value::Record(spec), Some(&version))),
    ])
}

/// Every LUKS volume without a cipher gets the one that FIPS 140-2 allows.
fn add_fips_cipher(config: &mut Record, from: &Path) {
    let Some(Value::Record(storage)) = config.get_mut("storage").map(|storage| &mut storage.value) else { return };
    let Some(Value::List(volumes)) = storage.get_mut("luks").map(|luks| &mut luks.value) else { return };
    for volume in volumes {
        let Value::Record(luks) = &mut volume.value else { continue };
        let list = luks.get("options");
        let mut options = list.map(Tree::entries).unwrap_or_default().to_vec();
        let origin = list.and_then(|list| list.from.clone()).filter(|_| !options.is_empty());
        let is_cipher = |option: &str| option == "--cipher" || option.starts_with("--cipher=") || option == "-c";
        if options.iter().filter_map(Tree::as_text).any(is_cipher) {
            continue;
        }
        for option in ["--cipher", "aes-cbc-essiv:sha256"] {
            options.push(Tree::new(Value::Text(option.to_owned()), Some(from)));
        }
        luks.set("options", Tree::new(Value::List(options), Some(&origin.unwrap_or_else(|| from.clone()))));
    }
}

/// What the operator or its system cannot do with values, at paths of the MachineConfig.
pub fn unsupported(edition: Edition, machine_config: &Record) -> Report {
    let mut report = Report::default();
    let at = Path::default().down(&["spec", "config"]);
    let Some(config) = machine_config.record("spec").and_then(|spec| spec.record("config")) else { return report };
    let section = |section: &str, list: &str| {
        config.record(section).map(|section| section.list(list)).unwrap_or_default().iter().filter_map(Tree::as_record)
    };
    for (index, filesystem) in section("storage", "filesystems").enumerate() {
        let at = at.down(&["storage", "filesystems"]).nth(index).at("format");
        match filesystem.text("format") {
            "btrfs" => report.error(at, refused("no btrfs", "write ext4, xfs or vfat")),
            "none" if edition.is_openshift_since(14) => {
                report.error(at, refused("no filesystem of format none", "leave the filesystem out"));
            }
            _ => {}
        }
    }
    for (index, file) in section("storage", "files").enumerate() {
        let at = at.down(&["storage", "files"]).nth(index);
        let source = file.record("contents").and_then(|contents| contents.given_text("source"));
        if source.is_some_and(is_remote) {
            let fault = refused("data URLs only", "write the contents inline, or as local");
            report.error(at.at("contents").at("source"), fault);
        }
        if edition.is_openshift_since(10) && file.number("mode").is_some_and(|mode| mode & !0o777 != 0) {
            report.error(at.at("mode"), refused("no setuid, setgid and sticky bits", "write a mode up to 0777"));
        }
    }
    for (index, user) in section("passwd", "users").enumerate() {
        if user.text("name") != "core" {
            let at = at.down(&["passwd", "users"]).nth(index).at("name");
            report.error(at, refused("the user core only", "create other users in the image"));
        }
    }
    report
}

fn is_remote(source: &str) -> bool {
    scheme(source).is_some_and(|scheme| scheme != "data")
}

fn refused(what: &'static str, way_out: &'static str) -> Fault {
    Fault::Refused { what, way_out }
}

/// A field of the Ignition configuration that a MachineConfig cannot have.
struct Banned {
    /// Names down to the field; lists are passed through.
    names: &'static [&'static str],
    /// First and last version that refuse it.
    versions: (u8, u8),
    /// Whether an empty text is as good as none.
    ignores_empty: bool,
    what: &'static str,
    way_out: &'static str,
}

const ALWAYS: (u8, u8) = (0, u8::MAX);
const USER: &str = "name, ssh_authorized_keys and password_hash (from 4.13 on) of users only";
const USER_WAY_OUT: &str = "set up everything else of the user in the image";

macro_rules! user_fields {
    ($($name:literal)*) => {
        [$(Banned {
            names: &["passwd", "users", $name], versions: ALWAYS, ignores_empty: false, what: USER, way_out: USER_WAY_OUT,
        }),*]
    };
}

static BANNED_OF_USERS: [Banned; 11] = user_fields![
    "gecos" "groups" "homeDir" "noCreateHome" "noLogInit" "noUserGroup" "primaryGroup" "shell" "shouldExist" "system" "uid"
];

static BANNED: [Banned; 8] = [
    Banned {
        names: &["passwd", "users", "passwordHash"],
        versions: (0, 12),
        ignores_empty: false,
        what: USER,
        way_out: USER_WAY_OUT,
    },
    Banned {
        names: &["kernelArguments"],
        versions: (14, u8::MAX),
        ignores_empty: false,
        what: "kernel arguments of their own",
        way_out: "write openshift.kernel_arguments",
    },
    Banned {
        names: &["passwd", "groups"],
        versions: ALWAYS,
        ignores_empty: false,
        what: "no groups",
        way_out: "create groups in the image",
    },
    Banned {
        names: &["storage", "directories"],
        versions: ALWAYS,
        ignores_empty: false,
        what: "no directories",
        way_out: "files bring their directories along",
    },
    Banned {
        names: &["storage", "files", "append"],
        versions: ALWAYS,
        ignores_empty: false,
        what: "no appended contents, which GRUB users need too",
        way_out: "write the whole contents of the file",
    },
    Banned {
        names: &["storage", "files", "contents", "compression"],
        versions: (8, 9),
        ignores_empty: true,
        what: "no packed contents before 4.10",
        way_out: "write the contents unpacked",
    },
    Banned {
        names: &["storage", "files", "contents", "httpHeaders"],
        versions: ALWAYS,
        ignores_empty: false,
        what: "no HTTP headers",
        way_out: "write the contents inline, or as local",
    },
    Banned {
        names: &["storage", "links"],
        versions: ALWAYS,
        ignores_empty: false,
        what: "no links",
        way_out: "write a file, or make the link in a unit; trees must not hold links",
    },
];

/// Fields that a MachineConfig cannot have, at paths of the MachineConfig.
pub fn banned(edition: Edition, machine_config: &Record) -> Report {
    let mut report = Report::default();
    let Some(config) = machine_config.record("spec").and_then(|spec| spec.get("config")) else { return report };
    let own = edition.openshift.unwrap_or_default();
    for ban in BANNED.iter().chain(&BANNED_OF_USERS).filter(|ban| ban.versions.0 <= own && own <= ban.versions.1) {
        find(config, ban.names, &Path::default().down(&["spec", "config"]), &mut |value, path| {
            if !is_empty(value, ban.ignores_empty) {
                report.error(path.clone(), refused(ban.what, ban.way_out));
            }
        });
    }
    report
}

/// Calls `visit` with each value at the end of the names.
fn find(tree: &Tree, names: &[&'static str], at: &Path, visit: &mut impl FnMut(&Tree, &Path)) {
    let Some((name, rest)) = names.split_first() else { return visit(tree, at) };
    match &tree.value {
        Value::List(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                find(entry, names, &at.nth(index), visit);
            }
        }
        Value::Record(record) => {
            if let Some(value) = record.get(name) {
                find(value, rest, &at.at(name), visit);
            }
        }
        _ => {}
    }
}

fn is_empty(tree: &Tree, ignores_empty: bool) -> bool {
    match &tree.value {
        Value::List(entries) => entries.is_empty(),
        Value::Record(record) => record.iter().all(|(_, value)| is_empty(value, ignores_empty)),
        Value::Text(text) if ignores_empty => text.is_empty(),
        _ => tree.is_zero(),
    }
}

/// Warnings for each field of the MachineConfig that plain Ignition output leaves out, at paths of the MachineConfig.
pub fn left_out(machine_config: &Record) -> Report {
    let mut report = Report::default();
    let Some(spec) = machine_config.record("spec") else { return report };
    for (name, _) in spec.iter().filter(|(name, value)| *name != "config" && !value.is_zero()) {
        report.warning(Path::default().at("spec").at(name), Fault::Elided);
    }
    report
}
