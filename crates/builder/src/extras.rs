//! What the build is given besides: a Containerfile with files beside it, build arguments, other images, secrets, and
//! directories that commands see.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::extras::{self, Digests, Extras, Mount, Source};
use onlay_core::build::spec::Spec;

use crate::error::Error;
use crate::paths::Paths;

/// A directory or a file, and where commands see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The directory, or the file.
    pub directory: Utf8PathBuf,
    /// Where commands see it.
    pub path: Utf8PathBuf,
    /// Whether commands may write there; what they write is gone with the build.
    pub writable: bool,
}

/// The text of the Containerfile. The files beside it are copied into the context.
pub fn containerfile(paths: &Paths, spec: &Spec, context: &Utf8Path) -> Result<Option<String>, Error> {
    let Some(Source { kind, name, key, digests }) = &spec.extras.source else { return Ok(spec.containerfile.clone()) };
    copy(&paths.context, context, digests, &format!("{} {name}", kind.as_str()))?;
    let path = context.join(key);
    fs::read_to_string(&path).map(Some).map_err(Error::file("read", path))
}

/// The directories that commands see.
///
/// What counts for the image is copied, so that it stays what it is while the build goes on; commands may write into the
/// copy. What does not count, which are private keys, is shown where it is mounted.
pub fn directories(paths: &Paths, extras: &Extras) -> Result<Vec<Bound>, Error> {
    let bound = |mount: &Mount| {
        let (mounted, path) = (paths.mounts.join(mount.place.volume()), mount.place.path().into());
        let Some(digests) = &mount.digests else { return Ok(Bound { directory: mounted, path, writable: false }) };
        let directory = paths.below_work("mounts").join(mount.place.volume());
        copy(&mounted, &directory, digests, &format!("{} {}", mount.place.kind().as_str(), mount.name))?;
        Ok(Bound { directory, path, writable: true })
    };
    extras.mounts.iter().map(bound).collect()
}

/// The options by which buildah knows build arguments, other images, and secrets.
pub fn options(paths: &Paths, extras: &Extras) -> Vec<String> {
    let arguments = extras.arguments.iter().map(|(name, value)| format!("--build-arg={name}={value}"));
    let images = extras.images.iter().map(|(name, image)| format!("--build-context={name}=docker-image://{image}"));
    let secrets = extras.secrets.iter().map(|secret| {
        let id = &secret.id;
        format!("--secret=id={id},src={}", paths.secrets.join(id))
    });
    arguments.chain(images).chain(secrets).collect()
}

/// Copies a mounted ConfigMap or Secret, if it is what it was when the build was made.
fn copy(mounted: &Utf8Path, directory: &Utf8Path, expected: &Digests, object: &str) -> Result<(), Error> {
    let contents = read(mounted)?;
    let found = extras::digests(&contents);
    let keys = expected.keys().chain(found.keys());
    if let Some(key) = keys.into_iter().find(|key| expected.get(*key) != found.get(*key)) {
        return Err(Error::Changed { object: object.to_owned(), key: key.clone() });
    }
    fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
    for (key, value) in &contents {
        let path = directory.join(key);
        fs::write(&path, value).map_err(Error::file("write", path))?;
    }
    Ok(())
}

/// The contents of a mounted ConfigMap or Secret: each key is a link to a file below a directory of the kubelet's own.
fn read(mounted: &Utf8Path) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut contents = BTreeMap::new();
    for entry in mounted.read_dir_utf8().map_err(Error::file("list", mounted))? {
        let entry = entry.map_err(Error::file("list", mounted))?;
        if !entry.file_name().starts_with("..") {
            let value = fs::read(entry.path()).map_err(Error::file("read", entry.path()))?;
            contents.insert(entry.file_name().to_owned(), value);
        }
    }
    Ok(contents)
}
