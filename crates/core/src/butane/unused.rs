//! Keys that nothing reads.

use super::edition::Edition;
use super::finding::{Finding, Severity};
use super::schema;
use super::yaml::{Content, Document};
use crate::render::ignition::spec::fields::{CONFIG, Shape, Table};
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::tree::{Record, Tree};

/// A warning for each key that the edition does not have, and for each section that is not written as one.
pub fn keys(document: &Document, edition: Edition, config: &Record) -> Vec<Finding> {
    let mut search = Search { document, edition, findings: Vec::new() };
    search.record(&CONFIG, config, &Path::default());
    search.findings
}

struct Search<'a> {
    document: &'a Document,
    edition: Edition,
    findings: Vec<Finding>,
}

impl Search<'_> {
    fn record(&mut self, table: &Table, record: &Record, path: &Path) {
        match self.document.find(path).map(|node| (&node.content, node.place)) {
            None => {}
            Some((Content::Map(pairs), _)) => {
                for (key, _) in pairs {
                    let name = self.document.text(*key);
                    if !schema::known(table, self.edition).any(|field| schema::name_in_yaml(field) == name) {
                        let place = self.document.node(*key).map(|node| node.place);
                        let message = format!("the key {name:?} is not known here in this version; nothing reads it");
                        self.findings.push(warning(message, &path.key(name), place));
                    }
                }
            }
            Some((_, place)) => {
                let message =
                    "is no mapping, so that keys and places in it cannot be checked; write fields or leave it out";
                self.findings.push(warning(message.to_owned(), path, Some(place)));
            }
        }
        let empty = Record::default();
        for field in schema::known(table, self.edition) {
            let path = path.key(&schema::name_in_yaml(field));
            match field.shape {
                Shape::Record(table) => self.record(table, record.record(field.name).unwrap_or(&empty), &path),
                Shape::GivenRecord(table) => {
                    if let Some(record) = record.record(field.name) {
                        self.record(table, record, &path);
                    }
                }
                Shape::Records(table) => {
                    for (index, entry) in record.list(field.name).iter().filter_map(Tree::as_record).enumerate() {
                        self.record(table, entry, &path.nth(index));
                    }
                }
                _ => {}
            }
        }
    }
}

fn warning(message: String, path: &Path, place: Option<super::finding::Place>) -> Finding {
    Finding { severity: Severity::Warning, message, path: path.to_string(), place }
}
