//! The node's own reconciler: it watches one MachineConfigNode, and makes the machine what that object says.
//!
//! Each turn observes the machine, decides by [`onlay_core::node`], tells the API server, and does one step. Nothing is kept in
//! memory that the machine's disk does not have, so the agent can be killed at any point.

mod cluster;
mod credentials;
mod machine;
mod record;
mod turn;

use camino::Utf8PathBuf;
use cluster::Cluster;
use futures::StreamExt;
use kube::Client;
use machine::Machine;
use onlay_host::command::Runner;
use onlay_host::disk::Mounted;
use onlay_host::os::Ostree;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use turn::{Next, Turns};

/// Settings of the agent.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the node that the agent works on.
    pub node_name: String,
    /// Where the machine's root is mounted.
    pub host_root: Utf8PathBuf,
    /// How long after its boot a deployment may stay unconfirmed before the guard goes back.
    pub guard_deadline: Duration,
}

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No client of the API server.
    #[error("failed to make a client of the API server; does the pod have a service account?")]
    Client(#[from] Box<kube::Error>),
    /// The machine cannot be worked on.
    #[error("failed to begin on the machine")]
    Machine(#[from] machine::Error),
    /// Signals cannot be received.
    #[error("failed to wait for signals")]
    Signal(#[from] std::io::Error),
}

/// Works on the machine until the process is told to end; a step that has begun is finished first.
pub async fn run(config: Config) -> Result<(), Error> {
    let client = Client::try_default().await.map_err(Box::new)?;
    let on_host = Runner::on_host();
    let backend = Box::new(Ostree::new(on_host.clone()));
    let machine = Machine::open(&config.host_root, backend, Box::new(on_host), Box::new(Mounted))?;
    machine.install_guard(machine::GUARD_PROGRAM.into(), config.guard_deadline.as_secs())?;
    if let Err(error) = machine.make_build_cache() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "builds on this node cannot keep anything for later ones"
        );
    }
    let cluster = Cluster::new(client, config.node_name.clone());
    let mut changes = pin!(cluster.watch());
    let mut turns = Turns::new(Arc::new(machine), cluster.clone());
    let mut end = signal(SignalKind::terminate())?;
    tracing::info!(node = config.node_name, "the agent begins");
    loop {
        let next = turns.turn().await;
        let pause = async {
            match next {
                Next::Now => {}
                Next::After(pause) => tokio::time::sleep(pause).await,
                Next::Change => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = end.recv() => {
                tracing::info!("the agent ends");
                return Ok(());
            }
            Some(node) = changes.next() => turns.see(node),
            () = pause => {}
        }
    }
}
