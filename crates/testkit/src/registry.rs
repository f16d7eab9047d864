//! The lab's registry: Debian's docker-registry on the bridge, with TLS by the lab's authority and a password file.
//!
//! It can be stopped and started again at any time; what was pushed stays until the lab goes down.

use std::io::{self, Read};
use std::process::Command;

use camino::Utf8PathBuf;
use tokio::net::TcpStream;

use crate::command::{self, CommandError};
use crate::layout::{self, LayoutError};
use crate::packages::{self, PackagesError};
use crate::pki::Pki;
use crate::process::{self, ProcessError};
use crate::registry::files::{Files, FilesError};
use crate::spoiled_registry::{Front, SpoiledRegistry, SpoiledRegistryError};
use crate::{Layout, network};

pub(crate) mod files;

/// Where the registry listens; the first part of the names of its images.
pub const ADDRESS: &str = "10.223.0.1:5000";
/// The only user; may pull, push and delete.
pub const USER: &str = "lab";

/// The daemon.
pub const DAEMON: &str = "registry";

/// Why the registry does not run.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The program is missing.
    #[error(transparent)]
    Packages(#[from] PackagesError),
    /// What it is started with could not be written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Password or credentials could not be written.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// It did not start or did not end.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// There is no proxy before it.
    #[error(transparent)]
    Spoiled(#[from] SpoiledRegistryError),
    /// The password could not be read.
    #[error("failed to read the password of user {USER} at {path}; is the lab up?")]
    Password {
        /// The file.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// An image could not be copied or deleted.
    #[error("failed to {what} {image}")]
    Image {
        /// The verb.
        what: &'static str,
        /// The image.
        image: String,
        /// What skopeo said.
        source: CommandError,
    },
}

/// Starts the registry unless it runs, and waits until it listens.
pub async fn start(layout: &Layout, pki: &Pki) -> Result<(), RegistryError> {
    let config = files::config_file(&layout.service(DAEMON));
    if !config.is_file() {
        prepare(layout, pki)?;
    }
    let mut command = Command::new(packages::program(layout, "docker-registry").await?);
    command.args(["serve", config.as_str()]);
    let ready = async || TcpStream::connect(ADDRESS).await.map(drop).map_err(|error| error.to_string());
    Ok(process::ensure(layout, DAEMON, command, ready).await?)
}

/// Stops the registry.
pub async fn stop(layout: &Layout) -> Result<(), RegistryError> {
    Ok(process::stop(layout, DAEMON).await?)
}

/// Whether the registry runs.
pub fn is_running(layout: &Layout) -> bool {
    process::running(layout, DAEMON).is_some()
}

/// Starts a proxy before the registry on another port of the bridge, with the same authority and the same user, which spoils
/// answers on demand.
pub fn spoiled(layout: &Layout, pki: &Pki) -> Result<SpoiledRegistry, RegistryError> {
    Ok(SpoiledRegistry::before(Front {
        pki,
        validity: None,
        ip: network::HOST,
        behind: ADDRESS,
        user: USER,
        password: &password(layout)?,
        auth_file: layout.service(DAEMON).join("spoiled.json"),
    })?)
}

/// The password of [`USER`].
pub fn password(layout: &Layout) -> Result<String, RegistryError> {
    let path = layout.service(DAEMON).join("password");
    std::fs::read_to_string(&path).map_err(|source| RegistryError::Password { path, source })
}

/// A file with the user's credentials as skopeo, buildah and pull secrets take them (`.dockerconfigjson`).
pub fn auth_file(layout: &Layout) -> Utf8PathBuf {
    files::auth_file(&layout.service(DAEMON))
}

/// A directory that holds only the authority, as `ca.crt`: for `--cert-dir`.
pub fn cert_dir(layout: &Layout) -> Utf8PathBuf {
    files::cert_dir(&layout.service(DAEMON))
}

/// Gives an image of the registry another name there, in place of what that named before. An index is copied with all its
/// images.
pub async fn copy(layout: &Layout, image: &str, name: &str) -> Result<(), RegistryError> {
    let (auth, certs) = (auth_file(layout), cert_dir(layout));
    let mut skopeo = command::command(&["skopeo", "copy", "--quiet", "--all", "--preserve-digests"]);
    skopeo.args(["--src-authfile", auth.as_str(), "--src-cert-dir", certs.as_str()]);
    skopeo.args(["--dest-authfile", auth.as_str(), "--dest-cert-dir", certs.as_str()]);
    skopeo.args([format!("docker://{image}"), format!("docker://{name}")]);
    command::output(&mut skopeo).await.map(drop).map_err(failed("copy", image))
}

/// Deletes an image of the registry, named by digest; the tags of the digest go with it.
pub async fn delete(layout: &Layout, image: &str) -> Result<(), RegistryError> {
    let mut skopeo = command::command(&["skopeo", "delete", "--authfile", auth_file(layout).as_str()]);
    skopeo.args(["--cert-dir", cert_dir(layout).as_str(), &format!("docker://{image}")]);
    command::output(&mut skopeo).await.map(drop).map_err(failed("delete", image))
}

fn failed(what: &'static str, image: &str) -> impl FnOnce(CommandError) -> RegistryError {
    let image = image.to_owned();
    move |source| RegistryError::Image { what, image, source }
}

/// Writes password and credentials, and then what the registry is started with.
fn prepare(layout: &Layout, pki: &Pki) -> Result<(), RegistryError> {
    let directory = layout.service(DAEMON);
    let password_path = directory.join("password");
    let password = random().map_err(|source| RegistryError::Password { path: password_path.clone(), source })?;
    layout::write_whole(&password_path, &password, 0o600)?;
    layout::write_whole(&auth_file(layout), files::docker_config(ADDRESS, USER, &password), 0o600)?;
    let files = Files {
        directory: &directory,
        listen: ADDRESS,
        ip: network::HOST.into(),
        user: USER,
        password: &password,
        log_level: "warn",
    };
    Ok(files.write(pki)?)
}

/// 32 random hexadecimal digits.
fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
