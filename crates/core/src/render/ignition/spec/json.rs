//! Writing a configuration as JSON, in the order of the tables.
//!
//! Source of the format: Ignition's own output. `<`, `>`, `&` and the separators U+2028 and U+2029 are written as `\u`
//! escapes; what says nothing is left out.

use serde_json::{Map, Value as Json};

use super::fields::{Minor, Shape, Table};
use super::path::{At, Path};
use super::tree::{Record, Tree, Value};

/// A record as one line, or with two spaces of indent a level.
pub fn to_text(table: &Table, minor: Minor, record: &Record, pretty: bool) -> String {
    let mut text = String::new();
    write(&to_fields(table, minor, record), pretty, 0, &mut text);
    text
}

/// A record as a JSON value, whose fields have no order.
pub fn to_value(table: &Table, minor: Minor, record: &Record) -> Json {
    unordered(to_fields(table, minor, record))
}

/// A configuration that was read, and what in it is unknown.
#[derive(Debug, Default)]
pub struct Read {
    /// The known fields.
    pub record: Record,
    /// Paths of all others.
    pub unknown: Vec<Path>,
    /// Whether the text is `null`, which says nothing.
    pub is_null: bool,
}

/// Reads a record from JSON. An error says what is no JSON or of another type, and where.
pub fn from_text(table: &Table, minor: Minor, text: &[u8]) -> Result<Read, String> {
    let value: Json = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    from_value(table, minor, &value)
}

/// Reads a record from a JSON value. An error says what is of another type, and where.
pub fn from_value(table: &Table, minor: Minor, value: &Json) -> Result<Read, String> {
    let mut unknown = Vec::new();
    let record = match value {
        Json::Null => Record::default(),
        Json::Object(fields) => read_record(table, minor, fields, &At::Root, &mut unknown)?,
        _ => return Err("expected fields with values at $".to_owned()),
    };
    Ok(Read { record, unknown, is_null: value.is_null() })
}

fn read_record(
    table: &Table,
    minor: Minor,
    given: &Map<String, Json>,
    at: &At<'_>,
    unknown: &mut Vec<Path>,
) -> Result<Record, String> {
    let mut record = Record::default();
    for (name, value) in given {
        let field = table.fields(minor).find(|field| field.name.eq_ignore_ascii_case(name));
        let is_known = field.is_some_and(|field| field.name == name);
        let at = At::Field(at, name);
        if !is_known {
            unknown.push(at.path());
        }
        let Some(field) = field else { continue };
        // What lies below a name in other letters is read, but nobody knows it by its path.
        let unknown = if is_known { &mut *unknown } else { &mut Vec::new() };
        if let Some(value) = read(field.shape, minor, value, &at, unknown)? {
            record.set(field.name, Tree { value, optional: field.shape.is_optional(), from: None });
        }
    }
    Ok(record)
}

fn read(
    shape: Shape,
    minor: Minor,
    json: &Json,
    at: &At<'_>,
    unknown: &mut Vec<Path>,
) -> Result<Option<Value>, String> {
    let value = match (shape, json) {
        (_, Json::Null) => return Ok(None),
        (Shape::Text | Shape::RequiredText | Shape::PlainText | Shape::NullText, Json::String(text)) => {
            Value::Text(text.clone())
        }
        (Shape::Whole | Shape::PlainWhole, Json::Number(number)) => {
            Value::Whole(number.as_i64().ok_or_else(|| format!("expected a whole number at {}", at.path()))?)
        }
        (Shape::Flag, Json::Bool(flag)) => Value::Flag(*flag),
        (Shape::Record(table) | Shape::GivenRecord(table), Json::Object(fields)) => {
            Value::Record(read_record(table, minor, fields, at, unknown)?)
        }
        (Shape::Texts | Shape::Records(_), Json::Array(entries)) => {
            let mut list = Vec::with_capacity(entries.len());
            for (index, entry) in entries.iter().enumerate() {
                let each = shape.table().map_or(Shape::RequiredText, Shape::Record);
                let none =
                    || shape.table().map_or_else(|| Value::Text(String::new()), |_| Value::Record(Record::default()));
                let value = read(each, minor, entry, &At::Entry(at, index), unknown)?.unwrap_or_else(none);
                list.push(Tree::new(value, None));
            }
            Value::List(list)
        }
        _ => return Err(format!("a value of another type at {}", at.path())),
    };
    Ok(Some(value))
}

