//! At each boot: the files of the booted deployment are what its record says.

use onlay_host::command::{self, Run};
use onlay_host::converge::{self, Outcome, Reach, Site};
use onlay_host::root::{self, Root};

use crate::machine::{self, Machine};

/// Why the booted deployment is not what its record says.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Machine(#[from] machine::Error),
    #[error(transparent)]
    Root(#[from] root::Error),
    #[error(transparent)]
    Converge(#[from] converge::Error),
    #[error("failed to tell systemd about changed units")]
    Systemd(#[from] command::Error),
    #[error("failed to make {count} of the deployment's files and units what the record says; they are named above")]
    Unequal { count: usize },
}

/// Converges the booted deployment; systemd reads its units again when any of them changed.
pub fn boot(machine: &Machine, run: &impl Run) -> Result<(), Error> {
    let Some(record) = machine.record()? else {
        eprintln!("deployment {} has no record; it is left as it is", machine.booted);
        return Ok(());
    };
    let root = Root::open(&machine.root)?;
    let site = Site { root: &root, image: &root, state: &machine.state, reach: Reach::Whole };
    let outcome = converge::converge(site, &record)?;
    tell(&outcome);
    if outcome.changed.iter().any(|what| concerns_systemd(what)) {
        run.output(&["systemctl", "daemon-reload"])?;
        run.output(&["systemctl", "start", "--no-block", "default.target"])?;
    }
    match outcome.failed.len() {
        0 => Ok(()),
        count => Err(Error::Unequal { count }),
    }
}

/// Prints what a run changed and could not change.
pub fn tell(outcome: &Outcome) {
    for what in &outcome.changed {
        eprintln!("changed {what}");
    }
    for problem in &outcome.failed {
        eprintln!("failed: {problem}");
    }
}

/// Whether a changed path or unit (a name without a directory) means that systemd must read its units again.
fn concerns_systemd(what: &str) -> bool {
    !what.starts_with('/') || what.starts_with("/etc/systemd/")
}
