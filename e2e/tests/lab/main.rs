//! Tests on a real cluster: `cargo test -p onlay-e2e -- --test-threads=1`.

#![cfg(test)]

mod architectures;
mod bad_input;
mod build_faults;
mod build_limits;
mod builds;
mod changes;
mod clean_up;
mod cluster;
mod controller;
mod disruption;
mod dnf;
mod evidence;
mod faults;
mod inputs;
mod lab;
mod many;
mod moving;
mod packages;
mod page;
mod pause;
mod pools;
mod registry_faults;
mod story;
mod webhook;
