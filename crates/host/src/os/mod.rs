//! The operating system of a machine as a set of deployments: which are there, which boots next.

pub mod ostree;

use serde::Deserialize;

use crate::command;

/// Why a backend could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The backend's program failed.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The backend's program answered something else than it promises.
    #[error("failed to read the answer of `{program}`: {text:?}")]
    Answer {
        /// Program and subcommand.
        program: &'static str,
        /// The beginning of the answer.
        text: String,
        /// Where it is wrong.
        source: serde_json::Error,
    },
}

/// One bootable system on the machine's disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Deployment {
    /// Identity: `OSNAME/CHECKSUM.SERIAL`.
    pub id: String,
    /// Whether the machine runs it.
    pub booted: bool,
    /// Whether it waits for the shutdown that makes it bootable.
    pub staged: bool,
    /// Whether that shutdown will leave it alone.
    #[serde(default)]
    pub locked: bool,
    /// The image by digest, `HOST[:PORT]/PATH@sha256:DIGEST`; none if it was not made from one.
    pub image: Option<String>,
    /// Manifest digest of the image.
    pub digest: Option<String>,
    /// Kernel arguments.
    pub kargs: Vec<String>,
    /// Where its tree lies, below the sysroot.
    pub path: String,
}

/// A deployment that was staged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Staged {
    /// Identity of the deployment.
    pub id: String,
    /// Manifest digest of its image.
    pub digest: String,
}

/// What is staged.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The image by digest.
    pub image: &'a str,
    /// A docker config with the credentials for its registry, as a path on the machine.
    pub authfile: Option<&'a str>,
    /// All kernel arguments of the new deployment.
    pub kargs: &'a [String],
}

/// An operating system that is updated as a whole.
pub trait Backend: Send + Sync {
    /// All deployments, in boot order.
    fn deployments(&self) -> Result<Vec<Deployment>, Error>;
    /// Fetches an image and stages a new deployment of it, locked: a reboot boots the old system.
    fn stage(&self, request: Request<'_>) -> Result<Staged, Error>;
    /// Lets the next shutdown make the staged deployment the one that boots.
    fn unlock(&self) -> Result<(), Error>;
    /// Drops the staged deployment; none need be there.
    fn discard(&self) -> Result<(), Error>;
    /// Removes all deployments but those in `keep`, and what only they needed.
    fn prune(&self, keep: &[&str]) -> Result<(), Error>;
}
