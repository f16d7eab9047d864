//! What is wrong with a built image: looked at before it is pushed, so that no node ever gets it.
//!
//! Source of the rules: a node boots the one kernel below /usr/lib/modules with the initramfs beside it, as ostree and bootc
//! look for them; of an image it takes over /usr and /etc, and nothing else (see [`super::var`]); and the agent will want
//! every path and unit of the configuration there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::Utf8PathBuf;
use sha2::{Digest, Sha256};

use super::accounts::{Undeclared, Untold};
use super::inputs::hex;
use super::layer::{Entry, Plan, What};
use super::spec::{Cause, Failure};
use super::var::{Declaration, Lost, MOST};
use crate::render::desired::{Desired, DesiredUnit};

/// Where the directories of kernels lie, each named by its version.
pub const MODULES: &str = "/usr/lib/modules";
/// Name of a kernel in its directory.
pub const KERNEL: &str = "vmlinuz";
/// Name of its initramfs.
pub const INITRAMFS: &str = "initramfs.img";
/// Where units lie that only nodes have.
const NODE_UNITS: &str = "/usr/local/lib/systemd/system/";
/// Findings that a message shows at most.
const SHOWN: usize = 8;

/// What a built image has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Versions of the kernels, and whether each has its initramfs.
    pub kernels: BTreeMap<String, bool>,
    /// What lies at the paths of the configuration.
    pub paths: BTreeMap<Utf8PathBuf, Found>,
    /// Names of unit files.
    pub units: BTreeSet<String>,
    /// Names of units that a link in /etc masks.
    pub masks: BTreeSet<String>,
    /// What lies in places that are empty when a machine boots.
    pub left: Vec<Utf8PathBuf>,
    /// Accounts that nothing declares.
    pub accounts: Undeclared,
    /// What lies in /var, and nothing declares.
    pub var: Declaration,
}

/// What lies at a path of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or something behind a link.
    Nothing,
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// SHA-256 of its contents, in hexadecimal digits.
        digest: String,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link, with its text.
    Link(String),
    /// A device, a pipe or a socket.
    Other,
}

impl Found {
    /// A regular file with these contents.
    pub fn file(contents: &[u8], mode: u32) -> Self {
        Self::File { digest: digest(contents), mode }
    }
}

/// Something that is wrong with a built image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// There is no kernel.
    NoKernel,
    /// There are several; their versions.
    Kernels(Vec<String>),
    /// The kernel of this version has no initramfs.
    NoInitramfs(String),
    /// A path of the configuration is not as the configuration says.
    Path {
        /// The path.
        path: Utf8PathBuf,
        /// What it is.
        fault: Fault,
    },
    /// A unit that the configuration enables has no file.
    NoUnit(String),
    /// A unit that the configuration enables is masked.
    Masked(String),
    /// Something lies where nodes get nothing from an image.
    Left(Utf8PathBuf),
    /// Something in /var cannot reach nodes.
    Lost(Lost),
    /// Something in /var, or an account, is declared nowhere; the line that is missing.
    Undeclared(String),
    /// An account cannot be declared.
    Untold(Untold),
}

/// How a path differs from what the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is something else.
    Kind {
        /// What it should be.
        wanted: &'static str,
    },
    /// Its contents differ, or the text of a link.
    Contents,
    /// Its permission bits differ.
    Mode {
        /// What they are.
        found: u32,
        /// What they should be.
        wanted: u32,
    },
}

/// Everything that is wrong with an image that was built by a plan for a configuration.
pub fn check(plan: &Plan, desired: &Desired, facts: &Facts) -> Vec<Finding> {
    let paths = plan.entries.iter().filter_map(|(path, entry)| {
        let fault = fault(entry, facts.paths.get(path).unwrap_or(&Found::Nothing))?;
        Some(Finding::Path { path: path.clone(), fault })
    });
    let Facts { left, accounts, var, .. } = facts;
    // Nothing of /var is declared while something of it cannot be.
    let of_var = var.lines.iter().filter(|_| var.lost.is_empty());
    let undeclared = accounts.lines.iter().chain(of_var).cloned();
    kernel(&facts.kernels)
        .into_iter()
        .chain(paths)
        .chain(desired.units.iter().filter_map(|wanted| unit(wanted, plan, facts)))
        .chain(left.iter().cloned().map(Finding::Left))
        .chain(var.lost.iter().cloned().map(Finding::Lost))
        .chain(accounts.untold.iter().cloned().map(Finding::Untold))
        .chain(undeclared.map(Finding::Undeclared))
        .collect()
}

/// The failure of a build whose image has something wrong; none if nothing is.
pub fn failure(findings: &[Finding]) -> Option<Failure> {
    let shown: Vec<String> = findings.iter().take(SHOWN).map(|finding| format!("\n- {finding}")).collect();
    let more = match findings.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("\n- and {more} more"),
    };
    let message =
        format!("the image was built and is not pushed, since nodes could not use it:{}{more}", shown.concat());
    (!findings.is_empty()).then(|| Failure::new(Cause::ImageRefused, message))
}

/// How what lies at a path differs from an entry of the plan.
pub fn fault(entry: &Entry, found: &Found) -> Option<Fault> {
    match (&entry.what, found) {
        // What the base image had is a gift, and none where it had a device.
        (What::CopyOf(_), _) => None,
        (_, Found::Nothing) => Some(Fault::Missing),
        (What::File(contents), Found::File { digest: there, .. }) if *there != digest(contents) => {
            Some(Fault::Contents)
        }
        (What::File(_), Found::File { mode, .. }) if *mode != entry.mode => {
            Some(Fault::Mode { found: *mode, wanted: entry.mode })
        }
        (What::Link(wanted), Found::Link(found)) if wanted != found => Some(Fault::Contents),
        (What::File(_), Found::File { .. }) | (What::Link(_), Found::Link(_)) | (What::Directory, Found::Directory) => {
            None
        }
        (What::File(_), _) => Some(Fault::Kind { wanted: "file" }),
        (What::Link(_), _) => Some(Fault::Kind { wanted: "link" }),
        (What::Directory, _) => Some(Fault::Kind { wanted: "directory" }),
    }
}

