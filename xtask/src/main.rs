//! The door: gen, deps, lab, demo, test, bench.

fn main() {}
