//! Brings a node back to its last confirmed deployment, without kubelet, network or API server.
//!
//! `onlay-guard boot` makes the booted deployment's files what its record says, before containerd and kubelet start.
//! `onlay-guard watch` waits for the agent's word that the booted deployment is well; when the deadline passes in
//! silence, it prepares the last confirmed deployment, lets it boot next, leaves the reason for the agent, and reboots.
//!
//! The program runs on every image, so it is linked statically:
//! `cargo rustc --release -p onlay-guard -- -C target-feature=+crt-static` (this gives the flag to the last compilation
//! only and shares everything below with the rest of the workspace).

mod boot;
mod booted;
mod decision;
mod evidence;
mod go_back;
mod health;
mod machine;
#[cfg(test)]
mod tests;
mod watch;

use std::error::Error as StdError;
use std::process::ExitCode;
use std::time::Duration;

use camino::Utf8Path;
use onlay_host::command::Runner;

use crate::machine::Machine;

/// How long one program may take.
const PATIENCE: Duration = Duration::from_secs(120);
const USAGE: &str = "usage: onlay-guard boot | watch";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = match (arguments.next().as_deref(), arguments.next()) {
        (Some("boot"), None) => boot,
        (Some("watch"), None) => watch,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// The machine's programs, each of which must end in time.
fn tools() -> Runner {
    Runner::here().within(PATIENCE)
}

fn boot() -> Result<(), Box<dyn StdError>> {
    Ok(boot::boot(&Machine::open(Utf8Path::new("/"))?, &tools())?)
}

fn watch() -> Result<(), Box<dyn StdError>> {
    Ok(watch::watch(&Machine::open(Utf8Path::new("/"))?, &tools())?)
}

fn chain(error: &dyn StdError) -> String {
    let causes = std::iter::successors(Some(error), |error| StdError::source(*error));
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
