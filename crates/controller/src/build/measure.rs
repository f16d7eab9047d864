//! Counts what builds have taken: their logs and registries are asked aside, and what they do not say is not counted.

use futures::AsyncReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use onlay_core::build::figures::{Figures, Reader};
use onlay_core::build::job::CONTAINER;
use onlay_core::build::machine::Measure;
use onlay_registry::{DockerConfig, Layer, Registry, RegistryError};

use super::follow::{Error, PIECE};
use super::materials::Materials;
use crate::context::Context;
use crate::report::chain;

/// Counts a build that has ended.
pub fn take(ctx: &Context, materials: &Materials, measure: Measure) {
    ctx.metrics.ended(&measure);
    for pod in measure.pods {
        let (metrics, pool) = (ctx.metrics.clone(), measure.pool.clone());
        let pods = Api::namespaced(ctx.client.clone(), &ctx.config.namespace);
        tokio::spawn(async move {
            match read(&pods, &pod).await {
                Ok(figures) => metrics.figures(&pool, &figures),
                Err(error) => tracing::warn!(pod, error = chain(&error), "failed to read what a build took in its log"),
            }
        });
    }
    let Some(base) = measure.base else { return };
    for (architecture, image) in measure.images {
        let (metrics, pool, base) = (ctx.metrics.clone(), measure.pool.clone(), base.clone());
        let (authorities, credentials) = (materials.authorities(), [materials.to_pull(), materials.to_push()]);
        tokio::spawn(async move {
            match layers(authorities.as_deref(), &credentials, &base, &image, &architecture).await {
                Ok((all, own)) => metrics.sizes(&pool, &all, &own),
                Err(error) => tracing::warn!(image, error = chain(&error), "failed to look up the sizes of an image"),
            }
        });
    }
}

/// What a log says.
async fn read(pods: &Api<Pod>, pod: &str) -> Result<Figures, Error> {
    let parameters = LogParams { container: Some(CONTAINER.to_owned()), timestamps: true, ..LogParams::default() };
    let mut log = std::pin::pin!(pods.log_stream(pod, &parameters).await?);
    let (mut reader, mut piece) = (Reader::default(), vec![0; PIECE]);
    loop {
        match log.read(&mut piece).await? {
            0 => return Ok(reader.end()),
            length => reader.take(&piece[..length]),
        }
    }
}

/// All layers of an image, and those that its base image does not have.
async fn layers(
    authorities: Option<&str>,
    [to_pull, to_push]: &[DockerConfig; 2],
    base: &str,
    image: &str,
    architecture: &str,
) -> Result<(Vec<Layer>, Vec<Layer>), RegistryError> {
    let registry = Registry::new(authorities)?;
    let below = registry.layers(base, architecture, to_pull).await?;
    let all = registry.layers(image, architecture, to_push).await?;
    let own = all.iter().filter(|layer| !below.contains(layer)).cloned().collect();
    Ok((all, own))
}
