//! Reconcilers: render, build, rollout.
//!
//! Each one is a pass over everything of its kind: observe from mirrors of the API, decide by a pure function of
//! `onlay_core`, apply what differs. A pass runs when something that it reads has changed, or when a decision named a
//! time. Nothing is remembered between passes that could not be read from the API again.

pub mod apply;
pub mod build;
pub mod context;
pub mod lease;
pub mod metrics;
pub mod mirror;
pub mod policy;
pub mod render;
pub mod report;
pub mod rollout;
pub mod wake;

use std::sync::Arc;

use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};

pub use crate::context::Config;
use crate::context::Context;
use crate::lease::Lease;
pub use crate::metrics::Metrics;

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no API server to talk to.
    #[error("failed to find the API server: run in a cluster, or set KUBECONFIG")]
    Settings(#[source] Box<kube::config::InferConfigError>),
    /// The client could not be made.
    #[error("failed to make a client of the API server")]
    Client(#[source] Box<kube::Error>),
    /// The cluster belongs to another operator.
    #[error(
        "failed to start: OpenShift's own operator runs on this cluster (ClusterOperator machine-config), and two of them \
         would undo each other's work; onlay is for clusters without it"
    )]
    OtherOperator,
    /// It cannot be said whether the cluster belongs to another operator.
    #[error("failed to read ClusterOperator machine-config, which must not exist")]
    Preflight(#[source] Box<kube::Error>),
    /// The lease could not be taken or kept.
    #[error(transparent)]
    Lease(#[from] lease::Error),
    /// Metrics cannot be served.
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
    /// Signals cannot be received.
    #[error("failed to listen for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs all reconcilers until the process is asked to end; an error if the lease is lost.
pub async fn run(config: Config) -> Result<(), Error> {
    let settings = kube::Config::infer().await.map_err(|error| Error::Settings(Box::new(error)))?;
    let client = client(settings)?;
    refuse_beside_other_operator(&client).await?;
    let metrics = Arc::new(Metrics::default());
    let listener = metrics::listen(config.metrics_listen).await?;
    tokio::spawn(metrics::serve(listener, Arc::clone(&metrics)));
    let mut terminate = terminate()?;
    let mut lease = tokio::select! {
        lease = Lease::acquire(client.clone(), &config) => lease?,
        _ = terminate.recv() => return Ok(()),
    };
    let outcome = tokio::select! {
        never = reconcile(client, config, metrics) => match never {},
        error = lease.lost() => Err(error.into()),
        _ = terminate.recv() => Ok(()),
    };
    if outcome.is_ok() {
        lease.release().await;
    }
    outcome
}

/// The client that reconcilers need: a refusal is an answer, such as that of a PodDisruptionBudget, and trying again is
/// theirs to decide.
pub fn client(mut settings: kube::Config) -> Result<Client, Error> {
    settings.default_retry = false;
    Client::try_from(settings).map_err(|error| Error::Client(Box::new(error)))
}

/// Runs all reconcilers with a client made by [`client`], without a lease.
pub async fn reconcile(client: Client, config: Config, metrics: Arc<Metrics>) -> std::convert::Infallible {
    let context = Arc::new(Context::start(client, config, metrics).await);
    tracing::info!("watching");
    tokio::select! {
        never = render::run(Arc::clone(&context)) => never,
        never = build::run(Arc::clone(&context)) => never,
        never = rollout::run(Arc::clone(&context)) => never,
        never = policy::run(Arc::clone(&context)) => never,
    }
}

/// OpenShift's operator reads and writes the same objects.
async fn refuse_beside_other_operator(client: &Client) -> Result<(), Error> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("config.openshift.io", "v1", "ClusterOperator"));
    let operators: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    match operators.get_opt("machine-config").await {
        Ok(Some(_)) => Err(Error::OtherOperator),
        Ok(None) => Ok(()),
        // Without the kind there is no object of it; the API server answers that with a page, not with a Status.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::Preflight(Box::new(error))),
    }
}

fn terminate() -> Result<tokio::signal::unix::Signal, Error> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(Error::Signals)
}
