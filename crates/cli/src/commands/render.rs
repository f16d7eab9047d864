//! `onlay render`: the configuration that a pool gets.

use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use onlay_core::render::desired;
use schemars::JsonSchema;
use serde::Serialize;

use crate::finding::{Finding, Report, any_error};
use crate::input::{self, Object};
use crate::output::{json, rendered, tree, yaml};
use crate::pool_name::pool_name;
use crate::{Exit, Streams, selection};

/// Arguments of `onlay render`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// YAML or JSON files, directories of them, directories with a kustomization, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Pool to render for: one of the files, or one that selects the roles worker and NAME
    #[arg(long, value_name = "NAME", value_parser = pool_name)]
    pool: String,
    /// Look into directories below the given ones
    #[arg(short = 'R', long)]
    recursive: bool,
    /// How to write the result
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

/// How the configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A MachineConfig, as the cluster has it
    Yaml,
    /// The same MachineConfig as JSON; findings if there is none, whose schema is docs/schemas/render.json
    Json,
    /// What a node gets, and which MachineConfig says so
    Tree,
}

/// What `onlay render -o json` writes in the place of a MachineConfig where there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotRendered {
    /// Errors and warnings.
    findings: Vec<Report>,
}

/// Runs `onlay render`.
pub fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let input = input::read(&arguments.files, arguments.recursive, streams.input);
    let mut findings = input.findings;
    let text = if any_error(&findings) {
        None
    } else {
        match written(arguments, &input.objects, &mut findings) {
            Ok(text) => Some(text),
            Err(finding) => {
                findings.push(finding);
                None
            }
        }
    };
    streams.show(&findings)?;
    if let Some(text) = text {
        streams.out.write_all(text.as_bytes())?;
        return Ok(Exit::Well);
    }
    if arguments.output == Format::Json {
        json::write(&NotRendered { findings: findings.iter().map(Report::from).collect() }, streams.out)?;
    }
    Ok(Exit::Error)
}

/// The configuration as text; warnings are added to the findings.
fn written(arguments: &Arguments, objects: &[Object], findings: &mut Vec<Finding>) -> Result<String, Finding> {
    let name = arguments.pool.as_str();
    let selected = selection::selected(&selection::pool(objects, name), objects)?;
    findings.extend(selection::misnamed(name, objects));
    let (result, warnings) = selection::render(name, &selected, objects)?;
    findings.extend(warnings);
    match arguments.output {
        Format::Yaml => yaml::text(&rendered::machine_config(&result)),
        Format::Json => json::text(&rendered::machine_config(&result)),
        Format::Tree => {
            let of_pool = |error| selection::of_rendered(&format!("configuration of the pool {name}"), &error);
            Ok(tree::text(&result, &desired::of(&result.spec).map_err(of_pool)?))
        }
    }
}
