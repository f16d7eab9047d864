//! The judges from outside: the real `butane` and `ignition-validate`, and `systemd-analyze verify`.
//!
//! `cargo xtask test` builds the first two and names their directory in the variable ONLAY_JUDGES; without them these tests
//! fail. Each prints a line `judged WHAT: N passed, N failed`. Random documents come from a seed that is printed; to see
//! them again, set ONLAY_JUDGES_SEED to it. ONLAY_JUDGES_CASES says how many there are.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the judges are programs, and what they judge lies in files"
)]

#[path = "../butane/answer.rs"]
mod answer;
#[path = "../butane/ask.rs"]
mod ask;
mod butane;
#[path = "../butane/cases.rs"]
mod cases;
#[path = "../butane/compare.rs"]
mod compare;
mod coverage;
mod dice;
#[path = "../butane/files.rs"]
mod files;
mod generator;
mod ignition;
mod judge;
#[path = "../butane/record.rs"]
mod record;
mod units;
mod words;
