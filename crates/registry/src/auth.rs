//! Credentials of registries, as `docker login`, `podman login` and Kubernetes secrets keep them.
//!
//! Source of the rules: the file format of Docker (`auths`, or the entries alone in the older format) and the look-up of
//! the container tools: an entry counts for the host or the path in it that its key names, and the longest key wins.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

#[cfg(test)]
mod tests;

/// Names of the one registry that goes by several.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Credentials of registries.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DockerConfig {
    /// Entries by host, or host and path.
    entries: BTreeMap<String, Value>,
}

/// What a registry is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password, or a token in its place.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that the registry itself takes.
    Bearer(String),
}

/// Why credentials cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No JSON.
    #[error("failed to read credentials: they are no JSON; make them with `kubectl create secret docker-registry`")]
    Json(#[source] serde_json::Error),
    /// JSON of something else.
    #[error(
        "failed to read credentials: there is no object `auths`; make them with `kubectl create secret docker-registry`"
    )]
    Shape,
    /// An entry that says nothing.
    #[error("failed to read the credentials for {key}: {why}")]
    Entry {
        /// The key of the entry.
        key: String,
        /// What is wrong, and what to do.
        why: &'static str,
    },
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

impl DockerConfig {
    /// Reads a file of either format.
    pub fn parse(text: &[u8]) -> Result<Self, AuthError> {
        let document: Value = serde_json::from_slice(text).map_err(AuthError::Json)?;
        let auths = document.get("auths").unwrap_or(&document);
        let auths = auths.as_object().ok_or(AuthError::Shape)?;
        if !auths.values().all(Value::is_object) {
            return Err(AuthError::Shape);
        }
        let entries = auths.iter().map(|(key, entry)| (normalise(key), entry.clone())).collect();
        Ok(Self { entries })
    }

    /// The same in the newer format.
    pub fn to_json(&self) -> String {
        json!({"auths": self.entries}).to_string()
    }

    /// The entry that counts for a repository (`host[:port]/path`), with its key.
    pub fn entry(&self, repository: &str) -> Option<(&str, &Value)> {
        let repository = normalise_host(repository);
        let mut scope = repository.as_str();
        loop {
            if let Some((key, entry)) = self.entries.get_key_value(scope) {
                return Some((key, entry));
            }
            scope = scope.rsplit_once('/')?.0;
        }
    }

    /// The credentials that count for a repository (`host[:port]/path`).
    pub fn credentials(&self, repository: &str) -> Result<Option<Credentials>, AuthError> {
        let Some((key, entry)) = self.entry(repository) else { return Ok(None) };
        let refuse = |why| AuthError::Entry { key: key.to_owned(), why };
        let entry = Entry::deserialize(entry).map_err(|_| refuse("its fields are no texts; log in again"))?;
        if !entry.registrytoken.is_empty() {
            return Ok(Some(Credentials::Bearer(entry.registrytoken)));
        }
        if !entry.identitytoken.is_empty() {
            return Err(refuse("an identity token is not understood; use a user with a password or an access token"));
        }
        if !entry.auth.is_empty() {
            return decode(&entry.auth).map(Some).ok_or_else(|| refuse("`auth` is no base64 of `user:password`"));
        }
        match (entry.username.is_empty(), entry.password.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Ok(Some(Credentials::Basic { user: entry.username, password: entry.password })),
            _ => Err(refuse("it has only one of `username` and `password`")),
        }
    }
}

impl Debug for DockerConfig {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.entries.keys()).finish()
    }
}

impl Debug for Credentials {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => write!(out, "user {user} (password hidden)"),
            Self::Bearer(_) => out.write_str("token (hidden)"),
        }
    }
}

fn decode(auth: &str) -> Option<Credentials> {
    let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.trim_end_matches('\0').split_once(':')?;
    Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
}

/// A key as host and path. A key with a scheme is an old one, and names a host whatever path it has.
fn normalise(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = match bare {
        Some(bare) => bare.split('/').next().unwrap_or_default(),
        None => key.trim_end_matches('/'),
    };
    normalise_host(key)
}

fn normalise_host(text: &str) -> String {
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let host = if DOCKER_HUB.contains(&host) { "docker.io" } else { host };
    path.map_or_else(|| host.to_owned(), |path| format!("{host}/{path}"))
}
