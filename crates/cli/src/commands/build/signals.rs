//! Signals that end a build. Those of a terminal reach this process alone: every program has a process group of its own.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::Exit;

/// Whether a signal has come, and which.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<OnceLock<Exit>>);

impl Signals {
    /// How the program ends after the signal; none if no one came.
    pub fn exit(&self) -> Option<Exit> {
        self.0.get().copied()
    }
}

/// From now on SIGINT and SIGTERM end the programs of the build, and let none begin. The build fails by that, and is cleaned up after as any
/// other.
pub fn listen() -> io::Result<Signals> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    drop(entered);
    let signals = Signals::default();
    let came = signals.clone();
    let waiting = async move {
        let exit = tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
        };
        came.0.get_or_init(|| exit);
        if let Err(error) = onlay_builder::stop() {
            anstream::eprintln!("error: failed to end the programs of the build: {error}");
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(waiting))?;
    Ok(signals)
}
