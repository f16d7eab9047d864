//! What a command reads: files, directories, standard input, and the objects in them.

pub mod field;
pub mod files;
pub mod kubectl;
mod kustomize;
pub mod local;
mod metadata;
pub mod objects;
mod said;
mod scalar;
mod shape;
pub mod yaml;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use crate::finding::{Finding, Severity, Source};

pub use objects::{Known, Object};
use shape::Writer;

/// The objects of some files, and what is wrong with them.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Objects, in the order of the files. What could not be read is not among them.
    pub objects: Vec<Object>,
    /// Errors and warnings, in the order of the files.
    pub findings: Vec<Finding>,
}

impl Input {
    /// The objects of a text that the cluster gave. What its API server lets pass is nothing to tell people about.
    pub fn of_cluster(source: &Arc<Source>) -> Self {
        let mut input = Self::default();
        objects::read(source, Writer::Cluster, &mut input);
        input.findings.retain(|finding| finding.severity == Severity::Error);
        input
    }
}

/// Objects laid over other ones: of the same kind and name, those above take the place of those below.
pub fn overlay(below: &[Object], above: &[Object]) -> Vec<Object> {
    let is_same = |a: &Object, b: &Object| a.api_version == b.api_version && a.kind == b.kind && a.name == b.name;
    let kept = below.iter().filter(|below| !above.iter().any(|above| is_same(below, above)));
    kept.chain(above).cloned().collect()
}

/// Reads objects from files, directories and standard input (`-`).
pub fn read(paths: &[PathBuf], recursive: bool, stdin: &mut dyn Read) -> Input {
    let mut input = Input::default();
    for text in files::read(paths, recursive, stdin) {
        match text {
            Ok(source) => objects::read(&source, Writer::Person, &mut input),
            Err(finding) => input.findings.push(finding),
        }
    }
    if input.objects.is_empty() && input.findings.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let finding = Finding::error(names.join(", "), "there are no objects in it");
        input.findings.push(finding.help("give files with MachineConfigs and pools, or a directory that holds some"));
    }
    objects::check_names(&mut input);
    input
}
