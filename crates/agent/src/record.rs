//! From what a rendered configuration asks for to the record of a deployment.

use onlay_core::render::desired::{Desired, DesiredUnit, Owner as DesiredOwner};
use onlay_host::content::{self, Contents, sha256};
use onlay_host::record::{Directory, File, Link, Owner, Record, Tree, Unit};
use std::collections::BTreeMap;

/// The account whose public keys a configuration can name.
const CORE: &str = "core";

/// The record of `config` on `image`. Contents are named by digest; [`keep`] stores them.
pub fn of(config: &str, image: &str, desired: &Desired) -> Record {
    let files = desired.files.iter().map(|file| {
        let sha256 = sha256(&file.contents);
        (
            file.path.as_str().into(),
            File { mode: file.mode, user: owner(&file.user), group: owner(&file.group), sha256 },
        )
    });
    let directories = desired.directories.iter().map(|directory| {
        let (user, group) = (owner(&directory.user), owner(&directory.group));
        (directory.path.as_str().into(), Directory { mode: directory.mode, user, group })
    });
    let links = desired.links.iter().map(|link| {
        let (user, group) = (owner(&link.user), owner(&link.group));
        (link.path.as_str().into(), Link { target: link.target.clone(), hard: false, user, group })
    });
    let keys = &desired.ssh_authorized_keys;
    let authorized_keys = if keys.is_empty() { BTreeMap::new() } else { [(CORE.to_owned(), keys.clone())].into() };
    Record {
        config: config.to_owned(),
        image: image.to_owned(),
        kernel_arguments: desired.kernel_arguments.clone(),
        tree: Tree {
            files: files.collect(),
            directories: directories.collect(),
            links: links.collect(),
            units: desired.units.iter().map(|known| (known.name.clone(), unit(known))).collect(),
            authorized_keys,
        },
    }
}

/// Stores all contents that the record of `desired` names.
pub fn keep(desired: &Desired, contents: Contents<'_>) -> Result<(), content::Error> {
    for file in &desired.files {
        contents.put(&file.contents)?;
    }
    for unit in &desired.units {
        for text in unit.contents.iter().chain(unit.dropins.iter().map(|dropin| &dropin.contents)) {
            contents.put(text.as_bytes())?;
        }
    }
    Ok(())
}

fn unit(desired: &DesiredUnit) -> Unit {
    Unit {
        sha256: desired.contents.as_ref().map(|text| sha256(text.as_bytes())),
        enabled: desired.enabled,
        masked: desired.masked,
        dropins: desired
            .dropins
            .iter()
            .map(|dropin| (dropin.name.clone(), sha256(dropin.contents.as_bytes())))
            .collect(),
    }
}

fn owner(owner: &DesiredOwner) -> Owner {
    match owner {
        DesiredOwner::Id(id) => Owner::Id(*id),
        DesiredOwner::Name(name) => Owner::Name(name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onlay_core::render::desired::{DesiredFile, DropIn};

    #[test]
    fn contents_are_named_by_digest() {
        let file = DesiredFile {
            path: "/etc/motd".into(),
            mode: 0o640,
            user: DesiredOwner::Id(0),
            group: DesiredOwner::Name("adm".into()),
            contents: b"hello".to_vec(),
        };
        let dropins = vec![DropIn { name: "10.conf".into(), contents: "[Service]\n".into() }];
        let unit = DesiredUnit { name: "a.service".into(), enabled: Some(true), dropins, ..DesiredUnit::default() };
        let desired = Desired { files: vec![file], units: vec![unit], ..Desired::default() };
        let record = of("rendered-a", "r/os@sha256:0", &desired);
        let file = &record.tree.files[camino::Utf8Path::new("/etc/motd")];
        assert_eq!((file.mode, &file.group), (0o640, &Owner::Name("adm".into())));
        assert_eq!(file.sha256, sha256(b"hello"));
        let unit = &record.tree.units["a.service"];
        assert_eq!((unit.sha256.as_ref(), unit.enabled, unit.dropins.len()), (None, Some(true), 1));
        assert_eq!(record.tree.contents().len(), 2);
    }
}
