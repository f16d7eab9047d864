//! The image side of a machine: which deployments it has, and which one boots next.
//!
//! One trait, one implementation for each kind of host. Images are known by the digest of their manifest only.

mod ostree;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::command;

pub use ostree::Ostree;

/// Why the image side of a machine did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host's tool failed.
    #[error("failed to {action}")]
    Tool {
        /// What was to be done, as a verb.
        action: String,
        /// What the tool said.
        source: command::Error,
    },
    /// The host's tool gave an answer that is not understood.
    #[error("failed to {action}: the answer of {tool} is not what it should be")]
    Answer {
        /// What was to be done, as a verb.
        action: String,
        /// The tool.
        tool: &'static str,
        /// Where the answer is wrong.
        source: serde_json::Error,
    },
}

/// All deployments of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// The booted one; none when the machine was not booted from a deployment.
    pub booted: Option<String>,
    /// In boot order: the first one boots next, unless it is staged and locked.
    pub deployments: Vec<Deployment>,
}

impl Status {
    /// The booted deployment.
    pub fn booted(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.booted)
    }

    /// The deployment that becomes real at the next shutdown, locked or not.
    pub fn staged(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.staged)
    }

    /// The deployment `id`.
    pub fn find(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }
}

/// One deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Deployment {
    /// `osname/checksum.serial`.
    pub id: String,
    /// Whether it is booted.
    pub booted: bool,
    /// Whether it becomes real at the next shutdown.
    pub staged: bool,
    /// Whether it is staged and kept from becoming real.
    pub locked: bool,
    /// Whether somebody asked that it is never removed.
    pub pinned: bool,
    /// Its image as `repository@sha256:...`; none when it was not made from an image.
    pub image: Option<String>,
    /// Its image's digest.
    pub digest: Option<String>,
    /// Its kernel arguments, one an entry.
    pub kargs: Vec<String>,
    /// Its directory, relative to the sysroot.
    pub path: Utf8PathBuf,
}

/// What to stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The image as `repository@sha256:...`.
    pub image: &'a str,
    /// Where the host finds credentials for registries.
    pub authfile: Option<&'a Utf8Path>,
    /// All kernel arguments of the new deployment, one an entry.
    pub kernel_arguments: &'a [String],
    /// Deployments that must stay although they are not booted.
    pub keep: &'a [String],
}

/// What was staged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Staged {
    /// The deployment.
    pub id: String,
    /// Its image's digest.
    pub digest: String,
}

/// Where kernel arguments are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelArguments {
    /// With each deployment, on the host.
    OnHost,
    /// In the image only.
    InImage,
    /// Nowhere.
    Unsupported,
}

/// A kind of host that deploys images.
pub trait Backend {
    /// Where this kind of host sets kernel arguments.
    fn kernel_arguments(&self) -> KernelArguments;
    /// Every deployment.
    fn status(&self) -> Result<Status, Error>;
    /// Prepares the next deployment, locked: until [`Backend::unlock`], a reboot boots the old one.
    fn stage(&self, request: &Request<'_>) -> Result<Staged, Error>;
    /// Lets the staged deployment boot next.
    fn unlock(&self) -> Result<(), Error>;
    /// Drops the staged deployment, if there is one.
    fn discard(&self) -> Result<(), Error>;
    /// Lets the deployment `id` boot next.
    fn rollback(&self, id: &str) -> Result<(), Error>;
    /// Removes all deployments but the booted one, the staged one, pinned ones and `keep`.
    fn prune(&self, keep: &[String]) -> Result<(), Error>;
}
