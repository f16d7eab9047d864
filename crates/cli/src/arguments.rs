//! The arguments of the program.

use std::ffi::OsString;
use std::path::Path;

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{build, butane, diff, plan, render, show, validate};
use crate::examples;

/// See what a cluster with onlay makes of MachineConfigs, before it does.
#[derive(Debug, Parser)]
#[command(name = "onlay", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build the image of a pool on this machine, as a Job of the cluster would
    Build(build::Arguments),
    /// Translate a Butane file
    Butane(butane::Arguments),
    /// Show what differs between two configurations, and what that costs a node
    Diff(diff::Arguments),
    /// Foresee what files do to the pools of a cluster, and when which node goes
    Plan(plan::Arguments),
    /// Merge MachineConfigs into the configuration of a pool
    Render(render::Arguments),
    /// Show what a node gets at a path or as a kernel argument, and which MachineConfig says so
    Show(show::Arguments),
    /// Check MachineConfigs and pools
    Validate(validate::Arguments),
}

/// The whole command line, with the examples of each verb below its help.
pub fn command() -> Command {
    let mut command = Arguments::command().after_help(examples::EXIT_CODES);
    for verb in examples::VERBS {
        let text = examples::help(verb);
        command = command.mut_subcommand(verb.name, |command| command.after_help(text));
    }
    command
}

/// Reads a command line, whose first part is the name of the program.
///
/// As `kubectl-onlay` the program calls itself `kubectl onlay`.
pub fn parse(line: &[OsString]) -> Result<Verb, clap::Error> {
    let program = line.first().and_then(|name| Path::new(name).file_stem());
    let name = if program.is_some_and(|name| name == "kubectl-onlay") { "kubectl onlay" } else { "onlay" };
    let matches = command().bin_name(name).try_get_matches_from(line)?;
    Ok(Arguments::from_arg_matches(&matches)?.verb)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_consistent() {
        super::command().debug_assert();
    }
}
