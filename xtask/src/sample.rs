//! Which tests in the lab a run takes: all of them, or of each file of tests a third.
//!
//! They boot machines, and all of them together take longer than anybody's change should wait. The third is drawn by the
//! commit, so that the next commit draws another one and the same commit the same.

use crate::run;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
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

/// A third of the tests of each file, rounded down but at least one, in the order of their names.
pub fn draw<'a>(names: &[&'a str], seed: &str) -> Vec<&'a str> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        files.entry(name.split("::").next().unwrap_or(name)).or_default().push(name);
    }
    let mut drawn: Vec<_> = files.into_values().flat_map(|tests| third(tests, seed)).collect();
    drawn.sort_unstable();
    drawn
}

fn third<'a>(mut tests: Vec<&'a str>, seed: &str) -> Vec<&'a str> {
    tests.sort_by_cached_key(|name| Sha256::new().chain_update(seed).chain_update([0]).chain_update(name).finalize());
    tests.truncate((tests.len() / 3).max(1));
    tests
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
    fn each_file_gives_a_third_of_its_tests_and_at_least_one() {
        for seed in 0..100 {
            let drawn = draw(&NAMES, &seed.to_string());
            let of = |file| drawn.iter().filter(|name| name.starts_with(file)).count();
            assert_eq!((of("a"), of("b"), of("c")), (2, 1, 1), "{drawn:?}");
        }
    }

    #[test]
    fn a_seed_draws_the_same_each_time_and_seeds_together_draw_all() {
        assert_eq!(draw(&NAMES, "x"), draw(&NAMES, "x"));
        let all: BTreeSet<_> = (0..100).flat_map(|seed: u8| draw(&NAMES, &seed.to_string())).collect();
        assert_eq!(all, BTreeSet::from(NAMES));
    }
}
