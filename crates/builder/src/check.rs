//! Looks at a built image for [`onlay_core::build::check`].

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::check::{self, Facts, INITRAMFS, KERNEL, MODULES};
use onlay_core::build::layer::{Base as _, BaseEntry, Plan};
use onlay_core::build::var::{Kind, Left};
use onlay_core::render::desired::Desired;

use crate::declare;
use crate::error::Error;
use crate::rootfs::Rootfs;

/// Where unit files of an image lie; what lies in the first one is the machine's own.
const UNITS: [&str; 2] = ["/etc/systemd/system", "/usr/lib/systemd/system"];
/// Where a unit that is masked leads to.
const MASK: &str = "/dev/null";
/// Places that are empty when a machine boots.
const VOLATILE: [&str; 2] = ["/run", "/tmp"];

/// Ends the build if nodes could not use the image.
pub fn check(plan: &Plan, desired: &Desired, base: &Rootfs, built: &Rootfs) -> Result<(), Error> {
    let facts = facts(plan, base, built)?;
    check::failure(&check::check(plan, desired, &facts)).map_or(Ok(()), |failure| Err(Error::Build(failure)))
}

fn facts(plan: &Plan, base: &Rootfs, built: &Rootfs) -> Result<Facts, Error> {
    let paths = plan.entries.keys().map(|path| Ok((path.clone(), built.found(path)?)));
    let mut facts = Facts {
        kernels: kernels(built)?,
        paths: paths.collect::<Result<_, Error>>()?,
        left: left(built)?,
        accounts: declare::undeclared_accounts(base, built)?,
        var: declare::undeclared_var(base, built)?,
        ..Facts::default()
    };
    for directory in UNITS.map(Utf8Path::new) {
        let (masks, units) = units(directory, built)?;
        facts.units.extend(units);
        facts.masks.extend(masks.into_iter().filter(|_| directory.starts_with("/etc")));
    }
    Ok(facts)
}

fn kernels(built: &Rootfs) -> Result<BTreeMap<String, bool>, Error> {
    let modules = Utf8Path::new(MODULES);
    let has = |version: &str, name: &str| built.entry(&modules.join(version).join(name)).is_some();
    let versions = built.names(modules)?.into_iter().filter(|version| has(version, KERNEL));
    Ok(versions.map(|version| (version.clone(), has(&version, INITRAMFS))).collect())
}

/// Names of units in a directory: those that are masked, and the others.
fn units(directory: &Utf8Path, built: &Rootfs) -> Result<(BTreeSet<String>, BTreeSet<String>), Error> {
    let masked = |name: &String| built.entry(&directory.join(name)) == Some(BaseEntry::Link(MASK.to_owned()));
    Ok(built.names(directory)?.into_iter().partition(masked))
}

fn left(built: &Rootfs) -> Result<Vec<Utf8PathBuf>, Error> {
    let mut all = Vec::new();
    for place in VOLATILE.map(Utf8Path::new) {
        let files = built.below(place)?.into_iter().filter(|left| left.what != Kind::Directory);
        all.extend(files.map(|Left { path, .. }| path));
    }
    Ok(all)
}
