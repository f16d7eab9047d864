//! `onlay show`: what a node gets at a path or as a kernel argument, and which MachineConfig says so.

mod found;
mod near;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use clap::{ArgGroup, ValueEnum};
use onlay_api::names::SOURCES_ANNOTATION;
use onlay_api::{MachineConfig, MachineConfigSpec};
use onlay_core::render::desired::{self, Desired};
use onlay_core::render::origin::Origins;
use onlay_core::render::{self, is_rendered};
use schemars::JsonSchema;
use serde::Serialize;

use self::found::Found;
use crate::finding::{Finding, Report, any_error};
use crate::input::{self, Object};
use crate::output::json;
use crate::pool_name::pool_name;
use crate::{Exit, Streams, selection};

/// Kernel arguments that an error names at most.
const NAMED: usize = 10;

/// Arguments of `onlay show`.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("asked").args(["path", "argument"]).required(true))]
pub struct Arguments {
    /// Files with MachineConfigs, or with a rendered one and what it was merged from; directories; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Path on the node, of a file, directory, link, unit or drop-in
    #[arg(long)]
    path: Option<String>,
    /// Kernel argument instead of a path, such as audit=0, or all of one name, such as audit
    #[arg(long)]
    argument: Option<String>,
    /// Pool to render for; without it, the files have one rendered MachineConfig
    #[arg(long, value_name = "NAME", value_parser = pool_name)]
    pool: Option<String>,
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
    /// The contents as they are, and what else is known on standard error
    Text,
    /// For programs; docs/schemas/show.json is the schema
    Json,
}

/// What `onlay show -o json` writes.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The path on the node; null if a kernel argument is asked for.
    path: Option<String>,
    /// The kernel argument that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    argument: Option<String>,
    /// `file`, `directory`, `link`, `unit`, `drop-in` or `argument`; null if there is no such thing, and the findings say
    /// why.
    kind: Option<&'static str>,
    /// Name of the rendered configuration; null if there is none, or nothing is found in it.
    rendered: Option<String>,
    /// Permission bits in octal, such as `0644`; of files and directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// Owning user and group, such as `root:root`; of files, directories and links.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// The target of a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Whether a unit is enabled, if the configuration says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    /// Whether a unit is masked, if the configuration says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    masked: Option<bool>,
    /// The contents, unpacked, if they are a text; absent of a unit that the image brings. Of a kernel argument, all that
    /// are found, one a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<String>,
    /// Size of the contents in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    /// By field, or by argument: names of the MachineConfigs that say it, in merge order; the last one counts, of `append`
    /// all. Drop-ins of a unit are fields by their names. Null if neither the rendered MachineConfig says so, nor the
    /// MachineConfigs that it was merged from are in the files.
    origin: Option<BTreeMap<String, Vec<String>>>,
    /// Errors and warnings.
    findings: Vec<Report>,
    #[serde(skip)]
    bytes: Vec<u8>,
}

/// A configuration of a pool and who said what in it.
struct Configuration {
    name: String,
    spec: MachineConfigSpec,
    origins: Option<Origins>,
}

/// Runs `onlay show`.
pub fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let input = input::read(&arguments.files, arguments.recursive, streams.input);
    let mut findings = input.findings;
    let shown = if any_error(&findings) { None } else { Some(shown(arguments, &input.objects)) };
    let shown = shown.transpose().unwrap_or_else(|finding| {
        findings.push(finding);
        None
    });
    let exit = if shown.is_some() { Exit::Well } else { Exit::Error };
    match arguments.output {
        Format::Json => {
            let findings = findings.iter().map(Report::from).collect();
            json::write(&Shown { findings, ..shown.unwrap_or_else(|| Shown::asked(arguments)) }, streams.out)?;
        }
        Format::Text => {
            streams.show(&findings)?;
            if let Some(shown) = shown {
                streams.out.write_all(&shown.bytes)?;
                streams.err.write_all(shown.words().as_bytes())?;
            }
        }
    }
    Ok(exit)
}

fn shown(arguments: &Arguments, objects: &[Object]) -> Result<Shown, Finding> {
    let Configuration { name, spec, origins } = match &arguments.pool {
        Some(pool) => of_pool(pool, objects)?,
        None => of_rendered(objects)?,
    };
    let title = format!("MachineConfig {name}");
    let desired = desired::of(&spec).map_err(|error| selection::of_rendered(&title, &error))?;
    let asked = Shown::asked(arguments);
    let found = match (&asked.path, &asked.argument) {
        (Some(path), _) => found::at(path, &desired, origins.as_ref()).ok_or_else(|| no_path(title, path, &desired)),
        (None, argument) => {
            let argument = argument.as_deref().unwrap_or_default();
            let found = found::argument(argument, &desired, origins.as_ref());
            found.ok_or_else(|| no_argument(title, argument, &desired))
        }
    };
    Ok(Shown { rendered: Some(name), ..asked.with(found?) })
}

fn no_path(title: String, path: &str, desired: &Desired) -> Finding {
    let near = near::near(path, found::paths(desired));
    let meant = if near.is_empty() { String::new() } else { format!("did you mean {}? ", near.join(", ")) };
    let help = "`onlay render -o tree` lists the paths and units that it has; what the image brings is not in it";
    Finding::error(title, format!("has nothing at {path}")).help(meant + help)
}

