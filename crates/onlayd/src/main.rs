//! The daemon in the cluster: arguments and wiring.

mod agent;
mod controller;
mod webhook;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use onlay_builder::{Deadline, Destination, Paths};
use tracing_subscriber::EnvFilter;

/// Builds the operating system of Kubernetes nodes on the cluster, and rolls it out.
#[derive(Debug, Parser)]
#[command(name = "onlayd", version, disable_help_subcommand = true)]
struct Arguments {
    /// What to log, such as `info` or `onlay_controller=debug`.
    #[arg(long, env = "ONLAY_LOG", default_value = "info", global = true)]
    log: String,
    #[command(subcommand)]
    part: Part,
}

/// The parts of onlay that run in the cluster.
#[derive(Debug, Subcommand)]
enum Part {
    /// Renders, builds and rolls out, for the whole cluster.
    Controller(controller::Arguments),
    /// Makes the node it runs on what its MachineConfigNode says.
    Agent(agent::Arguments),
    /// Answers the API server: objects in another version, and whether an object can work.
    Webhook(webhook::Arguments),
    /// Builds and pushes one image; runs in the pod of a build.
    Build {
        /// All the time that the Job has, and its end: the build is over a little earlier
        #[arg(long, value_name = "INTERVAL")]
        deadline: Option<Deadline>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let filter = EnvFilter::try_new(&arguments.log)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Err("failed to choose a cryptography provider: another one is chosen already".into());
    }
    // One thread: the work is waiting, and each further thread costs memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.part {
        Part::Controller(arguments) => runtime.block_on(onlay_controller::run(arguments.config()))?,
        Part::Agent(arguments) => runtime.block_on(onlay_agent::run(arguments.config()))?,
        Part::Webhook(arguments) => runtime.block_on(onlay_webhook::run(arguments.config()))?,
        Part::Build { deadline } => return build(deadline),
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds with the mounts of the pod; the exit code tells the Job whether to try again.
fn build(deadline: Option<Deadline>) -> Result<ExitCode, Box<dyn Error>> {
    let program = std::env::current_exe()?.into_os_string().into_string();
    let program = program.map_err(|path| format!("failed to read the path of this program: {}", path.display()))?;
    let mut itself = vec![program, "build".to_owned()];
    itself.extend(deadline.map(|deadline| format!("--deadline={deadline}")));
    let code = onlay_builder::run(&Paths::default(), &Destination::Registry, deadline, &itself);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// An error with what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| Error::source(*error));
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
