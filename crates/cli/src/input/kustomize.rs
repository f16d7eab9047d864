//! Kustomize directories, built by kubectl itself.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::said::said;
use crate::finding::{Finding, Source};

/// Names of the file that makes a directory one for Kustomize.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Whether Kustomize builds this directory.
pub fn is_kustomization(directory: &Path) -> bool {
    NAMES.iter().any(|name| directory.join(name).is_file())
}

/// The objects of a directory as `kubectl kustomize` writes them.
pub fn build(directory: &Path) -> Result<Arc<Source>, Finding> {
    let name = directory.display().to_string();
    let output = Command::new("kubectl").arg("kustomize").arg(directory).output().map_err(|error| {
        let finding = Finding::error(&name, format!("failed to run `kubectl kustomize {name}`: {}", reason(&error)));
        finding.help("a directory with a kustomization is built by kubectl; install it, or give the files one by one")
    })?;
    if !output.status.success() {
        let message = format!("`kubectl kustomize {name}` failed: {}", said(&output.stderr));
        let help = "correct the kustomization, or give the files that it names one by one";
        return Err(Finding::error(&name, message).help(help));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| Finding::error(&name, format!("`kubectl kustomize {name}` wrote something that is no UTF-8")))?;
    Ok(Source::new(format!("{name} (built by kubectl kustomize)"), text))
}

/// Why a program did not begin.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "kubectl is not on the search path".to_owned(),
        _ => error.to_string(),
    }
}
