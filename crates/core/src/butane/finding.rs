//! What the translation has to say to the person who wrote the file.

use std::fmt;

pub use crate::render::ignition::spec::report::Severity;

/// An error or a warning, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// What there is to say, with the way out.
    pub message: String,
    /// Path in the file, such as `$.storage.files.0.mode`; `$` for the whole file.
    pub path: String,
    /// Where the value is, or the nearest one above it that is there.
    pub place: Option<Place>,
}

/// A place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {} column {}", self.line, self.column)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })?;
        match (self.path.as_str(), &self.place) {
            ("$", None) => {}
            ("$", Some(place)) => write!(out, " at {place}")?,
            (path, None) => write!(out, " at {path}")?,
            (path, Some(place)) => write!(out, " at {path}, {place}")?,
        }
        write!(out, ": {}", self.message)
    }
}

/// Why a file is not translated: at least one error, and the warnings before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Everything that was found, in the order in which it was found.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.findings.iter().map(Finding::to_string).collect();
        out.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refusal {}
