//! What onlay keeps on a machine: small JSON documents and file contents below one directory, `/var/lib/onlay`.
//!
//! Every document is replaced as a whole and is on the disk when a write returns.

mod originals;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::content::{self, Contents};
use crate::record::Record;
use crate::root::{self, Access, Root};

pub(crate) use originals::{Original, OriginalKind};

/// Where the state lies on a machine.
pub const DIRECTORY: &str = "/var/lib/onlay";

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("failed to use the state directory {directory}")]
    Root {
        /// The directory.
        directory: Utf8PathBuf,
        /// What went wrong in it.
        source: root::Error,
    },
    /// The directory could not be made or locked.
    #[error("failed to open the state directory {directory}")]
    Open {
        /// The directory.
        directory: Utf8PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A document does not hold what its name promises.
    #[error("failed to read {file}: {source}; remove the file if it was edited by hand")]
    Parse {
        /// The file.
        file: Utf8PathBuf,
        /// Where the text is wrong.
        source: serde_json::Error,
    },
    /// A document cannot be written as JSON.
    #[error("failed to write {file} as JSON")]
    Format {
        /// The file.
        file: Utf8PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// Another process works on this machine.
    #[error("failed to lock {directory}: another onlay process works on this machine; it must end first")]
    Busy {
        /// The directory.
        directory: Utf8PathBuf,
    },
}

/// Why contents that nobody needs could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A document could not be read.
    #[error("failed to sweep contents")]
    State(#[from] Error),
    /// The store said no.
    #[error("failed to sweep contents")]
    Contents(#[from] content::Error),
}

/// A document that has one fixed place in the state directory.
pub trait Document: Serialize + DeserializeOwned {
    /// File name below the state directory.
    const FILE: &'static str;
}

/// What the machine ran when onlay met it first. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    /// The booted deployment.
    pub id: String,
    /// Its image as `repository@sha256:...`.
    pub image: String,
    /// When that was.
    pub at: Timestamp,
}

/// The last deployment that was found well: where going back leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The deployment.
    pub id: String,
    /// Its image's digest (`sha256:...`).
    pub digest: String,
}

/// Images and configurations that made this machine unwell; they are not tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// Oldest first.
    pub entries: Vec<Quarantined>,
}

/// One bad pair of image and configuration: the same image may be well with another configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The image's digest (`sha256:...`).
    pub digest: String,
    /// Name of the rendered configuration.
    pub config: String,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

impl Quarantine {
    /// The entry for this pair, if there is one.
    pub fn find(&self, digest: &str, config: &str) -> Option<&Quarantined> {
        self.entries.iter().find(|entry| entry.digest == digest && entry.config == config)
    }
}

/// What the agent tells the guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardSettings {
    /// How long after its boot a deployment may stay unconfirmed, in seconds; a machine that looks well gets ten times as long.
    pub deadline_seconds: u64,
}

/// What the guard tells the agent after it went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardReport {
    /// The deployment that was left.
    pub from: Confirmed,
    /// The deployment that was chosen instead.
    pub to: Confirmed,
    /// Name of the rendered configuration of the deployment that was left; empty when it had none.
    pub config: String,
    /// Why, for people.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Document for Adopted {
    const FILE: &'static str = "adopted.json";
}
impl Document for Confirmed {
    const FILE: &'static str = "confirmed.json";
}
impl Document for Quarantine {
    const FILE: &'static str = "quarantine.json";
}
impl Document for GuardSettings {
    const FILE: &'static str = "guard.json";
}
impl Document for GuardReport {
    const FILE: &'static str = "guard-report.json";
}

/// The open state directory.
#[derive(Debug)]
pub struct State {
    pub(crate) root: Root,
}

