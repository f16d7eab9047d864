//! What a docker-registry with TLS and one user is started with, the same for the lab's and for one on its own.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use crate::layout::{self, LayoutError};
use crate::pki::{Pki, PkiError};

/// bcrypt's cost: each request is checked anew, and the password of a test needs no slow hash.
const HASH_COST: u32 = 4;

/// Why the files could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The serving certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// The password could not be hashed.
    #[error("failed to hash the password of user {user}")]
    Hash {
        /// The user.
        user: String,
        /// What bcrypt said.
        source: bcrypt::BcryptError,
    },
}

/// The name under which people's files call the registry of a cluster, if a Service of that name leads to it.
pub const IN_CLUSTER: &str = "image-registry.openshift-image-registry.svc";

/// The files of one registry, and what they say.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// Where they lie; images are kept in `data` below it.
    pub directory: &'a Utf8Path,
    /// Where it listens, `IP:PORT`; with port 0 the kernel chooses, and the log says (see `log_level`).
    pub listen: &'a str,
    /// The IP of `listen`: the certificate is for it and for [`IN_CLUSTER`].
    pub ip: IpAddr,
    /// The only user; may pull, push and delete.
    pub user: &'a str,
    /// The user's password.
    pub password: &'a str,
    /// `warn`; or `info`, with a line for where it listens and one for each request.
    pub log_level: &'a str,
}

impl Files<'_> {
    /// Writes certificates and password file, and as the last one the configuration.
    pub fn write(&self, pki: &Pki) -> Result<(), FilesError> {
        let Self { directory, listen, user, password, log_level, .. } = self;
        let serving = pki.ensure_server("registry", &[IN_CLUSTER], &[self.ip])?;
        let hash = bcrypt::hash(password, HASH_COST)
            .map_err(|source| FilesError::Hash { user: (*user).to_owned(), source })?;
        layout::write_whole(&directory.join("htpasswd"), format!("{user}:{hash}\n"), 0o600)?;
        layout::write_whole(&cert_dir(directory).join("ca.crt"), pki.ca_pem(), 0o644)?;
        let config = format!(
            "version: 0.1\n\
             log: {{level: {log_level}, accesslog: {{disabled: true}}}}\n\
             storage:\n\
             \x20 filesystem: {{rootdirectory: {directory}/data}}\n\
             \x20 delete: {{enabled: true}}\n\
             \x20 cache: {{blobdescriptor: inmemory}}\n\
             http:\n\
             \x20 addr: {listen}\n\
             \x20 secret: {password}\n\
             \x20 tls: {{certificate: {}, key: {}}}\n\
             auth: {{htpasswd: {{realm: {user}, path: {directory}/htpasswd}}}}\n",
            serving.certificate, serving.key,
        );
        Ok(layout::write_whole(&config_file(directory), config, 0o600)?)
    }
}

/// The configuration, for `docker-registry serve`.
pub fn config_file(directory: &Utf8Path) -> Utf8PathBuf {
    directory.join("config.yml")
}

/// A directory that holds only the authority, as `ca.crt`: for `--cert-dir`.
pub fn cert_dir(directory: &Utf8Path) -> Utf8PathBuf {
    directory.join("certs")
}

/// The user's credentials, written by whoever knows the address: for `--authfile`.
pub fn auth_file(directory: &Utf8Path) -> Utf8PathBuf {
    directory.join("auth.json")
}

/// Credentials for one registry, as `.dockerconfigjson` and auth files hold them.
pub fn docker_config(address: &str, user: &str, password: &str) -> String {
    json!({"auths": {address: {"auth": STANDARD.encode(format!("{user}:{password}"))}}}).to_string()
}
