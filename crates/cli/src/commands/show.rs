//! `onlay show`: what a node gets at a path, and which MachineConfig says so.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use onlay_api::names::SOURCES_ANNOTATION;
use onlay_api::{MachineConfig, MachineConfigSpec};
use onlay_core::render::desired::{self, Desired, Owner};
use onlay_core::render::origin::{Origin, Origins};
use onlay_core::render::{self, is_rendered};
use schemars::JsonSchema;
use serde::Serialize;

use crate::arguments::pool_name;
use crate::finding::{Finding, any_error};
use crate::input::{self, Object};
use crate::output::json;
use crate::{Exit, Streams, selection};

/// Where units of a configuration are written.
const UNITS: &str = "/etc/systemd/system/";

/// Arguments of `onlay show`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files with MachineConfigs, or with a rendered one and what it was merged from; directories; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Path on the node, of a file, directory, link, unit or drop-in
    #[arg(long)]
    path: String,
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
    /// The path on the node.
    path: String,
    /// `file`, `directory`, `link`, `unit` or `drop-in`.
    kind: &'static str,
    /// Name of the rendered configuration.
    rendered: String,
    /// Permission bits in octal, such as `0644`; of files and directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// Owning user and group, such as `root:root`; of files, directories and links.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// The target of a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// The contents, unpacked, if they are a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<String>,
    /// Size of the contents in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    /// By field: names of the MachineConfigs that say it, in merge order; the last one counts, of `append` all. Null if
    /// neither the rendered MachineConfig says so, nor the MachineConfigs that it was merged from are in the files.
    origin: Option<BTreeMap<String, Vec<String>>>,
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
    let shown = match shown.transpose() {
        Ok(shown) => shown,
        Err(finding) => {
            findings.push(finding);
            None
        }
    };
    streams.show(&findings)?;
    let Some(shown) = shown else { return Ok(Exit::Error) };
    match arguments.output {
        Format::Json => json::write(&shown, streams.out)?,
        Format::Text => {
            streams.out.write_all(&shown.bytes)?;
            streams.err.write_all(shown.words().as_bytes())?;
        }
    }
    Ok(Exit::Well)
}

fn shown(arguments: &Arguments, objects: &[Object]) -> Result<Shown, Finding> {
    let configuration = match &arguments.pool {
        Some(pool) => of_pool(pool, objects)?,
        None => of_rendered(objects)?,
    };
    let title = format!("MachineConfig {}", configuration.name);
    let desired = desired::of(&configuration.spec).map_err(|error| selection::of_rendered(&title, &error))?;
    let path = arguments.path.as_str();
    let Some((mut shown, unit)) = find(path, &desired) else {
        let help = "`onlay render -o tree` lists the paths that it has; what the image brings is not in it";
        return Err(Finding::error(title, format!("has nothing at {path}")).help(help));
    };
    shown.origin = configuration.origins.as_ref().and_then(|origins| {
        let (origin, unit) = match &unit {
            Some((unit, drop_in)) => (origins.units.get(unit), Some(drop_in.as_deref())),
            None => (origins.places.get(path), None),
        };
        origin.map(|origin| match unit {
            Some(drop_in) => fields_of_unit(origin, drop_in),
            None => origin.fields.clone(),
        })
    });
    path.clone_into(&mut shown.path);
    shown.rendered = configuration.name;
    shown.size = matches!(shown.kind, "file" | "unit" | "drop-in").then_some(shown.bytes.len());
    shown.contents = shown.size.and_then(|_| String::from_utf8(shown.bytes.clone()).ok());
    Ok(shown)
}

/// The fields of a unit that are about its file, or the one drop-in.
fn fields_of_unit(origin: &Origin, drop_in: Option<&str>) -> BTreeMap<String, Vec<String>> {
    let about = |field: &str| match drop_in {
        Some(drop_in) => field == drop_in,
        None => matches!(field, "contents" | "enabled" | "mask"),
    };
    let fields = origin.fields.iter().filter(|(field, _)| about(field));
    fields.map(|(field, names)| (field.clone(), names.clone())).collect()
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

/// A unit, and the drop-in if it is one.
type UnitPath = (String, Option<String>);

fn find(path: &str, desired: &Desired) -> Option<(Shown, Option<UnitPath>)> {
    if let Some(file) = desired.files.iter().find(|file| file.path == path) {
        let owner = owner(&file.user, &file.group);
        return Some((
            Shown { kind: "file", mode: octal(file.mode), owner, bytes: file.contents.clone(), ..Shown::default() },
            None,
        ));
    }
    if let Some(each) = desired.directories.iter().find(|each| each.path == path) {
        let owner = owner(&each.user, &each.group);
        return Some((Shown { kind: "directory", mode: octal(each.mode), owner, ..Shown::default() }, None));
    }
    if let Some(link) = desired.links.iter().find(|link| link.path == path) {
        let owner = owner(&link.user, &link.group);
        return Some((Shown { kind: "link", target: Some(link.target.clone()), owner, ..Shown::default() }, None));
    }
    let name = path.strip_prefix(UNITS)?;
    if let Some((unit, drop_in)) = name.split_once(".d/") {
        let dropins = &desired.units.iter().find(|each| each.name == unit)?.dropins;
        let contents = &dropins.iter().find(|each| each.name == drop_in)?.contents;
        let shown = Shown { kind: "drop-in", bytes: contents.clone().into_bytes(), ..Shown::default() };
        return Some((shown, Some((unit.to_owned(), Some(drop_in.to_owned())))));
    }
    let contents = desired.units.iter().find(|each| each.name == name)?.contents.clone()?;
    Some((Shown { kind: "unit", bytes: contents.into_bytes(), ..Shown::default() }, Some((name.to_owned(), None))))
}

fn octal(mode: u32) -> Option<String> {
    Some(format!("{mode:04o}"))
}

fn owner(user: &Owner, group: &Owner) -> Option<String> {
    let name = |owner: &Owner| match owner {
        Owner::Id(0) => "root".to_owned(),
        Owner::Id(id) => id.to_string(),
        Owner::Name(name) => name.clone(),
    };
    Some(format!("{}:{}", name(user), name(group)))
}

impl Shown {
    /// What is known beside the contents, for people.
    fn words(&self) -> String {
        let size = self.size.map(|size| format!("{size} bytes"));
        let target = self.target.as_ref().map(|target| format!("to {target}"));
        let facts = [self.mode.clone(), self.owner.clone(), size, target].into_iter().flatten();
        let facts: Vec<String> = std::iter::once(self.kind.to_owned()).chain(facts).collect();
        let mut words = format!("{} of {}: {}\n", self.path, self.rendered, facts.join(", "));
        let Some(origin) = &self.origin else {
            return words
                + "origin not known: it has no index of this, and what it was merged from is not in the files, or changed since\n";
        };
        for (field, names) in origin {
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
}
