//! The reconcilers on a real API server, with the agents played by hand.

#![cfg(test)]

mod drain;
mod policy;
mod render;
mod rollout;
mod world;
