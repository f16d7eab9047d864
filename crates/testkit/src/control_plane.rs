//! The lab's control plane.

pub mod command_lines;
