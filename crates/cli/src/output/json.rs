//! Results as JSON: two spaces of indent a level, one newline at the end.

use std::io::{self, Write};

use schemars::{Schema, schema_for};
use serde::Serialize;

use crate::commands::diff::Differs;
use crate::commands::plan::Planned;
use crate::commands::show::Shown;
use crate::commands::validate::Validated;
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

/// The schemas of what `-o json` writes, by verb. A rendered configuration is a MachineConfig and has that schema.
pub fn schemas() -> [(&'static str, Schema); 4] {
    [
        ("diff", schema_for!(Differs)),
        ("plan", schema_for!(Planned)),
        ("show", schema_for!(Shown)),
        ("validate", schema_for!(Validated)),
    ]
}
