//! Random documents, made from the tables of fields.

use onlay_core::butane::edition::Edition;
use onlay_core::butane::schema;
use onlay_core::render::ignition::spec::fields::{CONFIG, Field, Kind, Minor, Shape, Table};
use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::words;

/// The language of a document.
#[derive(Debug, Clone, Copy)]
pub enum Language {
    /// Butane in an edition.
    Butane(Edition),
    /// An Ignition specification 3.x.0.
    Ignition(Minor),
}

/// Records of which a document has this many at most in each list.
const LIST_MAX: usize = 3;

/// Sections and fields that openshift refuses.
const NOT_IN_OPENSHIFT: [&str; 13] = [
    "directories",
    "links",
    "groups",
    "append",
    "httpHeaders",
    "kernelArguments",
    "grub",
    "gecos",
    "homeDir",
    "uid",
    "shell",
    "noCreateHome",
    "config",
];

/// A document; about half of them have mistakes.
pub fn document(language: Language, dice: &mut Dice) -> Value {
    let mistakes = [0, 0, 0, 40, 15][dice.below(5)];
    let breadth = [2, 4, 8][dice.below(3)];
    let mut writer = Writer { language, dice, mistakes, breadth, number: 0 };
    let mut fields = writer.record(&CONFIG);
    match language {
        Language::Butane(edition) => {
            let (variant, version) = match edition.openshift {
                Some(minor) => ("openshift", format!("4.{minor}.0")),
                None => ("fcos", format!("1.{}.0", edition.level)),
            };
            fields.insert("variant".to_owned(), json!(variant));
            fields.insert("version".to_owned(), json!(version));
            if edition.openshift.is_some() && !writer.wrong() {
                let labels = json!({"machineconfiguration.openshift.io/role": "worker"});
                fields.insert("metadata".to_owned(), json!({"name": "50-random", "labels": labels}));
            }
        }
        Language::Ignition(minor) => {
            let ignition = fields.entry("ignition").or_insert_with(|| json!({}));
            if let Some(ignition) = ignition.as_object_mut()
                && !writer.wrong()
            {
                ignition.insert("version".to_owned(), json!(format!("3.{minor}.0")));
            }
        }
    }
    Value::Object(fields)
}

struct Writer<'a> {
    language: Language,
    dice: &'a mut Dice,
    /// A value in so many is wrong; none at all if it is 0.
    mistakes: usize,
    /// A field in so many is there.
    breadth: usize,
    number: usize,
}

impl Writer<'_> {
    fn wrong(&mut self) -> bool {
        self.dice.once_in(self.mistakes)
    }

    fn is_openshift(&self) -> bool {
        matches!(self.language, Language::Butane(edition) if edition.openshift.is_some())
    }

    fn fields(&self, table: &'static Table) -> Vec<&'static Field> {
        match self.language {
            Language::Butane(edition) => schema::known(table, edition).collect(),
            Language::Ignition(minor) => table.fields(minor).collect(),
        }
    }

    fn name(&self, field: &Field) -> String {
        match self.language {
            Language::Butane(_) => schema::name_in_yaml(field).into_owned(),
            Language::Ignition(_) => field.name.to_owned(),
        }
    }

    fn record(&mut self, table: &'static Table) -> Map<String, Value> {
        let mut record = Map::new();
        for field in self.fields(table) {
            let is_banned = self.is_openshift() && NOT_IN_OPENSHIFT.contains(&field.name);
            let is_banned = is_banned && !matches!(table.kind, Kind::Foreign(_)) && !self.dice.once_in(60);
            let is_given = matches!(field.shape, Shape::RequiredText) && !self.wrong()
                || table.kind == Kind::Config && self.dice.once_in(2)
                || self.dice.once_in(self.breadth);
            if is_given && !is_banned && !["variant", "version"].contains(&field.name) {
                record.insert(self.name(field), self.value(table.kind, field));
            }
        }
        if self.wrong() {
            let name = self.dice.pick(&["nope", "contents", "quadlets", "should_exist", "Path", "files"]);
            record.insert(name.to_owned(), json!(null));
        }
        if !self.wrong() {
            self.settle(table.kind, &mut record);
        }
        record
    }

    fn value(&mut self, kind: Kind, field: &'static Field) -> Value {
        if self.wrong() {
            return self.mistake(field);
        }
        match field.shape {
            Shape::Text | Shape::RequiredText | Shape::PlainText | Shape::NullText => self.text(kind, field).into(),
            Shape::Whole | Shape::PlainWhole => words::number(field.name, self.dice).into(),
            Shape::Flag => self.dice.once_in(2).into(),
            Shape::Texts => (0..self.dice.below(LIST_MAX)).map(|_| self.text(kind, field)).collect(),
            Shape::TextMap => json!({"machineconfiguration.openshift.io/role": "worker", "a": "b"}),
            Shape::Record(table) | Shape::GivenRecord(table) => self.record(table).into(),
            Shape::Records(table) => {
                (0..self.dice.below(LIST_MAX + 1)).map(|_| Value::Object(self.record(table))).collect()
            }
        }
    }

    fn text(&mut self, kind: Kind, field: &Field) -> String {
        // A name that is there already, at times.
        self.number += usize::from(self.mistakes == 0 || !self.dice.once_in(4));
        words::usual(kind, field.name, self.number, self.is_openshift(), self.dice)
    }

    fn mistake(&mut self, field: &Field) -> Value {
        let is_text = matches!(field.shape, Shape::Text | Shape::RequiredText | Shape::PlainText | Shape::NullText);
        match self.dice.below(8) {
            0 => Value::Null,
            1 => json!({}),
            2 => json!([]),
            3 => json!(words::strange(self.dice)),
            4 => json!(1.5),
            _ if is_text => json!(words::strange(self.dice)),
            _ if matches!(field.shape, Shape::Texts) => json!([words::strange(self.dice), words::strange(self.dice)]),
            _ => json!(words::strange_number(self.dice)),
        }
    }

    /// Leaves out what cannot stand beside something else.
    fn settle(&mut self, kind: Kind, record: &mut Map<String, Value>) {
        let mut only = |keep: &[&str], remove: &[&str]| {
            if keep.iter().any(|name| record.contains_key(*name)) {
                remove.iter().for_each(|name| drop(record.remove(*name)));
            }
        };
        match kind {
            Kind::NodeAccount => only(&["id"], &["name"]),
            Kind::Resource => {
                only(&["inline"], &["source", "local", "http_headers", "verification"]);
                only(&["local"], &["source", "http_headers", "verification"]);
                let source = record.get("source").and_then(Value::as_str).unwrap_or_default();
                if !source.starts_with("http") {
                    record.remove("http_headers");
                    record.remove("httpHeaders");
                }
                if !record.contains_key("source") {
                    record.remove("verification");
                }
            }
            Kind::File => only(&["append"], &["contents"]),
            Kind::Unit | Kind::DropIn => only(&["contents_local"], &["contents"]),
            Kind::Luks => only(&["clevis"], &["cex", "key_file", "keyFile"]),
            Kind::Clevis => only(&["tang", "tpm2", "threshold"], &["custom"]),
            Kind::Partition => only(&["should_exist", "shouldExist"], &["should_exist", "shouldExist", "resize"]),
            _ => {}
        }
        if kind == Kind::Resource && self.is_openshift() {
            record.remove("http_headers");
        }
    }
}
