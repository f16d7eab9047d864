//! The commands, one file each.

mod deploy;
mod discard;
mod encapsulate;
mod prune;
mod rollback;
mod stage;
mod status;
mod unlock;

use serde_json::Value;

use crate::error::Error;

/// What onlay-ostree can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Status(status::Status),
    Stage(stage::Stage),
    Unlock(unlock::Unlock),
    Discard(discard::Discard),
    Rollback(rollback::Rollback),
    Prune(prune::Prune),
    Deploy(deploy::Deploy),
    Encapsulate(encapsulate::Encapsulate),
}

impl Command {
    /// Runs the command; the value is what stdout shows.
    pub async fn run(self) -> Result<Value, Error> {
        match self {
            Self::Status(command) => command.run(),
            Self::Stage(command) => command.run().await,
            Self::Unlock(command) => command.run(),
            Self::Discard(command) => command.run(),
            Self::Rollback(command) => command.run(),
            Self::Prune(command) => command.run(),
            Self::Deploy(command) => command.run().await,
            Self::Encapsulate(command) => command.run().await,
        }
    }
}
