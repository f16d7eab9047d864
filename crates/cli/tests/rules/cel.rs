//! Places of rules, and the pairs of objects for them.

#[path = "../../../api/tests/api/cel/pairs.rs"]
pub mod pairs;

/// One rule where it stands in a definition.
#[derive(Debug)]
pub struct Place {
    pub kind: String,
    pub path: String,
    pub message: String,
}
