//! What differs between two states of a pool's nodes, what that costs each of them, and in which order they go.
//!
//! [`diff`] says what differs, [`disruption`] what each difference costs by the cluster's policy, [`refusal`] what cannot
//! change on nodes that run, and [`plan`] which nodes go when. [`foresee`] puts them together for a pool, with what
//! [`past`] tells of this cluster.

pub mod diff;
pub mod disruption;
pub mod foresee;
pub mod past;
pub mod plan;
pub mod refusal;

#[cfg(test)]
mod tests;
