//! Texts that stand below an instruction.

use super::{Instruction, Keyword};

/// A text below an instruction, up to a line that holds only its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: String,
    /// Whether the name was quoted, so that variables stay as they are written.
    pub quoted: bool,
    /// The place of the marker in the instruction's arguments, in bytes.
    pub marker: std::ops::Range<usize>,
    /// The lines, each ended.
    pub body: String,
}

/// The announcement of a heredoc: `<<NAME`, `<<-NAME`, `<<"NAME"`.
pub(super) struct Marker {
    pub(super) name: String,
    pub(super) strip_tabs: bool,
    quoted: bool,
    at: std::ops::Range<usize>,
}

impl Marker {
    pub(super) fn with(self, body: String) -> Heredoc {
        Heredoc { name: self.name, quoted: self.quoted, marker: self.at, body }
    }
}

/// The heredocs that an instruction announces, in order.
pub(super) fn markers(instruction: &Instruction) -> Vec<Marker> {
    let text = instruction.arguments.as_str();
    let takes_heredocs = matches!(instruction.keyword, Keyword::Run | Keyword::Copy | Keyword::Add);
    if !takes_heredocs || text.starts_with('[') {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut quote = None;
    let mut word_begins = true;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '<' && word_begins => {
                found.extend(text.get(at..).and_then(|rest| marker(at, rest)));
            }
            None => {}
        }
        // A marker may have the number of a file descriptor in front of it.
        word_begins = c.is_whitespace() || (word_begins && c.is_ascii_digit());
    }
    found
}

fn marker(start: usize, text: &str) -> Option<Marker> {
    let rest = text.strip_prefix("<<")?;
    let (strip_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let word = rest.get(quote.map_or(0, char::len_utf8)..)?;
    let length = word.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(word.len());
    let (name, after) = word.split_at_checked(length)?;
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return None;
    }
    let after = match quote {
        Some(quote) => after.strip_prefix(quote)?,
        None => after,
    };
    let end = start + text.len() - after.len();
    Some(Marker { name: name.to_owned(), strip_tabs, quoted: quote.is_some(), at: start..end })
}
