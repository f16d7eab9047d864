//! Makes a tree equal to a record: files, directories, links, units and their enablement, and what left the record.
//!
//! One function changes a machine's configuration, whenever that happens: on the booted tree before a reboot, at boot,
//! and on another deployment's own `/etc` before going back to it. It is idempotent, changes nothing that is right, and
//! each single change is atomic; a run that was killed is finished by the next one.
//!
//! What the record does not name is left alone. To know which paths were named before, the tree itself carries the list
//! of what onlay holds in it (`/etc/onlay/held.json`, which follows `/etc` from deployment to deployment, and
//! `held.json` in the state directory for everything outside `/etc`); the list is written before the first change.

mod base;
mod enablement;
mod entry;
mod held;
mod paths;
mod refusal;
#[cfg(test)]
mod tests;

use camino::{Utf8Path, Utf8PathBuf};

use crate::content;
use crate::record::Record;
use crate::root::{self, Root};
use crate::state::{self, State};
use crate::users::Accounts;
use held::Held;

pub use refusal::refusals;

/// Where a record is made true.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The tree that is changed.
    pub root: &'a Root,
    /// The image that the tree runs with, or will run with next: its `/usr` says which units, presets, accounts and shipped
    /// files there are. The same as `root`, but for a tree that is prepared for another deployment.
    pub image: &'a Root,
    /// Contents, originals and what is held outside `/etc`.
    pub state: &'a State,
    /// How far changes reach.
    pub reach: Reach,
}

/// How far changes reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The whole tree: it is a running machine.
    Whole,
    /// Below `/etc` only: it is another deployment's tree on the disk, whose other directories are shared or empty.
    Etc,
}

/// What a run changed and could not change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Paths and units that were not as the record says and now are, in the order of the changes.
    pub changed: Vec<String>,
    /// What could not be made equal.
    pub failed: Vec<Problem>,
    /// What the record asks for and this image has no use for, as enabling a unit that it does not ship.
    pub ignored: Vec<Problem>,
}

/// One thing and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A path or the name of a unit.
    pub what: String,
    /// The reason, for people.
    pub reason: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.what, self.reason)
    }
}

impl Outcome {
    /// Whether the tree already was as the record says.
    pub fn is_clean(&self) -> bool {
        self.changed.is_empty() && self.failed.is_empty()
    }
}

/// Why a run could not begin or end. Single paths that fail are in the [`Outcome`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tree cannot be read.
    #[error("failed to converge {root}")]
    Root {
        /// The tree.
        root: Utf8PathBuf,
        /// What went wrong.
        source: root::Error,
    },
    /// The state directory cannot be used.
    #[error("failed to converge: the state directory cannot be used")]
    State(#[from] state::Error),
    /// The list of held paths in the tree is not readable.
    #[error(
        "failed to read {path} in {root}: {source}; restore it from another deployment, or remove it to let go of what it lists"
    )]
    Held {
        /// The tree.
        root: Utf8PathBuf,
        /// The file.
        path: Utf8PathBuf,
        /// Where the text is wrong.
        source: serde_json::Error,
    },
}

/// Makes `site` equal to `record`.
pub fn converge(site: Site<'_>, record: &Record) -> Result<Outcome, Error> {
    Pass::begin(site, true)?.run(record)
}

/// What [`converge`] would do, without doing it. A clean outcome proves that the site is equal to the record.
pub fn look(site: Site<'_>, record: &Record) -> Result<Outcome, Error> {
    Pass::begin(site, false)?.run(record)
}

/// Puts a unit of onlay itself into a tree and enables it. It is never listed as held, so no record releases it.
pub fn install_unit(site: Site<'_>, name: &str, contents: &str) -> Result<Outcome, Error> {
    let mut pass = Pass::begin(site, true)?;
    pass.install_unit(name, contents)?;
    Ok(pass.outcome)
}

/// One run over one site.
struct Pass<'a> {
    site: Site<'a>,
    accounts: Accounts,
    /// Whether differences are mended or only told.
    act: bool,
    held: Held,
    /// What is held as the disk says.
    on_disk: Held,
    outcome: Outcome,
}

impl<'a> Pass<'a> {
    fn begin(site: Site<'a>, act: bool) -> Result<Pass<'a>, Error> {
        let root_error = |source| Error::Root { root: site.root.path().into(), source };
        let accounts = Accounts::read(site.root, site.image).map_err(root_error)?;
        let held = held::load(site)?;
        Ok(Pass { site, accounts, act, on_disk: held.clone(), held, outcome: Outcome::default() })
    }

    fn run(mut self, record: &Record) -> Result<Outcome, Error> {
        let wanted = self.wanted(record);
        self.claim(&wanted, record)?;
        self.release_paths(&wanted);
        self.place(&wanted);
        self.enable_units(record)?;
        self.clear_directories(&wanted);
        self.settle()?;
        Ok(self.outcome)
    }

    /// Notes a difference, and mends it when this run may.
    fn mend(&mut self, what: &str, change: impl FnOnce(&Root) -> Result<(), Failure>) {
        let done = if self.act { change(self.site.root) } else { Ok(()) };
        match done {
            Ok(()) => self.outcome.changed.push(what.to_owned()),
            Err(failure) => self.fail(what, failure),
        }
    }

    fn fail(&mut self, what: &str, failure: impl Into<Failure>) {
        self.outcome.failed.push(Problem { what: what.to_owned(), reason: failure.into().0 });
    }

    fn reaches(&self, real: &Utf8Path) -> bool {
        self.site.reach == Reach::Whole || real.starts_with("/etc")
    }
}

/// Why one path or unit could not be made right, for people.
struct Failure(String);

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure(reason)
    }
}

impl From<root::Error> for Failure {
    fn from(error: root::Error) -> Self {
        Failure(with_causes(&error))
    }
}

impl From<content::Error> for Failure {
    fn from(error: content::Error) -> Self {
        Failure(with_causes(&error))
    }
}

impl From<state::Error> for Failure {
    fn from(error: state::Error) -> Self {
        Failure(with_causes(&error))
    }
}

/// An error and everything below it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
