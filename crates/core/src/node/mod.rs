//! The ordered, undoable steps of one node's update, and what is said about them.
//!
//! [`machine::decide`] looks at what is true on the node and names the next step; [`report::status`] says the same to the
//! API. Both are pure: after a crash at any point the agent observes again and goes on.

pub mod kargs;
pub mod machine;
pub mod report;
#[cfg(test)]
mod tests;

pub use machine::{Boot, Decision, Journal, Observed, Step, Target, Trouble, Wait, decide};
