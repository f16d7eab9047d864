//! `cargo xtask gen`

use crate::Outcome;

#[derive(clap::Args)]
pub struct Arguments {
    /// Change nothing; fail when a generated file is not up to date
    #[arg(long)]
    check: bool,
}

pub fn run(_arguments: &Arguments) -> Outcome {
    Err("nothing is generated yet".into())
}
