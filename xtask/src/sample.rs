//! Which tests in the lab a run takes: all of them, or an eighth.
//!
//! They boot machines: on two cores 72 of them took 41 minutes, longer than anybody's change should wait. The eighth is drawn by the
//! commit, so that the next commit draws another one and the same commit the same.

use crate::run;
use sha2::{Digest, Sha256};
use std::process::Command;

/// Environment variable that draws what another commit drew.
const SEED: &str = "ONLAY_LAB_SEED";

/// The seed of this run: what the variable says, else the commit.
pub fn seed() -> Result<String, run::Error> {
    match std::env::var(SEED) {
        Ok(seed) => Ok(seed),
        Err(_) => {
            run::read(Command::new("git").args(["rev-parse", "--short=12", "HEAD"])).map(|id| id.trim().to_owned())
        }
    }
}

/// Says what was drawn, and how to have it again.
pub fn told(drawn: usize, all: usize, seed: &str) -> String {
    format!("{drawn} of {all} tests in the lab, drawn by {SEED}={seed}; `cargo xtask test --full` runs all of them")
}

/// The names of tests that a test runner lists, a line each: `faults::a_power_cut: test`.
pub fn listed(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).collect()
}

/// An eighth of the tests, rounded up, in the order of their names.
pub fn draw<'a>(names: &[&'a str], seed: &str) -> Vec<&'a str> {
    let mut drawn = names.to_vec();
    drawn.sort_by_cached_key(|name| Sha256::new().chain_update(seed).chain_update([0]).chain_update(name).finalize());
    drawn.truncate(names.len().div_ceil(8));
    drawn.sort_unstable();
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const NAMES: [&str; 9] = ["a::1", "a::2", "a::3", "a::4", "a::5", "a::6", "b::1::case_1", "b::1::case_2", "c::1"];

    #[test]
    fn names_are_read_from_a_runners_list() {
        assert_eq!(listed("a::1: test\nb::2: benchmark\n\n2 tests, 1 benchmark\n"), ["a::1"]);
    }

    #[test]
    fn an_eighth_is_drawn_and_at_least_one() {
        let all = |seed: u8| draw(&NAMES, &seed.to_string());
        assert!((0..100).all(|seed| all(seed).len() == 2 && all(seed).is_sorted()));
        assert_eq!((draw(&NAMES[..1], "x").len(), draw(&[], "x").len()), (1, 0));
    }

    #[test]
    fn a_seed_draws_the_same_each_time_and_seeds_together_draw_all() {
        assert_eq!(draw(&NAMES, "x"), draw(&NAMES, "x"));
        let all: BTreeSet<_> = (0..100).flat_map(|seed: u8| draw(&NAMES, &seed.to_string())).collect();
        assert_eq!(all, BTreeSet::from(NAMES));
    }
}
