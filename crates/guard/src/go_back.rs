//! The way back: each step may be cut off by a power failure, and the next boot goes on.
//!
//! A note says which deployment is being left until the new boot order is on the disk: with it, a deployment in quarantine
//! is left again; without it, it was left before and somebody booted it once more.

use std::time::Duration;

use jiff::Timestamp;
use onlay_host::command::{self, Run};
use onlay_host::converge::{self, Reach, Site};
use onlay_host::record::Record;
use onlay_host::root::{self, Root};
use onlay_host::state::{self, Confirmed, GuardReport, Quarantine, Quarantined};

use crate::decision::Reason;
use crate::machine::{self, Machine};
use crate::{boot, booted, evidence};

/// Runs a command with another /usr, in mounts of its own.
const WITH_USR: &str = r#"mount --bind "$1" /usr && shift && exec "$@""#;

/// Why the guard could not go back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Machine(#[from] machine::Error),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("failed to let deployment {to} boot next")]
    Order { to: String, source: command::Error },
    #[error("failed to reboot; deployment {to} boots at the next chance")]
    Reboot { to: String, source: command::Error },
}

/// Why the confirmed deployment's files could not be prepared; going back does not wait for it.
#[derive(Debug, thiserror::Error)]
enum Unprepared {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Root(#[from] root::Error),
    #[error(transparent)]
    Converge(#[from] converge::Error),
}

/// One machine whose booted deployment nobody vouched for.
#[derive(Debug)]
pub struct GoBack<'a, R> {
    pub machine: &'a Machine,
    pub run: &'a R,
    /// How long the guard waited for the agent's word.
    pub limit: Duration,
}

impl<R: Run> GoBack<'_, R> {
    /// Lets the deployment `to` boot next, leaves the reason, and reboots.
    pub fn to(&self, to: &str) -> Result<(), Error> {
        let record = self.machine.record()?.unwrap_or_default();
        let reason = self.reason(&format!("going back to deployment {to}"));
        self.machine.leaving()?;
        self.quarantine(&record, &reason)?;
        if let Err(error) = self.prepare(to) {
            eprintln!("the files of deployment {to} stay as they were: {error}");
        }
        self.order(to)?;
        self.machine.left()?;
        self.report(&record, to, &reason)?;
        self.run.output(&["systemctl", "reboot"]).map_err(|source| Error::Reboot { to: to.into(), source })?;
        Ok(())
    }

    /// Leaves the reason why nothing is changed.
    pub fn stay(&self, why: Reason) -> Result<(), Error> {
        let record = self.machine.record()?.unwrap_or_default();
        let reason = self.reason(&format!("it stays: {why}"));
        self.report(&record, &self.machine.booted, &reason)
    }

    /// What happened, what is done about it, and what the machine shows: one line, also for whoever reads the journal.
    fn reason(&self, done: &str) -> String {
        let Self { machine, run, limit } = self;
        let (booted, seconds) = (&machine.booted, limit.as_secs());
        let evidence = evidence::gather(*run);
        let reason =
            format!("deployment {booted} was not confirmed within {seconds} s of its boot, {done}; {evidence}");
        eprintln!("{reason}");
        reason
    }

    fn quarantine(&self, record: &Record, reason: &str) -> Result<(), Error> {
        let state = &self.machine.state;
        let mut quarantine = state.load::<Quarantine>()?.unwrap_or_default();
        if quarantine.find(record.digest(), &record.config).is_none() {
            quarantine.entries.push(Quarantined {
                digest: record.digest().into(),
                config: record.config.clone(),
                reason: reason.into(),
                at: Timestamp::now(),
            });
            state.save(&quarantine)?;
        }
        Ok(())
    }

    /// Changes the boot order with the program of the confirmed deployment, which worked once; then with the booted one's.
    fn order(&self, to: &str) -> Result<(), Error> {
        let rollback = ["onlay-ostree", "rollback", "--to", to];
        if let Some(directory) = booted::directory(&self.machine.root, to) {
            let usr = directory.join("usr");
            let proven = [&["unshare", "--mount", "sh", "-c", WITH_USR, "sh", usr.as_str()], &rollback[..]].concat();
            match self.run.output(&proven) {
                Ok(_) => return Ok(()),
                Err(error) => eprintln!("trying the booted deployment's program: {error}"),
            }
        }
        self.run.output(&rollback).map_err(|source| Error::Order { to: to.into(), source })?;
        Ok(())
    }

    /// Makes the files in the confirmed deployment's own /etc what its record says.
    fn prepare(&self, to: &str) -> Result<(), Unprepared> {
        let record = self.machine.state.record(to)?;
        let directory = booted::directory(&self.machine.root, to);
        if let (Some(record), Some(directory)) = (record, directory) {
            let root = Root::open(&directory)?;
            let site = Site { root: &root, image: &root, state: &self.machine.state, reach: Reach::Etc };
            boot::tell(&converge::converge(site, &record)?);
        }
        Ok(())
    }

    fn report(&self, record: &Record, to: &str, reason: &str) -> Result<(), Error> {
        let digest = self.machine.state.record(to)?.map(|record| record.digest().to_string());
        let report = GuardReport {
            from: Confirmed { id: self.machine.booted.clone(), digest: record.digest().into() },
            to: Confirmed { id: to.into(), digest: digest.unwrap_or_default() },
            config: record.config.clone(),
            reason: reason.into(),
            at: Timestamp::now(),
        };
        Ok(self.machine.state.save(&report)?)
    }
}
