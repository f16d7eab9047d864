//! Test programs side by side: cargo runs one after the other, and most of ours wait for an API server or a registry.

use crate::run;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A program with tests, as cargo has built it.
#[derive(Debug, PartialEq)]
struct Program {
    /// Name of its target: that of the crate, or of the directory in `tests`.
    target: String,
    executable: PathBuf,
    /// Directory of its crate, where its tests run.
    directory: PathBuf,
}

/// How all programs ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// The summaries of the runners.
    pub summaries: Vec<String>,
    /// What failed, in words.
    pub failures: Vec<String>,
}

/// Builds the test programs that a command of cargo names, and runs those whose target is not left out, as many at once as
/// there are cores. What each prints comes in one piece, when it has ended.
pub fn run(build: &mut Command, left_out: &[&str], environment: &[(&str, &str)]) -> Result<Ended, run::Error> {
    let messages = run::read(build.args(["--no-run", "--message-format=json-render-diagnostics"]))?;
    let mut programs = built(&messages);
    programs.retain(|program| !left_out.contains(&program.target.as_str()));
    let (queue, ended) = (Mutex::new(programs.into_iter()), Mutex::new(Ended::default()));
    let lanes = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some(program) = next(&queue) {
                    tell(&program, &mut command(&program, environment), &ended);
                }
            });
        }
    });
    Ok(ended.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next(queue: &Mutex<impl Iterator<Item = Program>>) -> Option<Program> {
    lock(queue).next()
}

/// The program as cargo would start it.
fn command(program: &Program, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(&program.executable);
    command.current_dir(&program.directory).envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a program, prints what it has said, and keeps its summary.
fn tell(program: &Program, command: &mut Command, ended: &Mutex<Ended>) {
    let name = program.executable.strip_prefix(run::root()).unwrap_or(&program.executable).display();
    let crate_directory = program.directory.strip_prefix(run::root()).unwrap_or(&program.directory).display();
    let output = command.output();
    let mut ended = lock(ended);
    println!("\n     Ran {} of {crate_directory} ({name})", program.target);
    let output = match output {
        Ok(output) => output,
        Err(error) => return ended.failures.push(format!("{name} could not be started: {error}")),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    ended.summaries.extend(said.lines().filter(|line| line.starts_with("test result:")).map(str::to_owned));
    if !output.status.success() {
        ended.failures.push(format!("{} of {crate_directory} ended with {}", program.target, output.status));
    }
}

/// The test programs that cargo's messages name. Those of integration tests, which wait longest, come first.
fn built(messages: &str) -> Vec<Program> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs: Vec<_> = messages.filter(|message| message["profile"]["test"] == true).collect();
    programs.sort_by_key(|message| message["target"]["kind"] != serde_json::json!(["test"]));
    programs.iter().filter_map(program).collect()
}

fn program(message: &Value) -> Option<Program> {
    Some(Program {
        target: message["target"]["name"].as_str()?.to_owned(),
        executable: message["executable"].as_str()?.into(),
        directory: Path::new(message["manifest_path"].as_str()?).parent()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of cargo 1.95, shortened.
    const MESSAGES: &str = r#"
{"reason":"compiler-artifact","manifest_path":"/x/crates/a/Cargo.toml","target":{"kind":["lib"],"name":"a"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/x/crates/a/Cargo.toml","target":{"kind":["lib"],"name":"a"},"profile":{"test":true},"executable":"/x/target/debug/deps/a-1"}
{"reason":"compiler-artifact","manifest_path":"/x/crates/a/Cargo.toml","target":{"kind":["test"],"name":"cluster"},"profile":{"test":true},"executable":"/x/target/debug/deps/cluster-1"}
{"reason":"compiler-artifact","manifest_path":"/x/crates/b/Cargo.toml","target":{"kind":["bin"],"name":"b"},"profile":{"test":false},"executable":"/x/target/debug/b"}
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn programs_with_tests_are_run_and_integration_tests_first() {
        let programs = built(MESSAGES);
        let targets: Vec<_> = programs.iter().map(|program| program.target.as_str()).collect();
        assert_eq!(targets, ["cluster", "a"]);
        assert_eq!(programs[0].directory, Path::new("/x/crates/a"));
        assert_eq!(programs[0].executable, Path::new("/x/target/debug/deps/cluster-1"));
    }

    #[test]
    fn a_program_that_fails_or_is_missing_is_a_failure_with_its_summary_kept() {
        let (ended, program) = (Mutex::default(), &built(MESSAGES)[1]);
        tell(
            program,
            Command::new("sh").args(["-c", "echo 'test result: FAILED. 3 passed; 1 failed'; exit 101"]),
            &ended,
        );
        tell(program, &mut Command::new("/no/such/program"), &ended);
        let ended = ended.into_inner().unwrap();
        assert_eq!(ended.summaries, ["test result: FAILED. 3 passed; 1 failed"]);
        assert_eq!(ended.failures.len(), 2, "{:?}", ended.failures);
    }
}
