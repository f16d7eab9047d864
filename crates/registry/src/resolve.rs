use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{ImageIndexEntry, OciImageIndex, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

use crate::auth::{Credentials, DockerConfig};
use crate::error::{Asked, RegistryError};
use crate::image::{Image, Layer};
use crate::name;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may pause.
const READ: Duration = Duration::from_secs(30);

/// Asks registries about images. TLS is always verified.
#[derive(Clone)]
pub struct Registry {
    pub(crate) client: Client,
}

#[derive(Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    config: Option<Inner>,
}

#[derive(Deserialize, Default)]
struct Inner {
    #[serde(default, rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

impl Registry {
    /// Trusts the machine's authorities and these (certificates in PEM).
    ///
    /// Credentials are kept per registry, so make a new one whenever they may have changed.
    pub fn new(authorities: Option<&str>) -> Result<Self, RegistryError> {
        // A process has one provider; whoever came first has chosen the same.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let config = ClientConfig {
            extra_root_certificates: certificates(authorities.unwrap_or_default()),
            connect_timeout: Some(CONNECT),
            read_timeout: Some(READ),
            user_agent: concat!("onlay/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| RegistryError::Authorities(Box::new(error)))?;
        Ok(Self { client })
    }

    /// Looks up an image by tag or digest, and what it is on these architectures, as Kubernetes names them.
    pub async fn resolve(
        &self,
        image: &str,
        architectures: &BTreeSet<String>,
        credentials: &DockerConfig,
    ) -> Result<Image, RegistryError> {
        let asked = Question::new(image, credentials)?;
        let (manifest, digest) = self.manifest(&asked).await?;
        let reference = by_digest(&asked.reference, &digest);
        let OciManifest::ImageIndex(index) = manifest else {
            let Config { architecture, config } = self.config(&asked).await?;
            let labels =
                BTreeMap::from([(architecture.clone(), config.unwrap_or_default().labels.unwrap_or_default())]);
            return Ok(Image { reference, digest, architectures: [architecture].into(), labels });
        };
        let mut labels = BTreeMap::new();
        for architecture in architectures {
            let Some(digest) = matching(&index, architecture) else { continue };
            let part = asked.part(digest);
            let config = self.config(&part).await?.config.unwrap_or_default();
            labels.insert(architecture.clone(), config.labels.unwrap_or_default());
        }
        let architectures = index.manifests.iter().filter_map(linux).collect();
        Ok(Image { reference, digest, architectures, labels })
    }

    pub(crate) async fn manifest(&self, asked: &Question<'_>) -> Result<(OciManifest, String), RegistryError> {
        self.client.pull_manifest(&asked.reference, &asked.auth).await.map_err(|error| asked.failed(error))
    }

    /// The configuration of an image that is for one architecture.
    pub(crate) async fn config(&self, asked: &Question<'_>) -> Result<Config, RegistryError> {
        let answer = self.client.pull_manifest_and_config(&asked.reference, &asked.auth).await;
        let (_, _, config) = answer.map_err(|error| asked.failed(error))?;
        serde_json::from_str(&config).map_err(|error| asked.misunderstood(format!("its configuration: {error}")))
    }

    /// The layers of an image, of the one for this architecture if it is for several.
    pub async fn layers(
        &self,
        image: &str,
        architecture: &str,
        credentials: &DockerConfig,
    ) -> Result<Vec<Layer>, RegistryError> {
        let asked = Question::new(image, credentials)?;
        let manifest = match self.manifest(&asked).await?.0 {
            OciManifest::Image(manifest) => manifest,
            OciManifest::ImageIndex(index) => {
                let digest = matching(&index, architecture);
                let digest =
                    digest.ok_or_else(|| asked.misunderstood(format!("it has no image for {architecture}")))?;
                let part = asked.part(digest);
                let answer = self.client.pull_image_manifest(&part.reference, &part.auth).await;
                answer.map_err(|error| part.failed(error))?.0
            }
        };
        Ok(manifest.layers.into_iter().map(|layer| Layer { digest: layer.digest, size: layer.size }).collect())
    }

    /// The image of a tag, by digest; none if there is no such tag.
    ///
    /// An answer that there is none has to be a registry's. One without a code of the distribution specification counts where a
    /// registry lists the tags of the repository, and then gives it again.
    pub async fn find(&self, image: &str, credentials: &DockerConfig) -> Result<Option<String>, RegistryError> {
        let asked = Question::new(image, credentials)?;
        let mut answer = self.digest(&asked).await;
        let mut is_proven = false;
        if answer.as_ref().is_err_and(RegistryError::is_wordless) && self.lists(&asked).await {
            answer = self.digest(&asked).await;
            is_proven = true;
        }
        match answer {
            Ok(digest) => Ok(Some(by_digest(&asked.reference, &digest))),
            Err(error) if error.is_not_found() || (is_proven && error.is_wordless()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn digest(&self, asked: &Question<'_>) -> Result<String, RegistryError> {
        let answer = self.client.fetch_manifest_digest(&asked.reference, &asked.auth).await;
        answer.map_err(|error| asked.failed(error))
    }

    /// Whether a registry lists the tags of a repository, or says that it has none of that name.
    async fn lists(&self, asked: &Question<'_>) -> bool {
        let answer = self.client.list_tags(&asked.reference, &asked.auth, Some(1), None).await;
        answer.map_or_else(|error| asked.failed(error).is_not_found(), |_| true)
    }
}

/// An image that a registry is asked for, and what it is shown.
pub(crate) struct Question<'a> {
    image: &'a str,
    pub(crate) reference: Reference,
    pub(crate) auth: RegistryAuth,
}

impl<'a> Question<'a> {
    pub(crate) fn new(image: &'a str, credentials: &DockerConfig) -> Result<Self, RegistryError> {
        let reference = name::parse(image).map_err(|reason| RegistryError::Name { image: image.to_owned(), reason })?;
        let auth = auth(&reference, credentials)?;
        Ok(Self { image, reference, auth })
    }

    /// The image for one architecture, which an index names by this digest.
    fn part(&self, digest: &str) -> Self {
        let (registry, repository) = (self.reference.registry().to_owned(), self.reference.repository().to_owned());
        let reference = Reference::with_digest(registry, repository, digest.to_owned());
        Self { image: self.image, reference, auth: self.auth.clone() }
    }

    fn asked(&self) -> Asked<'_> {
        Asked { image: self.image, registry: self.reference.registry() }
    }

    pub(crate) fn failed(&self, error: OciDistributionError) -> RegistryError {
        self.asked().failed(error)
    }

    pub(crate) fn misunderstood(&self, reason: impl Into<String>) -> RegistryError {
        self.asked().misunderstood(reason)
    }
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

/// The certificates in a text, one by one. One in the bundle of a whole system that TLS cannot use spoils nothing; it is left out,
/// unless there is no other.
fn certificates(text: &str) -> Vec<Certificate> {
    const END: &str = "-----END CERTIFICATE-----";
    let blocks: Vec<&str> = text.split_inclusive(END).filter(|block| !block.trim().is_empty()).collect();
    let usable: Vec<&str> = blocks.iter().copied().filter(|block| is_usable(block)).collect();
    let certificate =
        |block: &&str| Certificate { encoding: CertificateEncoding::Pem, data: block.as_bytes().to_vec() };
    if usable.is_empty() { blocks } else { usable }.iter().map(certificate).collect()
}

fn is_usable(block: &str) -> bool {
    let certificate = CertificateDer::from_pem_slice(block.as_bytes());
    certificate.is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok())
}

/// The digest of the image for an architecture.
fn matching<'a>(index: &'a OciImageIndex, architecture: &str) -> Option<&'a str> {
    let fits = |entry: &&ImageIndexEntry| linux(entry).is_some_and(|own| own == architecture);
    index.manifests.iter().find(fits).map(|entry| entry.digest.as_str())
}

/// The architecture of an image that is for Linux.
fn linux(entry: &ImageIndexEntry) -> Option<String> {
    let platform = entry.platform.as_ref().filter(|platform| platform.os.to_string() == "linux")?;
    Some(platform.architecture.to_string())
}
