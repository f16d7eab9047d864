//! The directory of a build: what a pod has mounted, as files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use onlay_api::names::TRUSTED_CA_KEY;
use onlay_builder::Paths;
use onlay_core::build::extras::{Kind, SecretFile, Source};
use onlay_core::build::spec::{CONFIGURATION_KEY, SPEC_KEY};
use tempfile::TempDir;

use super::ask::{Access, Asked};
use crate::finding::Finding;

/// The directory of a build, which is gone with this value.
pub struct Place {
    directory: TempDir,
    paths: Paths,
}

impl Place {
    /// Where the builder finds and leaves things.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Removes it.
    pub fn remove(self) -> std::io::Result<()> {
        self.directory.close()
    }

    /// The directory.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

/// Makes the directory of a build.
pub fn make(cache: Option<&Utf8Path>, asked: &Asked, access: &Access) -> Result<Place, Finding> {
    let cache = match cache {
        Some(cache) => absolute(cache)?,
        None => of_user()?,
    };
    let layers = cache.join("layers");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&layers).map_err(failed("create", &layers))?;
    let private = fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().prefix("build-").permissions(private).tempdir_in(&cache);
    let directory = directory.map_err(failed("write below", &cache))?;
    let path = Utf8Path::from_path(directory.path()).ok_or_else(|| Finding::error(cache.as_str(), "is no text"))?;
    let paths = Paths::below(path, &layers);
    write(&paths, asked, access)?;
    Ok(Place { paths, directory })
}

fn write(paths: &Paths, asked: &Asked, access: &Access) -> Result<(), Finding> {
    let spec = serde_json::to_vec(&asked.spec).map_err(|error| Finding::error("build", error.to_string()))?;
    file(&paths.spec.join(SPEC_KEY), &spec)?;
    file(&paths.spec.join(CONFIGURATION_KEY), &asked.configuration)?;
    for directory in [&paths.pull, &paths.push] {
        file(&directory.join(".dockerconfigjson"), access.credentials.to_json().as_bytes())?;
    }
    if let Some(authorities) = &access.authorities {
        file(&paths.authorities.join("ca.crt"), authorities.as_bytes())?;
    }
    let extras = &asked.spec.extras;
    if let Some(Source { kind, name, .. }) = &extras.source {
        files(&paths.context, &contents(asked, *kind, name))?;
    }
    for SecretFile { id, name, key } in &extras.secrets {
        let value = contents(asked, Kind::Secret, name).remove(key).unwrap_or_default();
        file(&paths.secrets.join(id), &value)?;
    }
    for mount in &extras.mounts {
        files(&paths.mounts.join(mount.place.volume()), &contents(asked, mount.place.kind(), &mount.name))?;
    }
    if let Some(name) = &extras.trusted_ca {
        let bundle = contents(asked, Kind::ConfigMap, name).remove(TRUSTED_CA_KEY).unwrap_or_default();
        file(&paths.trusted.join(TRUSTED_CA_KEY), &bundle)?;
    }
    fs::create_dir_all(&paths.work).map_err(failed("create", &paths.work))
}

/// What is in an object that the build is given; the decision to give it has seen it.
fn contents(asked: &Asked, kind: Kind, name: &str) -> BTreeMap<String, Vec<u8>> {
    asked.contents(kind, name).map(|contents| contents.0).unwrap_or_default()
}

fn files(directory: &Utf8Path, contents: &BTreeMap<String, Vec<u8>>) -> Result<(), Finding> {
    contents.iter().try_for_each(|(key, value)| file(&directory.join(key), value))
}

/// Writes a file that nobody else can read.
fn file(path: &Utf8Path, contents: &[u8]) -> Result<(), Finding> {
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory).map_err(failed("create", directory))?;
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.and_then(|mut file| std::io::Write::write_all(&mut file, contents)).map_err(failed("write", path))
}

/// `onlay` in the cache of the user.
fn of_user() -> Result<Utf8PathBuf, Finding> {
    let set = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty()).map(Utf8PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let none =
        || Finding::error("--cache-dir", "HOME is not set; say where layers are kept with --cache-dir DIRECTORY");
    cache.map(|cache| cache.join("onlay")).ok_or_else(none)
}

fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf, Finding> {
    camino::absolute_utf8(path).map_err(failed("find", path))
}

fn failed(what: &str, path: &Utf8Path) -> impl FnOnce(std::io::Error) -> Finding {
    let (what, path) = (what.to_owned(), path.to_owned());
    move |error| Finding::error(path.as_str(), format!("failed to {what} it: {error}"))
}
