//! The builder with a real buildah and a real registry.
//!
//! Needs root and the programs buildah, skopeo, docker-registry, ldd and tar; a missing one fails the test.
#![cfg(test)]

mod base;
mod cache;
mod checks;
mod clock;
mod declared;
mod drivers;
mod extras;
mod failures;
mod faults;
mod images;
mod packages;
mod trusted;
mod workstation;
mod world;
