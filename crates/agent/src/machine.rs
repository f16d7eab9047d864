//! The machine that the agent works on: what is true on it, and the steps that change it.
//!
//! Everything here blocks; the loop calls it from a thread of its own. The machine's root is mounted into the agent's pod.

use crate::record;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use onlay_api::{Needs, Permit};
use onlay_core::node::{Boot, Journal, Observed, Step, Target, kargs};
use onlay_core::render::desired::Desired;
use onlay_host::command::{self, Run, Runner};
use onlay_host::converge::{self, Problem, Reach, Site, converge, look, refusals};
use onlay_host::os::{self, Backend, Deployment, Request};
use onlay_host::record::Record;
use onlay_host::root::{self, Root};
use onlay_host::state::{
    self, Adopted, Confirmed, Document, GuardReport, GuardSettings, Quarantine, Quarantined, State, SweepError,
};
use onlay_host::{content, disk, guard_unit};
use serde::{Deserialize, Serialize};

/// Where the agent's word for this boot lies, for the guard: the confirmed deployment.
const WORD: &str = "/run/onlay/confirmed";
/// Where credentials lie while an image is fetched, as the machine sees it.
const AUTHFILE: &str = "/run/onlay/auth.json";
/// The guard's program in the agent's own image.
const GUARD: &str = "/usr/bin/onlay-guard";
/// Space that must be free before an image is staged, in bytes.
const SPACE: [(&str, u64); 2] = [("/boot", 64 << 20), ("/sysroot", 512 << 20)];