fn no_argument(title: String, argument: &str, desired: &Desired) -> Finding {
    let all = &desired.kernel_arguments;
    let mut named: Vec<String> = all.iter().take(NAMED).cloned().collect();
    if all.len() > NAMED {
        named.push(format!("and {} more", all.len() - NAMED));
    }
    let has = if named.is_empty() { "it has none".to_owned() } else { format!("it has {}", named.join(", ")) };
    let help = format!("{has}; what the image brings is not in it");
    Finding::error(title, format!("has no kernel argument {argument}")).help(help)
}

fn of_pool(pool: &str, objects: &[Object]) -> Result<Configuration, Finding> {
    let selected = selection::selected(&selection::pool(objects, pool), objects)?;
    let (rendered, _) = selection::render(pool, &selected, objects)?;
    let origins = Some(rendered.origins());
    Ok(Configuration { name: rendered.name, spec: rendered.spec, origins })
}

/// The one rendered MachineConfig of the files, with its origins.
fn of_rendered(objects: &[Object]) -> Result<Configuration, Finding> {
    let all: Vec<&MachineConfig> = objects.iter().filter_map(Object::machine_config).collect();
    let rendered: Vec<&MachineConfig> = all.iter().copied().filter(|each| is_rendered(each)).collect();
    let [one] = rendered.as_slice() else {
        let message = format!("expected one rendered MachineConfig in the files, found {}", rendered.len());
        return Err(Finding::error("", message).help("name the pool to render for with --pool"));
    };
    let name = one.metadata.name.clone().unwrap_or_default();
    Ok(Configuration { name, spec: one.spec.clone(), origins: origins(one, &all) })
}

/// Who said what in a rendered MachineConfig: all of it from its sources, if they are there, else what it says itself.
fn origins(rendered: &MachineConfig, all: &[&MachineConfig]) -> Option<Origins> {
    let annotations = rendered.metadata.annotations.as_ref()?;
    let sources: Vec<String> = serde_json::from_str(annotations.get(SOURCES_ANNOTATION)?).ok()?;
    let told = Origins::of_annotations(annotations);
    if told.as_ref().is_some_and(|told| !told.truncated) {
        return told;
    }
    let named = |name: &String| all.iter().copied().find(|each| each.metadata.name.as_ref() == Some(name));
    let sources: Option<Vec<&MachineConfig>> = sources.iter().map(named).collect();
    let again = sources.and_then(|sources| render::render("", sources).ok());
    // MachineConfigs that were changed since tell nothing about this configuration.
    again.filter(|again| again.spec == rendered.spec).map(|again| again.origins()).or(told)
}

impl Shown {
    /// What is asked for, and nothing of the answer.
    fn asked(arguments: &Arguments) -> Self {
        let path = arguments.path.as_deref().map(near::clean);
        Self { path, argument: arguments.argument.clone(), ..Self::default() }
    }

    fn with(self, found: Found) -> Self {
        let Found { kind, mode, owner, target, enabled, masked, contents, origin } = found;
        let size = contents.as_ref().map(Vec::len).filter(|_| kind != "argument");
        let text = contents.clone().and_then(|bytes| String::from_utf8(bytes).ok());
        let bytes = contents.unwrap_or_default();
        Self { kind: Some(kind), mode, owner, target, enabled, masked, contents: text, size, origin, bytes, ..self }
    }

    /// What is known beside the contents, for people.
    fn words(&self) -> String {
        let what = self.path.as_ref().or(self.argument.as_ref()).map_or("", String::as_str);
        let mut words =
            format!("{what} of {}: {}\n", self.rendered.as_deref().unwrap_or_default(), self.facts().join(", "));
        let Some(origin) = &self.origin else {
            return words
                + "origin not known: it has no index of this, and what it was merged from is not in the files, or changed since\n";
        };
        for (field, names) in origin {
            if self.kind == Some("argument") {
                words.push_str(&format!("{field}: {}\n", names.join(", ")));
                continue;
            }
            let Some((last, before)) = names.split_last() else { continue };
            let over = match (before.is_empty(), field.as_str()) {
                (true, _) => String::new(),
                (false, "append") => format!(" after {}", before.join(", ")),
                (false, _) => format!(" over {}", before.join(", ")),
            };
            words.push_str(&format!("{field}: {last}{over}\n"));
        }
        words
    }

    fn facts(&self) -> Vec<String> {
        let kind = self.kind.map(|kind| if kind == "argument" { "kernel argument" } else { kind }.to_owned());
        let enabled = self.enabled.map(|enabled| if enabled { "enabled" } else { "disabled" }.to_owned());
        let masked = self.masked.map(|masked| if masked { "masked" } else { "unmasked" }.to_owned());
        let size = self.size.map(|size| format!("{size} bytes"));
        let target = self.target.as_ref().map(|target| format!("to {target}"));
        let is_of_image = self.kind == Some("unit") && self.size.is_none() && self.masked != Some(true);
        let of_image = is_of_image.then(|| "its file is not in the configuration".to_owned());
        let all = [kind, self.mode.clone(), self.owner.clone(), enabled, masked, size, target, of_image];
        all.into_iter().flatten().collect()
    }
}
