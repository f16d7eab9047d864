//! What an image is: its manifest digest and its labels, asked of its registry without pulling it.

use crate::credentials::Credentials;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

/// Labels of which an image that ostree can deploy has at least one.
///
/// Source: ostree-rs-ext writes `ostree.bootable` (and `containers.bootc` for bootc images) when it encapsulates a commit, and
/// refuses to import an image without its layer labels.
const BOOTABLE_LABELS: [&str; 2] = ["ostree.bootable", "containers.bootc"];

/// How long a registry may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why an image cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Not an image reference.
    #[error("failed to read the image reference {image:?}: expected HOST[:PORT]/PATH[:TAG][@sha256:DIGEST]")]
    Reference {
        /// The text.
        image: String,
    },
    /// The client cannot be made: the CA bundle is not PEM.
    #[error("failed to make a registry client: are the additional authorities PEM certificates?")]
    Client(#[source] OciDistributionError),
    /// The registry refuses these credentials.
    #[error(
        "failed to look at {image}: the registry refuses the credentials ({login}); check the secret's entry for this registry"
    )]
    Refused {
        /// The image.
        image: String,
        /// Which user was tried.
        login: String,
    },
    /// The registry has no such image.
    #[error("failed to look at {image}: the registry has no such image; check its name and tag")]
    Absent {
        /// The image.
        image: String,
    },
    /// The registry could not be asked, or answered something else.
    #[error("failed to look at {image}: {reason}")]
    Request {
        /// The image.
        image: String,
        /// What went wrong, down to its cause.
        reason: String,
    },
    /// The image's configuration is not JSON.
    #[error("failed to read the configuration of {image}")]
    Configuration {
        /// The image.
        image: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl ImageError {
    /// Whether asking again can help, without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Request { .. })
    }
}

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `HOST[:PORT]/PATH@sha256:DIGEST`.
    pub pinned: String,
    /// Labels of the image's configuration.
    pub labels: BTreeMap<String, String>,
}

impl Image {
    /// Whether ostree can deploy the image; else what is missing.
    pub fn check_bootable(&self) -> Result<(), String> {
        if BOOTABLE_LABELS.iter().any(|label| self.labels.contains_key(*label)) {
            return Ok(());
        }
        let labels = BOOTABLE_LABELS.join(" nor ");
        let image = &self.pinned;
        Err(format!(
            "{image} is no bootable image: it has neither the label {labels}; use an ostree or bootc base image"
        ))
    }
}

/// A client of any registry, over TLS.
pub struct Registry {
    client: Client,
}

impl Registry {
    /// A client that trusts the system's authorities, and those of `extra_ca` (PEM) besides.
    pub fn new(extra_ca: Option<&str>) -> Result<Self, ImageError> {
        let extra =
            extra_ca.map(|pem| Certificate { encoding: CertificateEncoding::Pem, data: pem.as_bytes().to_vec() });
        let config = ClientConfig {
            extra_root_certificates: extra.into_iter().collect(),
            connect_timeout: Some(PATIENCE),
            read_timeout: Some(PATIENCE),
            user_agent: concat!("onlay/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        Ok(Self { client: Client::try_from(config).map_err(ImageError::Client)? })
    }

    /// Asks the registry for an image. A tag is resolved to the digest that it has now.
    pub async fn look_at(&self, image: &str, credentials: &Credentials) -> Result<Image, ImageError> {
        let reference: Reference = image.parse().map_err(|_| ImageError::Reference { image: image.to_owned() })?;
        let login = credentials.login(image);
        let auth = login
            .map_or(RegistryAuth::Anonymous, |login| RegistryAuth::Basic(login.user.clone(), login.password.clone()));
        let answer = self.client.pull_manifest_and_config(&reference, &auth).await;
        let login = login
            .map_or_else(|| "none: no secret has an entry for it".to_owned(), |login| format!("user {}", login.user));
        let (_, digest, configuration) = answer.map_err(|error| explain(image, login, &error))?;
        let configuration: Configuration = serde_json::from_str(&configuration)
            .map_err(|source| ImageError::Configuration { image: image.to_owned(), source })?;
        let pinned = format!("{}/{}@{digest}", reference.registry(), reference.repository());
        Ok(Image { pinned, labels: configuration.config.labels.unwrap_or_default() })
    }
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    config: Settings,
}

#[derive(Deserialize, Default)]
struct Settings {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

/// Turns an answer of the registry into words for the person who named the image.
fn explain(image: &str, login: String, error: &OciDistributionError) -> ImageError {
    let image = image.to_owned();
    match error {
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
            ImageError::Refused { image, login }
        }
        OciDistributionError::ServerError { code: 401 | 403, .. } => ImageError::Refused { image, login },
        OciDistributionError::ImageManifestNotFoundError(_) | OciDistributionError::ServerError { code: 404, .. } => {
            ImageError::Absent { image }
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            let text = envelope.to_string();
            let absent = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"].iter().any(|code| text.contains(code));
            let refused = ["UNAUTHORIZED", "DENIED"].iter().any(|code| text.contains(code));
            match (absent, refused) {
                (true, _) => ImageError::Absent { image },
                (_, true) => ImageError::Refused { image, login },
                _ => ImageError::Request { image, reason: text },
            }
        }
        _ => ImageError::Request { image, reason: chain(error) },
    }
}

/// An error with all its causes: the outermost one of a TLS or network failure says little.
fn chain(error: &OciDistributionError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(labels: &[&str]) -> Image {
        let labels = labels.iter().map(|label| ((*label).to_owned(), "true".to_owned())).collect();
        Image { pinned: "r.example.com/os@sha256:00".into(), labels }
    }

    #[test]
    fn an_image_without_the_labels_of_a_bootable_one_is_named() {
        assert_eq!(image(&["ostree.bootable"]).check_bootable(), Ok(()));
        assert_eq!(image(&["containers.bootc"]).check_bootable(), Ok(()));
        let error = image(&["maintainer"]).check_bootable().unwrap_err();
        assert!(error.contains("r.example.com/os@sha256:00") && error.contains("ostree.bootable"), "{error}");
    }
}
