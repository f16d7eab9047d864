//! `onlay validate`: whether MachineConfigs and pools are right, one by one and together.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use onlay_api::{MachineConfig, MachineConfigPool, names};
use onlay_core::admission::{self, Verdict};
use onlay_core::pools;
use onlay_core::render::is_rendered;
use schemars::JsonSchema;
use serde::Serialize;

use crate::finding::{Finding, Report, Severity, any_error};
use crate::input::{self, Input, Known, Object};
use crate::output::json;
use crate::{Exit, Streams, selection};

/// Arguments of `onlay validate`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// YAML or JSON files, directories of them, directories with a kustomization, or - for standard input
    #[arg(required_unless_present = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The same, as kubectl has it
    #[arg(short = 'f', long, value_name = "FILE")]
    filename: Vec<PathBuf>,
    /// Look into directories below the given ones
    #[arg(short = 'R', long)]
    recursive: bool,
    /// How to write the result
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs; docs/schemas/validate.json is the schema
    Json,
}

/// What `onlay validate -o json` writes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validated {
    /// Number of errors.
    errors: usize,
    /// Number of warnings.
    warnings: usize,
    /// Objects without an error, in the order of the files.
    objects: Vec<Valid>,
    /// What each pool gets, by name: pools of the files, and those that roles of MachineConfigs name. A pool with an
    /// error is left out.
    pools: Vec<Configured>,
    /// Errors and warnings.
    findings: Vec<Report>,
}

/// An object without an error.
#[derive(Debug, Serialize, JsonSchema)]
struct Valid {
    /// The file as it was given, `<stdin>`, or what made the text.
    file: String,
    /// Kind of the object.
    kind: String,
    /// Name of the object.
    name: String,
    /// Whether onlay knows the kind; others are only counted.
    checked: bool,
}

/// What a pool gets.
#[derive(Debug, Serialize, JsonSchema)]
struct Configured {
    /// Name of the pool.
    pool: String,
    /// Name of its rendered configuration.
    rendered: String,
    /// Names of the MachineConfigs that it is merged from, in merge order.
    sources: Vec<String>,
}

/// Runs `onlay validate`.
pub fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let files: Vec<PathBuf> = arguments.filename.iter().chain(&arguments.files).cloned().collect();
    let input = input::read(&files, arguments.recursive, streams.input);
    let (result, findings) = check(input);
    let exit = if any_error(&findings) { Exit::Error } else { Exit::Well };
    match arguments.output {
        Format::Json => json::write(&result, streams.out)?,
        Format::Text => {
            streams.show(&findings)?;
            write_text(&result, streams.out)?;
        }
    }
    Ok(exit)
}