/// Why the machine could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the machine.
    #[error("failed to use {path}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The machine's root.
    #[error(transparent)]
    Root(#[from] root::Error),
    /// What onlay keeps on the machine.
    #[error(transparent)]
    State(#[from] state::Error),
    /// File contents.
    #[error(transparent)]
    Contents(#[from] content::Error),
    /// Contents that nobody needs.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// Free space.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The operating system's backend.
    #[error(transparent)]
    Os(#[from] os::Error),
    /// A program of the machine.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// Making files and units what a record says.
    #[error(transparent)]
    Converge(#[from] converge::Error),
    /// Nothing is booted that onlay can manage.
    #[error(
        "failed to find the booted deployment: `onlay-ostree status` names none made from an image; is this an ostree host?"
    )]
    NotBooted,
    /// Too little space, before anything is fetched.
    #[error("failed to prepare for staging: {path} has {free} MiB free and needs {needed} MiB; free some space there")]
    Space {
        /// The mount point.
        path: &'static str,
        /// MiB free.
        free: u64,
        /// MiB needed.
        needed: u64,
    },
    /// The configuration cannot be made true, on this image or on this machine.
    #[error("failed to {doing}: {problems}")]
    Problems {
        /// What was being done.
        doing: &'static str,
        /// What stands in the way.
        problems: String,
    },
}

/// What the controller wants of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The target; none until the image is known.
    pub target: Option<Target>,
    /// How far the node may go.
    pub permit: Permit,
}

/// What was read of the machine at once.
#[derive(Debug, Clone)]
pub struct Sight {
    /// For the decision.
    pub observed: Observed,
    /// All deployments.
    pub deployments: Vec<Deployment>,
    /// The deployment that was last found well.
    pub confirmed: Option<Confirmed>,
    /// What the machine ran when it was first met.
    pub adopted: Adopted,
}

/// The journal on the machine's disk.
#[derive(Serialize, Deserialize)]
struct JournalFile(Journal);

impl Document for JournalFile {
    const FILE: &'static str = "journal.json";
}

/// The machine.
pub struct Machine {
    root: Root,
    state: State,
    backend: Box<dyn Backend + Send + Sync>,
    run: Runner,
}

impl Machine {
    /// Opens the machine whose root is at `root` of this process.
    pub fn open(root: &Utf8Path, backend: Box<dyn Backend + Send + Sync>, run: Runner) -> Result<Self, Error> {
        let state = State::open(&root.join(state::DIRECTORY.trim_start_matches('/')))?;
        Ok(Self { root: Root::open(root)?, state, backend, run })
    }

    /// Where `path` of the machine lies for this process.
    fn here(&self, path: &str) -> Utf8PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Puts the guard onto the machine and tells it its deadline.
    pub fn install_guard(&self, deadline_seconds: u64) -> Result<(), Error> {
        self.state.save(&GuardSettings { deadline_seconds })?;
        let program = std::fs::read(GUARD).map_err(|source| Error::File { path: GUARD.into(), source })?;
        let place = Utf8Path::new(guard_unit::PROGRAM);
        if self.root.read(place)?.as_deref() != Some(program.as_slice()) {
            self.root.write(place, &program, root::Access { mode: 0o755, uid: 0, gid: 0 })?;
        }
        let site = Site { root: &self.root, image: &self.root, state: &self.state, reach: Reach::Whole };
        let mut changed = Vec::new();
        for unit in [guard_unit::BOOT, guard_unit::WATCH] {
            let outcome = converge::install_unit(site, unit.name, unit.contents)?;
            check("install the guard", &outcome.failed)?;
            changed.extend(outcome.changed);
        }
        if !changed.is_empty() {
            self.run.output(&["systemctl", "daemon-reload"])?;
        }
        Ok(())
    }

    /// Reads the machine. The first time ever, writes down what it runs.
    pub fn observe(&self, order: Option<&Order>, now: Timestamp) -> Result<Sight, Error> {
        let deployments = self.backend.status()?.deployments;
        let booted = deployments.iter().find(|known| known.booted).ok_or(Error::NotBooted)?.clone();
        let adopted = match self.state.load::<Adopted>()? {
            Some(adopted) => adopted,
            None => self.adopt(&booted, now)?,
        };
        let journal = self.state.load::<JournalFile>()?.map(|file| file.0);
        let confirmed = self.state.load::<Confirmed>()?;
        let is_confirmed = confirmed.as_ref().is_some_and(|confirmed| confirmed.id == booted.id);
        let record = self.state.record(&booted.id)?.filter(|record| is_confirmed && !record.config.is_empty());
        // Until the API server answers, an update that is under way is what the node is for.
        let target = match order {
            Some(order) => order.target.clone(),
            None => journal.as_ref().map(|journal| journal.target.clone()),
        };
        let observed = Observed {
            quarantined: self.quarantined(target.as_ref())?,
            target,
            permit: order.map_or(Permit::Hold, |order| order.permit),
            boot: Boot { id: self.boot_id()?, deployment: booted.id },
            staged: deployments.iter().find(|known| known.staged).map(|known| known.id.clone()),
            running: record.map(|record| Target { config: record.config, image: record.image }),
            journal,
            went_back: self.state.load::<GuardReport>()?.is_some(),
        };
        Ok(Sight { observed, deployments, confirmed, adopted })
    }

    fn adopt(&self, booted: &Deployment, now: Timestamp) -> Result<Adopted, Error> {
        let image = booted.image.clone().ok_or(Error::NotBooted)?;
        let digest = booted.digest.clone().ok_or(Error::NotBooted)?;
        let adopted = Adopted { id: booted.id.clone(), image: image.clone(), at: now };
        let arguments = Vec::new();
        let record = Record { config: String::new(), image, kernel_arguments: arguments, ..Record::default() };
        self.state.save_record(&booted.id, &record)?;
        self.state.save(&Confirmed { id: booted.id.clone(), digest })?;
        self.state.save(&adopted)?;
        Ok(adopted)
    }

    fn quarantined(&self, target: Option<&Target>) -> Result<Option<String>, Error> {
        let Some(target) = target else { return Ok(None) };
        let list = self.state.load::<Quarantine>()?.unwrap_or_default();
        Ok(list.find(digest(&target.image), &target.config).map(|entry| entry.reason.clone()))
    }

    fn boot_id(&self) -> Result<String, Error> {
        let path = self.here("/proc/sys/kernel/random/boot_id");
        let text = std::fs::read_to_string(&path).map_err(|source| Error::File { path, source })?;
        Ok(text.trim().to_owned())
    }

    /// Writes the journal.
    pub fn write_journal(&self, journal: &Journal) -> Result<(), Error> {
        Ok(self.state.save(&JournalFile(journal.clone()))?)
    }

    /// Writes down that the guard went back: the pair is not tried again.
    pub fn note_went_back(&self) -> Result<(), Error> {
        if let Some(report) = self.state.load::<GuardReport>()? {
            let mut list = self.state.load::<Quarantine>()?.unwrap_or_default();
            if list.find(&report.from.digest, &report.config).is_none() {
                let GuardReport { from, config, reason, at, .. } = report;
                list.entries.push(Quarantined { digest: from.digest, config, reason, at });
                self.state.save(&list)?;
            }
        }
        self.state.forget::<JournalFile>()?;
        Ok(self.state.forget::<GuardReport>()?)
    }

    /// Prepares the target without disturbing pods, and says in the journal what applying it takes.
    pub fn stage(&self, journal: &Journal, desired: &Desired, credentials: &str) -> Result<Journal, Error> {
        record::keep(desired, self.state.contents())?;
        let new = record::of(&journal.target.config, &journal.target.image, desired);
        let old = self.state.record(&journal.from)?.unwrap_or_default();
        let mut journal = Journal { done: Some(Step::Stage), ..journal.clone() };
        if new.asks_the_same_as(&old) {
            journal.needs = Needs::None;
            return Ok(journal);
        }
        self.check_space()?;
        let booted = self.backend.status()?.deployments.into_iter().find(|known| known.id == journal.from);
        let kargs = kargs::next(&booted.ok_or(Error::NotBooted)?.kargs, &old.kernel_arguments, &new.kernel_arguments);
        let authfile = self.write_credentials(credentials)?;
        let keep = self.kept(&journal.from)?;
        let authfile_path = Some(Utf8Path::new(AUTHFILE));
        let request = Request { image: &new.image, authfile: authfile_path, kernel_arguments: &kargs, keep: &keep };
        let staged = self.backend.stage(&request)?;
        drop(authfile);
        let image = self.image_of(&staged.id)?;
        let site = Site { root: &self.root, image: &image, state: &self.state, reach: Reach::Whole };
        let problems = refusals(site, &new)?;
        if !problems.is_empty() {
            self.backend.discard()?;
        }
        check("prepare the configuration for the new image", &problems)?;
        self.state.save_record(&staged.id, &new)?;
        journal.needs = Needs::Reboot;
        journal.deployment = Some(staged.id);
        Ok(journal)
    }

    /// The configuration asks for what the booted deployment already has: it takes the new name.
    pub fn rename(&self, journal: &Journal, desired: &Desired) -> Result<(), Error> {
        let record = record::of(&journal.target.config, &journal.target.image, desired);
        self.state.save_record(&journal.from, &record)?;
        self.confirm(&journal.from, record.digest())
    }

    /// Makes the running system's files equal to the record of the staged deployment.
    pub fn converge(&self, journal: &Journal) -> Result<(), Error> {
        let id = journal.deployment.as_deref().unwrap_or_default();
        let record = self.state.record(id)?.unwrap_or_default();
        let image = self.image_of(id)?;
        let site = Site { root: &self.root, image: &image, state: &self.state, reach: Reach::Whole };
        check("write files and units", &converge(site, &record)?.failed)
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

    /// Shows that the booted system is what the record says, gives the guard the word, and ends the update.
    pub fn verify(&self, journal: &Journal) -> Result<(), Error> {
        let id = journal.deployment.as_deref().unwrap_or_default();
        let record = self.state.record(id)?.unwrap_or_default();
        let site = Site { root: &self.root, image: &self.root, state: &self.state, reach: Reach::Whole };
        check("write files and units", &converge(site, &record)?.failed)?;
        let outcome = look(site, &record)?;
        let differs = |what: String| Problem { what, reason: "is not as the configuration says".to_owned() };
        let problems: Vec<_> = outcome.failed.into_iter().chain(outcome.changed.into_iter().map(differs)).collect();
        check("verify the booted system", &problems)?;
        self.confirm(id, record.digest())?;
        self.prune(id)
    }

    /// Undoes an update that has not been unlocked: its deployment is dropped, and the running system's files come back.
    pub fn undo(&self, journal: &Journal, booted: &str) -> Result<(), Error> {
        self.backend.discard()?;
        if journal.done >= Some(Step::Converge) {
            let record = self.state.record(booted)?.unwrap_or_default();
            let site = Site { root: &self.root, image: &self.root, state: &self.state, reach: Reach::Whole };
            check("bring back files and units", &converge(site, &record)?.failed)?;
        }
        Ok(self.state.forget::<JournalFile>()?)
    }

    /// The agent's word that a deployment is well. The journal goes last, so that a crash gives the word again.
    fn confirm(&self, id: &str, digest: &str) -> Result<(), Error> {
        self.state.save(&Confirmed { id: id.to_owned(), digest: digest.to_owned() })?;
        self.root.write(Utf8Path::new(WORD), id.as_bytes(), root::Access::private())?;
        Ok(self.state.forget::<JournalFile>()?)
    }

    /// Gives the word for a system that was confirmed in an earlier boot.
    pub fn confirm_again(&self, confirmed: &Confirmed) -> Result<(), Error> {
        let word = Utf8Path::new(WORD);
        if self.root.read(word)?.as_deref() != Some(confirmed.id.as_bytes()) {
            self.root.write(word, confirmed.id.as_bytes(), root::Access::private())?;
        }
        Ok(())
    }

    /// Keeps the booted deployment, and the one that the machine had when it was met; drops the others' records too.
    fn prune(&self, booted: &str) -> Result<(), Error> {
        self.backend.prune(&self.kept(booted)?)?;
        let left: Vec<_> = self.backend.status()?.deployments.into_iter().map(|known| known.id).collect();
        for id in self.state.records()?.into_keys().filter(|id| !left.contains(id)) {
            self.state.forget_record(&id)?;
        }
        Ok(self.state.sweep(&[])?)
    }

    /// The deployments that are never pruned while `booted` is the booted one.
    fn kept(&self, booted: &str) -> Result<Vec<String>, Error> {
        let adopted = self.state.load::<Adopted>()?.map(|adopted| adopted.id);
        let confirmed = self.state.load::<Confirmed>()?.map(|confirmed| confirmed.id);
        Ok([booted.to_owned()].into_iter().chain(adopted).chain(confirmed).collect())
    }

    /// The tree of a deployment.
    fn image_of(&self, id: &str) -> Result<Root, Error> {
        let deployment = self.backend.status()?.deployments.into_iter().find(|known| known.id == id);
        let path = deployment.ok_or(Error::NotBooted)?.path;
        Ok(Root::open(&self.here("/sysroot").join(path.as_str().trim_start_matches('/')))?)
    }

    fn check_space(&self) -> Result<(), Error> {
        for (path, needed) in SPACE {
            let free = disk::free(&self.here(path))?;
            if free < needed {
                return Err(Error::Space { path, free: free >> 20, needed: needed >> 20 });
            }
        }
        Ok(())
    }

    /// Writes the credentials; they are removed when the answer is dropped.
    fn write_credentials(&self, credentials: &str) -> Result<impl Drop + use<>, Error> {
        self.root.write(Utf8Path::new(AUTHFILE), credentials.as_bytes(), root::Access::private())?;
        Ok(Removed(self.here(AUTHFILE)))
    }

    /// The credentials that the machine's kubelet has.
    pub fn kubelet_credentials(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.root.read(&Utf8Path::new("/").join(crate::credentials::KUBELET_CONFIG))?)
    }
}

struct Removed(Utf8PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, "failed to remove {}", self.0);
        }
    }
}

fn check(doing: &'static str, problems: &[Problem]) -> Result<(), Error> {
    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(Error::Problems { doing, problems })
}

fn digest(image: &str) -> &str {
    image.split_once('@').map_or(image, |(_, digest)| digest)
}
