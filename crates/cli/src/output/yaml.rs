//! Results as YAML.

use serde::Serialize;

use crate::finding::Finding;

/// A value as text.
pub fn text(value: &impl Serialize) -> Result<String, Finding> {
    let text = serde_saphyr::to_string(value);
    text.map_err(|error| Finding::error("", format!("failed to write the result as YAML: {error}")))
}
