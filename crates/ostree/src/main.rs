//! The node's image backend for plain ostree hosts.

fn main() {}
