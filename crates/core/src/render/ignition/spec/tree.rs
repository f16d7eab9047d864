//! A configuration as a tree of values, each of which knows the place in the source that it came from.

use super::path::{Path, Step};

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The value.
    pub value: Value,
    /// Whether the field can be left out, so that an empty value says something else than no value.
    pub optional: bool,
    /// Path in the source; none for what nobody wrote.
    pub from: Option<Path>,
}

/// A value of any shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A text that is no UTF-8, as YAML's `!!binary` gives it; configurations of Ignition have none.
    Bytes(Vec<u8>),
    /// A whole number.
    Whole(i64),
    /// True or false.
    Flag(bool),
    /// A list.
    List(Vec<Tree>),
    /// Fields with values, in the order of the table.
    Record(Record),
}

/// Fields with values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record(Vec<(&'static str, Tree)>);

impl Value {
    /// A text of bytes, each byte that is part of no character replaced.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
        }
        Self::Text(text)
    }
}

impl Tree {
    /// A required value.
    pub fn new(value: Value, from: Option<&Path>) -> Self {
        Self { value, optional: false, from: from.cloned() }
    }

    /// A value that could have been left out.
    pub fn given(value: Value, from: Option<&Path>) -> Self {
        Self { value, optional: true, from: from.cloned() }
    }

    /// The text, if it is one and UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of the text, if it is one.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Text(text) => Some(text.as_bytes()),
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The entries of a list; none for anything else.
    pub fn entries(&self) -> &[Tree] {
        match &self.value {
            Value::List(entries) => entries,
            _ => &[],
        }
    }

    /// The fields of a record, if it is one.
    pub fn as_record(&self) -> Option<&Record> {
        match &self.value {
            Value::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Whether it says nothing: an empty required value, or a record of such. A list says something even when empty.
    pub fn is_zero(&self) -> bool {
        match &self.value {
            _ if self.optional => false,
            Value::Text(text) => text.is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Whole(number) => *number == 0,
            Value::Flag(flag) => !flag,
            Value::List(_) => false,
            Value::Record(record) => record.is_zero(),
        }
    }

    /// The value at a path below.
    pub fn find(&self, steps: &[Step]) -> Option<&Tree> {
        let Some((first, rest)) = steps.split_first() else { return Some(self) };
        let next = match (first, &self.value) {
            (Step::Name(name), Value::Record(record)) => record.get(name),
            (Step::Index(index), Value::List(entries)) => entries.get(*index),
            _ => None,
        };
        next?.find(rest)
    }
}

impl Record {
    /// A record without fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of a field, if it is there.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Whether no field is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tree> {
        self.0.iter_mut().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Takes a field out.
    pub fn take(&mut self, name: &str) -> Option<Tree> {
        let index = self.0.iter().position(|(field, _)| *field == name)?;
        Some(self.0.remove(index).1)
    }

    /// Sets a field, in place of what it was. Order is the table's business: see [`super::fields`].
    pub fn set(&mut self, name: &'static str, value: Tree) {
        match self.get_mut(name) {
            Some(field) => *field = value,
            None => self.0.push((name, value)),
        }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Tree)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Tree> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Names and values, taken apart.
    pub fn into_fields(self) -> impl Iterator<Item = (&'static str, Tree)> {
        self.0.into_iter()
    }

    /// Whether no field says anything.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|(_, value)| value.is_zero())
    }

    /// A text; empty if absent.
    pub fn text(&self, name: &str) -> &str {
        self.given_text(name).unwrap_or_default()
    }

    /// A text, if the field is there.
    pub fn given_text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Tree::as_text)
    }

    /// A number, if the field is there.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.get(name)?.value {
            Value::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// Whether a field is true.
    pub fn is_true(&self, name: &str) -> bool {
        self.flag(name) == Some(true)
    }

    /// A flag, if the field is there.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// The entries of a list; none if absent.
    pub fn list(&self, name: &str) -> &[Tree] {
        self.get(name).map(Tree::entries).unwrap_or_default()
    }

    /// A record below, if the field is there.
    pub fn record(&self, name: &str) -> Option<&Record> {
        self.get(name).and_then(Tree::as_record)
    }
}

impl FromIterator<(&'static str, Tree)> for Record {
    fn from_iter<I: IntoIterator<Item = (&'static str, Tree)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}
