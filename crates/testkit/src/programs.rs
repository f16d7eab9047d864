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

/// How the programs under test are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// As tests are, with the checks of a debug build: most objects are there already.
    #[default]
    Debug,
    /// As they are shipped, for figures.
    Release,
}

/// What nodes need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    ostree: Utf8PathBuf,
    supervisor: Utf8PathBuf,
}

impl Programs {
    /// Builds them; less than a second when nothing has changed.
    pub async fn ensure(profile: Profile, progress: &Progress) -> Result<Self, ProgramsError> {
        let what = "the programs of nodes (onlay-ostree, onlay-lab-node)";
        let work = async {
            build(profile, "onlay-ostree").await?;
            // The supervisor is part of the lab, and built as this library is.
            build(Profile::Debug, "onlay-lab-node").await
        };
        progress.step(&format!("built {what}"), work).await.map_err(|source| ProgramsError { what, source })?;
        Ok(Self { ostree: profile.built("onlay-ostree"), supervisor: Profile::Debug.built("onlay-lab-node") })
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
    pub async fn ensure(profile: Profile, progress: &Progress) -> Result<Self, ProgramsError> {
        let what = "the programs of images (onlayd, onlay-guard)";
        let work = async {
            build(profile, "onlayd").await?;
            // Only the last link is static: the objects of other crates are those of any program.
            let guard = ["--package=onlay-guard", "--bin=onlay-guard", "--", "-C", "target-feature=+crt-static"];
            cargo("rustc", profile, &guard).await
        };
        progress.step(&format!("built {what}"), work).await.map_err(|source| ProgramsError { what, source })?;
        Ok(Self { onlayd: profile.built("onlayd"), guard: profile.built("onlay-guard") })
    }
}

impl Profile {
    /// Where cargo puts a program.
    fn built(self, program: &str) -> Utf8PathBuf {
        let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
        let directory = match self {
            Self::Debug => "debug",
            Self::Release => "release",
        };
        workspace().join(target).join(directory).join(program)
    }
}

/// Builds one program with the features of the whole workspace, as the tests are: crates are compiled once.
async fn build(profile: Profile, program: &str) -> Result<(), CommandError> {
    cargo("build", profile, &["--workspace", "--bin", program]).await
}

async fn cargo(verb: &str, profile: Profile, words: &[&str]) -> Result<(), CommandError> {
    let mut cargo = command(&[option_env!("CARGO").unwrap_or("cargo"), verb, "--quiet"]);
    without_package(cargo.as_std_mut());
    cargo.args((profile == Profile::Release).then_some("--release")).args(words).current_dir(workspace());
    command::output(&mut cargo).await.map(drop)
}

/// Takes away what a cargo that runs this program has said of its package.
///
/// Build scripts that read such a variable run again when it changes, and all crates above them are compiled again.
pub fn without_package(command: &mut std::process::Command) -> &mut std::process::Command {
    let of_package = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        command.env_remove(name);
    }
    command
}

fn workspace() -> &'static Utf8Path {
    Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
