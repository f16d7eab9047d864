//! Results as JSON: two spaces of indent a level, one newline at the end.

use std::io::{self, Write};

use serde::Serialize;

use crate::finding::Finding;

/// Writes a value.
pub fn write(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A value as text.
pub fn text(value: &impl Serialize) -> Result<String, Finding> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n")
        .map_err(|error| Finding::error("", format!("failed to write the result as JSON: {error}")))
}
