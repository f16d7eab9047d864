//! What a build is asked to do, and what it answers: the words between the controller and the builder.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::extras::Extras;
use super::packages::Packages;

/// Key of the build's ConfigMap that holds the [`Spec`] as JSON.
pub const SPEC_KEY: &str = "spec.json";
/// Key of the build's ConfigMap that holds the rendered configuration: the JSON of its specification, packed by gzip.
pub const CONFIGURATION_KEY: &str = "configuration.json.gz";
/// Exit code of a builder whose failure would be the same again.
pub const EXIT_DEFINITIVE: i32 = 2;
/// Exit code of a builder whose failure may not happen again.
pub const EXIT_TRANSIENT: i32 = 1;
/// Most bytes that a container may leave as its termination message.
pub const MAX_MESSAGE: usize = 4096;

/// What a build is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Name of the MachineOSBuild.
    pub build: String,
    /// Name of the rendered configuration.
    pub rendered: String,
    /// The annotations of the rendered configuration that say which MachineConfig said what in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: BTreeMap<String, String>,
    /// The base image, by digest.
    pub base: String,
    /// Where the image is pushed, with its tag.
    pub target: String,
    /// The architecture that the image is for, as Kubernetes names it.
    pub architecture: String,
    /// Name of the secret to pull with.
    pub pull_secret: String,
    /// Name of the secret to push with.
    pub push_secret: String,
    /// The user's Containerfile, unless it lies in an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerfile: Option<String>,
    /// When a person last asked to build once more: what earlier builds have left of instructions is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<String>,
    /// Bytes that the cache may hold; none if there is no cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_limit: Option<u64>,
    /// What the build is given besides.
    #[serde(default, skip_serializing_if = "is_default")]
    pub extras: Extras,
    /// What the configuration wants of the package manager.
    #[serde(default, skip_serializing_if = "Packages::is_empty")]
    pub packages: Packages,
}

impl Spec {
    /// How many instructions of ours stand behind every `FROM` of the user, see [`super::assemble`].
    pub fn added_steps(&self) -> usize {
        let is_marked = self.rebuilt.is_some() || self.extras.mark().is_some();
        usize::from(is_marked) + usize::from(self.extras.trusted_ca.is_some())
    }
}

fn is_default(extras: &Extras) -> bool {
    *extras == Extras::default()
}

/// What a build answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Outcome {
    /// The image is pushed.
    Pushed {
        /// The image, by digest.
        image: String,
    },
    /// It is not.
    Failed(Failure),
}

/// Why a build failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// What went wrong, for programs and for the choice to try again.
    pub cause: Cause,
    /// What went wrong, for people.
    pub message: String,
    /// The instruction that failed, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// The last lines of output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
}

/// An instruction that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Line of the Containerfile, counted from 1.
    pub line: usize,
    /// The instruction, cut if it is long.
    pub instruction: String,
    /// Exit code of its command, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The Containerfile or the configuration cannot be built as it is.
    InputRefused,
    /// An instruction ended with an error.
    InstructionFailed,
    /// What was built cannot run on a node.
    ImageRefused,
    /// The base image is none of an ostree system.
    BaseImageNotOstree,
    /// An image does not exist.
    ImageNotFound,
    /// A registry does not take the credentials, or does not allow what was asked.
    AccessDenied,
    /// The certificate of a registry is not trusted.
    CertificateNotTrusted,
    /// A certificate or a package list is not valid at the present time, by the clock of the build's node: not yet, or no more.
    NotValidNow,
    /// The network or a server on it did not answer.
    NetworkFailed,
    /// Something that the build is given is no longer what it was when the build was made.
    InputChanged,
    /// The build was not ready when it had to be.
    TimedOut,
    /// The machine of the build ran out of something, or stopped the build.
    MachineFailed,
    /// Something else.
    BuilderFailed,
}

impl Cause {
    /// The word for the reason of a condition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InputRefused => "InputRefused",
            Self::InstructionFailed => "InstructionFailed",
            Self::ImageRefused => "ImageRefused",
            Self::BaseImageNotOstree => "BaseImageNotOstree",
            Self::ImageNotFound => "ImageNotFound",
            Self::AccessDenied => "AccessDenied",
            Self::CertificateNotTrusted => "CertificateNotTrusted",
            Self::NotValidNow => "NotValidNow",
            Self::NetworkFailed => "NetworkFailed",
            Self::InputChanged => "InputChanged",
            Self::TimedOut => "TimedOut",
            Self::MachineFailed => "MachineFailed",
            Self::BuilderFailed => "BuilderFailed",
        }
    }

    /// Whether the same build would fail again, so that trying it is in vain.
    pub const fn is_definitive(self) -> bool {
        use Cause::{BuilderFailed, InputChanged, MachineFailed, NetworkFailed, NotValidNow};
        !matches!(self, NotValidNow | NetworkFailed | InputChanged | MachineFailed | BuilderFailed)
    }
}

impl Failure {
    /// A failure of a kind, with words for people.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), step: None, output: Vec::new() }
    }

    /// The failure in words: the instruction with its line, what happened, the last lines of output.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        if let Some(Step { line, instruction, exit_code }) = &self.step {
            text.push_str(&format!("line {line}: `{instruction}`"));
            text.push_str(&match exit_code {
                Some(code) => format!(" ended with exit code {code}; "),
                None => ": ".to_owned(),
            });
        }
        text.push_str(&self.message);
        if !self.output.is_empty() {
            text.push_str(". Last lines of output:\n");
            text.push_str(&self.output.join("\n"));
        }
        text
    }
}

impl Outcome {
    /// The outcome as a termination message: JSON of at most [`MAX_MESSAGE`] bytes, for which the oldest lines of output
    /// are given up first.
    pub fn to_message(&self) -> String {
        let mut outcome = self.clone();
        loop {
            let text = serde_json::to_string(&outcome).unwrap_or_default();
            if text.len() <= MAX_MESSAGE || !shrink(&mut outcome) {
                return text;
            }
        }
    }

    /// Reads a termination message; none if it is not one of ours.
    pub fn from_message(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The exit code that belongs to the outcome.
    pub const fn exit_code(&self) -> i32 {
        match self {
            Self::Pushed { .. } => 0,
            Self::Failed(failure) if failure.cause.is_definitive() => EXIT_DEFINITIVE,
            Self::Failed(_) => EXIT_TRANSIENT,
        }
    }
}

/// Makes an outcome smaller, and says whether it could.
fn shrink(outcome: &mut Outcome) -> bool {
    let Outcome::Failed(failure) = outcome else { return false };
    if failure.output.len() > 1 {
        failure.output.remove(0);
        return true;
    }
    let line = failure.output.iter_mut().chain([&mut failure.message]).max_by_key(|text| text.len());
    line.is_some_and(halve)
}

/// Keeps the first half of a text.
fn halve(text: &mut String) -> bool {
    let keep = text.floor_char_boundary(text.len() / 2);
    let shorter = keep < text.len();
    text.truncate(keep);
    shorter
}

#[cfg(test)]
mod tests;
