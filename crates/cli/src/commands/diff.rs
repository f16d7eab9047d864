//! `onlay diff`: exactly what differs between two configurations, and what that costs a node.

use std::io;

use clap::ValueEnum;
use onlay_core::change::disruption::{HostUnits, Rebuild};
use onlay_core::change::foresee::{self, Comparison};
use schemars::JsonSchema;
use serde::Serialize;

use super::sides::{Operand, Read, Sides};
use crate::finding::{Finding, Report, any_error, once};
use crate::arguments::pool_name;
use crate::input::kubectl::Cluster;
use crate::output::{changes, json};
use crate::{Exit, Streams, selection};

/// Arguments of `onlay diff`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What is there: a file, a directory, - for standard input, pool/NAME or machineconfig/NAME of the live cluster
    #[arg(value_name = "A")]
    old: String,
    /// What is wanted, in the same forms
    #[arg(value_name = "B")]
    new: String,
    /// Pool to render files for; without it, that of pool/NAME, or the files have one rendered MachineConfig or one
    /// MachineConfig alone
    #[arg(long, value_name = "NAME", value_parser = pool_name)]
    pool: Option<String>,
    /// Look into directories below the given ones
    #[arg(short = 'R', long)]
    recursive: bool,
    /// How to write the result
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    cluster: Cluster,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs; docs/schemas/diff.json is the schema
    Json,
}

/// What `onlay diff -o json` writes.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Differs {
    /// Name of the old configuration; empty if it cannot be read.
    from: String,
    /// Name of the new configuration; empty if it cannot be read.
    to: String,
    /// The pool that both are for, if that is known.
    pool: Option<String>,
    #[serde(flatten)]
    comparison: Comparison,
    /// Whether a new image has to be built; null if no MachineOSConfig of the pool is known.
    rebuild: Option<Rebuild>,
    /// The same in words.
    rebuild_why: String,
    /// Errors, what cannot change on nodes that run among them, and warnings.
    findings: Vec<Report>,
}

impl Differs {
    /// Whether anything differs, be it only what an image is built from.
    fn has_changes(&self) -> bool {
        !self.comparison.changes.is_empty() || self.rebuild.as_ref().is_some_and(Rebuild::is_another_image)
    }
}

/// Runs `onlay diff`.
pub fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let mut findings = Vec::new();
    let sides = Sides {
        operands: [&arguments.old, &arguments.new].map(|text| Operand::of(text)),
        pool: arguments.pool.as_deref(),
        recursive: arguments.recursive,
        cluster: &arguments.cluster,
    };
    let read = sides.read(streams.input, &mut findings);
    let mut result = read.map(|read| differs(&read, &mut findings)).unwrap_or_default();
    once(&mut findings);
    let exit = match (any_error(&findings), result.has_changes()) {
        (true, _) => Exit::Error,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Well,
    };
    match arguments.output {
        Format::Json => {
            result.findings = findings.iter().map(Report::from).collect();
            json::write(&result, streams.out)?;
        }
        Format::Text => {
            streams.show(&findings)?;
            streams.out.write_all(text(&result).as_bytes())?;
        }
    }
    Ok(exit)
}

fn differs(read: &Read, findings: &mut Vec<Finding>) -> Differs {
    let [old, new] = &read.sides;
    let is_known = read.is_live || read.os_config(1).is_some();
    let architectures = read.architectures();
    let rebuild = is_known.then(|| foresee::rebuild(Some(read.build_side(0)), read.build_side(1), &architectures));
    let known = rebuild.clone().unwrap_or(Rebuild::NotLayered);
    let host = HostUnits::of(read.runtime());
    let comparison = foresee::compare(&old.configuration, &new.configuration, None, read.policy(), &host, &known);
    findings.extend(selection::refused(&comparison.refusals, &new.configuration.name, &new.world.objects));
    Differs {
        from: old.configuration.name.clone(),
        to: new.configuration.name.clone(),
        pool: read.pool.clone(),
        comparison,
        rebuild_why: rebuild
            .as_ref()
            .map_or_else(|| "not known: no MachineOSConfig of the pool is given".to_owned(), ToString::to_string),
        rebuild,
        findings: Vec::new(),
    }
}

fn text(result: &Differs) -> String {
    if result.from.is_empty() {
        return String::new();
    }
    let head = match result.from == result.to {
        true => format!("{}\n\n", result.to),
        false => format!("{} → {}\n\n", result.from, result.to),
    };
    if !result.has_changes() && result.comparison.refusals.is_empty() {
        return head + "nothing differs\n";
    }
    let changes = changes::in_full(&result.comparison);
    format!("{head}{changes}in all: {}\nnew image: {}\n", result.comparison.cost, result.rebuild_why)
}
