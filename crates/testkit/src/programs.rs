//! The project's own programs, built by cargo.

use camino::{Utf8Path, Utf8PathBuf};

use crate::Progress;
use crate::command::{self, CommandError, command};

/// A program could not be built.
#[derive(Debug, thiserror::Error)]
#[error("failed to build {what}")]
pub struct ProgramsError {
    what: &'static str,
    source: CommandError,
}

/// What nodes need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    ostree: Utf8PathBuf,
    supervisor: Utf8PathBuf,
}

impl Programs {
    /// Builds them; less than a second when nothing has changed.
    pub async fn ensure(progress: &Progress) -> Result<Self, ProgramsError> {
        let what = "the programs of nodes (onlay-ostree, onlay-lab-node)";
        let work = async {
            cargo(&["build", "--release", "--package=onlay-ostree"]).await?;
            // The supervisor is built as this library is, whose objects are there already.
            cargo(&["build", "--package=onlay-testkit", "--bin=onlay-lab-node"]).await
        };
        progress.step(&format!("built {what}"), work).await.map_err(|source| ProgramsError { what, source })?;
        Ok(Self { ostree: built("release/onlay-ostree"), supervisor: built("debug/onlay-lab-node") })
    }

    /// The image backend of plain ostree hosts, `onlay-ostree`.
    pub fn ostree(&self) -> Utf8PathBuf {
        self.ostree.clone()
    }

    /// The machine around a node, see [`crate::node::supervisor`].
    pub fn supervisor(&self) -> Utf8PathBuf {
        self.supervisor.clone()
    }
}

/// What container images need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePrograms {
    /// Controller, agent and builder, `onlayd`.
    pub onlayd: Utf8PathBuf,
    /// The guard, `onlay-guard`; static, since it runs on nodes whose libc is another one.
    pub guard: Utf8PathBuf,
}

impl ImagePrograms {
    /// Builds them; less than a second when nothing has changed.
    pub async fn ensure(progress: &Progress) -> Result<Self, ProgramsError> {
        let what = "the programs of images (onlayd, onlay-guard)";
        let work = async {
            cargo(&["build", "--release", "--package=onlayd"]).await?;
            // Only the last link is static: the objects of other crates are shared with the other programs.
            let link = ["--", "-C", "target-feature=+crt-static"];
            cargo(&[&["rustc", "--release", "--package=onlay-guard", "--bin=onlay-guard"], &link[..]].concat()).await
        };
        progress.step(&format!("built {what}"), work).await.map_err(|source| ProgramsError { what, source })?;
        Ok(Self { onlayd: built("release/onlayd"), guard: built("release/onlay-guard") })
    }
}

async fn cargo(words: &[&str]) -> Result<(), CommandError> {
    let (verb, rest) = words.split_first().unwrap_or((&"build", &[]));
    let mut cargo = command(&[option_env!("CARGO").unwrap_or("cargo"), verb, "--quiet"]);
    command::output(cargo.args(rest).current_dir(workspace())).await.map(drop)
}

fn workspace() -> &'static Utf8Path {
    Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn built(program: &str) -> Utf8PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    workspace().join(target).join(program)
}
