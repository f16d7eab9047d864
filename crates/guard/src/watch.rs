//! Until the deadline: wait for the agent's word, then act.

use std::thread;
use std::time::Duration;

use onlay_host::command::Run;

use crate::decision::{Decision, decide};
use crate::go_back::{self, GoBack};
use crate::health;
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
    let mut granted = Duration::ZERO;
    loop {
        let mut seen = machine.see()?;
        seen.granted = granted;
        let mut decision = decide(&seen);
        if decision == Decision::Look {
            seen.health = Some(health::look(machine, run, seen.deadline / 2));
            decision = decide(&seen);
        }
        let go_back = GoBack { machine, run, limit: seen.limit() };
        match decision {
            Decision::Rest => {
                eprintln!("deployment {} is confirmed", seen.booted);
                return Ok(());
            }
            Decision::Wait | Decision::Look => thread::sleep(LOOK_AGAIN),
            Decision::Grant { until } => {
                let (booted, limit, until_seconds) = (&seen.booted, seen.limit().as_secs(), until.as_secs());
                eprintln!(
                    "deployment {booted} was not confirmed within {limit} s of its boot, but kubelet and runtime run; \
                     waiting for the agent until {until_seconds} s"
                );
                granted = until;
            }
            Decision::Stay(reason) => return Ok(go_back.stay(reason)?),
            Decision::GoBack { to } => return Ok(go_back.to(&to)?),
        }
    }
}
