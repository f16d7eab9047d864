//! What registries say, remembered for a moment.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use onlay_core::build::machine::Base;
use onlay_registry::{DockerConfig, Image, Registry, RegistryError};

use super::materials::Materials;
use crate::report::chain;

/// How long an answer is remembered.
const MEMORY: SignedDuration = SignedDuration::from_secs(10);

/// Answers by what was asked: image, credentials, authorities, architecture.
type Answers = BTreeMap<[String; 4], (Timestamp, Base)>;

/// What registries said, remembered for a moment.
#[derive(Debug, Default)]
pub struct Lookups {
    answers: Mutex<Answers>,
}

impl Lookups {
    /// What a base image is.
    pub async fn base(&self, asked: String, materials: &Materials, architecture: &str, now: Timestamp) -> Base {
        let credentials = materials.to_pull();
        let authorities = materials.authorities().unwrap_or_default();
        let key = [asked.clone(), credentials.to_json(), authorities.to_owned(), architecture.to_owned()];
        if let Some(known) = self.known(&key, now) {
            return known;
        }
        let base = match resolve(&asked, materials.authorities(), &credentials, architecture).await {
            Ok(image) => Base::Known { fault: image.ostree_fault(), image: image.reference, asked },
            Err(error) => Base::Unknown { why: chain(&error) },
        };
        self.lock(|answers| answers.insert(key, (now, base.clone())));
        base
    }

    fn known(&self, key: &[String; 4], now: Timestamp) -> Option<Base> {
        self.lock(|answers| {
            answers.retain(|_, (at, _)| now.duration_since(*at) < MEMORY);
            answers.get(key).map(|(_, base)| base.clone())
        })
    }

    fn lock<T>(&self, work: impl FnOnce(&mut Answers) -> T) -> T {
        work(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The image that was pushed under a tag, by digest; none if that cannot be said.
    pub async fn find(&self, image: &str, materials: &Materials, architecture: &str) -> Option<String> {
        let registry = Registry::new(materials.authorities(), architecture).ok()?;
        let found = registry.find(image, &materials.to_push()).await;
        found
            .inspect_err(|error| tracing::warn!(image, error = chain(error), "failed to look for a pushed image"))
            .ok()?
    }
}

async fn resolve(
    image: &str,
    authorities: Option<&str>,
    credentials: &DockerConfig,
    architecture: &str,
) -> Result<Image, RegistryError> {
    Registry::new(authorities, architecture)?.resolve(image, credentials).await
}
