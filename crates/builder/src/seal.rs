//! The last touch to an image whose stages ran commands: what they left behind, and what they did to the configuration.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::layer::{BASE_COPIES, Base as _, Plan, What};

use crate::error::Error;
use crate::report::say;
use crate::rootfs::Rootfs;

/// Files that buildah binds into the containers of commands, and leaves behind empty where the image has none.
const BOUND: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
/// Suffixes under which package managers put the package's own copy of a file that they found changed.
const SHIPPED: [&str; 3] = [".dpkg-dist", ".ucf-dist", ".rpmnew"];

/// Places that hold nothing an image should keep.
const EMPTIED: [&str; 6] = ["/var/cache", "/var/log", "/var/lib/apt/lists", "/var/tmp", "/tmp", "/run"];

/// Cleans a built image, and says whether anything was to do.
pub fn seal(plan: &Plan, base: &Rootfs, built: &Rootfs) -> Result<bool, Error> {
    let mut touched = remove_bound(plan, base, built)?;
    for place in EMPTIED.map(Utf8Path::new) {
        touched |= empty(place, built)?;
    }
    for path in &plan.baked {
        touched |= keep_shipped(plan, path, built)?;
    }
    Ok(touched)
}

fn remove_bound(plan: &Plan, base: &Rootfs, built: &Rootfs) -> Result<bool, Error> {
    let mut touched = false;
    for path in BOUND.map(Utf8Path::new) {
        let ours = base.entry(path).is_some() || plan.entries.contains_key(path);
        let empty = built.metadata(path).is_some_and(|metadata| metadata.is_file() && metadata.len() == 0);
        if empty && !ours {
            let path = built.at(path);
            fs::remove_file(&path).map_err(Error::file("remove", path))?;
            touched = true;
        }
    }
    Ok(touched)
}

/// Removes what lies below a place and is no directory, without following a link, and says whether anything was there.
fn empty(place: &Utf8Path, built: &Rootfs) -> Result<bool, Error> {
    if !place.ancestors().all(|path| built.metadata(path).is_some_and(|metadata| metadata.is_dir())) {
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
fn keep_shipped(plan: &Plan, path: &Utf8Path, built: &Rootfs) -> Result<bool, Error> {
    let copy = built.at(&Utf8PathBuf::from(format!("{BASE_COPIES}{path}")));
    for suffix in SHIPPED {
        let shipped = built.at(&Utf8PathBuf::from(format!("{path}{suffix}")));
        if shipped.is_file() {
            make_room(&copy)?;
            fs::rename(&shipped, &copy).map_err(Error::file("move", shipped))?;
            say(format!("a package brings {path} too: nodes get the MachineConfig's"));
            return Ok(true);
        }
    }
    let Some(What::File(baked)) = plan.entries.get(path).map(|entry| &entry.what) else { return Ok(false) };
    let changed = built.read(path)?.is_some_and(|now| now != *baked);
    if changed {
        make_room(&copy)?;
        fs::copy(built.at(path), &copy).map_err(Error::file("copy", built.at(path)))?;
        say(format!("the Containerfile changes {path}: nodes get the MachineConfig's"));
    }
    Ok(changed)
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
