//! Butane files: people's way to write MachineConfigs and Ignition configurations.
//!
//! `variant: openshift` 4.8 to 4.22 becomes a MachineConfig, `variant: fcos` 1.0 to 1.7 an Ignition configuration, as the
//! real tool of version 2.27.0 does it. The stages are its stages: types, unknown keys, the rules of the input, the
//! translation, refused fields, the rules of Ignition; an error in one ends the translation there.

pub mod contents;
mod desugar;
pub mod edition;
mod fault;
mod finding;
mod input;
mod local;
mod openshift;
mod output;
mod read;
pub mod schema;
mod unused;
mod yaml;

use desugar::{Context, Desugared, desugar};
use edition::Edition;

use crate::render::ignition::spec::check;
use crate::render::ignition::spec::fields::CONFIG;
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::tree::{Record, Tree, Value};

pub use finding::{Finding, Place, Refusal, Severity};
pub use local::{LocalEntry, LocalError, LocalFiles, LocalNode};
pub use output::Output;

/// How to translate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Give the Ignition configuration alone, never a MachineConfig.
    pub raw: bool,
    /// Refuse what there are warnings about.
    pub strict: bool,
}

/// A translated file.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// What it became.
    pub output: Output,
    /// What was accepted but probably not meant.
    pub warnings: Vec<Finding>,
}

/// Translates a Butane file. `files` is the files directory, without which no local file can be named.
///
/// Equal arguments give equal results. The error has at least one finding that is an error or, with
/// [`Options::strict`], a warning.
pub fn translate(text: &str, options: &Options, files: Option<&dyn LocalFiles>) -> Result<Translated, Refusal> {
    let document = yaml::load(text).map_err(|broken| {
        refusal(vec![error(format!("is no YAML: {}", broken.what), &Path::default(), Some(broken.place))])
    })?;
    let edition = edition_of(&document).map_err(refusal)?;
    let config = read::config(&document, edition).map_err(refusal)?;
    let mut findings = unused::keys(&document, edition, &config);
    let translated = stages(Context { edition, files }, &config, options.raw);
    let (report, output) = match translated {
        Ok((report, output)) => (report, Some(output)),
        Err(report) => (report, None),
    };
    findings.extend(report.into_remarks().into_iter().map(|remark| Finding {
        severity: remark.severity,
        message: remark.message,
        place: document.place(&remark.path),
        path: remark.path.to_string(),
    }));
    match output {
        Some(output) if !options.strict || findings.is_empty() => Ok(Translated { output, warnings: findings }),
        _ => Err(refusal(findings)),
    }
}

fn refusal(findings: Vec<Finding>) -> Refusal {
    Refusal { findings }
}

fn error(message: String, path: &Path, place: Option<Place>) -> Finding {
    Finding { severity: Severity::Error, message, path: path.to_string(), place }
}

fn edition_of(document: &yaml::Document) -> Result<Edition, Vec<Finding>> {
    let (variant, version) = read::header(document)?;
    Edition::of(&variant, &version).map_err(|fault| {
        let path = Path::default().at(fault.field());
        vec![error(fault.to_string(), &path, document.place(&path))]
    })
}

/// Everything after reading. Remarks are at paths of the file; with an error there is no output.
fn stages(context: Context<'_>, config: &Record, raw: bool) -> Result<(Report, Output), Report> {
    let edition = context.edition;
    let mut report = passed(input::check(edition, config), Report::default())?;
    let Desugared { config: made, written, generated } = desugar(context, config);
    report = passed(written, report)?;
    if edition.openshift.is_none() {
        let root = Tree::new(Value::Record(made), None);
        let rules = check::check(&CONFIG, edition.minor(), record_of(&root));
        report = passed(generated.map_paths(|path| origin(&root, path)), report)?;
        report = passed(rules.map_paths(|path| origin(&root, path)), report)?;
        return Ok((report, Output::ignition(edition, into_record(root))));
    }
    let root = Tree::new(Value::Record(openshift::wrap(edition, config, made)), None);
    if raw { raw_stages(edition, &root, generated, report) } else { wrapped_stages(edition, root, generated, report) }
}

/// The stages of a MachineConfig.
fn wrapped_stages(
    edition: Edition,
    root: Tree,
    generated: Report,
    mut report: Report,
) -> Result<(Report, Output), Report> {
    let mut unsupported = generated;
    unsupported.merge(openshift::unsupported(edition, record_of(&root)));
    for stage in [unsupported, openshift::banned(edition, record_of(&root))] {
        report = passed(stage.map_paths(|path| origin(&root, path)), report)?;
    }
    let rules = check::check(&schema::MACHINE_CONFIG, edition.minor(), record_of(&root));
    report = passed(rules.map_paths(|path| origin(&root, path)), report)?;
    Ok((report, Output::machine_config(edition, into_record(root))))
}

/// The stages of an Ignition configuration that was written for a MachineConfig.
fn raw_stages(
    edition: Edition,
    root: &Tree,
    generated: Report,
    mut report: Report,
) -> Result<(Report, Output), Report> {
    let machine_config = record_of(root);
    let config = machine_config.record("spec").and_then(|spec| spec.get("config")).cloned();
    let config = config.unwrap_or_else(|| Tree::new(Value::Record(Record::default()), None));
    let mut stage = generated.map_paths(|path| origin(&config, path));
    // The real tool looks for these in the Ignition configuration, where their paths lead nowhere.
    stage.merge(openshift::unsupported(edition, machine_config).map_paths(|path| path.snake_case()));
    stage.merge(openshift::left_out(machine_config).map_paths(|path| origin(root, path)));
    report = passed(stage, report)?;
    let rules = check::check(&CONFIG, edition.minor(), record_of(&config));
    report = passed(rules.map_paths(|path| origin(&config, path)), report)?;
    Ok((report, Output::ignition(edition, into_record(config))))
}

/// Both reports, as the error if there is one in them.
fn passed(stage: Report, mut before: Report) -> Result<Report, Report> {
    before.merge(stage);
    if before.is_fatal() { Err(before) } else { Ok(before) }
}

/// The path in the file of a value; if nobody wrote it, the path that it would have if files were written like results.
fn origin(root: &Tree, path: Path) -> Path {
    root.find(path.steps()).and_then(|value| value.from.clone()).unwrap_or_else(|| path.snake_case())
}

fn record_of(tree: &Tree) -> &Record {
    static EMPTY: Record = Record::new();
    tree.as_record().unwrap_or(&EMPTY)
}

fn into_record(tree: Tree) -> Record {
    match tree.value {
        Value::Record(record) => record,
        _ => Record::default(),
    }
}
