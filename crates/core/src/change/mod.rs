//! What differs between two states of a pool's nodes, and what that costs each of them.
//!
//! [`diff`] says what differs, [`disruption`] what each difference costs by the cluster's policy, [`refusal`] what cannot
//! change on nodes that run.

pub mod diff;
pub mod disruption;
pub mod refusal;

#[cfg(test)]
mod tests;
