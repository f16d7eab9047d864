//! What a command has to say about its input: what, about which object and field, where, and the way out.

use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The input cannot be used.
    Error,
    /// Accepted, but probably not meant.
    Warning,
}

/// A text that was read, and where from.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Path as it was given, `<stdin>`, or what made the text.
    pub name: String,
    /// The text, without a byte order mark.
    pub text: String,
    starts: Vec<usize>,
}

impl Source {
    /// A text by its name.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text: String = text.into();
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Self { name: name.into(), text, starts })
    }

    /// Line and column in characters, both from 1, of a byte.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count());
        (line, column + 1)
    }

    /// The bytes of a line, counted from 1, without its end; none if there is no such line.
    pub fn line(&self, line: usize) -> Option<Range<usize>> {
        let start = *self.starts.get(line.checked_sub(1)?)?;
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        let trimmed = self.text.get(start..end)?.trim_end_matches('\r').len();
        Some(start..start + trimmed)
    }

    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.starts.len()
    }

    /// The byte of a line and a column in characters, both from 1; the nearest one that is there.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let Some(range) = self.line(line) else { return self.text.len() };
        let text = self.text.get(range.clone()).unwrap_or_default();
        let within = text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        range.start + within
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The text.
    pub source: Arc<Source>,
    /// Its bytes.
    pub span: Range<usize>,
    /// What is there, if that is not the finding itself.
    pub label: Option<String>,
}

/// An error or a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The object, such as `MachineConfig 50-worker-motd`, or the file if there is no object.
    pub object: String,
    /// Path of the field; empty for the whole object.
    pub field: String,
    /// What there is to say.
    pub message: String,
    /// What else helps.
    pub help: Option<Box<str>>,
    /// Where it is; the first place is the one to correct.
    pub spots: Vec<Spot>,
}

impl Finding {
    /// An error about an object or a file.
    pub fn error(object: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            object: object.into(),
            field: String::new(),
            message: message.into(),
            help: None,
            spots: Vec::new(),
        }
    }

    /// A warning about an object or a file.
    pub fn warning(object: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(object, message) }
    }

    /// The same, about a field.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// The same, with one more place.
    #[must_use]
    pub fn at(mut self, spot: Option<Spot>) -> Self {
        self.spots.extend(spot);
        self
    }

    /// The same, with something that helps.
    #[must_use]
    pub fn help(mut self, help: impl Into<Box<str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Object, field and message as one line.
    pub fn line(&self) -> String {
        let parts = [self.object.as_str(), self.field.as_str(), self.message.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
    }
}

/// Whether there is an error among findings.
pub fn any_error(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Findings without those that were said before, in their order.
pub fn once(findings: &mut Vec<Finding>) {
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings.drain(..) {
        if !kept.contains(&finding) {
            kept.push(finding);
        }
    }
    *findings = kept;
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// The file as it was given, `<stdin>`, or what made the text.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl From<&Spot> for Place {
    fn from(spot: &Spot) -> Self {
        let (line, column) = spot.source.position(spot.span.start);
        Self { file: spot.source.name.clone(), line, column }
    }
}

/// A finding as `-o json` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Report {
    /// Error or warning.
    pub severity: Severity,
    /// The object, such as `MachineConfig 50-worker-motd`, or the file if there is no object.
    pub object: String,
    /// Path of the field; empty for the whole object.
    pub field: String,
    /// What there is to say.
    pub message: String,
    /// What else helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where it is; the first place is the one to correct.
    pub places: Vec<Place>,
}

impl From<&Finding> for Report {
    fn from(finding: &Finding) -> Self {
        Self {
            severity: finding.severity,
            object: finding.object.clone(),
            field: finding.field.clone(),
            message: finding.message.clone(),
            help: finding.help.as_deref().map(str::to_owned),
            places: finding.spots.iter().map(Place::from).collect(),
        }
    }
}
