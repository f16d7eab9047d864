use std::collections::BTreeMap;

use oci_client::config::{Architecture, Os};
use oci_client::manifest::{
    IMAGE_MANIFEST_MEDIA_TYPE, ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciImageIndex,
    Platform,
};
use serde::Deserialize;

use crate::auth::DockerConfig;
use crate::error::RegistryError;
use crate::resolve::{Question, Registry};

/// Version of the schema of every index, by the OCI image specification.
const SCHEMA_VERSION: u8 = 2;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    media_type: Option<String>,
}

impl Registry {
    /// Pushes an index (OCI image specification, image-index.md) of images for Linux, by architecture as Kubernetes names it,
    /// and gives its name by digest. The images are in the same repository, named by digest; equal images give an equal
    /// index.
    ///
    /// An image that is for another architecture than is said of it is an error.
    pub async fn join(
        &self,
        target: &str,
        images: &BTreeMap<String, String>,
        credentials: &DockerConfig,
    ) -> Result<String, RegistryError> {
        let asked = Question::new(target, credentials)?;
        let mut manifests = Vec::new();
        for (architecture, image) in images {
            manifests.push(self.entry(architecture, image, credentials).await?);
        }
        let index = OciImageIndex {
            schema_version: SCHEMA_VERSION,
            media_type: Some(OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()),
            manifests,
            artifact_type: None,
            annotations: None,
        };
        let pushed = self.client.push_manifest_list(&asked.reference, &asked.auth, index).await;
        pushed.map_err(|error| asked.failed(error))?;
        let found = self.find(target, credentials).await?;
        found.ok_or_else(|| asked.misunderstood("it has taken the index, and does not have it"))
    }

    /// What an index says of an image.
    async fn entry(
        &self,
        architecture: &str,
        image: &str,
        credentials: &DockerConfig,
    ) -> Result<ImageIndexEntry, RegistryError> {
        let asked = Question::new(image, credentials)?;
        let accepted = [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE];
        let answer = self.client.pull_manifest_raw(&asked.reference, &asked.auth, &accepted).await;
        let (text, digest) = answer.map_err(|error| asked.failed(error))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| asked.misunderstood(format!("its manifest: {error}")))?;
        let own = self.config(&asked).await?.architecture;
        if own != architecture {
            return Err(asked.misunderstood(format!("it is for {own}, and was built for {architecture}")));
        }
        let platform = Platform {
            architecture: Architecture::from(architecture),
            os: Os::Linux,
            os_version: None,
            os_features: None,
            variant: None,
            features: None,
        };
        Ok(ImageIndexEntry {
            media_type: manifest.media_type.unwrap_or_else(|| OCI_IMAGE_MEDIA_TYPE.to_owned()),
            digest,
            size: i64::try_from(text.len()).unwrap_or(i64::MAX),
            platform: Some(platform),
            annotations: None,
            artifact_type: None,
        })
    }
}
