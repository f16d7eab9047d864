//! Until the deadline: wait for the agent's word, then act.

use std::thread;
use std::time::Duration;

use onlay_host::command::Run;

use crate::decision::{Decision, decide};
use crate::go_back::{self, GoBack};
use crate::machine::{self, Machine};

/// How often the files are looked at. A node that is well is watched for the seconds until its agent speaks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why the watch ended without a decision; systemd starts it again, and the time that passed still counts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Machine(#[from] machine::Error),
    #[error(transparent)]
    GoBack(#[from] go_back::Error),
}

/// Watches until the booted deployment is vouched for, or until the deadline decided.
pub fn watch(machine: &Machine, run: &impl Run) -> Result<(), Error> {
    loop {
        let seen = machine.see()?;
        match decide(&seen) {
            Decision::Rest => {
                eprintln!("deployment {} is confirmed", seen.booted);
                return Ok(());
            }
            Decision::Wait => thread::sleep(LOOK_AGAIN),
            Decision::Stay(reason) => {
                return Ok(GoBack { machine, run, deadline: seen.deadline }.stay(reason)?);
            }
            Decision::GoBack { to } => return Ok(GoBack { machine, run, deadline: seen.deadline }.to(&to)?),
        }
    }
}
