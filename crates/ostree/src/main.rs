//! The node's image backend for plain ostree hosts: container images in, deployments out.
//!
//! Every command prints one JSON document on stdout and progress on stderr. A failure prints one line
//! (`error: failed to …`) on stderr and exits with status 1. Images are named by manifest digest, never by tag.

mod commands;
mod error;
mod fetch;
mod image;
mod kargs;
mod keep;
mod stage_lock;
mod sysroot;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::error::Error;

/// Container images as bootable ostree deployments
#[derive(Debug, Parser)]
#[command(name = "onlay-ostree", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}", error::one_line(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<serde_json::Value, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::doing("start the asynchronous runtime", source))?;
    runtime.block_on(cli.command.run())
}
