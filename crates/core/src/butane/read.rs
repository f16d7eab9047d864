//! From a YAML document to a configuration: every known field with its type, and every unknown key.
//!
//! Source of the rules: what the real tool's YAML reader takes for which type, measured. A field that is `null` is not
//! there, list entries that are `null` fall out, numbers are read for texts and `yes` for flags.

use std::collections::HashSet;

use super::edition::Edition;
use super::finding::{Finding, Place, Severity};
use super::schema;
use super::yaml::{Content, Document, Id, Node, Scalar, scalar};
use crate::render::ignition::spec::fields::{CONFIG, Kind, Shape, Table};
use crate::render::ignition::spec::path::Path;
use crate::render::ignition::spec::tree::{Record, Tree, Value};

/// Most values that are read before references are counted against them.
const FREE_READS: usize = 1000;
const FREE_ALIASED_READS: usize = 100;
/// Most aliases inside of each other.
const ALIASES_DEEP: usize = 200;

/// Most of 10,000 values that aliases may repeat, the less the more there are.
fn repeated_at_most(reads: usize) -> usize {
    const SMALL: usize = 400_000;
    const LARGE: usize = 4_000_000;
    const OF_SMALL: usize = 9900;
    const OF_LARGE: usize = 1000;
    let above = reads.clamp(SMALL, LARGE) - SMALL;
    OF_SMALL - (OF_SMALL - OF_LARGE) * above / (LARGE - SMALL)
}

/// Variant and version that a document names; empty if it does not.
pub fn header(document: &Document) -> Result<(String, String), Vec<Finding>> {
    let mut reader = Reader::new(document);
    let mut header = (String::new(), String::new());
    if let Some(root) = document.root().filter(|root| !is_null(root)) {
        let pairs = reader.pairs(root, &Path::default()).unwrap_or_default();
        for (name, value) in pairs {
            let path = Path::default().key(&name);
            let target = match name.as_str() {
                "variant" => &mut header.0,
                "version" => &mut header.1,
                _ => continue,
            };
            if let Some(Tree { value: Value::Text(text), .. }) = reader.value(value, Shape::RequiredText, &path) {
                *target = text;
            }
        }
    }
    reader.finish(header)
}

/// The configuration that a document holds.
pub fn config(document: &Document, edition: Edition) -> Result<Record, Vec<Finding>> {
    let mut reader = Reader::new(document);
    reader.edition = Some(edition);
    let record = match document.root() {
        Some(root) => reader.record(root, &CONFIG, &Path::default()).unwrap_or_default(),
        None => Record::default(),
    };
    reader.finish(record)
}

/// Names and values, each name once.
#[derive(Default)]
struct Pairs {
    list: Vec<(String, Id)>,
    names: HashSet<String>,
}

struct Reader<'a> {
    document: &'a Document,
    edition: Option<Edition>,
    errors: Vec<Finding>,
    /// Aliases that are being followed.
    followed: Vec<Id>,
    reads: usize,
    aliased_reads: usize,
    gave_up: bool,
}

impl<'a> Reader<'a> {
    fn new(document: &'a Document) -> Self {
        Self {
            document,
            edition: None,
            errors: Vec::new(),
            followed: Vec::new(),
            // The document and its outermost value.
            reads: 2,
            aliased_reads: 0,
            gave_up: false,
        }
    }

