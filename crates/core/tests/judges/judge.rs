//! The judges' programs, and counting what they say.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Documents that are judged at the same time: the judges are short and use one processor each.
const AT_ONCE: usize = 2;

/// The path of a judge.
pub fn program(name: &str) -> PathBuf {
    let directory = std::env::var("ONLAY_JUDGES").expect(
        "ONLAY_JUDGES names the directory of the judges' programs; `cargo xtask test` builds them and sets the variable",
    );
    let program = PathBuf::from(directory).join(name);
    assert!(program.is_file(), "{program:?} is not there; `cargo xtask test` builds it");
    program
}

/// How many random documents of each sort there are.
pub fn random_cases() -> usize {
    let given = std::env::var("ONLAY_JUDGES_CASES").ok();
    given.map_or(300, |given| given.parse().expect("ONLAY_JUDGES_CASES is a number"))
}

/// What the random documents of a test come from; printed.
pub fn seed(what: &str) -> u64 {
    let given = std::env::var("ONLAY_JUDGES_SEED").ok();
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    };
    let seed = given.map_or_else(now, |given| given.parse().expect("ONLAY_JUDGES_SEED is a number"));
    println!("random documents of {what}: ONLAY_JUDGES_SEED={seed}");
    seed
}

/// Why `ignition-validate` refuses a configuration.
pub fn refused_by_ignition(config: &str) -> Option<String> {
    let mut command = Command::new(program("ignition-validate"));
    let mut child =
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (!output.status.success()).then(|| String::from_utf8_lossy(&text).into_owned())
}

/// Fails unless both outcomes are frequent among random documents, so that agreeing on them says something.
pub fn has_both(accepted: usize, all: usize) {
    println!("{accepted} of {all} random documents are accepted");
    let share = accepted * 100 / all.max(1);
    assert!((15..=85).contains(&share), "{share} % are accepted: the generator is one-sided");
}

/// Judges each item, prints how many passed, and fails if one did not.
pub fn all<T: Sync>(what: &str, items: &[T], judge: impl Fn(&T) -> Option<String> + Sync) {
    let share = items.len().div_ceil(AT_ONCE).max(1);
    let judge = &judge;
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work: Vec<_> =
            items.chunks(share).map(|share| scope.spawn(move || share.iter().filter_map(judge).collect())).collect();
        work.into_iter().flat_map(|each: std::thread::ScopedJoinHandle<'_, Vec<_>>| each.join().unwrap()).collect()
    });
    println!("judged {what}: {} passed, {} failed", items.len() - failures.len(), failures.len());
    assert!(!items.is_empty(), "there is nothing to judge");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