fn write_text(result: &Validated, out: &mut dyn io::Write) -> io::Result<()> {
    for pool in &result.pools {
        writeln!(out, "pool {}: {} from {}", pool.pool, pool.rendered, list(&pool.sources))?;
    }
    let checked = result.objects.iter().filter(|object| object.checked).count();
    let others = result.objects.len() - checked;
    let mut parts =
        vec![count(checked, "valid object"), count(result.errors, "error"), count(result.warnings, "warning")];
    if others > 0 {
        parts.push(format!("{} of other APIs not checked", count(others, "object")));
    }
    writeln!(out, "{}", parts.join(", "))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no MachineConfig".to_owned() } else { names.join(", ") }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Checks each object by itself, then what each pool gets.
fn check(input: Input) -> (Validated, Vec<Finding>) {
    let Input { objects, mut findings } = input;
    let mut alone: BTreeMap<&str, bool> = BTreeMap::new();
    for object in &objects {
        let found = check_alone(object, &objects);
        alone.insert(&object.name, !any_error(&found));
        findings.extend(found);
    }
    let pools = selection::pool_names(&objects).into_iter();
    let all: Vec<MachineConfigPool> = pools.map(|name| selection::pool(&objects, &name)).collect();
    let mut pools = Vec::new();
    for pool in &all {
        match configured(pool, &objects, &alone) {
            Ok(configured) => pools.extend(configured),
            Err(finding) if findings.contains(&finding) => {}
            Err(finding) => findings.push(finding),
        }
    }
    findings.extend(objects.iter().filter_map(|object| selection::unselected(object, &all)));
    findings.extend(objects.iter().filter_map(|object| of_another_pool(object, &objects)));
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let valid = objects.iter().filter(|object| alone.get(object.name.as_str()) == Some(&true)).map(|object| Valid {
        file: object.file().to_owned(),
        kind: object.kind.clone(),
        name: object.name.clone(),
        checked: !matches!(object.known, Known::Foreign),
    });
    let result = Validated {
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        objects: valid.collect(),
        pools,
        findings: findings.iter().map(Report::from).collect(),
    };
    (result, findings)
}

/// What is wrong with an object, whatever else there is.
fn check_alone(object: &Object, objects: &[Object]) -> Vec<Finding> {
    match &object.known {
        Known::MachineConfig(machine_config) if is_from_a_cluster(machine_config) => Vec::new(),
        Known::MachineConfig(machine_config) => {
            let errors = admission::machine_config_errors(machine_config);
            if !errors.is_empty() {
                return of_verdict(object, Verdict { errors, ..Verdict::default() });
            }
            match selection::render("", &[machine_config.as_ref()], objects) {
                Ok((_, warnings)) => warnings,
                Err(finding) => vec![finding],
            }
        }
        Known::Pool(pool) => of_verdict(object, admission::pool(pool, None)),
        Known::OsConfig(config) => of_verdict(object, admission::os_config(config, None)),
        Known::Configuration(configuration) => of_verdict(object, admission::machine_configuration(configuration)),
        Known::Other | Known::Foreign => Vec::new(),
    }
}

/// Whether a MachineConfig is a rendered one that was made by a controller or `onlay render`, and not by hand.
fn is_from_a_cluster(machine_config: &MachineConfig) -> bool {
    let metadata = &machine_config.metadata;
    let sources = metadata.annotations.as_ref().is_some_and(|all| all.contains_key(names::SOURCES_ANNOTATION));
    let is_owned = metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
    is_rendered(machine_config) && (sources || is_owned)
}

/// A warning about a MachineConfig whose role names none of the pools of the files, which may be a mistake in typing.
fn of_another_pool(object: &Object, objects: &[Object]) -> Option<Finding> {
    let machine_config = object.machine_config().filter(|each| !is_rendered(each))?;
    let role = machine_config.metadata.labels.as_ref()?.get(names::ROLE_LABEL)?.as_str();
    let pools: Vec<&MachineConfigPool> = objects.iter().filter_map(Object::pool).collect();
    let selects = |pool: &&MachineConfigPool| {
        let one = std::slice::from_ref(machine_config);
        pools::machine_configs_of(pool, one).is_ok_and(|selected| !selected.is_empty())
    };
    if pools.is_empty() || [names::MASTER_POOL, names::WORKER_POOL].contains(&role) || pools.iter().any(selects) {
        return None;
    }
    let of_files: Vec<&str> = pools.iter().filter_map(|pool| pool.metadata.name.as_deref()).collect();
    let field = format!("metadata.labels[{}]", names::ROLE_LABEL);
    let message = format!("none of the pools in the files is {role}, and none of them selects this");
    let finding = Finding::warning(object.title(), message).at(Some(object.spot(&field))).in_field(field);
    Some(finding.help(format!("the files have the pools {}", of_files.join(", "))))
}

/// What admission would say, at its places.
fn of_verdict(object: &Object, verdict: Verdict) -> Vec<Finding> {
    let finding = |new: fn(String, String) -> Finding, found: admission::Finding| {
        let field = object.field_as_written(&found.field);
        let spot = found.line.map_or_else(|| object.spot(&field), |line| object.spot_of_line(&field, line));
        new(object.title(), found.message).in_field(field).at(Some(spot))
    };
    let errors = verdict.errors.into_iter().map(|found| finding(Finding::error, found));
    errors.chain(verdict.warnings.into_iter().map(|found| finding(Finding::warning, found))).collect()
}

/// What a pool gets; none if one of its MachineConfigs has an error of its own.
fn configured(
    pool: &MachineConfigPool,
    objects: &[Object],
    alone: &BTreeMap<&str, bool>,
) -> Result<Option<Configured>, Finding> {
    let name = pool.metadata.name.as_deref().unwrap_or_default();
    let selected = selection::selected(pool, objects)?;
    let is_valid = |name: Option<&str>| name.is_some_and(|name| alone.get(name) == Some(&true));
    if !selected.iter().all(|each| is_valid(each.metadata.name.as_deref())) {
        return Ok(None);
    }
    let (rendered, _) = selection::render(name, &selected, objects)?;
    Ok(Some(Configured { pool: name.to_owned(), rendered: rendered.name, sources: rendered.sources }))
}
