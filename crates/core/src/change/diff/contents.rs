//! How something differs; contents of files as lines where people can read them, else as sizes and digests.

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use similar::TextDiff as Lines;

use crate::build::inputs::hex;

/// Longest contents that are compared line by line, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// Most comparisons of one line with another one. Time grows with it; 1,000 changed lines on both sides reach it.
const MAX_COMPARISONS: usize = 1_000_000;
/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;

/// How something differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Delta {
    /// One short value became another one; none where there was none.
    Value {
        /// The value before.
        old: Option<String>,
        /// The value afterwards.
        new: Option<String>,
    },
    /// Entries of a list.
    Entries {
        /// Those that come.
        added: Vec<String>,
        /// Those that go.
        removed: Vec<String>,
        /// Whether only the order differs.
        reordered: bool,
    },
    /// Lines of a text.
    Text(TextDiff),
    /// Contents that are no text, or too long to compare line by line.
    Bytes {
        /// The contents before.
        old: Option<Blob>,
        /// The contents afterwards.
        new: Option<Blob>,
    },
}

/// A difference of two texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TextDiff {
    /// Hunks of a unified diff, without the lines that name the files.
    pub unified: String,
    /// How many lines are new.
    pub added: usize,
    /// How many lines are gone.
    pub removed: usize,
}

/// What is known of contents that are not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blob {
    /// How many bytes.
    pub size: usize,
    /// SHA-256 of the bytes, 64 hexadecimal digits.
    pub sha256: String,
}

/// How contents differ; none if they do not. Contents that are not there are none.
pub(super) fn compare(old: Option<&[u8]>, new: Option<&[u8]>) -> Option<Delta> {
    if old.unwrap_or_default() == new.unwrap_or_default() {
        return None;
    }
    let bytes = || Delta::Bytes { old: old.map(blob), new: new.map(blob) };
    let texts = text(old.unwrap_or_default()).zip(text(new.unwrap_or_default()));
    Some(texts.filter(|(old, new)| is_cheap(old, new)).map_or_else(bytes, |(old, new)| Delta::Text(lines(old, new))))
}

fn blob(bytes: &[u8]) -> Blob {
    Blob { size: bytes.len(), sha256: hex(&Sha256::digest(bytes)) }
}

/// The contents as text that does nothing to a terminal.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_TEXT)?;
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(plain).then_some(text)
}

/// Whether two texts can be compared in a fraction of a second.
fn is_cheap(old: &str, new: &str) -> bool {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let shorter = old.len().min(new.len());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old.iter().rev().zip(new.iter().rev()).take(shorter - head).take_while(|(a, b)| a == b).count();
    let (old, new) = (old.len() - head - tail, new.len() - head - tail);
    old.saturating_mul(new) <= MAX_COMPARISONS
}

fn lines(old: &str, new: &str) -> TextDiff {
    let diff = Lines::from_lines(old, new);
    let unified = diff.unified_diff().context_radius(CONTEXT).to_string();
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    TextDiff { unified, added: count(similar::ChangeTag::Insert), removed: count(similar::ChangeTag::Delete) }
}
