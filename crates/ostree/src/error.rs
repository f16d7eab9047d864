//! What can go wrong on the way from an image to a deployment.

use std::error::Error as StdError;
use std::path::PathBuf;

use crate::image::Image;

/// The reason of a failed command; [`one_line`] turns it into the text that callers see.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to {action}")]
    Doing {
        action: String,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error("failed to read the registry credentials {}; write them there, or leave --authfile out for an anonymous pull", path.display())]
    Authfile { path: PathBuf, source: std::io::Error },
    #[error("failed to read the certificate directory {}; it must hold the registry's CA as a file ending in .crt", path.display())]
    CertDir { path: PathBuf, source: std::io::Error },
    #[error("failed to fetch {image} {access}: {text} ({way_out})")]
    Fetch { image: Image, access: String, text: String, way_out: &'static str },
    #[error("failed to find deployment {id}; this system has {known}")]
    UnknownDeployment { id: String, known: String },
    #[error("failed to {action} at sysroot {root}: it is not the booted system; run this on the node itself")]
    NotBooted { action: &'static str, root: PathBuf },
    #[error("failed to unlock: no deployment is staged; stage an image first")]
    NothingStaged,
    #[error("failed to lock the sysroot within {seconds} s: another ostree process holds it; look for it with `fuser -v {}`", lock.display())]
    Busy { seconds: u64, lock: PathBuf },
}

impl Error {
    /// An error of a library or of the system, with the action that met it.
    pub fn doing(action: impl Into<String>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Doing { action: action.into(), source: source.into() }
    }
}

/// The error and its causes in one line, each cause once.
pub fn one_line(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        source = cause.source();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
