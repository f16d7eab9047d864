//! Brings a node back to its last confirmed deployment, without kubelet, network or API server.

fn main() {}
