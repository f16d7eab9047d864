//! Builds on a real API server and with a real registry; Jobs and their pods are played by hand.
//!
//! Needs the programs docker-registry and skopeo; a missing one fails the test.
#![cfg(test)]

mod architectures;
mod extras;
mod hindrances;
mod many;
mod proxy;
mod secrets;
mod stories;
mod world;
