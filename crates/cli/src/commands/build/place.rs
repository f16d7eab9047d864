//! The directory of a build: what a pod has mounted, as files.
//!
//! Every process of a build holds a lock on it, which ends with the process. Where there is none, the build was killed, and the next one
//! removes its directory: there are credentials in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_api::names::TRUSTED_CA_KEY;
use onlay_builder::Paths;
use onlay_core::build::extras::{Kind, SecretFile, Source};
use onlay_core::build::spec::{CONFIGURATION_KEY, SPEC_KEY};
use tempfile::TempDir;

use super::ask::{Access, Asked};
use crate::finding::Finding;

/// What the name of a build's directory begins with; nothing else in the directory that is given by a person is named so.
const PREFIX: &str = "onlay-build-";

/// The directory of a build.
pub struct Place {
    directory: TempDir,
    paths: Paths,
    _held: io::Result<File>,
}

impl Place {
    /// Where the builder finds and leaves things.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Removes it.
    pub fn remove(self) -> io::Result<()> {
        onlay_builder::remove(&self.directory.keep())
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// Says, as long as the value lives, that the build of this directory goes on. Where the file system has no locks, nobody removes it.
pub fn hold(directory: &Path) -> io::Result<File> {
    let directory = File::open(directory)?;
    directory.lock_shared().map(|()| directory)
}

/// Removes the directories of builds that were killed. Nobody makes one meanwhile, who would not have said yet that his build goes on.
fn remove_dead(cache: &Utf8Path, findings: &mut Vec<Finding>) -> io::Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let is_ours =
            entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) && entry.file_type()?.is_dir();
        let path = entry.path();
        // One that cannot be opened is gone meanwhile: its build has ended.
        let Some(directory) = File::open(&path).ok().filter(|_| is_ours) else { continue };
        if directory.try_lock().is_err() {
            continue;
        }
        match onlay_builder::remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let message = format!("was left by a build that was killed; failed to remove it: {error}");
                let help = "remove it, there are credentials in it: `buildah unshare rm -rf DIRECTORY`";
                findings.push(Finding::warning(path.display().to_string(), message).help(help));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the directory of a build.
pub fn make(
    cache: Option<&Utf8Path>,
    asked: &Asked,
    access: &Access,
    findings: &mut Vec<Finding>,
) -> Result<Place, Finding> {
    let cache = match cache {
        Some(cache) => absolute(cache)?,
        None => of_user()?,
    };
    let layers = cache.join("layers");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&layers).map_err(failed("create", &layers))?;
    let alone = File::open(&cache).and_then(|cache| cache.lock().map(|()| cache));
    if alone.is_ok() {
        remove_dead(&cache, findings).map_err(failed("look for builds that were killed in", &cache))?;
    }
    let private = fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(&cache);
    let directory = directory.map_err(failed("write below", &cache))?;
    let held = hold(directory.path());
    drop(alone);
    let path = Utf8Path::from_path(directory.path()).ok_or_else(|| Finding::error(cache.as_str(), "is no text"))?;
    let paths = Paths::below(path, &layers);
    write(&paths, asked, access)?;
    Ok(Place { paths, directory, _held: held })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_build_has_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Utf8Path::from_path(directory.path()).unwrap();
        for name in ["onlay-build-dead/pull", "onlay-build-alive", "build-tools", "layers"] {
            fs::create_dir_all(cache.join(name)).unwrap();
        }
        fs::write(cache.join("onlay-build-dead/pull/.dockerconfigjson"), "{}").unwrap();
        fs::write(cache.join("onlay-build-notes"), "").unwrap();
        let held = hold(cache.join("onlay-build-alive").as_std_path()).unwrap();
        let left = || {
            let mut findings = Vec::new();
            remove_dead(cache, &mut findings).unwrap();
            assert_eq!(findings.len(), 0);
            let mut names: Vec<_> = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(left(), ["build-tools", "layers", "onlay-build-alive", "onlay-build-notes"]);
        drop(held);
        assert_eq!(left(), ["build-tools", "layers", "onlay-build-notes"]);
    }
}
