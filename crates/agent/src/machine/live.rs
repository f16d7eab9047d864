//! A change of the running system: files and units are written, and the units that the node disruption policy names are told.
//!
//! The new record waits beside that of the booted deployment, and takes its place once the system was found well with it:
//! until then a reboot brings the files of the old one back.

use jiff::Timestamp;
use onlay_core::change::disruption::{self, Disruption, HostUnits};
use onlay_core::node::{Journal, Step};
use onlay_host::converge::{Problem, converge, refusals};
use onlay_host::record::Record;
use onlay_host::state::{Quarantine, Quarantined};
use onlay_host::systemd;

use super::{Error, Machine, NEXT, check, digest_of};

/// What a person can do about an entry that names the wrong unit.
const CORRECT: &str = "correct spec.nodeDisruptionPolicy of MachineConfiguration cluster";

impl Machine {
    /// The units that have another name on each kind of host.
    pub fn host_units(&self) -> Result<HostUnits, Error> {
        let [crio, containerd] = [disruption::policy::CRIO, disruption::policy::CONTAINERD];
        let is_there =
            |unit: &str| Ok::<_, Error>(systemd::states(self.run.as_ref(), &[unit])?.iter().any(|it| it.exists));
        Ok(HostUnits::with_runtime(if is_there(crio)? { crio } else { containerd }))
    }

    /// Looks whether the running system can be changed into the target, and keeps its record.
    pub(super) fn stage_live(&self, journal: Journal, new: &Record, change: &Disruption) -> Result<Journal, Error> {
        let mut problems = refusals(self.site(), new)?;
        problems.extend(self.cannot_be_told(change.steps(), new)?);
        check("change the running system", &problems)?;
        self.state.save_record(NEXT, new)?;
        let services = change.steps().to_vec();
        Ok(Journal { needs: change.needs(), services, deployment: Some(NEXT.to_owned()), ..journal })
    }

    /// Units that the policy names and that are not there or cannot do what it says.
    fn cannot_be_told(&self, steps: &[disruption::Step], new: &Record) -> Result<Vec<Problem>, Error> {
        let mut problems = Vec::new();
        for step in steps {
            let Some(unit) = step.unit() else { continue };
            let states = systemd::states(self.run.as_ref(), &[unit])?;
            let exists = states.iter().any(|state| state.exists);
            let reloads = states.iter().any(|state| state.can_reload);
            let comes = new.tree.units.get(unit).is_some_and(|unit| unit.sha256.is_some());
            let reason = match step {
                _ if !exists && !comes => format!("cannot {step}: there is no such unit; {CORRECT}"),
                disruption::Step::Reload(_) if exists && !reloads && !comes => {
                    format!("cannot {step}: the unit has no ExecReload=, use Restart; {CORRECT}")
                }
                _ => continue,
            };
            problems.push(Problem { what: unit.to_owned(), reason });
        }
        Ok(problems)
    }

    /// Tells systemd and units that their files changed. A unit that is gone is stopped; one that does not run reads its
    /// configuration when it starts.
    pub fn tell(&self, steps: &[disruption::Step]) -> Result<(), Error> {
        for step in steps {
            tracing::info!(%step, "tells");
            let Some(unit) = step.unit() else {
                systemd::daemon_reload(self.run.as_ref())?;
                continue;
            };
            let state = systemd::states(self.run.as_ref(), &[unit])?.into_iter().next().unwrap_or_default();
            match step {
                _ if !state.exists && state.is_active() => systemd::stop(self.run.as_ref(), unit)?,
                _ if !state.exists => {}
                disruption::Step::Reload(_) if state.is_active() => systemd::reload(self.run.as_ref(), unit)?,
                disruption::Step::Restart(_) => systemd::restart(self.run.as_ref(), unit)?,
                disruption::Step::Reload(_) | disruption::Step::DaemonReload => {}
            }
        }
        Ok(())
    }

    /// Shows that the changed system is what the record says, which becomes that of the booted deployment.
    pub(super) fn verify_live(&self, journal: &Journal) -> Result<(), Error> {
        // A try that was cut off at its end has already moved the record.
        let moved = self.state.record(&journal.from)?.filter(|record| record.config == journal.target.config);
        let record = self.state.record(NEXT)?.or(moved).ok_or_else(|| Error::NoRecord { id: NEXT.to_owned() })?;
        let told: Vec<&str> = journal.services.iter().filter_map(disruption::Step::unit).collect();
        self.check_well(&journal.from, &record, &told)?;
        self.state.save_record(&journal.from, &record)?;
        self.vouch(&journal.from, record.digest())?;
        self.forget_journal()?;
        Ok(self.state.sweep(&[])?)
    }

    /// Brings the files of the booted deployment's record back, and tells the units again.
    pub(super) fn undo_live(&self, journal: &Journal, booted: &str) -> Result<(), Error> {
        if journal.done >= Some(Step::Converge)
            && let Some(record) = self.state.record(booted)?
        {
            check("bring back files and units", &converge(self.site(), &record)?.failed)?;
            self.tell(&journal.services)?;
        }
        self.forget_journal()
    }

    /// Goes back from a change of the running system that is not well: it is not tried again.
    pub fn go_back(&self, journal: &Journal, now: Timestamp) -> Result<(), Error> {
        let (digest, config) = (digest_of(&journal.target.image), &journal.target.config);
        let mut list = self.state.load::<Quarantine>()?.unwrap_or_default();
        if list.find(digest, config).is_none() {
            let reason = journal.failure.clone().unwrap_or_default();
            list.entries.push(Quarantined { digest: digest.to_owned(), config: config.clone(), reason, at: now });
            self.state.save(&list)?;
        }
        self.undo(journal, &journal.from)
    }
}
