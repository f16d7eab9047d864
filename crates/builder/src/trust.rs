//! Authorities that the build trusts besides the machine's: for buildah, and for commands.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_api::names::TRUSTED_CA_KEY;
use onlay_core::build::containerfile::Containerfile;
use onlay_core::build::extras::Extras;
use onlay_core::build::layer::{Base as _, Plan, What};
use onlay_core::build::packages::Manager;
use onlay_core::build::trust::{self, APT, BUNDLE, DIRECTORY};
use onlay_host::root::Root;

use crate::error::Error;
use crate::extras::Bound;
use crate::paths::Paths;
use crate::report::say;
use crate::rootfs::Rootfs;

/// Where systems keep everything that they trust, in one file; the first that is there counts.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
/// As many links as the kernel follows in one path.
const MAX_LINKS: u8 = 40;
/// The variable by which programs in Go, buildah among them, are told of directories with authorities.
const VARIABLE: &str = "SSL_CERT_DIR";
/// Where they look otherwise, besides the one file of the system.
const DIRECTORIES: &str = "/etc/ssl/certs:/etc/pki/tls/certs";
/// Makes a new bundle at the place of the old one.
const UPDATE: &str = "update-ca-trust";

/// Authorities that the build trusts besides the machine's, in PEM.
#[derive(Debug)]
pub struct Trust(String);

impl Trust {
    /// Reads the mounted ConfigMap, if the build is given one.
    pub fn read(paths: &Paths, extras: &Extras) -> Result<Option<Self>, Error> {
        let Some(name) = &extras.trusted_ca else { return Ok(None) };
        let path = paths.trusted.join(TRUSTED_CA_KEY);
        let bundle = fs::read(&path).map_err(Error::file("read", path))?;
        let object = format!("ConfigMap {name}");
        say(format!("the build trusts the authorities of {object}"));
        let changed = |_| Error::Changed { object, key: TRUSTED_CA_KEY.to_owned() };
        trust::certificates(&bundle).map(|pem| Some(Self(pem))).map_err(changed)
    }

    /// The environment by which buildah finds them, for registries and for what `ADD` fetches. Commands do not get it from there.
    pub fn environment(&self, paths: &Paths) -> Result<(String, String), Error> {
        let directory = paths.below_work("trusted-by-buildah");
        write(&directory, BUNDLE, self.0.as_bytes())?;
        let others = std::env::var(VARIABLE).unwrap_or_else(|_| DIRECTORIES.to_owned());
        Ok((VARIABLE.to_owned(), format!("{directory}:{others}")))
    }

    /// What stands in for files of commands: the authorities, together with those of the base image, where their environment says.
    pub fn bound(
        &self,
        paths: &Paths,
        file: Option<&Containerfile>,
        plan: &Plan,
        base: &Rootfs,
    ) -> Result<Vec<Bound>, Error> {
        let found = bundle(base)?;
        let own = match &found {
            Some(path) => contents(path, plan, base)?,
            // Then commands trust what the builder does, so that they do not trust less than without these authorities.
            None => machine()?,
        };
        let directory = paths.below_work("trusted-by-commands");
        write(&directory, BUNDLE, &[own.as_slice(), b"\n", self.0.as_bytes()].concat())?;
        write(&directory, APT, trust::apt().as_bytes())?;
        let merged = directory.join(BUNDLE);
        let mut bound = vec![Bound { directory, path: DIRECTORY.into(), writable: false }];
        // What downloads for these two looks for authorities in no environment. Not for apt, which is told by its configuration:
        // a file that something is bound to cannot be replaced, as update-ca-certificates of Debian does with this one when
        // a package brings authorities. update-ca-trust does the same, so that a Containerfile that runs it has none bound.
        let manager = Manager::of(|program| base.entry(Utf8Path::new(program)).is_some());
        if let (Some(Manager::RpmOstree | Manager::Dnf), Some(path)) = (manager, found) {
            if file.is_some_and(|file| file.mentions(UPDATE)) {
                say(format!(
                    "the Containerfile runs {UPDATE}: dnf and rpm-ostree trust the authorities of the image alone"
                ));
            } else {
                bound.push(Bound { directory: merged, path, writable: false });
            }
        }
        Ok(bound)
    }
}

/// Where a system keeps everything that it trusts, links followed; none if it keeps nothing.
fn bundle(system: &Rootfs) -> Result<Option<Utf8PathBuf>, Error> {
    let root = Root::open(&system.at(Utf8Path::new("/")))?;
    for path in BUNDLES.map(Utf8Path::new) {
        if root.read(path)?.is_none() {
            continue;
        }
        let mut path = root.real(path)?;
        for _ in 0..MAX_LINKS {
            let Some(target) = root.read_link(&path)? else { break };
            path = root.real(&path.parent().unwrap_or(&path).join(target))?;
        }
        return Ok(Some(path));
    }
    Ok(None)
}

/// What the configuration writes there, else what the base image has there.
fn contents(path: &Utf8Path, plan: &Plan, base: &Rootfs) -> Result<Vec<u8>, Error> {
    match plan.entries.get(path).map(|entry| &entry.what) {
        Some(What::File(contents)) => Ok(contents.clone()),
        _ => Ok(base.read(path)?.unwrap_or_default()),
    }
}

/// What the builder's own machine trusts.
fn machine() -> Result<Vec<u8>, Error> {
    let machine = Rootfs::new("/");
    let Some(path) = bundle(&machine)? else { return Ok(Vec::new()) };
    Ok(machine.read(&path)?.unwrap_or_default())
}

/// Writes a file that every user of a command can read.
fn write(directory: &Utf8Path, name: &str, contents: &[u8]) -> Result<(), Error> {
    let path = directory.join(name);
    fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    fs::write(&path, contents).map_err(Error::file("write", &path))?;
    for (path, mode) in [(directory, 0o755), (path.as_path(), 0o644)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::file("set the mode of", path))?;
    }
    Ok(())
}
