//! The steps of an update. Each may be done twice: a step that was cut off before it was marked is done again.

use std::collections::BTreeSet;

use camino::Utf8Path;
use onlay_api::Needs;
use onlay_core::change::disruption::Disruption;
use onlay_core::node::{Journal, Step, kargs};
use onlay_core::render::desired::Desired;
use onlay_host::converge::{Problem, Reach, Site, converge, look, refusals};
use onlay_host::os::{Deployment, Request};
use onlay_host::record::Record;
use onlay_host::root::{Access, Root};
use onlay_host::state::{Adopted, Confirmed, GuardReport};
use onlay_host::systemd;

use super::{AUTHFILE, Error, JournalFile, Machine, NEXT, WORD, check, digest_of};
use crate::record;

/// Space that must be free before an image is staged, in bytes.
const SPACE: [(&str, u64); 2] = [("/boot", 64 << 20), ("/sysroot", 512 << 20)];

impl Machine {
    /// Prepares the target without disturbing pods, and says in the journal what applying it takes. `change` is what the
    /// difference between the configurations costs.
    pub fn stage(
        &self,
        journal: &Journal,
        desired: &Desired,
        change: &Disruption,
        credentials: &str,
    ) -> Result<Journal, Error> {
        record::keep(desired, self.state.contents())?;
        let new = record::of(&journal.target.config, &journal.target.image, desired);
        let old = self.state.record(&journal.from)?.unwrap_or_default();
        let mut journal = Journal { done: Some(Step::Stage), ..journal.clone() };
        if new.asks_the_same_as(&old) {
            journal.needs = Needs::None;
            return Ok(journal);
        }
        let same_system = old.digest() == new.digest() && old.kernel_arguments == new.kernel_arguments;
        if same_system && *change != Disruption::Reboot {
            return self.stage_live(journal, &new, change);
        }
        let id = self.stage_image(&journal.from, &old, &new, credentials)?;
        let image = self.image_of(&id)?;
        let problems = refusals(Site { image: &image, ..self.site() }, &new)?;
        if !problems.is_empty() {
            self.backend.discard()?;
        }
        check("put the configuration onto the new image", &problems)?;
        self.state.save_record(&id, &new)?;
        journal.needs = Needs::Reboot;
        journal.deployment = Some(id);
        Ok(journal)
    }

    fn stage_image(&self, from: &str, old: &Record, new: &Record, credentials: &str) -> Result<String, Error> {
        self.check_space()?;
        let deployments = self.backend.status()?.deployments;
        let booted = deployments.iter().find(|known| known.id == from).ok_or(Error::NotBooted)?;
        let arguments = kargs::next(&booted.kargs, &old.kernel_arguments, &new.kernel_arguments);
        let keep = self.kept(from, &deployments)?;
        let authfile = Utf8Path::new(AUTHFILE);
        self.root.write(authfile, credentials.as_bytes(), Access::private())?;
        let request =
            Request { image: &new.image, authfile: Some(authfile), kernel_arguments: &arguments, keep: &keep };
        let staged = self.backend.stage(&request);
        self.root.remove(authfile)?;
        let staged = staged?;
        if staged.digest != new.digest() {
            self.backend.discard()?;
            return Err(Error::OtherImage { wanted: new.digest().to_owned(), found: staged.digest });
        }
        Ok(staged.id)
    }

    /// The configuration asks for what the booted deployment already has: it takes the new name.
    pub fn rename(&self, journal: &Journal, desired: &Desired) -> Result<(), Error> {
        let record = record::of(&journal.target.config, &journal.target.image, desired);
        self.state.save_record(&journal.from, &record)?;
        self.vouch(&journal.from, record.digest())?;
        Ok(self.state.forget::<JournalFile>()?)
    }

    /// Makes the running system's files equal to the record of the staged deployment, or of the changed system.
    pub fn converge(&self, journal: &Journal) -> Result<(), Error> {
        let id = journal.deployment.as_deref().unwrap_or_default();
        let record = self.state.record(id)?.ok_or_else(|| Error::NoRecord { id: id.to_owned() })?;
        if journal.is_live() {
            return check("write files and units", &converge(self.site(), &record)?.failed);
        }
        let image = self.image_of(id)?;
        check("write files and units", &converge(Site { image: &image, ..self.site() }, &record)?.failed)
    }

    /// Lets the next shutdown make the staged deployment the one that boots.
    pub fn unlock(&self) -> Result<(), Error> {
        Ok(self.backend.unlock()?)
    }

    /// Asks the machine's systemd to reboot.
    pub fn reboot(&self) -> Result<(), Error> {
        self.run.output(&["systemctl", "--no-block", "reboot"])?;
        Ok(())
    }

    /// Shows that the system is what the record says, gives the guard the word, and ends the update.
    pub fn verify(&self, journal: &Journal) -> Result<(), Error> {
        if journal.is_live() {
            return self.verify_live(journal);
        }
        let id = journal.deployment.as_deref().unwrap_or_default();
        let record = self.state.record(id)?.ok_or_else(|| Error::NoRecord { id: id.to_owned() })?;
        self.check_well(id, &record, &[])?;
        self.vouch(id, record.digest())?;
        if let Err(error) = self.prune(id) {
            // The node is well; what is too much on its disk goes with the next update.
            tracing::warn!(error = &error as &dyn std::error::Error, "old deployments stay on the disk");
        }
        Ok(self.state.forget::<JournalFile>()?)
    }

