//! When a reconciler looks again: something it watches changed, or a time that it named has come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

/// Wakes one reconciler; calls while it is busy are kept as one.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Lets the reconciler look again.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for the next call of [`Wake::wake`], or for one since the last wait.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// How long a pass may take: a connection that answers nothing must not stop everything else.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `pass` now, after every wake, and at the time that the last pass asked for; never returns.
pub async fn repeat(wake: &Wake, mut pass: impl AsyncFnMut(Timestamp) -> Option<Timestamp>) -> Infallible {
    loop {
        match tokio::time::timeout(PATIENCE, pass(Timestamp::now())).await {
            Err(_) => tracing::warn!("no end of a pass within {PATIENCE:?}; beginning anew"),
            Ok(None) => wake.woken().await,
            Ok(Some(at)) => {
                let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
                let _woken_or_due = tokio::time::timeout(wait, wake.woken()).await;
            }
        }
    }
}

/// The earlier of two times, where none means never.
pub fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}