fn kernel(kernels: &BTreeMap<String, bool>) -> Option<Finding> {
    let mut all = kernels.iter();
    match (all.next(), all.next()) {
        (None, _) => Some(Finding::NoKernel),
        (Some((version, false)), None) => Some(Finding::NoInitramfs(version.clone())),
        (Some((_, true)), None) => None,
        (Some(_), Some(_)) => Some(Finding::Kernels(kernels.keys().cloned().collect())),
    }
}

fn unit(wanted: &DesiredUnit, plan: &Plan, facts: &Facts) -> Option<Finding> {
    if wanted.enabled != Some(true) || wanted.masked == Some(true) {
        return None;
    }
    let name = &wanted.name;
    let template = template(name);
    let is_in = |names: &BTreeSet<String>| names.contains(name) || template.as_ref().is_some_and(|t| names.contains(t));
    if wanted.masked.is_none() && wanted.contents.is_none() && is_in(&facts.masks) {
        return Some(Finding::Masked(name.clone()));
    }
    let on_nodes =
        |name: &String| plan.node_only.iter().any(|path| path.strip_prefix(NODE_UNITS) == Some(name.as_str()));
    let comes = is_in(&facts.units) || on_nodes(name) || template.as_ref().is_some_and(on_nodes);
    (!comes).then(|| Finding::NoUnit(name.clone()))
}

/// The template of an instance: `getty@.service` of `getty@tty1.service`.
fn template(name: &str) -> Option<String> {
    let (stem, suffix) = name.rsplit_once('.')?;
    let (prefix, _) = stem.split_once('@')?;
    Some(format!("{prefix}@.{suffix}"))
}

fn digest(contents: &[u8]) -> String {
    hex(&Sha256::digest(contents))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKernel => write!(
                f,
                "kernel: there is no {MODULES}/*/{KERNEL}; let no instruction remove the kernel of the base image unless it \
                 installs another one, or name another base image"
            ),
            Self::Kernels(versions) => write!(
                f,
                "kernel: there are {}: {}; nobody could tell which one boots: remove the others with their directories in the \
                 Containerfile",
                versions.len(),
                versions.iter().map(|version| format!("{MODULES}/{version}/{KERNEL}")).collect::<Vec<_>>().join(" ")
            ),
            Self::NoInitramfs(version) => write!(
                f,
                "kernel: {MODULES}/{version}/{KERNEL} has no {INITRAMFS} beside it; make it in the Containerfile, with dracut for \
                 example, for this version and with the ostree module"
            ),
            Self::Path { path, fault } => write!(f, "configuration: {path} {fault}"),
            Self::NoUnit(name) => write!(
                f,
                "units: {name} is enabled by a MachineConfig, and there is no /usr/lib/systemd/system/{name}, nor one below \
                 /etc/systemd/system; install the package that brings it in the Containerfile, or correct the name in the \
                 MachineConfig"
            ),
            Self::Masked(name) => write!(
                f,
                "units: {name} is enabled by a MachineConfig, and /etc/systemd/system/{name} masks it; let no instruction mask \
                 it, or set `mask: false` beside `enabled: true` in the MachineConfig"
            ),
            Self::Left(path) => write!(
                f,
                "leftovers: {path} lies where nodes take nothing over from an image; remove it in the Containerfile"
            ),
            Self::Lost(lost) => lost_in_words(lost, f),
            Self::Undeclared(line) => write!(
                f,
                "declarations: `{line}` is declared neither below /usr/lib/sysusers.d nor below /usr/lib/tmpfiles.d, and existing \
                 nodes would go without; this is an error of onlay, declare it in the Containerfile meanwhile"
            ),
            Self::Untold(Untold { kind, name, why }) => write!(
                f,
                "accounts: the {kind} {name:?} cannot be declared for nodes that have accounts of their own, since {why}; make \
                 it in another way in the Containerfile"
            ),
        }
    }
}

fn lost_in_words(lost: &Lost, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match lost {
        Lost::TooLarge { path, bytes } => write!(
            f,
            "var: the files that the build leaves in /var are {} MiB, of which nodes that exist get nothing but copies of \
             {} MiB together; the largest is {path}: remove it in the Containerfile, or move it below /usr and link to it from \
             /var by a file in /usr/lib/tmpfiles.d",
            bytes.div_ceil(1 << 20),
            MOST >> 20
        ),
        Lost::Special(path) => write!(
            f,
            "var: {path} is a device, a pipe or a socket, which nodes that exist would never get; remove it in the Containerfile, \
             or let a file in /usr/lib/tmpfiles.d make it"
        ),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("of a MachineConfig is gone, or behind a link")?,
            Self::Kind { wanted } => write!(f, "is no {wanted} any more, as a MachineConfig says")?,
            Self::Contents => f.write_str("has not the contents that a MachineConfig says")?,
            Self::Mode { found, wanted } => {
                write!(f, "has mode {found:04o}, not {wanted:04o} as a MachineConfig says")?
            }
        }
        f.write_str("; leave it alone in the Containerfile, or take it out of the MachineConfig")
    }
}

#[cfg(test)]
mod tests;
