//! What the API server asks while objects are written and read: the same object in another version, and whether an object
//! can work at all.
//!
//! Answers are those of `onlay_core::conversion` and `onlay_core::admission`. Any number of instances may run: each one
//! answers, and each one keeps the certificates of all of them in order (see [`certificates`] and [`keeper`]).

#![warn(missing_docs)]

mod answer;
pub mod certificates;
mod keeper;
mod server;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use kube::Client;
use onlay_api::names;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::keeper::Keeper;

pub use keeper::KeeperError;

/// How long requests are still taken when the process is asked to end: nobody tells it when the last API server has learnt
/// that it is no endpoint of the Service any more.
const LINGER: Duration = Duration::from_secs(3);
/// How long requests that are under way may take after that.
const GRACE: Duration = Duration::from_secs(5);

/// Settings of the webhook.
#[derive(Debug, Clone)]
pub struct Config {
    /// Namespace of onlay's own objects.
    pub namespace: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// An address under which it is called, besides the name of its Service.
    pub address: Option<IpAddr>,
}

impl Config {
    /// The names that the certificate is for.
    fn hosts(&self) -> Vec<String> {
        let service = format!("{}.{}.svc", names::WEBHOOK_SERVICE, self.namespace);
        std::iter::once(service).chain(self.address.map(|address| address.to_string())).collect()
    }
}

/// Why the webhook ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no API server to talk to.
    #[error("failed to find the API server: run in a cluster, or set KUBECONFIG")]
    Client(#[source] Box<kube::Error>),
    /// Nothing can be listened to, or no certificate be used.
    #[error("failed to {what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// Answers until the process is asked to end.
pub async fn run(config: Config) -> Result<(), Error> {
    let client = Client::try_default().await.map_err(|error| Error::Client(Box::new(error)))?;
    let terminate = signal(SignalKind::terminate()).map_err(io("listen for signals"))?;
    serve(client, config, terminate).await
}

async fn serve(client: Client, config: Config, mut terminate: Signal) -> Result<(), Error> {
    let handle = Handle::new();
    let end = async {
        terminate.recv().await;
        tracing::info!("asked to end: answering until API servers ask others");
        tokio::time::sleep(LINGER).await;
        handle.graceful_shutdown(Some(GRACE));
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        outcome = answer_requests(client, config, handle.clone()) => outcome,
        () = end => Ok(()),
    }
}

/// Answers requests with a client of the API server, for ever or until `handle` ends it.
pub async fn answer_requests(client: Client, config: Config, handle: Handle<SocketAddr>) -> Result<(), Error> {
    let keeper = Keeper::new(client.clone(), &config);
    let pems = keeper.first().await;
    let tls = RustlsConfig::from_pem(pems.certificate.into_bytes(), pems.key.into_bytes());
    let tls = tls.await.map_err(io("use the certificate of the webhook"))?;
    let published = Arc::new(AtomicBool::new(false));
    let router = server::router(client, config.namespace.clone(), Arc::clone(&published));
    let listening = axum_server::bind_rustls(config.listen, tls.clone()).handle(handle);
    tracing::info!(address = %config.listen, "answering");
    tokio::select! {
        ended = listening.serve(router.into_make_service()) => ended.map_err(io(format!("listen to {}", config.listen))),
        never = keeper.run(&tls, &published) => match never {},
    }
}