    /// Looks whether a system that somebody chose to boot is well, and gives the guard the word.
    pub fn accept(&self) -> Result<(), Error> {
        let status = self.backend.status()?;
        let booted = status.booted().ok_or(Error::NotBooted)?;
        let record = match self.state.record(&booted.id)? {
            Some(record) => record,
            None => self.record_as_found(booted)?,
        };
        self.check_well(&booted.id, &record, &[])?;
        self.vouch(&booted.id, record.digest())
    }

    /// Compares the booted system with its record: image, files, units, and that no unit the record enables, and none of
    /// `told`, has failed.
    pub(super) fn check_well(&self, id: &str, record: &Record, told: &[&str]) -> Result<(), Error> {
        let status = self.backend.status()?;
        let booted = status.find(id).ok_or(Error::NotBooted)?;
        let found = booted.digest.as_deref().unwrap_or_default();
        if found != record.digest() {
            return Err(Error::OtherImage { wanted: record.digest().to_owned(), found: found.to_owned() });
        }
        check("write files and units", &converge(self.site(), record)?.failed)?;
        let outcome = look(self.site(), record)?;
        let differs = |what| Problem { what, reason: "is not as the configuration says".to_owned() };
        let mut problems: Vec<_> = outcome.failed.into_iter().chain(outcome.changed.into_iter().map(differs)).collect();
        let watched: BTreeSet<&str> = record.tree.enabled_units().chain(told.iter().copied()).collect();
        for unit in systemd::unwell(self.run.as_ref(), &watched.into_iter().collect::<Vec<_>>())? {
            let reason = format!("has {}; `journalctl -u {}` on the node says why", unit.state, unit.unit);
            problems.push(Problem { what: unit.unit, reason });
        }
        check("verify the booted system", &problems)
    }

    /// Undoes an update that has not been unlocked: its deployment is dropped, and the running system's files come back.
    pub fn undo(&self, journal: &Journal, booted: &str) -> Result<(), Error> {
        if journal.is_live() {
            return self.undo_live(journal, booted);
        }
        self.backend.discard()?;
        if journal.done >= Some(Step::Converge)
            && let Some(record) = self.state.record(booted)?
        {
            check("bring back files and units", &converge(self.site(), &record)?.failed)?;
        }
        self.forget_journal()
    }

    /// The update is over.
    pub(super) fn forget_journal(&self) -> Result<(), Error> {
        self.state.forget::<JournalFile>()?;
        Ok(self.state.forget_record(NEXT)?)
    }

    /// The agent's word that a deployment is well.
    pub(super) fn vouch(&self, id: &str, digest: &str) -> Result<(), Error> {
        let confirmed = Confirmed { id: id.to_owned(), digest: digest.to_owned() };
        self.state.save(&confirmed)?;
        self.say_again(&confirmed)?;
        Ok(self.state.forget::<GuardReport>()?)
    }

    /// Gives the word in this boot for a deployment that was confirmed.
    pub fn say_again(&self, confirmed: &Confirmed) -> Result<(), Error> {
        let word = Utf8Path::new(WORD);
        if self.root.read(word)?.as_deref() != Some(confirmed.id.as_bytes()) {
            self.root.write(word, confirmed.id.as_bytes(), Access::private())?;
        }
        Ok(())
    }

    /// Removes deployments and records that nobody needs any more.
    fn prune(&self, booted: &str) -> Result<(), Error> {
        let deployments = self.backend.status()?.deployments;
        self.backend.prune(&self.kept(booted, &deployments)?)?;
        let left: Vec<_> = self.backend.status()?.deployments.into_iter().map(|known| known.id).collect();
        for id in self.state.records()?.into_keys().filter(|id| !left.contains(id)) {
            self.state.forget_record(&id)?;
        }
        Ok(self.state.sweep(&[])?)
    }

    /// The deployments that are never pruned: the booted one, the confirmed one, and what the machine had when it was met.
    fn kept(&self, booted: &str, deployments: &[Deployment]) -> Result<Vec<String>, Error> {
        let adopted = self.state.load::<Adopted>()?.map(|adopted| adopted.id);
        let confirmed = self.state.load::<Confirmed>()?.map(|confirmed| confirmed.id);
        let mut kept: Vec<_> = [booted.to_owned()].into_iter().chain(adopted).chain(confirmed).collect();
        kept.retain(|id| deployments.iter().any(|known| known.id == *id && !known.staged));
        kept.sort();
        kept.dedup();
        Ok(kept)
    }

    /// The tree of a deployment.
    fn image_of(&self, id: &str) -> Result<Root, Error> {
        let status = self.backend.status()?;
        let deployment = status.find(id).ok_or_else(|| Error::NoDeployment { id: id.to_owned() })?;
        Ok(self.root.sub(&Utf8Path::new("/sysroot").join(&deployment.path))?)
    }

    fn check_space(&self) -> Result<(), Error> {
        for (path, needed) in SPACE {
            let free = self.space.free(&self.here(path))?;
            if free < needed {
                return Err(Error::Space { path, free: free >> 20, needed: needed >> 20 });
            }
        }
        Ok(())
    }

    /// The running machine.
    pub(super) fn site(&self) -> Site<'_> {
        Site { root: &self.root, image: &self.root, state: &self.state, reach: Reach::Whole }
    }

    /// Whether the pair of image and configuration made this machine unwell.
    pub(super) fn quarantined(&self, target: Option<&onlay_core::node::Target>) -> Result<Option<String>, Error> {
        let Some(target) = target else { return Ok(None) };
        let list = self.state.load::<onlay_host::state::Quarantine>()?.unwrap_or_default();
        Ok(list.find(digest_of(&target.image), &target.config).map(|entry| entry.reason.clone()))
    }
}
