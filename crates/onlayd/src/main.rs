//! The daemon in the cluster: arguments and wiring.

fn main() {}
