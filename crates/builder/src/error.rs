use camino::Utf8PathBuf;
use onlay_core::build::layer::LayerError;
use onlay_core::build::spec::{Cause, Failure};
use onlay_core::render::RenderError;
use onlay_host::{command, root};
use onlay_registry::AuthError;

/// Why a build ended without an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("failed to {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What the build is asked to do cannot be read.
    #[error("failed to read {path}: it is none of a build's files")]
    Input {
        /// The file.
        path: Utf8PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// What buildah says of an image cannot be read.
    #[error("failed to read what buildah says of {image}")]
    Inspect {
        /// The image.
        image: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A secret cannot be used.
    #[error("failed to use Secret {secret}")]
    Secret {
        /// Name of the secret.
        secret: String,
        /// What is wrong with it.
        source: AuthError,
    },
    /// A secret has none of the known keys.
    #[error(
        "failed to use Secret {0}: it has neither the key .dockerconfigjson nor .dockercfg; make it with `kubectl create \
         secret docker-registry`"
    )]
    SecretEmpty(String),
    /// Something that the build is given is not what it was when the build was made.
    #[error(
        "failed to use {object}: its key {key} has changed since the build was made; the next build has what is there now"
    )]
    Changed {
        /// The ConfigMap or Secret.
        object: String,
        /// The key.
        key: String,
    },
    /// The configuration cannot be read.
    #[error(transparent)]
    Configuration(#[from] RenderError),
    /// The configuration does not fit onto the base image.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A path of an image that leads nowhere.
    #[error(transparent)]
    Path(#[from] root::Error),
    /// A program that cannot be run.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// buildah failed, or said something else than expected.
    #[error("{}", .0.message)]
    Build(Failure),
}

impl Error {
    /// The error as the outcome of the build.
    pub fn into_failure(self) -> Failure {
        let cause = match &self {
            Self::Build(_) | Self::Input { .. } | Self::Inspect { .. } => Cause::BuilderFailed,
            Self::Configuration(_) | Self::Layer(_) | Self::Secret { .. } | Self::SecretEmpty(_) => Cause::InputRefused,
            Self::Changed { .. } => Cause::InputChanged,
            Self::File { .. } | Self::Path(_) | Self::Command(_) => Cause::MachineFailed,
        };
        match self {
            Self::Build(failure) => failure,
            other => Failure::new(cause, chain(&other)),
        }
    }

    pub(crate) fn file(action: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
