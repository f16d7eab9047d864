//! Results as text.

pub mod json;
pub mod rendered;
pub mod tree;
pub mod yaml;
