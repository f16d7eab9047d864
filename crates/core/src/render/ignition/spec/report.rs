//! What there is to say about a configuration: errors and warnings at paths.

use std::fmt::Display;

use super::path::Path;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing comes out.
    Error,
    /// Accepted, but probably not meant.
    Warning,
}

/// Something about a value, at its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How bad it is.
    pub severity: Severity,
    /// The value.
    pub path: Path,
    /// What there is to say, with the way out.
    pub message: String,
}

/// Errors and warnings, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(Vec<Remark>);

impl Report {
    /// Adds an error.
    pub fn error(&mut self, path: Path, message: impl Display) {
        self.0.push(Remark { severity: Severity::Error, path, message: message.to_string() });
    }

    /// Adds a warning.
    pub fn warning(&mut self, path: Path, message: impl Display) {
        self.0.push(Remark { severity: Severity::Warning, path, message: message.to_string() });
    }

    /// Adds an error, if the check failed.
    pub fn check(&mut self, path: impl FnOnce() -> Path, result: Result<(), impl Display>) {
        if let Err(message) = result {
            self.error(path(), message);
        }
    }

    /// Adds all remarks of another report.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is an error.
    pub fn is_fatal(&self) -> bool {
        self.0.iter().any(|remark| remark.severity == Severity::Error)
    }

    /// The same remarks at other paths.
    pub fn map_paths(self, map: impl Fn(Path) -> Path) -> Self {
        Self(self.0.into_iter().map(|remark| Remark { path: map(remark.path), ..remark }).collect())
    }

    /// The remarks.
    pub fn remarks(&self) -> &[Remark] {
        &self.0
    }

    /// The remarks, taken apart.
    pub fn into_remarks(self) -> Vec<Remark> {
        self.0
    }
}
