//! The door to everything a developer does: `cargo xtask <command>`.

mod bench;
mod demo;
mod deps;
mod fuzz;
mod gen_cli;
mod gen_files;
mod lab;
mod run;
mod runners;
mod sample;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a command ends with: nothing, or an error that is printed as one line.
type Outcome = Result<(), Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The door: lab, demo, test, fuzz, gen, deps, bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot a real cluster, build a node image on it and roll it out
    Demo(demo::Arguments),
    /// Run every check and every test; of those in the lab an eighth, or all with --full
    Test(test::Arguments),
    /// Look for texts that break the parsers
    Fuzz(fuzz::Arguments),
    /// A real cluster on this machine
    #[command(subcommand)]
    Lab(lab::Command),
    /// Write the generated files, or check that they are up to date
    Gen(gen_files::Arguments),
    /// Check the arrows between the rooms, and the size of files
    Deps,
    /// Measure, and print a table
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Lab(command) => lab::run(command),
        Command::Gen(arguments) => gen_files::run(&arguments),
        Command::Deps => deps::run(),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprintln!("  because: {source}");
                cause = source.source();
            }
            ExitCode::FAILURE
        }
    }
}
