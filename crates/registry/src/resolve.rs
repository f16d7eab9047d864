use std::collections::BTreeMap;
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig};
use oci_client::manifest::ImageIndexEntry;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde::Deserialize;

use crate::auth::{Credentials, DockerConfig};
use crate::error::{Asked, RegistryError};
use crate::image::{Image, Layer};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may pause.
const READ: Duration = Duration::from_secs(30);

/// Asks registries about images. TLS is always verified.
#[derive(Clone)]
pub struct Registry {
    client: Client,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    config: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default, rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

impl Registry {
    /// Trusts the machine's authorities and these (certificates in PEM); of an image for several architectures, takes the
    /// one for `architecture`, as Kubernetes names it.
    ///
    /// Credentials are kept per registry, so make a new one whenever they may have changed.
    pub fn new(authorities: Option<&str>, architecture: &str) -> Result<Self, RegistryError> {
        // A process has one provider; whoever came first has chosen the same.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let architecture = architecture.to_owned();
        let config = ClientConfig {
            extra_root_certificates: certificates(authorities.unwrap_or_default()),
            platform_resolver: Some(Box::new(move |entries| matching(entries, &architecture))),
            connect_timeout: Some(CONNECT),
            read_timeout: Some(READ),
            user_agent: concat!("onlay/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| RegistryError::Authorities(Box::new(error)))?;
        Ok(Self { client })
    }

    /// Looks up an image by tag or digest.
    pub async fn resolve(&self, image: &str, credentials: &DockerConfig) -> Result<Image, RegistryError> {
        let reference = parse(image)?;
        let asked = Asked { image, registry: reference.registry() };
        let auth = auth(&reference, credentials)?;
        let answer = self.client.pull_manifest_and_config(&reference, &auth).await;
        let (_, digest, config) = answer.map_err(|error| asked.failed(error))?;
        let config: Config = serde_json::from_str(&config)
            .map_err(|error| asked.misunderstood(format!("its configuration: {error}")))?;
        Ok(Image {
            reference: by_digest(&reference, &digest),
            digest,
            labels: config.config.and_then(|inner| inner.labels).unwrap_or_default(),
            architecture: config.architecture,
        })
    }

    /// The layers of an image.
    pub async fn layers(&self, image: &str, credentials: &DockerConfig) -> Result<Vec<Layer>, RegistryError> {
        let reference = parse(image)?;
        let asked = Asked { image, registry: reference.registry() };
        let auth = auth(&reference, credentials)?;
        let answer = self.client.pull_image_manifest(&reference, &auth).await;
        let (manifest, _) = answer.map_err(|error| asked.failed(error))?;
        Ok(manifest.layers.into_iter().map(|layer| Layer { digest: layer.digest, size: layer.size }).collect())
    }

    /// The image of a tag, by digest; none if there is no such tag.
    pub async fn find(&self, image: &str, credentials: &DockerConfig) -> Result<Option<String>, RegistryError> {
        let reference = parse(image)?;
        let asked = Asked { image, registry: reference.registry() };
        let auth = auth(&reference, credentials)?;
        match self.client.fetch_manifest_digest(&reference, &auth).await.map_err(|error| asked.failed(error)) {
            Ok(digest) => Ok(Some(by_digest(&reference, &digest))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn parse(image: &str) -> Result<Reference, RegistryError> {
    image.parse().map_err(|error: oci_client::ParseError| RegistryError::Name {
        image: image.to_owned(),
        reason: error.to_string(),
    })
}

fn by_digest(reference: &Reference, digest: &str) -> String {
    format!("{}/{}@{digest}", reference.registry(), reference.repository())
}

fn auth(reference: &Reference, credentials: &DockerConfig) -> Result<RegistryAuth, RegistryError> {
    let repository = format!("{}/{}", reference.registry(), reference.repository());
    Ok(match credentials.credentials(&repository)? {
        None => RegistryAuth::Anonymous,
        Some(Credentials::Basic { user, password }) => RegistryAuth::Basic(user, password),
        Some(Credentials::Bearer(token)) => RegistryAuth::Bearer(token),
    })
}

/// The certificates in a text, one by one.
fn certificates(text: &str) -> Vec<Certificate> {
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = text.split_inclusive(END).filter(|block| !block.trim().is_empty());
    blocks.map(|block| Certificate { encoding: CertificateEncoding::Pem, data: block.as_bytes().to_vec() }).collect()
}

fn matching(entries: &[ImageIndexEntry], architecture: &str) -> Option<String> {
    let fits = |entry: &&ImageIndexEntry| {
        entry.platform.as_ref().is_some_and(|platform| {
            platform.os.to_string() == "linux" && platform.architecture.to_string() == architecture
        })
    };
    entries.iter().find(fits).map(|entry| entry.digest.clone())
}
