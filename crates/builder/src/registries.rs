//! Credentials and authorities in the form that buildah reads.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_registry::DockerConfig;

use crate::error::Error;
use crate::paths::Paths;

/// Keys of a secret that may hold credentials.
const KEYS: [&str; 2] = [".dockerconfigjson", ".dockercfg"];

/// What buildah needs to talk to registries.
#[derive(Debug)]
pub struct Registries {
    /// File with the credentials to pull with.
    pub pull: Utf8PathBuf,
    /// File with the credentials to push with.
    pub push: Utf8PathBuf,
    /// Directory with more authorities.
    pub authorities: Option<Utf8PathBuf>,
}

impl Registries {
    /// Reads the mounted secrets, and writes what they hold where only the builder can read it.
    pub fn prepare(paths: &Paths, pull_secret: &str, push_secret: &str) -> Result<Self, Error> {
        let file = |secret: &str, directory: &Utf8Path, name: &str| -> Result<Utf8PathBuf, Error> {
            let credentials = read(secret, directory)?;
            let path = paths.below_work(name);
            write_private(&path, &credentials.to_json())?;
            Ok(path)
        };
        Ok(Self {
            pull: file(pull_secret, &paths.pull, "pull.json")?,
            push: file(push_secret, &paths.push, "push.json")?,
            authorities: paths.authorities.exists().then(|| paths.authorities.clone()),
        })
    }
}

fn read(secret: &str, directory: &Utf8Path) -> Result<DockerConfig, Error> {
    for key in KEYS {
        let path = directory.join(key);
        match fs::read(&path) {
            Ok(text) => {
                return DockerConfig::parse(&text)
                    .map_err(|source| Error::Secret { secret: secret.to_owned(), source });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("read", path)(error)),
        }
    }
    Err(Error::SecretEmpty(secret.to_owned()))
}

fn write_private(path: &Utf8Path, text: &str) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::file("write", path))
}
