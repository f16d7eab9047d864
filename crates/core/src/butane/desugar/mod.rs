//! From a Butane configuration to an Ignition configuration of the same fields.
//!
//! Source of the rules: the real tool, measured. What it generates is the parent of an Ignition merge, and what the file
//! says the child, so that the file's fields win.

mod boot_device;
mod grub;
mod mount;
mod partition;
mod resource;
mod tree;

use super::edition::Edition;
use super::local::LocalFiles;
use crate::render::ignition::spec::fields::{CONFIG, Kind, Shape, Table};
use crate::render::ignition::spec::merge::merge;
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::report::Report;
use crate::render::ignition::spec::tree::{Record, Tree, Value};

/// What a translation needs beside the configuration.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Which fields and rules hold.
    pub edition: Edition,
    /// The files directory, if there is one.
    pub files: Option<&'a dyn LocalFiles>,
}

impl Context<'_> {
    /// Whether contents are packed when that makes them shorter.
    fn may_pack(&self) -> bool {
        // These two read packed contents wrongly.
        !matches!(self.edition.openshift, Some(8 | 9))
    }
}

/// An Ignition configuration and what there is to say about it.
pub struct Desugared {
    /// The configuration.
    pub config: Record,
    /// Remarks at paths of the Butane file.
    pub written: Report,
    /// Remarks at paths of the Ignition configuration.
    pub generated: Report,
}

/// Translates a configuration. If `written` is fatal the configuration is not to be used.
pub fn desugar(context: Context<'_>, config: &Record) -> Desugared {
    let mut report = Report::default();
    let mut made = fields(context, &CONFIG, config, &Path::default(), &mut report);
    header(context.edition, &mut made);
    let made = mount::add_units(context.edition, config, made);
    let made = tree::add(context, config, made, &mut report);
    if report.is_fatal() {
        return Desugared { config: made, written: report, generated: Report::default() };
    }
    let made = boot_device::add(context.edition, config, made);
    let generated = partition::remarks(context.edition, &made);
    let made = if context.edition.level >= 5 { grub::add(context, config, made) } else { made };
    Desugared { config: made, written: report, generated }
}

/// The version, and that the section comes from somewhere.
fn header(edition: Edition, config: &mut Record) {
    let version = Tree::new(Value::Text(edition.specification()), Some(&Path::default().at("version")));
    let mut ignition = match config.take("ignition").map(|section| section.value) {
        Some(Value::Record(section)) => section,
        _ => Record::default(),
    };
    ignition.set("version", version);
    config.set("ignition", Tree::new(Value::Record(ignition), Some(&Path::default().at("ignition"))));
}

/// The fields of a record that Ignition has, with Butane's own worked into them.
fn fields(context: Context<'_>, table: &Table, given: &Record, at: &Path, report: &mut Report) -> Record {
    let minor = context.edition.minor();
    let mut made = Record::default();
    for field in table.fields(minor) {
        let Some(value) = given.get(field.name) else { continue };
        let path = value.from.clone().unwrap_or_else(|| at.key(&super::schema::name_in_yaml(field)));
        made.set(field.name, translated(context, field.shape, value, &path, report));
    }
    match table.kind {
        Kind::Resource => resource::contents(context, given, &mut made, at, report),
        Kind::Unit | Kind::DropIn => resource::unit_contents(context, given, &mut made, at, report),
        Kind::User => resource::keys(context, given, &mut made, at, report),
        _ => {}
    }
    made
}

fn translated(context: Context<'_>, shape: Shape, value: &Tree, at: &Path, report: &mut Report) -> Tree {
    let record = |table: &Table, tree: &Tree, at: &Path, report: &mut Report| {
        let given = tree.as_record().cloned().unwrap_or_default();
        let made = Value::Record(fields(context, table, &given, at, report));
        Tree { value: made, optional: tree.optional, from: tree.from.clone() }
    };
    match (shape, &value.value) {
        (Shape::Record(table) | Shape::GivenRecord(table), _) => record(table, value, at, report),
        (Shape::Records(table), Value::List(entries)) => {
            let entries = entries.iter().enumerate().map(|(index, entry)| record(table, entry, &at.nth(index), report));
            Tree { value: Value::List(entries.collect()), ..value.clone() }
        }
        (_, Value::Bytes(bytes)) => Tree { value: Value::from_bytes(bytes), ..value.clone() },
        _ => value.clone(),
    }
}

/// Merges a configuration over a generated one.
fn over(edition: Edition, generated: Record, config: Record) -> Record {
    merge(&CONFIG, edition.minor(), generated, config)
}

/// Makes values that all come from one place in the file.
struct Source(Path);

impl Source {
    fn text(&self, text: &str) -> Tree {
        Tree::new(Value::Text(text.to_owned()), Some(&self.0))
    }

    fn given_text(&self, text: &str) -> Tree {
        Tree::given(Value::Text(text.to_owned()), Some(&self.0))
    }

    fn number(&self, number: i64) -> Tree {
        Tree::given(Value::Whole(number), Some(&self.0))
    }

    fn yes(&self) -> Tree {
        Tree::given(Value::Flag(true), Some(&self.0))
    }

    fn list(&self, entries: impl IntoIterator<Item = Tree>) -> Tree {
        Tree::new(Value::List(entries.into_iter().collect()), Some(&self.0))
    }

    fn record<const N: usize>(&self, fields: [(&'static str, Tree); N]) -> Tree {
        Tree::new(Value::Record(Record::from_iter(fields)), Some(&self.0))
    }
}
