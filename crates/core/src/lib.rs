//! Decisions: pure functions without clocks, files, processes or clients.

#![warn(missing_docs)]

pub mod admission;
pub mod build;
pub mod butane;
pub mod change;
pub mod conversion;
pub mod node;
pub mod pools;
pub mod render;
pub mod rollout;
