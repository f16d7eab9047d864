//! Reading JSON into records, each value once: what a field takes, and what is said of a value that it does not take.

use serde_json::Value;

use super::super::error::{Fault, Problem, excerpt};
use super::super::problems::Problems;
use super::spec::path::At;

/// What there is to say about what was read.
#[derive(Debug, Default)]
pub struct Said {
    /// Paths of fields that the specification does not have.
    pub unknown: Vec<String>,
    /// What is wrong.
    pub problems: Problems,
}

/// Where the value of a field goes, which says what it takes. `null` is an absent field everywhere.
pub(super) enum Field<'a> {
    RequiredText(&'a mut String),
    Text(&'a mut Option<String>),
    Whole(&'a mut Option<i64>),
    Flag(&'a mut Option<bool>),
    Texts(&'a mut Vec<String>),
    Record(&'a mut dyn Record),
    Records(&'a mut dyn Records),
    /// Refused unless empty; the text is the way out.
    Refused(&'static str),
}

/// Something that has fields.
pub(super) trait Record {
    /// The field of this name, if there is one.
    fn field(&mut self, name: &str) -> Option<Field<'_>>;
}

/// A list of records.
pub(super) trait Records {
    /// A new record at the end.
    fn add(&mut self) -> &mut dyn Record;
}

impl<T: Record + Default> Records for Vec<T> {
    fn add(&mut self) -> &mut dyn Record {
        self.push_mut(T::default())
    }
}

/// Reads the fields of a record; what cannot be read is left as it was.
pub(super) fn read(record: &mut dyn Record, value: &Value, at: At<'_>, said: &mut Said) {
    let Value::Object(given) = value else { return said.problems.add(wrong_type("fields with values", value, at)) };
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        let at = At::Field(&at, name);
        match record.field(name) {
            Some(field) => {
                let read = read_field(field, value, at, said);
                said.problems.take(read);
            }
            None if is_empty(value) => {}
            None => said.unknown.push(excerpt(&at.to_string())),
        }
    }
}

fn read_field(field: Field<'_>, value: &Value, at: At<'_>, said: &mut Said) -> Result<(), Problem> {
    match (field, value) {
        (Field::RequiredText(field), value) => *field = text(value, at)?,
        (Field::Text(field), value) => *field = Some(text(value, at)?),
        (Field::Flag(field), Value::Bool(flag)) => *field = Some(*flag),
        (Field::Flag(_), _) => return Err(wrong_type("true or false", value, at)),
        (Field::Whole(field), Value::Number(number)) if number.is_i64() => *field = number.as_i64(),
        (Field::Whole(_), _) => return Err(wrong_type(&whole_number(value), value, at)),
        (Field::Record(record), value) => read(record, value, at, said),
        (Field::Texts(texts), Value::Array(entries)) => {
            let entries = entries.iter().enumerate();
            *texts = entries.map(|(index, entry)| text(entry, At::Entry(&at, index))).collect::<Result<_, _>>()?;
        }
        (Field::Records(records), Value::Array(entries)) => {
            for (index, entry) in entries.iter().enumerate() {
                let before = said.problems.len();
                read(records.add(), entry, At::Entry(&at, index), said);
                if said.problems.len() > before {
                    said.problems.in_entry(before, &at.to_string(), key(entry));
                }
                if said.problems.is_full() {
                    break;
                }
            }
        }
        (Field::Texts(_) | Field::Records(_), _) => return Err(wrong_type("a list", value, at)),
        (Field::Refused(_), value) if is_empty(value) => {}
        (Field::Refused(way_out), _) => return Err(Fault::Refused(way_out).at(at.to_string())),
    }
    Ok(())
}

fn text(value: &Value, at: At<'_>) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(wrong_type("a text", value, at)),
    }
}

/// The text by which an entry of a list is known; empty if it has none.
fn key(entry: &Value) -> &str {
    entry.get("path").or_else(|| entry.get("name")).and_then(Value::as_str).unwrap_or_default()
}

/// Whether nothing is said, as in the `security: {tls: {}}` that generators write.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

/// What a number is expected to be; modes are often written in octal.
fn whole_number(found: &Value) -> String {
    let octal = found.as_str().filter(|text| text.starts_with('0'));
    match octal.map(|text| (text, i64::from_str_radix(text, 8))) {
        Some((text, Ok(number))) => format!("a whole number in decimal ({number} is octal {text})"),
        _ => "a whole number".to_owned(),
    }
}

fn wrong_type(expected: &str, found: &Value, at: At<'_>) -> Problem {
    Fault::Type { expected: expected.to_owned(), found: excerpt(&found.to_string()) }.at(match at {
        At::Root => "spec.config".to_owned(),
        at => at.to_string(),
    })
}