impl State {
    /// Opens the state directory at `directory` of the calling process and makes it (mode 0700) if it is missing.
    pub fn open(directory: &Utf8Path) -> Result<State, Error> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| Error::Open { directory: directory.into(), source })?;
        let root = Root::open(directory).map_err(|source| Error::Root { directory: directory.into(), source })?;
        Ok(State { root })
    }

    /// Keeps every other process that asks for the lock out, as long as the answer lives.
    pub fn lock(&self) -> Result<Lock, Error> {
        let directory = || self.root.path().to_owned();
        let open = || File::options().create(true).append(true).open(directory().join("lock"));
        let file = open().map_err(|source| Error::Open { directory: directory(), source })?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| Error::Busy { directory: directory() })?;
        Ok(Lock { _file: file })
    }

    /// File contents.
    pub fn contents(&self) -> Contents<'_> {
        Contents { root: &self.root }
    }

    /// Reads a document; `None` when it was never written.
    pub fn load<D: Document>(&self) -> Result<Option<D>, Error> {
        self.read(D::FILE)
    }

    /// Writes a document.
    pub fn save<D: Document>(&self, document: &D) -> Result<(), Error> {
        self.write(D::FILE, document)
    }

    /// Removes a document.
    pub fn forget<D: Document>(&self) -> Result<(), Error> {
        self.delete(D::FILE)
    }

    /// The record of the deployment `id` (`osname/checksum.serial`).
    pub fn record(&self, id: &str) -> Result<Option<Record>, Error> {
        self.read(&record_file(id))
    }

    /// Keeps the record of the deployment `id`.
    pub fn save_record(&self, id: &str, record: &Record) -> Result<(), Error> {
        self.write(&record_file(id), record)
    }

    /// All records by deployment.
    pub fn records(&self) -> Result<BTreeMap<String, Record>, Error> {
        let mut records = BTreeMap::new();
        for osname in self.list("deployments")? {
            for name in self.list(&format!("deployments/{osname}"))? {
                let Some(deployment) = name.strip_suffix(".json") else { continue };
                let id = format!("{osname}/{deployment}");
                if let Some(record) = self.record(&id)? {
                    records.insert(id, record);
                }
            }
        }
        Ok(records)
    }

    /// Removes the record of the deployment `id`.
    pub fn forget_record(&self, id: &str) -> Result<(), Error> {
        self.delete(&record_file(id))
    }

    /// Removes all contents that neither a record, nor `also`, nor an original needs.
    pub fn sweep(&self, also: &[&Record]) -> Result<(), SweepError> {
        let mut used = self.originals_contents()?;
        used.extend(self.records()?.values().chain(also.iter().copied()).flat_map(|record| record.tree.contents()));
        Ok(self.contents().keep_only(&used)?)
    }

    /// Reads the document `file`; `None` when it is not there.
    pub fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.root.read(&place(file)).map_err(|source| self.root_error(source))? else {
            return Ok(None);
        };
        let parse = |source| Error::Parse { file: self.root.path().join(file), source };
        serde_json::from_slice(&text).map(Some).map_err(parse)
    }

    /// Writes the document `file`, readable by its owner only.
    pub fn write<T: Serialize>(&self, file: &str, document: &T) -> Result<(), Error> {
        let format = |source| Error::Format { file: self.root.path().join(file), source };
        let mut text = serde_json::to_vec_pretty(document).map_err(format)?;
        text.push(b'\n');
        self.root.write(&place(file), &text, Access::private()).map_err(|source| self.root_error(source))
    }

    /// Removes the document `file`; it need not be there.
    pub fn delete(&self, file: &str) -> Result<(), Error> {
        self.root.remove(&place(file)).map_err(|source| self.root_error(source))
    }

    pub(crate) fn list(&self, directory: &str) -> Result<Vec<String>, Error> {
        self.root.list(&place(directory)).map_err(|source| self.root_error(source))
    }

    fn root_error(&self, source: root::Error) -> Error {
        Error::Root { directory: self.root.path().to_owned(), source }
    }
}

/// Held while one process works on the machine.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

fn record_file(id: &str) -> String {
    format!("deployments/{id}.json")
}

fn place(file: &str) -> Utf8PathBuf {
    Utf8Path::new("/").join(file)
}
