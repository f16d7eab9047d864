//! `cargo xtask demo`.

use crate::Outcome;

#[derive(clap::Args)]
pub struct Arguments {}

pub fn run(_arguments: &Arguments) -> Outcome {
    Err("nothing is measured yet".into())
}