/// JSON whose fields have an order.
enum Ordered {
    Scalar(Json),
    List(Vec<Ordered>),
    Fields(Vec<(String, Ordered)>),
}

fn to_fields(table: &Table, minor: Minor, record: &Record) -> Ordered {
    let fields = table.fields(minor).filter_map(|field| {
        let value = record.get(field.name);
        Some((field.name.to_owned(), to_ordered(field.shape, minor, value)?))
    });
    Ordered::Fields(fields.collect())
}

/// The value of a field; none if it is left out.
fn to_ordered(shape: Shape, minor: Minor, value: Option<&Tree>) -> Option<Ordered> {
    match shape {
        Shape::RequiredText => Some(Ordered::Scalar(value.map_or_else(|| Json::from(""), scalar))),
        Shape::NullText => Some(Ordered::Scalar(value.map_or(Json::Null, scalar))),
        Shape::PlainText | Shape::PlainWhole => {
            value.filter(|value| !value.is_zero()).map(|value| Ordered::Scalar(scalar(value)))
        }
        Shape::Text | Shape::Whole | Shape::Flag => value.map(|value| Ordered::Scalar(scalar(value))),
        Shape::Record(table) => {
            let record = value?.as_record()?;
            (!is_empty(record)).then(|| to_fields(table, minor, record))
        }
        Shape::GivenRecord(table) => Some(to_fields(table, minor, value?.as_record()?)),
        Shape::Texts | Shape::Records(_) => {
            let entries = value?.entries();
            let entry = |entry: &Tree| match (shape.table(), entry.as_record()) {
                (Some(table), Some(record)) => to_fields(table, minor, record),
                _ => Ordered::Scalar(scalar(entry)),
            };
            (!entries.is_empty()).then(|| Ordered::List(entries.iter().map(entry).collect()))
        }
        Shape::TextMap => {
            let record = value?.entries().iter().filter_map(Tree::as_record);
            let fields: Vec<_> = record
                .map(|pair| (pair.text("name").to_owned(), Ordered::Scalar(Json::from(pair.text("value")))))
                .collect();
            (!fields.is_empty()).then_some(Ordered::Fields(fields))
        }
    }
}

/// Whether nothing of a record would be written, so that it is left out itself.
fn is_empty(record: &Record) -> bool {
    record.iter().all(|(_, value)| match &value.value {
        Value::List(entries) => entries.is_empty(),
        Value::Record(record) => is_empty(record) && !value.optional,
        _ => value.is_zero(),
    })
}

fn scalar(tree: &Tree) -> Json {
    match &tree.value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Whole(number) => Json::from(*number),
        Value::Flag(flag) => Json::from(*flag),
        Value::Bytes(_) | Value::List(_) | Value::Record(_) => Json::Null,
    }
}

fn unordered(value: Ordered) -> Json {
    match value {
        Ordered::Scalar(scalar) => scalar,
        Ordered::List(entries) => Json::Array(entries.into_iter().map(unordered).collect()),
        Ordered::Fields(fields) => {
            Json::Object(fields.into_iter().map(|(name, value)| (name, unordered(value))).collect::<Map<_, _>>())
        }
    }
}

fn write(value: &Ordered, pretty: bool, level: usize, out: &mut String) {
    let line = |out: &mut String, level: usize| {
        if pretty {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", level));
        }
    };
    match value {
        Ordered::Scalar(scalar) => out.push_str(&escaped(scalar)),
        Ordered::List(entries) => {
            out.push('[');
            for (index, entry) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                line(out, level + 1);
                write(entry, pretty, level + 1, out);
            }
            line(out, level);
            out.push(']');
        }
        Ordered::Fields(fields) => {
            out.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                line(out, level + 1);
                out.push_str(&escaped(&Json::from(name.as_str())));
                out.push_str(if pretty { ": " } else { ":" });
                write(value, pretty, level + 1, out);
            }
            if !fields.is_empty() {
                line(out, level);
            }
            out.push('}');
        }
    }
}

fn escaped(scalar: &Json) -> String {
    let mut text = String::new();
    for c in scalar.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", c as u32)),
            c => text.push(c),
        }
    }
    text
}
