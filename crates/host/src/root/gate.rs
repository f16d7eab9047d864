//! Kills roots after a number of changes, to try what a crash at that point leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use super::Root;

/// How many more changes are let through, counted over all roots that share it.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<AtomicU32>);

impl Default for Gate {
    fn default() -> Self {
        Gate::after(u32::MAX)
    }
}

impl Gate {
    /// Lets `changes` changes through and refuses every later one.
    pub(crate) fn after(changes: u32) -> Gate {
        Gate(Arc::new(AtomicU32::new(changes)))
    }

    /// Whether a change was refused or the next one would be.
    pub(crate) fn is_shut(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    pub(super) fn pass(&self) -> Result<(), Errno> {
        let one_less = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).map(drop).map_err(|_| Errno::CANCELED)
    }
}

impl Root {
    /// Puts this root behind `gate`.
    pub(crate) fn behind(mut self, gate: &Gate) -> Root {
        self.gate = gate.clone();
        self
    }
}
