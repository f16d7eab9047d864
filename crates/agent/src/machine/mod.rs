//! The machine that the agent works on: what is true on it, and the steps that change it.
//!
//! Everything here blocks; the loop calls it from a thread of its own. The machine's root is mounted into the agent's pod.

mod guard;
mod live;
mod steps;
#[cfg(test)]
mod tests;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use onlay_api::{Permit, names};
use onlay_core::node::{Boot, Journal, Observed, Target};
use onlay_host::command::{self, Run};
use onlay_host::converge::Problem;
use onlay_host::disk::{self, Space};
use onlay_host::os::{self, Backend, Deployment};
use onlay_host::record::Record;
use onlay_host::root::{self, Access, Root};
use onlay_host::state::{self, Adopted, Confirmed, Document, GuardReport, Lock, State, SweepError};
use onlay_host::{content, converge};
use serde::{Deserialize, Serialize};

pub use guard::PROGRAM as GUARD_PROGRAM;

/// Under which name the record of a changed running system waits.
const NEXT: &str = "running/next";
/// Where the agent's word for this boot lies, for the guard: the confirmed deployment.
const WORD: &str = "/run/onlay/confirmed";
/// Where credentials lie while an image is fetched, as the machine sees it.
const AUTHFILE: &str = "/run/onlay/auth.json";
/// How the system that went down last tells why the staged deployment did not become bootable.
const LAST_WORDS: [&str; 6] =
    ["journalctl", "--boot=-1", "--unit=ostree-finalize-staged.service", "--lines=20", "--no-pager", "--output=cat"];

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
    /// A deployment is gone.
    #[error("failed to find deployment {id}: `onlay-ostree status` does not name it any more")]
    NoDeployment {
        /// The deployment.
        id: String,
    },
    /// A deployment's record is gone.
    #[error(
        "failed to find the record of deployment {id} in /var/lib/onlay/deployments; change the configuration to begin anew"
    )]
    NoRecord {
        /// The deployment.
        id: String,
    },
    /// Another image than the one that was asked for.
    #[error("failed to use the image: it has digest {found}, not {wanted}")]
    OtherImage {
        /// What was asked for.
        wanted: String,
        /// What is there.
        found: String,
    },
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
    run: Box<dyn Run + Send + Sync>,
    space: Box<dyn Space + Send + Sync>,
    _lock: Lock,
}

impl Machine {
    /// Opens the machine whose root is at `root` of this process; no other process can, as long as this one has it.
    pub fn open(
        root: &Utf8Path,
        backend: Box<dyn Backend + Send + Sync>,
        run: Box<dyn Run + Send + Sync>,
        space: Box<dyn Space + Send + Sync>,
    ) -> Result<Self, Error> {
        let state = State::open(&root.join(state::DIRECTORY.trim_start_matches('/')))?;
        let lock = state.lock()?;
        Ok(Self { root: Root::open(root)?, state, backend, run, space, _lock: lock })
    }

    /// Where `path` of the machine lies for this process.
    fn here(&self, path: &str) -> Utf8PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
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
        let boot = Boot { id: self.boot_id()?, deployment: booted.id.clone() };
        let report = self.state.load::<GuardReport>()?;
        let observed = Observed {
            quarantined: self.quarantined(target.as_ref())?,
            target,
            permit: order.map_or(Permit::Hold, |order| order.permit),
            staged: deployments.iter().find(|known| known.staged).map(|known| known.id.clone()),
            confirmed: is_confirmed,
            running: record.map(|record| Target { config: record.config, image: record.image }),
            last_words: journal.as_ref().and_then(|journal| self.last_words(journal, &boot)),
            // A report about the booted system is the guard's word that it stayed; whether it is well is still open.
            went_back: report.is_some_and(|report| report.from.id != boot.deployment),
            boot,
            journal,
        };
        Ok(Sight { observed, deployments, confirmed, adopted })
    }

    /// What the last boot said when the staged deployment of `journal` was to become bootable and did not.
    fn last_words(&self, journal: &Journal, boot: &Boot) -> Option<String> {
        let failed = journal.is_unlocked() && journal.boot_id != boot.id && journal.from == boot.deployment;
        let words = failed.then(|| self.run.output(&LAST_WORDS))?;
        let words = words
            .inspect_err(|error| {
                tracing::warn!(error = error as &dyn std::error::Error, "the last boot's journal cannot be read")
            })
            .ok()?;
        let lines: Vec<_> = words.lines().filter(|line| !line.trim().is_empty()).collect();
        (!lines.is_empty()).then(|| lines.join(" | "))
    }

    /// Writes down what the machine runs, the first time ever.
    fn adopt(&self, booted: &Deployment, now: Timestamp) -> Result<Adopted, Error> {
        let record = self.record_as_found(booted)?;
        let digest = record.digest().to_owned();
        self.state.save(&Confirmed { id: booted.id.clone(), digest })?;
        let adopted = Adopted { id: booted.id.clone(), image: record.image, at: now };
        self.state.save(&adopted)?;
        Ok(adopted)
    }

    /// The record of a deployment that onlay did not make: its image, and no configuration.
    fn record_as_found(&self, booted: &Deployment) -> Result<Record, Error> {
        let image = booted.image.clone().ok_or(Error::NotBooted)?;
        let record = Record { image, ..Record::default() };
        self.state.save_record(&booted.id, &record)?;
        Ok(record)
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

    /// Makes the directory in which builds leave things for later ones; nobody but them can look into it.
    pub fn make_build_cache(&self) -> Result<(), Error> {
        let access = Access { mode: 0o700, uid: names::BUILDER_USER, gid: names::BUILDER_USER };
        Ok(self.root.make_directory(Utf8Path::new(names::BUILD_CACHE_DIRECTORY), access)?)
    }

    /// The credentials that the machine's kubelet has.
    pub fn kubelet_credentials(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.root.read(&Utf8Path::new("/").join(crate::credentials::KUBELET_CONFIG))?)
    }
}

/// The digest in an image's name.
fn digest_of(image: &str) -> &str {
    image.split_once('@').map_or(image, |(_, digest)| digest)
}

/// Nothing, or an error with all problems.
fn check(doing: &'static str, problems: &[Problem]) -> Result<(), Error> {
    if problems.is_empty() {
        return Ok(());
    }
    let problems = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(Error::Problems { doing, problems })
}
