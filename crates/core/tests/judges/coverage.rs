//! What the corpus of Butane files covers.

use std::collections::BTreeSet;

use onlay_core::butane::edition::Edition;
use onlay_core::butane::schema;
use onlay_core::render::ignition::spec::fields::{CONFIG, Table};
use serde_json::Value;

use super::{butane, compare};

#[test]
fn the_corpus_is_large_enough_and_enough_of_it_is_refused() {
    let corpus = butane::corpus();
    let distinct: std::collections::BTreeMap<_, _> = corpus.iter().map(|case| (&case.text, case)).collect();
    let refused = distinct.values().filter(|case| compare::ours(case).1.is_none()).count();
    println!("{} documents, {refused} of them refused", distinct.len());
    assert!(distinct.len() >= 500, "{} documents", distinct.len());
    assert!(refused * 10 >= distinct.len() * 4, "{refused} of {} documents are refused", distinct.len());
}

#[test]
fn the_corpus_has_every_field_of_every_version() {
    let corpus = butane::corpus();
    let documents: Vec<Value> = corpus.iter().filter_map(|case| serde_saphyr::from_str(&case.text).ok()).collect();
    let mut missing = Vec::new();
    for edition in butane::editions() {
        let (variant, version) = match edition.openshift {
            Some(minor) => ("openshift", format!("4.{minor}.0")),
            None => ("fcos", format!("1.{}.0", edition.level)),
        };
        let is_of = |document: &&Value| document["variant"] == variant && document["version"] == version.as_str();
        let mut given = BTreeSet::new();
        documents.iter().filter(is_of).for_each(|document| add_given(document, "", &mut given));
        let mut known = BTreeSet::new();
        add_known(&CONFIG, edition, "", &mut known);
        missing.extend(known.difference(&given).map(|path| format!("{variant} {version}: {path}")));
    }
    assert!(missing.is_empty(), "no document has\n{}", missing.join("\n"));
}

/// The paths of a document, without the numbers of list entries.
fn add_given(value: &Value, at: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::Array(entries) => entries.iter().for_each(|entry| add_given(entry, at, paths)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{at}.{name}");
                add_given(value, &path, paths);
                paths.insert(path);
            }
        }
        _ => {}
    }
}

/// The paths of every field that an edition has.
fn add_known(table: &'static Table, edition: Edition, at: &str, paths: &mut BTreeSet<String>) {
    for field in schema::known(table, edition) {
        let path = format!("{at}.{}", schema::name_in_yaml(field));
        if let Some(table) = field.shape.table() {
            add_known(table, edition, &path, paths);
        }
        paths.insert(path);
    }
}
