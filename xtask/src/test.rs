//! `cargo xtask test`: every check, and every test or an eighth of those in the lab, in the order in which they fail fastest.

use crate::{Outcome, deps, fuzz, gen_files, run, runners, sample};
use onlay_testkit::{Layout, Progress};
use std::process::Command;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Arguments {
    /// Without the lab, and without the tests that build images: what a day's work needs
    #[arg(long, conflicts_with = "full")]
    fast: bool,
    /// Everything exhaustively: more cases of the laws, every fault at every step
    #[arg(long)]
    full: bool,
}

/// One line of the summary: the step, how it ended, and how long it took.
struct Step {
    name: &'static str,
    outcome: Result<String, String>,
    seconds: f64,
}

/// `cargo xtask test`
pub fn run(arguments: &Arguments) -> Outcome {
    let mut steps = Vec::new();
    for group in groups(arguments) {
        let names: Vec<_> =
            group.iter().map(|checks| checks.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")).collect();
        println!("\n== {}", names.join("; and beside it: "));
        steps.extend(side_by_side(group));
    }
    println!("\n{}", summary(&steps));
    let failed: Vec<_> = steps.iter().filter(|step| step.outcome.is_err()).map(|step| step.name).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

type Check = (&'static str, Box<dyn Fn() -> Result<String, String> + Send>);

/// Runs rows of checks at the same time, those of a row one after the other, and waits for all of them.
fn side_by_side(group: Vec<Vec<Check>>) -> Vec<Step> {
    let run = |(name, check): Check| {
        let start = Instant::now();
        let outcome = check();
        if let Err(error) = &outcome {
            eprintln!("error: {error}");
        }
        Step { name, outcome, seconds: start.elapsed().as_secs_f64() }
    };
    std::thread::scope(|scope| {
        let rows = group.into_iter().map(|row| scope.spawn(move || row.into_iter().map(run).collect::<Vec<_>>()));
        let running: Vec<_> = rows.collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// The checks of a run, in order; the rows of a group run side by side.
fn groups(arguments: &Arguments) -> Vec<Vec<Vec<Check>>> {
    let full = arguments.full;
    let cases = if full { "4096" } else { "64" };
    let left_out = if arguments.fast { BUILD_IMAGES } else { &[] };
    let alone: Vec<Check> = vec![
        ("packages", Box::new(packages)),
        ("fmt", Box::new(|| passed(run::cargo().args(["fmt", "--all", "--check"])))),
        ("deps", Box::new(|| ours(deps::run()))),
        ("clippy", Box::new(clippy)),
        ("gen --check", Box::new(|| ours(gen_files::check()))),
        ("assets", Box::new(assets)),
        ("tests without the lab", Box::new(move || tests_without_lab(left_out, cases))),
    ];
    let mut groups: Vec<_> = alone.into_iter().map(|check| vec![vec![check]]).collect();
    if arguments.fast {
        groups.push(vec![vec![("deny", Box::new(deny))]]);
        return groups;
    }
    let (documents, seconds) = if full { ("5000", 600) } else { ("300", 60) };
    // A run that anybody's change has to pass judges the same documents each time; new ones are for the long run.
    let seed = (!full).then_some("1");
    // The lab mostly waits for machines that boot; what runs beside it yields to everything.
    groups.push(vec![
        vec![("tests in the lab", Box::new(move || if full { lab(&[]) } else { lab_sample() }))],
        vec![
            ("deny", Box::new(deny)),
            ("judges", Box::new(move || judges(documents, seed))),
            ("the fuzzer's program", Box::new(|| ours(fuzz::build()))),
            ("fuzz", Box::new(move || fuzz::all(seconds).map_err(|error| error.to_string()))),
        ],
    ]);
    groups
}

/// Test programs that build images, which takes minutes: not for every hour of the day.
const BUILD_IMAGES: &[&str] = &["buildah"];

fn tests_without_lab(left_out: &[&str], cases: &str) -> Result<String, String> {
    let path = search_path()?;
    // Without doc tests: examples lie in docs/user and examples, where other tests run them.
    let mut build = run::cargo();
    build.args(["test", "--workspace", "--exclude=onlay-e2e", "--tests"]);
    let ended = runners::run(&mut build, left_out, &[("PROPTEST_CASES", cases), ("PATH", &path)]);
    let ended = ended.map_err(|error| error.to_string())?;
    let failure = (!ended.failures.is_empty()).then(|| ended.failures.join(", "));
    total(&ended.summaries, failure)
}

/// The tests in the lab of these names, or all of them.
fn lab(names: &[&str]) -> Result<String, String> {
    tests(lab_runner().arg("--test-threads=1").args((!names.is_empty()).then_some("--exact")).args(names))
}

/// A part of the tests in the lab; that each of them ran is checked.
fn lab_sample() -> Result<String, String> {
    let error = |error: run::Error| error.to_string();
    let list = run::read(lab_runner().args(["--list", "--format=terse"])).map_err(error)?;
    let (names, seed) = (sample::listed(&list), sample::seed().map_err(error)?);
    let drawn = sample::draw(&names, &seed);
    let told = sample::told(drawn.len(), names.len(), &seed);
    println!("{told}:\n  {}", drawn.join("\n  "));
    let line = lab(&drawn)?;
    if count(&line, "passed") == drawn.len() {
        Ok(format!("{line}: {told}"))
    } else {
        Err(format!("{line}, but {told}"))
    }
}

fn lab_runner() -> Command {
    let mut cargo = run::cargo();
    cargo.args(["test", "--workspace", "--test=lab", "--"]);
    cargo
}

/// A check of our own.
fn ours(outcome: Outcome) -> Result<String, String> {
    outcome.map(|()| "passed".into()).map_err(|error| error.to_string())
}

/// A check by another program, which says nothing when all is well.
fn passed(command: &mut Command) -> Result<String, String> {
    run::pass(command).map(|()| "passed".into()).map_err(|error| error.to_string())
}

/// A run of tests; its line in the summary adds up the runners' own. No test at all is a failure.
fn tests(command: &mut Command) -> Result<String, String> {
    command.env("PATH", search_path()?);
    let (summaries, outcome) = run::tests(command, "test result:");
    total(&summaries, outcome.err().map(|error| error.to_string()))
}

/// The sum of what runners have said, and what failed.
fn total(summaries: &[String], failure: Option<String>) -> Result<String, String> {
    let total = |word: &str| summaries.iter().map(|line| count(line, word)).sum::<usize>();
    let line = format!("{} passed, {} failed, {} ignored", total("passed"), total("failed"), total("ignored"));
    match failure {
        Some(failure) => Err(format!("{line}: {failure}")),
        None if total("passed") == 0 => Err(format!("{line}: no test ran")),
        None => Ok(line),
    }
}

/// Where programs are looked for: also where the lab's packages put theirs.
fn search_path() -> Result<String, String> {
    let layout = Layout::from_environment().map_err(|error| error.to_string())?;
    Ok(onlay_testkit::packages::search_path(&layout))
}

/// Our answers beside those of the real tools; the line adds up what was judged.
fn judges(documents: &str, seed: Option<&str>) -> Result<String, String> {
    let mut directory = None;
    ensure(async |layout, progress| {
        let judges = onlay_testkit::Assets::ensure_judges(layout, progress).await?;
        directory = judges.program("butane")?.parent().map(Into::into);
        Ok(())
    })?;
    let directory: std::path::PathBuf = directory.unwrap_or_default();
    let mut command = run::yielding("cargo");
    command.args(["test", "--workspace", "--exclude=onlay-e2e", "--test=judges"]);
    command.args(["--", "--nocapture", "--test-threads=1"]);
    command.env("ONLAY_JUDGES", directory).env("ONLAY_JUDGES_CASES", documents);
    command.envs(seed.map(|seed| ("ONLAY_JUDGES_SEED", seed)));
    let (lines, outcome) = run::tests(&mut command, "judged ");
    let total = |word: &str| lines.iter().map(|line| count(line, word)).sum::<usize>();
    let line = format!("{} passed, {} failed", total("passed"), total("failed"));
    match outcome {
        Err(error) => Err(format!("{line}: {error}")),
        Ok(()) if total("passed") == 0 => Err(format!("{line}: nothing was judged")),
        Ok(()) => Ok(line),
    }
}

/// The number before a word in a line like `test result: ok. 12 passed; 0 failed; …`.
fn count(line: &str, word: &str) -> usize {
    let words: Vec<_> = line.split([' ', ';', ',']).filter(|part| !part.is_empty()).collect();
    words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

/// The Debian packages that building and testing need.
fn packages() -> Result<String, String> {
    ensure(async |layout, progress| onlay_testkit::packages::ensure(layout, progress).await.map_err(Into::into))
}

/// The control plane's programs, for the tests on the real API server.
fn assets() -> Result<String, String> {
    ensure(async |layout, progress| Ok(onlay_testkit::Assets::ensure(layout, progress).await.map(drop)?))
}

/// Makes sure of something that the tests need, in the lab's own places.
fn ensure(work: impl AsyncFnOnce(&Layout, &Progress) -> Outcome) -> Result<String, String> {
    let run = || {
        let layout = Layout::from_environment()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work(&layout, &Progress::stderr()))
    };
    run().map(|()| "present".into()).map_err(|error: Box<dyn std::error::Error>| error.to_string())
}

fn clippy() -> Result<String, String> {
    passed(run::cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"]))
}

/// Licences, sources and banned crates. The advisory database is not asked: see deny.toml.
fn deny() -> Result<String, String> {
    let version = "0.20.2";
    let tools = run::root().join("target/tools");
    let program = tools.join("bin/cargo-deny");
    if !program.exists() {
        let mut install = run::yielding("cargo");
        install.args(["install", "--quiet", "--locked", "--debug", "--version", version, "--root"]).arg(&tools);
        // It runs for a second; what counts is how long it takes to build.
        install.env("CARGO_PROFILE_DEV_DEBUG", "false");
        passed(install.arg("cargo-deny"))?;
    }
    passed(Command::new(program).args(["--log-level=error", "check", "bans", "licenses", "sources"]))
}

/// The table at the end of a run.
fn summary(steps: &[Step]) -> String {
    let mut lines = vec!["== summary".to_owned()];
    for step in steps {
        let (mark, text) = match &step.outcome {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        lines.push(format!("{mark:7} {:24} {:7.1} s  {text}", step.name, step.seconds));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn the_runners_numbers_are_read() {
        let line = "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!((count(line, "passed"), count(line, "failed"), count(line, "ignored")), (12, 1, 0));
        let line = "test x ... judged butane, corpus: 2167 passed, 3 failed";
        assert_eq!((count(line, "passed"), count(line, "failed")), (2167, 3));
    }
}
