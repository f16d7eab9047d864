//! onlay-ostree against a real libostree: a tiny bootable commit, a sysroot in a temporary directory, a real registry.
//!
//! Needs root and the programs ostree, skopeo, docker-registry, setpriv and chattr; a missing one fails the test.
//! Whatever needs a booted system is tested on the lab's nodes.
#![cfg(test)]

mod base;
mod offline;
mod registry;
mod remote;
mod tool;