    fn finish<T>(self, value: T) -> Result<T, Vec<Finding>> {
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors) }
    }

    fn error(&mut self, path: &Path, place: Place, message: String) {
        self.errors.push(Finding { severity: Severity::Error, message, path: path.to_string(), place: Some(place) });
    }

    /// The value of a field; none if it is not there or not of this type.
    fn value(&mut self, id: Id, shape: Shape, path: &Path) -> Option<Tree> {
        let node = self.document.node(id)?;
        if self.is_too_much(path, node) {
            return None;
        }
        if let Content::Alias(target) = node.content {
            return self.follow(id, target, path, |reader| reader.value(target, shape, path));
        }
        if is_null(node) {
            return None;
        }
        let value = match (shape, &node.content) {
            (Shape::Record(table) | Shape::GivenRecord(table), _) => Value::Record(self.record(node, table, path)?),
            (Shape::TextMap, Content::Map(_)) => self.text_map(node, path)?,
            (Shape::Texts, Content::List(entries)) => self.list(entries, Shape::RequiredText, path),
            (Shape::Records(table), Content::List(entries)) => self.list(entries, Shape::Record(table), path),
            (Shape::Texts | Shape::Records(_) | Shape::TextMap, _) | (_, Content::List(_) | Content::Map(_)) => {
                if let Content::Map(_) = node.content {
                    self.pairs(node, path)?;
                }
                return self.wrong_type(node, shape, path);
            }
            (_, Content::Scalar(text, _)) => self.scalar(node, text, shape, path)?,
            (_, Content::Alias(_)) => return None,
        };
        let tree = Tree { value, optional: shape.is_optional(), from: Some(path.clone()) };
        let is_nowhere = matches!(shape, Shape::Record(table) if !self.is_always_somewhere(table)) && tree.is_zero();
        Some(if is_nowhere { Tree { from: None, ..tree } } else { tree })
    }

    /// Whether the real tool knows where a record of this kind came from even if it says nothing.
    fn is_always_somewhere(&self, table: &Table) -> bool {
        match table.kind {
            Kind::Directory | Kind::File | Kind::Link => true,
            Kind::User | Kind::Unit | Kind::DropIn => self.edition.is_some_and(|edition| edition.level >= 5),
            _ => false,
        }
    }

    /// Reads what an alias stands for.
    fn follow<T>(
        &mut self,
        alias: Id,
        target: Id,
        path: &Path,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let place = self.document.node(alias).map(|node| node.place)?;
        if self.followed.contains(&target) {
            self.error(path, place, "stands for a value that contains it; write the value out".to_owned());
            self.gave_up = true;
            return None;
        }
        if self.followed.len() >= ALIASES_DEEP {
            self.error(path, place, format!("more than {ALIASES_DEEP} aliases inside of each other; write values out"));
            self.gave_up = true;
            return None;
        }
        self.followed.push(target);
        let value = read(self);
        self.followed.pop();
        value
    }

    /// Whether aliases multiply the document beyond reason.
    fn is_too_much(&mut self, path: &Path, node: &Node) -> bool {
        self.reads += 1;
        self.aliased_reads += usize::from(!self.followed.is_empty());
        let many = self.aliased_reads > FREE_ALIASED_READS && self.reads > FREE_READS;
        if !self.gave_up && many && self.aliased_reads * 10_000 > self.reads * repeated_at_most(self.reads) {
            self.error(path, node.place, "aliases repeat values too often; write them out".to_owned());
            self.gave_up = true;
        }
        self.gave_up
    }

    fn wrong_type<T>(&mut self, node: &Node, shape: Shape, path: &Path) -> Option<T> {
        let expected = match shape {
            Shape::Whole | Shape::PlainWhole => "a whole number",
            Shape::Flag => "true or false",
            Shape::Texts | Shape::Records(_) => "a list",
            Shape::Record(_) | Shape::GivenRecord(_) | Shape::TextMap => "fields with values",
            _ => "a text",
        };
        let found = match &node.content {
            Content::Scalar(text, _) => format!("{:?}", text.chars().take(60).collect::<String>()),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "fields with values".to_owned(),
            Content::Alias(_) => "an alias".to_owned(),
        };
        self.error(path, node.place, format!("expected {expected}, found {found}"));
        None
    }

    fn scalar(&mut self, node: &Node, text: &str, shape: Shape, path: &Path) -> Option<Value> {
        let meaning = match scalar(node) {
            Ok(meaning) => meaning,
            Err(message) => {
                self.error(path, node.place, message);
                return None;
            }
        };
        let value = match (shape, meaning) {
            (Shape::Flag, Scalar::Flag(flag)) => Some(Value::Flag(flag)),
            (Shape::Flag, Scalar::Text) => old_flag(text).map(Value::Flag),
            (Shape::Whole | Shape::PlainWhole, Scalar::Whole(number)) => i64::try_from(number).ok().map(Value::Whole),
            (Shape::Whole | Shape::PlainWhole, Scalar::Real(number)) => truncated(number).map(Value::Whole),
            (Shape::Flag | Shape::Whole | Shape::PlainWhole, _) => None,
            (_, Scalar::Binary(bytes)) => Some(match String::from_utf8(bytes) {
                Ok(text) => Value::Text(text),
                Err(error) => Value::Bytes(error.into_bytes()),
            }),
            _ => Some(Value::Text(text.to_owned())),
        };
        if value.is_none() { self.wrong_type(node, shape, path) } else { value }
    }

    fn list(&mut self, entries: &[Id], shape: Shape, path: &Path) -> Value {
        let mut list = Vec::with_capacity(entries.len());
        for entry in entries {
            // A record that says nothing is an entry all the same.
            let value = self.value(*entry, shape, &path.nth(list.len()));
            list.extend(value);
        }
        Value::List(list)
    }

    fn text_map(&mut self, node: &Node, path: &Path) -> Option<Value> {
        let mut pairs = Vec::new();
        for (name, value) in self.pairs(node, path)? {
            let path = path.key(&name);
            let is_null = self.document.node(value).is_some_and(is_null);
            let value = match self.value(value, Shape::RequiredText, &path) {
                Some(value) => value,
                None if is_null => Tree::new(Value::Text(String::new()), Some(&path)),
                None => continue,
            };
            pairs.push((name, value));
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let record = |(name, value): (String, Tree)| {
            let from = value.from.clone();
            let name = Tree::new(Value::Text(name), from.as_ref());
            Tree::new(Value::Record(Record::from_iter([("name", name), ("value", value)])), from.as_ref())
        };
        Some(Value::List(pairs.into_iter().map(record).collect()))
    }

    fn record(&mut self, node: &Node, table: &Table, path: &Path) -> Option<Record> {
        if is_null(node) {
            return None;
        }
        let Content::Map(_) = node.content else {
            return self.wrong_type(node, Shape::TextMap, path);
        };
        let pairs = self.pairs(node, path)?;
        let edition = self.edition?;
        let mut record = Record::default();
        for field in schema::known(table, edition) {
            let name = schema::name_in_yaml(field);
            let path = path.key(&name);
            let given = pairs.iter().filter(|(given, _)| *given == name).map(|(_, value)| *value);
            let values: Vec<Tree> = given.filter_map(|value| self.value(value, field.shape, &path)).collect();
            match (values.into_iter().next(), field.shape) {
                (Some(value), _) => record.set(field.name, value),
                (None, Shape::RequiredText | Shape::PlainText) => {
                    record.set(field.name, Tree::new(Value::Text(String::new()), Some(&path)));
                }
                (None, Shape::PlainWhole) => record.set(field.name, Tree::new(Value::Whole(0), Some(&path))),
                (None, _) => {}
            }
        }
        Some(record)
    }

    /// Names and values of a mapping, with those that `<<` brings in. None if a key stands there twice.
    fn pairs(&mut self, node: &Node, path: &Path) -> Option<Vec<(String, Id)>> {
        let mut pairs = Pairs::default();
        self.add_pairs(node, path, &mut pairs).then_some(pairs.list)
    }

    fn add_pairs(&mut self, node: &Node, path: &Path, pairs: &mut Pairs) -> bool {
        let Content::Map(own) = &node.content else {
            self.wrong_type::<()>(node, Shape::TextMap, path);
            return false;
        };
        if !self.keys_differ(own, path) {
            return false;
        }
        let mut merged = None;
        for (key, value) in own {
            let Some(key_node) = self.document.node(*key) else { continue };
            if is_merge(key_node) {
                merged = Some(*value);
                continue;
            }
            let name = match self.value(*key, Shape::RequiredText, path) {
                Some(Tree { value: Value::Text(name), .. }) => name,
                _ => continue,
            };
            if pairs.names.insert(name.clone()) {
                pairs.list.push((name, *value));
            }
        }
        if let Some(merged) = merged {
            self.merge(merged, path, pairs, true);
        }
        true
    }

    fn keys_differ(&mut self, pairs: &[(Id, Id)], path: &Path) -> bool {
        let mut known: HashSet<(u8, &str)> = HashSet::new();
        let mut differ = true;
        for (key, _) in pairs {
            let Some(node) = self.document.node(*key) else { continue };
            let kind = match node.content {
                Content::Scalar(..) => 0,
                Content::List(_) => 1,
                Content::Map(_) => 2,
                Content::Alias(_) => 3,
            };
            let text = self.document.text(*key);
            if !known.insert((kind, text)) {
                self.error(
                    &path.key(text),
                    node.place,
                    format!("the key {text:?} stands here twice; keep one of them"),
                );
                differ = false;
            }
        }
        differ
    }

    /// Adds what `<<` names: a mapping, or a list of mappings.
    fn merge(&mut self, id: Id, path: &Path, pairs: &mut Pairs, lists: bool) {
        let Some(node) = self.document.node(id) else { return };
        let (target, place) = match node.content {
            Content::Alias(target) => (self.document.node(target), node.place),
            _ => (Some(node), node.place),
        };
        match target.map(|node| (&node.content, node)) {
            Some((Content::Map(_), map)) => {
                let target = if let Content::Alias(target) = node.content { target } else { id };
                self.follow(id, target, path, |reader| reader.add_pairs(map, path, pairs).then_some(()));
            }
            Some((Content::List(entries), _)) if lists && matches!(node.content, Content::List(_)) => {
                for entry in entries {
                    self.merge(*entry, path, pairs, false);
                }
            }
            _ => self.error(path, place, "`<<` takes a mapping, an alias of one, or a list of such".to_owned()),
        }
    }
}

/// `yes` and `no` as YAML 1.1 had them.
fn old_flag(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "numbers for whole fields are cut off"
)]
fn truncated(number: f64) -> Option<i64> {
    (number <= i64::MAX as f64).then_some(number as i64)
}

fn is_null(node: &Node) -> bool {
    matches!(node.content, Content::Scalar(..)) && matches!(scalar(node), Ok(Scalar::Null))
}

fn is_merge(node: &Node) -> bool {
    let is_text = matches!(&node.content, Content::Scalar(text, _) if text == "<<");
    is_text && matches!(node.tag.as_str(), "" | "!" | "!!merge")
}
