//! Files, directories and links.

use super::super::fault::Fault;
use super::super::fields::Kind;
use super::super::path::At;
use super::super::report::Report;
use super::super::tree::{Record, Tree};
use super::Rules;

/// From this specification on, setuid, setgid and sticky bits are kept.
const SPECIAL_BITS: u8 = 6;
/// From this specification on, the target of a link is checked.
const TARGET_CHECKED: u8 = 3;

/// A file, directory or link by itself.
pub fn node(kind: Kind, rules: Rules, node: &Record, at: &At<'_>, report: &mut Report) {
    report.check(|| at.at("path"), absolute(node.text("path")));
    if let Some(mode) = node.number("mode") {
        if !(0..=0o7777).contains(&mode) {
            report.error(at.at("mode"), Fault::Mode(mode));
        }
        if rules.minor < SPECIAL_BITS && mode & 0o7000 != 0 {
            report.warning(at.at("mode"), Fault::SpecialMode);
        }
    }
    let source = node.record("contents").and_then(|contents| contents.get("source"));
    if kind == Kind::File && node.is_true("overwrite") && source.is_none() {
        report.error(at.at("overwrite"), Fault::OverwriteNothing);
    }
}

/// Checks that a path is absolute and normalised.
pub fn absolute(path: &str) -> Result<(), Fault> {
    if path.is_empty() {
        return Err(Fault::PathMissing);
    }
    if !path.starts_with('/') {
        return Err(Fault::PathRelative(path.to_owned()));
    }
    if is_clean(path) { Ok(()) } else { Err(Fault::PathUnclean { path: path.to_owned(), clean: clean_path(path) }) }
}

/// Whether an absolute path is the shortest one of its place.
pub fn is_clean(path: &str) -> bool {
    path == "/" || path.split('/').skip(1).all(|name| !matches!(name, "" | "." | ".."))
}

/// The shortest path of the same place, by its text alone; `.` for an empty one.
pub fn clean_path(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            ".." if rooted => {}
            name => names.push(name),
        }
    }
    match (rooted, names.is_empty()) {
        (true, _) => format!("/{}", names.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => names.join("/"),
    }
}

/// What files, directories, links, disks and filesystems must not be to each other.
pub fn storage(rules: Rules, storage: &Record, at: &At<'_>, report: &mut Report) {
    let links: Vec<&str> =
        storage.list("links").iter().filter_map(Tree::as_record).map(|each| each.text("path")).collect();
    for list in ["directories", "files", "links"] {
        for (index, record) in storage.list(list).iter().filter_map(Tree::as_record).enumerate() {
            let list_at = At::Field(at, list);
            let at = At::Entry(&list_at, index);
            let is_below =
                |link: &&&str| record.text("path").strip_prefix(**link).is_some_and(|rest| rest.starts_with('/'));
            for link in links.iter().filter(is_below) {
                report.error(at.path(), Fault::BelowLink((*link).to_owned()));
            }
            if list == "links" {
                link(rules, record, storage, &at, report);
            }
        }
    }
    filesystems(storage, at, report);
}

fn link(rules: Rules, link: &Record, storage: &Record, at: &At<'_>, report: &mut Report) {
    let target = link.text("target");
    if target.is_empty() && rules.minor >= TARGET_CHECKED {
        report.error(at.at("target"), Fault::TargetMissing);
        return;
    }
    if !link.is_true("hard") {
        return;
    }
    let mut place = clean_path(target);
    if !place.starts_with('/') {
        place = clean_path(&format!("{}/{target}", link.text("path")));
    }
    for _ in storage.list("directories").iter().filter_map(Tree::as_record).filter(|each| each.text("path") == place) {
        report.error(at.path(), Fault::HardToDirectory);
    }
    for (account, field) in [("user", "id"), ("user", "name"), ("group", "id"), ("group", "name")] {
        if link.record(account).is_some_and(|account| account.get(field).is_some()) {
            report.warning(at.at(account).at(field), Fault::HardOwner);
        }
    }
}

fn filesystems(storage: &Record, at: &At<'_>, report: &mut Report) {
    let disks: Vec<&Record> = storage.list("disks").iter().filter_map(Tree::as_record).collect();
    for (index, filesystem) in storage.list("filesystems").iter().filter_map(Tree::as_record).enumerate() {
        let device = filesystem.text("device");
        let Some(disk) = disks.iter().rfind(|disk| disk.text("device") == device) else { continue };
        let path = at.at("filesystems").nth(index).at("device");
        if !disk.list("partitions").is_empty() {
            report.warning(path, Fault::PartitionsOverwritten);
        } else if !filesystem.is_true("wipeFilesystem") && disk.is_true("wipeTable") {
            report.warning(path, Fault::ImplicitWipe);
        }
    }
}
