//! `onlay diff`: exactly what differs between two configurations, and what that costs a node.

use std::io;

use clap::ValueEnum;
use onlay_core::change::disruption::{Disruption, HostUnits, Rebuild};
use onlay_core::change::foresee::{self, CostedChange};
use onlay_core::change::refusal::Refusal;
use schemars::JsonSchema;
use serde::Serialize;

use super::sides::{Operand, Read, Sides};
use crate::finding::{Finding, Report, any_error, once};
use crate::input::kubectl::Cluster;
use crate::output::{changes, json};
use crate::pool_name::pool_name;
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
    /// Name of the old configuration; null if nothing was compared.
    from: Option<String>,
    /// Name of the new configuration; null if nothing was compared.
    to: Option<String>,
    /// The pool that both are for, if that is known.
    pool: Option<String>,
    /// What changes, in a fixed order.
    changes: Vec<CostedChange>,
    /// What cannot change on nodes that run.
    refusals: Vec<Refusal>,
    /// What all of it costs a node together, another image included; null if nothing was compared.
    disruption: Option<Disruption>,
    /// The same in words.
    cost: Option<String>,
    /// Whether a new image has to be built; null if that is not known.
    rebuild: Option<Rebuild>,
    /// The same in words, also where it is not known; null if nothing was compared.
    rebuild_why: Option<String>,
    /// Errors, what cannot change on nodes that run among them, and warnings.
    findings: Vec<Report>,
    /// Whether the sides differ in whether they say what is built.
    #[serde(skip)]
    is_one_sided: bool,
}

impl Differs {
    /// Whether anything differs, be it only what an image is built from.
    fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.rebuild.as_ref().is_some_and(Rebuild::is_another_image)
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
    let (rebuild, rebuild_why) = rebuild(read);
    let known = rebuild.clone().unwrap_or(Rebuild::NotLayered);
    let host = HostUnits::of(read.runtime());
    let comparison = foresee::compare(&old.configuration, &new.configuration, None, read.policy(), &host, &known);
    findings.extend(selection::refused(&comparison.refusals, &new.configuration.name, &new.world.objects));
    Differs {
        from: Some(old.configuration.name.clone()),
        to: Some(new.configuration.name.clone()),
        pool: read.pool.clone(),
        changes: comparison.changes,
        refusals: comparison.refusals,
        disruption: Some(comparison.disruption),
        cost: Some(comparison.cost),
        rebuild,
        rebuild_why: Some(rebuild_why),
        findings: Vec::new(),
        is_one_sided: read.only_build().is_some(),
    }
}

/// Whether a new image has to be built, none if that is not known, and the same in words.
///
/// A side that does not say what is built is taken to build what the other one does. Where that makes another image, it
/// is another one in any case; where it does not, the side may just as well build nothing.
fn rebuild(read: &Read) -> (Option<Rebuild>, String) {
    if !read.knows_builds() {
        return (None, "not known: no MachineOSConfig of the pool is given".to_owned());
    }
    let rebuild = foresee::rebuild(Some(read.build_side(0)), read.build_side(1), &read.architectures());
    match read.only_build().filter(|_| !rebuild.is_another_image()) {
        Some(side) => {
            let [has, lacks] = if side == 0 { ["A", "B"] } else { ["B", "A"] };
            let seen = format!("if {lacks} has the same, the build can see nothing of what changes");
            (None, format!("not known: only {has} has a MachineOSConfig; {seen}"))
        }
        None => {
            let words = rebuild.to_string();
            (Some(rebuild), words)
        }
    }
}

fn text(result: &Differs) -> String {
    let (Some(from), Some(to), Some(cost)) = (&result.from, &result.to, &result.cost) else { return String::new() };
    let image = result.rebuild_why.iter().map(|why| format!("new image: {why}\n"));
    let head = if from == to { format!("{to}\n\n") } else { format!("{from} → {to}\n\n") };
    if !result.has_changes() && result.refusals.is_empty() {
        return head + "nothing differs\n" + &image.filter(|_| result.is_one_sided).collect::<String>();
    }
    let changes = changes::in_full(&result.changes);
    format!("{head}{changes}in all: {cost}\n{}", image.collect::<String>())
}
