//! What tells the entries of a list apart, and which lists keep entries that look alike.
//!
//! Source: the specification of Ignition on merging.

use std::borrow::Cow;

use super::fields::{Field, Kind, Table};
use super::tree::Tree;

/// What tells an entry of a list from the others.
pub fn key<'a>(table: Option<&Table>, entry: &'a Tree) -> Cow<'a, str> {
    let (Some(table), Some(record)) = (table, entry.as_record()) else {
        return entry.as_bytes().map(String::from_utf8_lossy).unwrap_or_default();
    };
    let name = match table.kind {
        Kind::Directory | Kind::File | Kind::Link => "path",
        Kind::Disk | Kind::Filesystem => "device",
        Kind::Resource | Kind::OldReference | Kind::OldAuthority => "source",
        Kind::Tang => "url",
        Kind::Partition => {
            return match (record.number("number").filter(|number| *number != 0), record.given_text("label")) {
                (Some(number), _) => format!("number:{number}").into(),
                (None, Some(label)) => format!("label:{label}").into(),
                (None, None) => "".into(),
            };
        }
        _ => "name",
    };
    record.text(name).into()
}

/// Name that the lists of a record share if an entry may be in only one of them; otherwise the list's own name.
pub fn handle(table: &Table, list: &'static str) -> &'static str {
    match (table.kind, list) {
        (Kind::Storage, "directories" | "files" | "links") => "node",
        (Kind::KernelArguments, _) => "argument",
        _ => list,
    }
}

/// Whether entries of this list may be equal.
pub fn repeats(table: &Table, field: &Field) -> bool {
    matches!(
        (table.kind, field.name),
        (Kind::File, "append") | (Kind::Filesystem, "options" | "mountOptions") | (Kind::Luks | Kind::Raid, "options")
    )
}
