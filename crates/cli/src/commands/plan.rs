//! `onlay plan`: what files do to the pools of a cluster, and when which node goes.

use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use onlay_core::change::foresee::Forecast;
use schemars::JsonSchema;
use serde::Serialize;

use super::foresight::foresee;
use crate::finding::{Finding, Report, any_error, once};
use crate::input::kubectl::Cluster;
use crate::input::{self, overlay};
use crate::output::{forecast, json};
use crate::world::{self, World, Worlds, take};
use crate::{Exit, Streams};

/// The word that stands for the live cluster.
const LIVE: &str = "cluster";

/// Arguments of `onlay plan`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Wanted objects: YAML or JSON files, directories of them, directories with a kustomization, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is there: cluster, which asks the live one through kubectl, or a directory or file with its objects
    #[arg(long, value_name = "WHAT", default_value = LIVE)]
    against: String,
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
    /// For programs; docs/schemas/plan.json is the schema
    Json,
}

/// What `onlay plan -o json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// What the files are laid over: `cluster`, or the directory as it was given.
    against: String,
    /// Pools of which something differs, by name.
    pub(super) pools: Vec<Forecast>,
    /// Names of the other pools.
    pub(super) unchanged: Vec<String>,
    /// Errors, what cannot change on nodes that run among them, and warnings.
    findings: Vec<Report>,
}

/// Runs `onlay plan`.
pub fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let mut findings = Vec::new();
    let mut planned =
        Planned { against: arguments.against.clone(), pools: Vec::new(), unchanged: Vec::new(), findings: Vec::new() };
    match worlds(arguments, streams, &mut findings) {
        Ok(Some(worlds)) => {
            for (pool, forecast) in foresee(&worlds, &mut findings) {
                match forecast {
                    Some(forecast) => planned.pools.push(forecast),
                    None => planned.unchanged.push(pool),
                }
            }
        }
        Ok(None) => {}
        Err(finding) => findings.push(finding),
    }
    once(&mut findings);
    let exit = match (any_error(&findings), planned.pools.is_empty()) {
        (true, _) => Exit::Error,
        (false, false) => Exit::Changes,
        (false, true) => Exit::Well,
    };
    match arguments.output {
        Format::Json => {
            planned.findings = findings.iter().map(Report::from).collect();
            json::write(&planned, streams.out)?;
        }
        Format::Text => {
            streams.show(&findings)?;
            streams.out.write_all(text(&planned).as_bytes())?;
        }
    }
    Ok(exit)
}

fn worlds(
    arguments: &Arguments,
    streams: &mut Streams<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Option<Worlds>, Finding> {
    let wanted = take(input::read(&arguments.files, arguments.recursive, streams.input), findings);
    let there = if arguments.against == LIVE {
        world::ask(&arguments.cluster)?
    } else {
        input::read(&[PathBuf::from(&arguments.against)], arguments.recursive, streams.input)
    };
    let (Some(wanted), Some(there)) = (wanted, take(there, findings)) else { return Ok(None) };
    let after = World::of(overlay(&there, &wanted))?;
    Ok(Some(Worlds { before: World::of(there)?, after, wanted }))
}

fn text(planned: &Planned) -> String {
    let mut parts: Vec<String> = planned.pools.iter().map(forecast::text).collect();
    if !planned.unchanged.is_empty() {
        let pools = planned.unchanged.join(", ");
        parts.push(format!("nothing differs for: {pools}\n"));
    }
    parts.join("\n")
}
