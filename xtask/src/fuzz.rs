//! `cargo xtask fuzz`: libFuzzer on each parser of foreign text.
//!
//! The program is built with the usual compiler, and instrumented where the code is ours: see fuzz/instrumented. Inputs
//! that break a law are kept in fuzz/cases, where an ordinary test tries them from then on.

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use crate::{Outcome, run};

/// The targets, as in fuzz/src/lib.rs.
const TARGETS: [&str; 5] = ["butane", "containerfile", "data-url", "ignition", "unit"];
/// Targets that run at the same time.
const AT_ONCE: usize = 2;
/// Memory that a target may take, in MiB.
const MEMORY: &str = "1024";
/// Seconds that one input may take, of a clock that goes on while others have the processors.
const PATIENCE: &str = "60";

#[derive(clap::Args)]
pub struct Arguments {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Targets to run; all of them if none is named
    #[arg(value_parser = TARGETS)]
    targets: Vec<String>,
}

/// Why a target could not be run, or what it found.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Run(#[from] run::Error),
    #[error("failed to {action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error(
        "{target} broke a law; its input is in fuzz/cases/{target}, run `cargo test -p onlay-fuzz` to see it\n{said}"
    )]
    Found { target: String, said: String },
}

/// `cargo xtask fuzz`
pub fn run(arguments: &Arguments) -> Outcome {
    let all = TARGETS.map(str::to_owned);
    let targets = if arguments.targets.is_empty() { &all[..] } else { &arguments.targets[..] };
    build()?;
    println!("{} for {} s each, {AT_ONCE} at once", targets.join(", "), arguments.seconds);
    println!("{}", targets_for(arguments.seconds, targets)?);
    Ok(())
}

/// Every target, for so many seconds each, after [`build`]; the answer is a line that says how many inputs were tried.
pub fn all(seconds: u64) -> Result<String, Box<dyn std::error::Error>> {
    targets_for(seconds, &TARGETS.map(str::to_owned))
}

fn targets_for(seconds: u64, targets: &[String]) -> Result<String, Box<dyn std::error::Error>> {
    let waiting = Mutex::new(targets.iter().collect::<Vec<_>>());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(target) = take(&waiting) {
                    let outcome = one(target, seconds);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let runs: u64 = done.into_iter().collect::<Result<Vec<_>, _>>()?.iter().sum();
    Ok(format!("{} targets, {runs} runs", targets.len()))
}

fn take<'a>(waiting: &Mutex<Vec<&'a String>>) -> Option<&'a String> {
    waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop()
}

/// Builds the program with the features of the whole workspace, so that only our own crates are compiled for it.
pub fn build() -> Outcome {
    let mut cargo = run::yielding("cargo");
    cargo.args(["build", "--quiet", "--workspace", "--bin=onlay-fuzz", "--features=onlay-fuzz/libfuzzer"]);
    cargo.env("RUSTC_WORKSPACE_WRAPPER", run::root().join("fuzz/instrumented"));
    Ok(run::pass(&mut cargo)?)
}

/// Runs one target and returns how many inputs it tried.
fn one(target: &str, seconds: u64) -> Result<u64, Error> {
    let work = run::target().join("fuzz").join(target);
    let (found, seeds, kept) = (work.join("found"), work.join("seeds"), run::root().join("fuzz/cases").join(target));
    for directory in [&found, &seeds] {
        fs::create_dir_all(directory).map_err(file("make", directory))?;
    }
    seeds::write(target, &seeds)?;
    let mut fuzzer = run::yielding(run::target().join("debug/onlay-fuzz"));
    fuzzer.env("ONLAY_FUZZ_TARGET", target).args([&found, &seeds, &kept]);
    fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", kept.display()));
    fuzzer.args([format!("-rss_limit_mb={MEMORY}"), format!("-timeout={PATIENCE}")]);
    fuzzer.args(["-print_final_stats=1", "-max_len=8192", "-verbosity=1"]);
    let output = fuzzer.stdin(Stdio::null()).output().map_err(file("run", Path::new("target/debug/onlay-fuzz")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Error::Found { target: target.to_owned(), said: last_lines(&said) });
    }
    Ok(tried(&said))
}

/// The number of inputs in libFuzzer's final statistics.
fn tried(said: &str) -> u64 {
    let mut numbers = said.lines().filter_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    numbers.next().and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn last_lines(said: &str) -> String {
    let lines: Vec<_> = said.lines().filter(|line| !line.starts_with('#')).collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn file(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_are_read_from_the_statistics() {
        let said = "Done 10 runs in 1 second(s)\nstat::number_of_executed_units: 775163\nstat::new_units_added: 3\n";
        assert_eq!(tried(said), 775_163);
        assert_eq!(tried("nothing"), 0);
    }

    #[test]
    fn the_targets_are_those_that_have_cases() {
        let mut found: Vec<_> = fs::read_dir(run::root().join("fuzz/cases")).unwrap().collect();
        found.sort_by_key(|entry| entry.as_ref().map(fs::DirEntry::file_name).ok());
        let names: Vec<_> = found.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names, TARGETS);
    }

    #[test]
    fn every_target_has_seeds() {
        for target in TARGETS {
            let seeds = seeds::of(target).unwrap();
            assert!(seeds.len() >= 5, "{target} has {} seeds", seeds.len());
        }
    }
}
