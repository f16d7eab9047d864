//! Figures for Prometheus: how builds end, how long they take and what they make.
//!
//! Every figure is counted since the process began, as is the custom there. Labels are names of pools, and words of closed
//! sets.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use jiff::SignedDuration;
use onlay_core::build::figures::Figures;
use onlay_core::build::machine::Measure;
use onlay_registry::Layer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;

use crate::report::chain;

/// Bounds of durations, in seconds: from a build that finds everything done to the longest one that is allowed by default.
const SECONDS: [f64; 13] = [0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 7200.0];
/// Bounds of the sizes of layers.
const BYTES: [f64; 8] = [1e4, 1e5, 1e6, 1e7, 5e7, 1e8, 5e8, 2e9];
/// The format of [`encode`].
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why figures cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address} for requests for metrics; --metrics-listen names another address")]
pub struct MetricsError {
    address: SocketAddr,
    source: std::io::Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPool {
    pool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    pool: String,
    result: &'static str,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    pool: String,
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCache {
    pool: String,
    cache: &'static str,
}

/// Figures for Prometheus.
pub struct Metrics {
    registry: Registry,
    builds: Family<OfResult, Counter>,
    durations: Family<OfPool, Histogram, fn() -> Histogram>,
    queues: Family<OfPool, Histogram, fn() -> Histogram>,
    phases: Family<OfPhase, Histogram, fn() -> Histogram>,
    instructions: Family<OfCache, Counter>,
    images: Family<OfPool, Gauge>,
    layers: Family<OfPool, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let bytes: fn() -> Histogram = || Histogram::new(BYTES);
        let mut metrics = Self {
            registry: Registry::default(),
            builds: Family::default(),
            durations: Family::new_with_constructor(seconds),
            queues: Family::new_with_constructor(seconds),
            phases: Family::new_with_constructor(seconds),
            instructions: Family::default(),
            images: Family::default(),
            layers: Family::new_with_constructor(bytes),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let all = &mut self.registry;
        all.register("onlay_builds", "Builds that have ended", self.builds.clone());
        let help = "From the MachineOSBuild to the end of the build";
        all.register_with_unit("onlay_build_duration", help, Unit::Seconds, self.durations.clone());
        let help = "From the MachineOSBuild to the start of its builder";
        all.register_with_unit("onlay_build_queue_duration", help, Unit::Seconds, self.queues.clone());
        let help = "Parts of the last try of a build";
        all.register_with_unit("onlay_build_phase_duration", help, Unit::Seconds, self.phases.clone());
        let help = "Instructions of builds, by whether an earlier build has left the layer";
        all.register("onlay_build_instructions", help, self.instructions.clone());
        let help = "Compressed size of the newest image of a pool, the base image included";
        all.register_with_unit("onlay_build_image_size", help, Unit::Bytes, self.images.clone());
        let help = "Compressed sizes of the layers that builds have put onto the base image";
        all.register_with_unit("onlay_build_layer_size", help, Unit::Bytes, self.layers.clone());
    }

    /// A build has ended.
    pub fn ended(&self, measure: &Measure) {
        let Measure { pool, result, reason, duration, queue, .. } = measure;
        let of_result = OfResult { pool: pool.clone(), result, reason: reason.clone() };
        self.builds.get_or_create(&of_result).inc();
        let of_pool = OfPool { pool: pool.clone() };
        self.durations.get_or_create(&of_pool).observe(duration.as_secs_f64());
        if let Some(queue) = queue {
            self.queues.get_or_create(&of_pool).observe(queue.as_secs_f64());
        }
    }

    /// What the log of a build says.
    pub fn figures(&self, pool: &str, figures: &Figures) {
        for (phase, duration) in &figures.phases {
            let of_phase = OfPhase { pool: pool.to_owned(), phase: phase.as_str() };
            self.phases.get_or_create(&of_phase).observe(SignedDuration::as_secs_f64(duration));
        }
        for (cache, count) in [("hit", figures.reused), ("miss", figures.ran)] {
            self.instructions.get_or_create(&OfCache { pool: pool.to_owned(), cache }).inc_by(count);
        }
    }

    /// An image was pushed: all its layers, and those that its base image does not have.
    pub fn sizes(&self, pool: &str, all: &[Layer], own: &[Layer]) {
        let of_pool = OfPool { pool: pool.to_owned() };
        let size = all.iter().fold(0_i64, |sum, layer| sum.saturating_add(layer.size));
        self.images.get_or_create(&of_pool).set(size);
        let histogram = self.layers.get_or_create(&of_pool);
        own.iter().for_each(|layer| histogram.observe(layer.size as f64));
    }
}

/// Listens for requests for the figures.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, MetricsError> {
    TcpListener::bind(address).await.map_err(|source| MetricsError { address, source })
}

/// Answers requests for the figures, as long as the process runs.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let router = Router::new().route("/metrics", get(answer)).with_state(metrics);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(error = chain(&error), "failed to go on answering requests for metrics");
    }
}

async fn answer(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    let mut text = String::new();
    match encode(&mut text, &metrics.registry) {
        Ok(()) => Ok(([(CONTENT_TYPE, OPEN_METRICS)], text)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, format!("failed to write the metrics: {error}"))),
    }
}
