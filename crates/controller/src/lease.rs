//! One controller at a time: the lease that its reconcilers need, and what happens when it is lost.

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::context::Config;

/// Name of the lease.
pub const NAME: &str = "onlay-controller";

/// Seconds that a lease holds after its last renewal; so long does a new instance wait after the end of a node.
const DURATION: u64 = 15;
/// Seconds before the end of the lease when it is renewed.
const GRACE: u64 = 5;

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lease cannot be set up.
    #[error("failed to prepare the lease {namespace}/{NAME}; the controller needs to get, create and patch it")]
    Prepare {
        /// Namespace of the lease.
        namespace: String,
        /// What the lease manager says.
        source: LeaseManagerError,
    },
    /// Another instance took the lease, or it could not be renewed in time.
    #[error("failed to keep the lease {namespace}/{NAME}: it is held by another instance, or could not be renewed")]
    Lost {
        /// Namespace of the lease.
        namespace: String,
    },
}

/// The lease of this instance.
pub struct Lease {
    namespace: String,
    state: watch::Receiver<bool>,
    keeper: JoinHandle<Result<LeaseManager, LeaseManagerError>>,
}

impl Lease {
    /// Waits until this instance holds the lease.
    pub async fn acquire(client: Client, config: &Config) -> Result<Self, Error> {
        let namespace = config.namespace.clone();
        let manager = LeaseManagerBuilder::new(client, NAME)
            .with_namespace(&namespace)
            .with_identity(&config.identity)
            .with_duration(DURATION)
            .with_grace(GRACE)
            .build()
            .await
            .map_err(|source| Error::Prepare { namespace: namespace.clone(), source })?;
        let (state, keeper) = manager.watch().await;
        let mut lease = Self { namespace, state, keeper };
        tracing::info!(lease = NAME, identity = config.identity, "waiting for the lease");
        lease.becomes(true).await?;
        tracing::info!(lease = NAME, "holding the lease");
        Ok(lease)
    }

    /// Waits until the lease is lost, which is an error: whoever holds it now must be the only one that writes.
    pub async fn lost(&mut self) -> Error {
        match self.becomes(false).await {
            Ok(()) => Error::Lost { namespace: self.namespace.clone() },
            Err(error) => error,
        }
    }

    /// Gives the lease to the next instance.
    pub async fn release(self) {
        drop(self.state);
        if let Ok(Err(error)) = self.keeper.await {
            tracing::warn!(error = crate::report::chain(&error), "failed to release the lease; it will expire");
        }
    }

    async fn becomes(&mut self, held: bool) -> Result<(), Error> {
        let state = self.state.wait_for(|now| *now == held).await;
        state.map(|_| ()).map_err(|_| Error::Lost { namespace: self.namespace.clone() })
    }
}
