//! The rules of the Ignition specifications for configurations that are well-formed.
//!
//! Source: the specifications 3.0 to 3.6 and the checks that Ignition itself makes of them, measured on its own program.

mod account;
mod disk;
mod node;
mod resource;
mod unit;
mod url;

use std::collections::HashSet;

use super::fault::Fault;
use super::fields::{Kind, Minor, Shape, Table};
use super::keys;
use super::path::At;
use super::report::Report;
use super::tree::Record;

pub use node::{clean_path, is_clean};
pub use resource::{is_other_version, minor_of};

/// Which specification the configuration follows, and whose rules hold.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The specification 3.x.0.
    pub minor: Minor,
}

/// The scheme of a URL in lower case; none if it is no URL.
pub fn scheme(text: &str) -> Option<String> {
    url::parse(text).ok().map(|url| url.scheme)
}

/// Everything that is wrong with a configuration: equal entries first, then the rules for each record.
///
/// `table` is that of an Ignition configuration, or of something that holds one.
pub fn check(table: &Table, minor: Minor, config: &Record) -> Report {
    let mut report = Report::default();
    duplicates(table, minor, config, &At::Root, &mut report);
    each_record(table, Rules { minor }, config, &At::Root, &mut report);
    report
}

/// Entries that may stand in a list only once, found twice.
fn duplicates(table: &Table, minor: Minor, record: &Record, at: &At<'_>, report: &mut Report) {
    let mut known = HashSet::new();
    for field in table.fields(minor).filter(|field| matches!(field.shape, Shape::Texts | Shape::Records(_))) {
        if keys::repeats(table, field) {
            continue;
        }
        for (index, entry) in record.list(field.name).iter().enumerate() {
            let key = keys::key(field.shape.table(), entry);
            if !known.insert((keys::handle(table, field.name), key.clone())) {
                report.error(at.at(field.name).nth(index), Fault::Duplicate(key.into_owned()));
            }
        }
    }
    below(table, minor, record, at, None, &mut |table, record, at| duplicates(table, minor, record, at, report));
}

fn each_record(table: &Table, rules: Rules, record: &Record, at: &At<'_>, report: &mut Report) {
    match table.kind {
        Kind::Config => unit::paths(record, at, report),
        Kind::Ignition => resource::version(rules, record, at, report),
        Kind::IgnitionConfig => resource::merged(rules, record, at, report),
        Kind::Tls => resource::authorities(rules, record, at, report),
        Kind::Proxy => resource::proxy(record, at, report),
        Kind::OldReference => resource::old_reference(rules, record, at, report),
        Kind::OldAuthority => resource::old_authority(rules, record, at, report),
        Kind::Resource => resource::resource(rules, record, at, report),
        Kind::HttpHeader => resource::header(record, at, report),
        Kind::Verification => resource::verification(rules, record, at, report),
        Kind::Directory | Kind::File | Kind::Link => node::node(table.kind, rules, record, at, report),
        Kind::NodeAccount => account::node_account(record, at, report),
        Kind::Storage => node::storage(rules, record, at, report),
        Kind::Disk => disk::disk(record, at, report),
        Kind::Partition => disk::partition(record, at, report),
        Kind::Filesystem => disk::filesystem(rules, record, at, report),
        Kind::Luks => disk::luks(rules, record, at, report),
        Kind::ClevisCustom => disk::custom_pin(rules, record, at, report),
        Kind::Tang => disk::tang(rules, record, at, report),
        Kind::Raid => disk::raid(rules, record, at, report),
        Kind::Systemd => unit::instances(record, at, report),
        Kind::Unit => unit::unit(record, at, report),
        Kind::DropIn => unit::drop_in(record, at, report),
        _ => {}
    }
    let visit = &mut |table: &Table, record: &Record, at: &At<'_>| each_record(table, rules, record, at, report);
    below(table, rules.minor, record, at, Some(&Record::default()), visit);
}

/// Calls `visit` for each record below. `absent` is what stands for those that nobody wrote but the specification always has.
fn below(
    table: &Table,
    minor: Minor,
    record: &Record,
    at: &At<'_>,
    absent: Option<&Record>,
    visit: &mut impl FnMut(&Table, &Record, &At<'_>),
) {
    for field in table.fields(minor) {
        let at = At::Field(at, field.name);
        match field.shape {
            Shape::Record(table) => {
                if let Some(record) = record.record(field.name).or(absent) {
                    visit(table, record, &at);
                }
            }
            Shape::GivenRecord(table) => {
                if let Some(record) = record.record(field.name) {
                    visit(table, record, &at);
                }
            }
            Shape::Records(table) => {
                let entries = record.list(field.name).iter().enumerate();
                for (index, record) in entries.filter_map(|(index, entry)| Some((index, entry.as_record()?))) {
                    visit(table, record, &At::Entry(&at, index));
                }
            }
            _ => {}
        }
    }
}
