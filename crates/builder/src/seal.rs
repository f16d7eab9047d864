//! The last touch to an image whose stages ran commands: what they left behind, and what they did to the configuration.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::check::{Fault, Found, fault};
use onlay_core::build::layer::{BASE_COPIES, Base as _, Entry, Plan, What};
use onlay_core::build::trust;
use onlay_core::render::origin::Origins;

use crate::declare::declare;
use crate::error::Error;
use crate::ostree;
use crate::report::say;
use crate::rootfs::Rootfs;

/// What buildah binds into the containers of commands, and leaves behind empty where the image has none.
const BOUND: [&str; 5] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", ostree::CONTAINER, trust::DIRECTORY];
/// Suffixes under which package managers put the package's own copy of a file that they found changed.
const SHIPPED: [&str; 3] = [".dpkg-dist", ".ucf-dist", ".rpmnew"];

/// Places that hold nothing an image should keep.
const EMPTIED: [&str; 6] = ["/var/cache", "/var/log", "/var/lib/apt/lists", "/var/tmp", "/tmp", "/run"];

/// Cleans a built image, and says whether anything was to do.
pub fn seal(plan: &Plan, origins: &Origins, base: &Rootfs, built: &Rootfs) -> Result<bool, Error> {
    let mut touched = remove_bound(plan, base, built)?;
    for place in EMPTIED.map(Utf8Path::new) {
        touched |= empty(place, built)?;
    }
    // Before the configuration's own account files come back.
    touched |= declare(base, built)?;
    for path in &plan.baked {
        let theirs = theirs(origins, path);
        touched |= keep_shipped(plan, path, &theirs, built)?;
        touched |= restore(plan, path, &theirs, built)?;
    }
    Ok(touched)
}

/// What nodes get at a path of the configuration, whatever a Containerfile does there.
fn theirs(origins: &Origins, path: &Utf8Path) -> String {
    match origins.at(path.as_str()) {
        [] => "what the rendered configuration says".to_owned(),
        [one] => format!("what MachineConfig {one} says"),
        several => format!("what MachineConfigs {} say", several.join(", ")),
    }
}

fn remove_bound(plan: &Plan, base: &Rootfs, built: &Rootfs) -> Result<bool, Error> {
    let mut touched = false;
    for path in BOUND.map(Utf8Path::new) {
        let ours = base.entry(path).is_some() || plan.entries.contains_key(path);
        let is_file = built.metadata(path).is_some_and(|metadata| metadata.is_file() && metadata.len() == 0);
        let is_directory = built.is_directory(path) && built.names(path)?.is_empty();
        if (is_file || is_directory) && !ours {
            let path = built.at(path);
            let removed = if is_file { fs::remove_file(&path) } else { fs::remove_dir(&path) };
            removed.map_err(Error::file("remove", path))?;
            touched = true;
        }
    }
    Ok(touched)
}

/// Removes what lies below a place and is no directory, without following a link, and says whether anything was there.
fn empty(place: &Utf8Path, built: &Rootfs) -> Result<bool, Error> {
    if !built.is_directory(place) {
        return Ok(false);
    }
    let directory = built.at(place);
    let mut touched = false;
    for entry in directory.read_dir_utf8().map_err(Error::file("list", &directory))? {
        let entry = entry.map_err(Error::file("list", &directory))?;
        let kind = entry.file_type().map_err(Error::file("look at", entry.path()))?;
        if kind.is_dir() {
            touched |= empty(&place.join(entry.file_name()), built)?;
        } else {
            fs::remove_file(entry.path()).map_err(Error::file("remove", entry.path()))?;
            touched = true;
        }
    }
    Ok(touched)
}

/// Keeps what the image would have at a path without the configuration, for the day the path leaves the configuration.
fn keep_shipped(plan: &Plan, path: &Utf8Path, theirs: &str, built: &Rootfs) -> Result<bool, Error> {
    let copy = built.at(&Utf8PathBuf::from(format!("{BASE_COPIES}{path}")));
    for suffix in SHIPPED {
        let shipped = built.at(&Utf8PathBuf::from(format!("{path}{suffix}")));
        if shipped.is_file() {
            make_room(&copy)?;
            fs::rename(&shipped, &copy).map_err(Error::file("move", shipped))?;
            say(format!("warning: a package brings {path} too: nodes get {theirs}"));
            return Ok(true);
        }
    }
    let Some(What::File(baked)) = plan.entries.get(path).map(|entry| &entry.what) else { return Ok(false) };
    let changed = built.read(path)?.is_some_and(|now| now != *baked);
    if changed {
        make_room(&copy)?;
        fs::copy(built.at(path), &copy).map_err(Error::file("copy", built.at(path)))?;
    }
    Ok(changed)
}

/// Makes a file or link as the configuration says again, if instructions have changed or removed it.
///
/// What is a directory now, or lies behind a link, is left for the check of the image.
fn restore(plan: &Plan, path: &Utf8Path, theirs: &str, built: &Rootfs) -> Result<bool, Error> {
    let Some(entry) = plan.entries.get(path) else { return Ok(false) };
    let found = built.found(path)?;
    let Some(fault) = fault(entry, &found) else { return Ok(false) };
    let mut parents = path.ancestors().skip(1).filter(|parent| built.metadata(parent).is_some());
    if found == Found::Directory || !parents.all(|parent| built.is_directory(parent)) {
        return Ok(false);
    }
    let does = if fault == Fault::Missing { "removes" } else { "changes" };
    say(format!("warning: the Containerfile {does} {path}: nodes get {theirs}"));
    let place = built.at(path);
    make_room(&place)?;
    write(entry, &place, built).map(|()| true)
}

fn write(entry: &Entry, place: &Utf8Path, built: &Rootfs) -> Result<(), Error> {
    match &entry.what {
        What::File(contents) => fs::write(place, contents).map_err(Error::file("write", place))?,
        What::Link(target) => symlink(target, place).map_err(Error::file("make the link", place))?,
        What::Directory | What::CopyOf(_) => return Ok(()),
    }
    let number = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    let (user, group) = (number(built.user(&entry.user)?), number(built.group(&entry.group)?));
    lchown(place, Some(user), Some(group)).map_err(Error::file("set the owner of", place))?;
    if !place.is_symlink() {
        let mode = Permissions::from_mode(entry.mode);
        fs::set_permissions(place, mode).map_err(Error::file("set the mode of", place))?;
    }
    Ok(())
}

fn make_room(copy: &Utf8Path) -> Result<(), Error> {
    if let Some(directory) = copy.parent() {
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    }
    match fs::remove_file(copy) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", copy)(error)),
        _ => Ok(()),
    }
}
