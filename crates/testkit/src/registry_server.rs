//! A real registry on its own, for tests that need no lab: Debian's docker-registry with TLS by an authority of its
//! own and one user, on a free port of loopback, with its images in a temporary directory. No root.
//!
//! It ends when it is dropped, and also when the process that started it ends in any way.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::command::{self, CommandError};
use crate::layout::{self, LayoutError};
use crate::packages::{self, PackagesError};
use crate::pki::{Pki, PkiError, Validity};
use crate::registry::files::{self, Files, FilesError};
use crate::spoiled_registry::{Front, SpoiledRegistry, SpoiledRegistryError};
use crate::tether::{self, Tether};
use crate::wait::{self, TimedOut};
use crate::{Layout, process};

mod empty_image;

/// How long it may take to come up, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no registry, or why it does not have an image.
#[derive(Debug, thiserror::Error)]
pub enum RegistryServerError {
    /// The program is missing.
    #[error(transparent)]
    Packages(#[from] PackagesError),
    /// The authority could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// What it is started with could not be written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A directory is not usable, or a file could not be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A directory, file or process could not be had.
    #[error("failed to {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// There is no proxy before it.
    #[error(transparent)]
    Spoiled(#[from] SpoiledRegistryError),
    /// It ended at once.
    #[error("failed to start the registry: it ended; its last words: {log}")]
    Ended {
        /// The end of its log.
        log: String,
    },
    /// It did not come up.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// An image could not be looked at.
    #[error("failed to inspect {image}")]
    Inspect {
        /// The image.
        image: String,
        /// What skopeo said.
        source: CommandError,
    },
    /// An image could not be deleted.
    #[error("failed to delete {image}")]
    Delete {
        /// The image by digest.
        image: String,
        /// What skopeo said.
        source: CommandError,
    },
    /// An image could not be pushed.
    #[error("failed to push {image} as {name}")]
    Push {
        /// Where it was to be taken from.
        image: String,
        /// What it was to be called.
        name: String,
        /// What skopeo said.
        source: CommandError,
    },
}

/// A running registry.
#[derive(Debug)]
pub struct RegistryServer {
    address: String,
    authority: String,
    directory: Utf8PathBuf,
    daemon: Tether,
}

impl RegistryServer {
    /// The only user; may pull, push and delete.
    pub const USER: &str = "tiny";
    /// The user's password.
    pub const PASSWORD: &str = "secret";

    /// Starts one and waits until it listens (less than a second). It belongs to no runtime.
    pub async fn start() -> Result<Self, RegistryServerError> {
        let io = |what| move |source| RegistryServerError::Io { what, source };
        let program = packages::program(&Layout::from_environment()?, "docker-registry").await?;
        let (temporary, directory) = tether::directory("onlay-registry-").map_err(io("make a directory"))?;
        let pki = Pki::ensure(&directory.join("pki"))?;
        let files = Files {
            directory: &directory,
            listen: "127.0.0.1:0",
            ip: Ipv4Addr::LOCALHOST.into(),
            user: Self::USER,
            password: Self::PASSWORD,
            log_level: "info",
        };
        files.write(&pki)?;
        let mut command = Command::new(program);
        command.args(["serve", files::config_file(&directory).as_str()]);
        let log_path = directory.join("log");
        let log = File::create(&log_path).map_err(io("write the registry's log"))?;
        // From here on the tether removes the directory.
        let mut daemon = Tether::start(&command, log, Some(directory.as_str())).map_err(io("start the registry"))?;
        let _kept = temporary.keep();
        let address = address(&mut daemon, &log_path).await?;
        let credentials = files::docker_config(&address, Self::USER, Self::PASSWORD);
        layout::write_whole(&files::auth_file(&directory), credentials, 0o600)?;
        Ok(Self { address, authority: pki.ca_pem().to_owned(), directory, daemon })
    }

    /// `127.0.0.1:PORT`, the first part of the names of its images.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The certificate of its authority, in PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// A directory that holds only the authority, as `ca.crt`: for `--cert-dir`. It goes away with the server.
    pub fn cert_dir(&self) -> Utf8PathBuf {
        files::cert_dir(&self.directory)
    }

    /// A file with the user's credentials, for `--authfile`. It goes away with the server.
    pub fn auth_file(&self) -> Utf8PathBuf {
        files::auth_file(&self.directory)
    }

    /// The user's credentials with this password, right or wrong, as auth files and secrets (`.dockerconfigjson`) hold
    /// them.
    pub fn docker_config(&self, password: &str) -> String {
        files::docker_config(&self.address, Self::USER, password)
    }

    /// Copies an image, named as skopeo does (`oci:DIRECTORY`), to `name`: `REPOSITORY`, with or without `:TAG`. Returns
    /// it by digest: `127.0.0.1:PORT/REPOSITORY@sha256:…`.
    pub async fn push(&self, image: &str, name: &str) -> Result<String, RegistryServerError> {
        let io = |source| RegistryServerError::Io { what: "keep the digest of a pushed image", source };
        let digest = tempfile::NamedTempFile::new_in(&self.directory).map_err(io)?;
        let mut skopeo = command::command(&["skopeo", "copy", "--quiet", "--preserve-digests"]);
        skopeo.args(["--dest-authfile", self.auth_file().as_str(), "--dest-cert-dir", self.cert_dir().as_str()]);
        skopeo.arg("--digestfile").arg(digest.path());
        skopeo.args([image.to_owned(), format!("docker://{}/{name}", self.address)]);
        command::output(&mut skopeo).await.map_err(|source| {
            let (image, name) = (image.to_owned(), name.to_owned());
            RegistryServerError::Push { image, name, source }
        })?;
        let digest = std::fs::read_to_string(digest.path()).map_err(io)?;
        let repository = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
        Ok(format!("{}/{repository}@{}", self.address, digest.trim()))
    }

    /// Pushes an image for amd64 with these labels (an object, or null) and no files; see [`RegistryServer::push`].
    pub async fn push_empty(&self, name: &str, labels: &Value) -> Result<String, RegistryServerError> {
        self.push_empty_for("amd64", name, labels).await
    }

    /// The same for an architecture, as Kubernetes names it.
    pub async fn push_empty_for(
        &self,
        architecture: &str,
        name: &str,
        labels: &Value,
    ) -> Result<String, RegistryServerError> {
        let io = |source| RegistryServerError::Io { what: "make a directory for an image", source };
        let (_removed_at_the_end, layout) = tether::directory("onlay-image-").map_err(io)?;
        empty_image::write(&layout, architecture, labels)?;
        self.push(&format!("oci:{layout}"), name).await
    }

    /// The configuration of an image, as a machine of an architecture gets it.
    pub async fn config_of(&self, image: &str, architecture: &str) -> Result<Value, RegistryServerError> {
        let mut skopeo = command::command(&["skopeo", "--override-arch", architecture, "inspect", "--config"]);
        skopeo.args(["--authfile", self.auth_file().as_str(), "--cert-dir", self.cert_dir().as_str()]);
        skopeo.arg(format!("docker://{image}"));
        let failed = |source| RegistryServerError::Inspect { image: image.to_owned(), source };
        let text = command::output(&mut skopeo).await.map_err(failed)?;
        serde_json::from_str(&text).map_err(|source| RegistryServerError::Io {
            what: "read the configuration of an image",
            source: source.into(),
        })
    }

    /// Deletes an image, named by digest as [`RegistryServer::push`] returns it; the tags of the digest go with it.
    pub async fn delete(&self, image: &str) -> Result<(), RegistryServerError> {
        let mut skopeo = command::command(&["skopeo", "delete"]);
        skopeo.args(["--authfile", self.auth_file().as_str(), "--cert-dir", self.cert_dir().as_str()]);
        skopeo.arg(format!("docker://{image}"));
        let failed = |source| RegistryServerError::Delete { image: image.to_owned(), source };
        command::output(&mut skopeo).await.map(drop).map_err(failed)
    }

    /// Starts a proxy before this registry, with the same authority and the same user; nothing is spoiled yet. Its certificate
    /// is valid then, and at no other time, if that is told.
    pub fn spoiled(&self, validity: Option<Validity>) -> Result<SpoiledRegistry, RegistryServerError> {
        Ok(SpoiledRegistry::before(Front {
            pki: &Pki::ensure(&self.directory.join("pki"))?,
            validity,
            ip: Ipv4Addr::LOCALHOST,
            behind: &self.address,
            user: Self::USER,
            password: Self::PASSWORD,
            auth_file: self.directory.join("spoiled.json"),
        })?)
    }

    /// Ends it for good, with its files, for tests of a registry that is away; the address stays known.
    pub fn stop(&mut self) {
        self.daemon.end();
    }
}

/// Waits until the log says where the registry listens.
async fn address(daemon: &mut Tether, log: &Utf8Path) -> Result<String, RegistryServerError> {
    wait::until("the registry to say where it listens", PATIENCE, async || {
        if daemon.has_ended() {
            return Ok(Some(Err(RegistryServerError::Ended { log: process::end_of_log(log) })));
        }
        let text = std::fs::read_to_string(log).map_err(|error| error.to_string())?;
        listening(&text).map(|address| Some(Ok(address.to_owned()))).ok_or(text)
    })
    .await?
}

/// The address in docker-registry's words `listening on IP:PORT, tls`, once they are complete; it says them when the
/// port is bound.
fn listening(log: &str) -> Option<&str> {
    let (_, rest) = log.split_once("listening on ")?;
    rest.split_once([',', '"']).map(|(address, _)| address)
}

#[cfg(test)]
mod tests;
