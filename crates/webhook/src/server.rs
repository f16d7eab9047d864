//! The addresses that are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use k8s_openapi::api::core::v1::Secret;
use kube::core::admission::AdmissionReview;
use kube::core::conversion::ConversionReview;
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::{Api, Client};
use onlay_api::{MachineConfigPool, names};
use onlay_core::admission::{Finding, Reference, ReferenceKind};

use crate::answer;

/// Most bytes of a request: the API server asks about up to a list of objects at once, each one below its own limit.
const MAX_REQUEST: usize = 64 << 20;

/// What answers need.
struct Shared {
    client: Client,
    namespace: String,
    published: Arc<AtomicBool>,
}

/// The addresses that are answered.
pub fn router(client: Client, namespace: String, published: Arc<AtomicBool>) -> Router {
    Router::new()
        .route(names::CONVERSION_PATH, post(convert))
        .route(names::ADMISSION_PATH, post(validate))
        .route("/healthz", get(StatusCode::OK))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(Arc::new(Shared { client, namespace, published }))
}

/// Ready when API servers know whom to trust.
async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.published.load(Ordering::Relaxed) {
        return (StatusCode::OK, "ok");
    }
    (StatusCode::SERVICE_UNAVAILABLE, "waiting until the authority is published in definitions and configuration")
}

async fn convert(Json(review): Json<ConversionReview>) -> Json<ConversionReview> {
    Json(answer::convert(review))
}

async fn validate(
    State(shared): State<Arc<Shared>>,
    Json(review): Json<AdmissionReview<DynamicObject>>,
) -> Json<AdmissionReview<DynamicObject>> {
    let mut absent = Vec::new();
    for reference in answer::references(&review) {
        absent.extend(shared.absent(&reference).await);
    }
    Json(answer::admit(review, &absent))
}

impl Shared {
    /// A warning if what an object names does not exist. Who cannot be asked says nothing: it is a warning only.
    async fn absent(&self, reference: &Reference) -> Option<Finding> {
        let exists = match reference.kind {
            ReferenceKind::Pool => {
                let pools = Api::<PartialObjectMeta<MachineConfigPool>>::all(self.client.clone());
                pools.get_metadata_opt(&reference.name).await.map(|found| found.is_some())
            }
            ReferenceKind::Secret => {
                let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
                secrets.get_metadata_opt(&reference.name).await.map(|found| found.is_some())
            }
        };
        match exists {
            Ok(true) => None,
            Ok(false) => Some(reference.absent(&self.namespace)),
            Err(error) => {
                tracing::warn!(
                    name = reference.name,
                    error = &error as &dyn std::error::Error,
                    "failed to look for what an object names"
                );
                None
            }
        }
    }
}
