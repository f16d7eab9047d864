//! `cargo xtask lab`

use crate::Outcome;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Boot the lab
    Up,
}

pub fn run(_command: Command) -> Outcome {
    Err("no lab yet".into())
}
