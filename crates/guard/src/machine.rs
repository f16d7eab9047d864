//! The machine as the guard sees it: files below one root, and nothing that could wait for somebody else.

use std::fs;
use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_host::record::Record;
use onlay_host::state::{self, Confirmed, GuardSettings, Quarantine, State};

use crate::booted;
use crate::decision::Seen;

/// Seconds that the agent has to vouch for a deployment, if it never said otherwise.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(300);
/// The agent's word: the id of the deployment that it found well in this boot.
const WORD: &str = "run/onlay/confirmed";
/// When the watch began, in seconds of uptime; a watch that starts again goes on with it.
const BEGAN: &str = "run/onlay/guard-began";
/// The deployment that the guard is leaving, below the state directory.
const WAY_BACK: &str = "guard-way-back.json";
const UPTIME: &str = "proc/uptime";

/// Why the machine could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Booted(#[from] booted::Error),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("failed to use {path}")]
    File { path: Utf8PathBuf, source: io::Error },
    #[error("failed to read the uptime from {path}: it says {text:?}")]
    Uptime { path: Utf8PathBuf, text: String },
}

/// A booted machine.
#[derive(Debug)]
pub struct Machine {
    /// Its root directory.
    pub root: Utf8PathBuf,
    /// What onlay keeps on it.
    pub state: State,
    /// The booted deployment.
    pub booted: String,
}

impl Machine {
    /// Opens the machine whose root directory is `root`.
    pub fn open(root: &Utf8Path) -> Result<Self, Error> {
        let state = State::open(&root.join(state::DIRECTORY.trim_start_matches('/')))?;
        Ok(Self { root: root.into(), state, booted: booted::id(root)? })
    }

    /// The record of the booted deployment; what onlay did not deploy has none.
    pub fn record(&self) -> Result<Option<Record>, Error> {
        Ok(self.state.record(&self.booted)?)
    }

    /// Reads everything that the decision depends on.
    pub fn see(&self) -> Result<Seen, Error> {
        let confirmed = self.state.load::<Confirmed>()?.map(|confirmed| confirmed.id);
        let settings = self.state.load::<GuardSettings>()?;
        let record = self.record()?;
        let target_exists = confirmed.as_ref().is_some_and(|id| booted::directory(&self.root, id).is_some());
        Ok(Seen {
            booted: self.booted.clone(),
            word: self.word()?,
            recorded: record.is_some(),
            target_exists,
            left_before: record.map_or(Ok(false), |record| self.left_before(&record))?,
            waited: self.waited()?,
            deadline: settings.map_or(DEFAULT_DEADLINE, |settings| Duration::from_secs(settings.deadline_seconds)),
            granted: Duration::ZERO,
            health: None,
            confirmed,
        })
    }

    /// Whether the guard already left this image and configuration, and did not merely begin to.
    fn left_before(&self, record: &Record) -> Result<bool, Error> {
        let quarantine = self.state.load::<Quarantine>()?.unwrap_or_default();
        let on_the_way = self.state.read::<String>(WAY_BACK)?.as_ref() == Some(&self.booted);
        Ok(quarantine.find(record.digest(), &record.config).is_some() && !on_the_way)
    }

    /// Notes that the guard is leaving the booted deployment; a cut before [`Machine::left`] does not end the way.
    pub fn leaving(&self) -> Result<(), Error> {
        Ok(self.state.write(WAY_BACK, &self.booted)?)
    }

    /// Notes that another deployment boots next.
    pub fn left(&self) -> Result<(), Error> {
        Ok(self.state.delete(WAY_BACK)?)
    }

    fn word(&self) -> Result<Option<String>, Error> {
        Ok(self.read(WORD)?.map(|text| text.trim().to_string()))
    }

    fn waited(&self) -> Result<Duration, Error> {
        let now = self.uptime()?;
        let Some(began) = self.read(BEGAN)?.and_then(|text| seconds(&text)) else {
            self.write(BEGAN, &now.as_secs_f64().to_string())?;
            return Ok(Duration::ZERO);
        };
        Ok(now.saturating_sub(began))
    }

    /// Time since the boot.
    pub fn uptime(&self) -> Result<Duration, Error> {
        let text = self.read(UPTIME)?.unwrap_or_default();
        let first = text.split_whitespace().next().unwrap_or_default();
        seconds(first).ok_or_else(|| Error::Uptime { path: self.root.join(UPTIME), text: text.clone() })
    }

    fn read(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.root.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.root.join(name);
        let directory = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, text))
            .map_err(|source| Error::File { path: path.clone(), source })
    }
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
