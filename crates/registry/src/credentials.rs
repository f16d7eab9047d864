//! Credentials from a docker config, the format of Secrets of type `kubernetes.io/dockerconfigjson`.
//!
//! Source of the rule which entry serves an image: containers-auth.json(5): the longest key that is the image's repository
//! or a path prefix of it, down to the host; keys may carry a scheme and a trailing path from older tools.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Why a docker config holds no usable credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Not a docker config.
    #[error("failed to read the docker config: expected {{\"auths\": {{\"HOST\": {{\"auth\": …}}}}}}")]
    Json(#[source] serde_json::Error),
    /// An entry whose `auth` is not base64 of `USER:PASSWORD`.
    #[error(
        "failed to read auths[{host:?}].auth of the docker config: it is not base64 of USER:PASSWORD; `kubectl create secret docker-registry` writes it"
    )]
    Auth {
        /// Key of the entry.
        host: String,
    },
}

/// A user of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Name of the user.
    pub user: String,
    /// Password or token.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The logins of a docker config, by the part of an image's name that they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    logins: BTreeMap<String, Login>,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl Credentials {
    /// The logins of a docker config. Entries without user and password are left out.
    pub fn parse(json: &str) -> Result<Self, CredentialsError> {
        let config: DockerConfig = serde_json::from_str(json).map_err(CredentialsError::Json)?;
        let mut logins = BTreeMap::new();
        for (host, entry) in config.auths {
            if let Some(login) = login(&host, entry)? {
                logins.insert(prefix(&host).to_owned(), login);
            }
        }
        Ok(Self { logins })
    }

    /// The login for an image, `HOST[:PORT]/PATH` with or without tag and digest.
    pub fn login(&self, image: &str) -> Option<&Login> {
        let repository = repository(image);
        let serves =
            |key: &str| repository.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.logins.iter().filter(|(key, _)| serves(key)).max_by_key(|(key, _)| key.len()).map(|(_, login)| login)
    }
}

fn login(host: &str, entry: Entry) -> Result<Option<Login>, CredentialsError> {
    if entry.auth.is_empty() {
        let some = !entry.username.is_empty();
        return Ok(some.then_some(Login { user: entry.username, password: entry.password }));
    }
    let wrong = || CredentialsError::Auth { host: host.to_owned() };
    let decoded =
        STANDARD.decode(entry.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    let (user, password) = decoded.split_once(':').ok_or_else(wrong)?;
    Ok(Some(Login { user: user.to_owned(), password: password.to_owned() }))
}

/// A key of `auths` without what older tools put around the host.
fn prefix(key: &str) -> &str {
    let key = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    key.trim_end_matches("/v1").trim_end_matches("/v2")
}

/// The image's name without digest and tag.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const CONFIG: &str = r#"{"auths": {
        "registry.example.com:5000": {"auth": "aG9zdDp4"},
        "registry.example.com:5000/team/os": {"username": "team", "password": "p:q"},
        "https://old.example.com/v1/": {"auth": "b2xkOnk6eg=="},
        "empty.example.com": {}
    }}"#;

    #[rstest]
    #[case::a_host_serves_all_its_images("registry.example.com:5000/other/os:1", Some(("host", "x")))]
    #[case::the_longest_prefix_wins("registry.example.com:5000/team/os@sha256:00", Some(("team", "p:q")))]
    #[case::a_prefix_ends_at_a_slash("registry.example.com:5000/team/os-two:1", Some(("host", "x")))]
    #[case::a_port_is_part_of_the_host("registry.example.com/team/os", None)]
    #[case::old_keys_carry_a_scheme("old.example.com/os", Some(("old", "y:z")))]
    #[case::an_empty_entry_is_no_login("empty.example.com/os", None)]
    fn the_login_of_an_image(#[case] image: &str, #[case] expected: Option<(&str, &str)>) {
        let credentials = Credentials::parse(CONFIG).unwrap();
        let login = credentials.login(image).map(|login| (login.user.as_str(), login.password.as_str()));
        assert_eq!(login, expected);
    }

    #[rstest]
    #[case::no_json("{", "expected {\"auths\"")]
    #[case::no_base64(r#"{"auths": {"a.b": {"auth": "%"}}}"#, "auths[\"a.b\"].auth")]
    #[case::no_colon(r#"{"auths": {"a.b": {"auth": "eA=="}}}"#, "USER:PASSWORD")]
    fn a_broken_config_names_the_place(#[case] json: &str, #[case] words: &str) {
        let error = Credentials::parse(json).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials::parse(CONFIG).unwrap();
        assert!(!format!("{credentials:?}").contains("p:q"));
    }
}
