//! Everything that the Ignition specifications 3.0 to 3.6 can say, as data: fields, rules, merging, writing.
//!
//! [`super::types`] is the part that a running node can have; this is the whole, for what generates configurations.

pub mod check;
pub mod configuration;
pub mod fault;
pub mod fields;
pub mod json;
mod keys;
pub mod merge;
pub mod path;
pub mod report;
pub mod tree;
mod unit_text;

#[cfg(test)]
mod tests;
