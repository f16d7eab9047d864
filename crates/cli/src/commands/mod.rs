//! One file a verb: its arguments, and what it does with them.

pub mod build;
pub mod butane;
pub mod diff;
mod foresight;
pub mod plan;
pub mod render;
pub mod show;
mod sides;
pub mod validate;

use std::io;

use schemars::{Schema, schema_for};

use crate::arguments::Verb;
use crate::{Exit, Streams};

/// Runs a verb. An error is one of writing.
pub fn run(verb: &Verb, streams: &mut Streams<'_>) -> io::Result<Exit> {
    match verb {
        Verb::Build(arguments) => build::run(arguments, streams),
        Verb::Butane(arguments) => butane::run(arguments, streams),
        Verb::Diff(arguments) => diff::run(arguments, streams),
        Verb::Plan(arguments) => plan::run(arguments, streams),
        Verb::Render(arguments) => render::run(arguments, streams),
        Verb::Show(arguments) => show::run(arguments, streams),
        Verb::Validate(arguments) => validate::run(arguments, streams),
    }
}

/// The schemas of what `-o json` writes, by verb. A rendered configuration is a MachineConfig and has that schema; that of
/// `render` is for where there is none.
pub fn schemas() -> [(&'static str, Schema); 5] {
    [
        ("diff", schema_for!(diff::Differs)),
        ("plan", schema_for!(plan::Planned)),
        ("render", schema_for!(render::NotRendered)),
        ("show", schema_for!(show::Shown)),
        ("validate", schema_for!(validate::Validated)),
    ]
}
