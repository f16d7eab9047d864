//! Results as text.

pub mod changes;
pub mod forecast;
pub mod json;
pub mod rendered;
pub mod tree;
pub mod yaml;
