//! Whether an object has the shape of its kind: known fields, with values that the API server takes.
//!
//! Source of the rules: the schemas that the API server gets. Unknown fields are named, which the API server drops. What an
//! object reports of itself in `status` is written by no person, so only its types are looked at.

mod limits;
pub mod rules;

use serde_json::Value;

/// The field in which objects report of themselves.
const STATUS: &str = "status";

/// Who has written an object. An API server has let pass what a cluster answers, perhaps by rules that are older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A person.
    Person,
    /// An API server.
    Cluster,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Path of the field.
    pub field: String,
    /// What is wrong, with the way out.
    pub message: String,
    /// Whether the API server would drop the field instead of refusing the object.
    pub is_dropped: bool,
}

/// Everything in `value` that the schema does not allow, in the order of the value.
pub fn check(value: &Value, schema: &Value, field: &str, writer: Writer, misfits: &mut Vec<Misfit>) {
    if value.is_null() {
        return;
    }
    if let Some(expected) = wrong_type(value, schema) {
        let message = format!("expected {expected}, found {}", excerpt(value));
        misfits.push(Misfit { field: field.to_owned(), message, is_dropped: false });
        return;
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let allowed: Vec<String> = allowed.iter().map(text).collect();
        let message = format!("{} is not allowed; write {}", excerpt(value), allowed.join(" or "));
        misfits.push(Misfit { field: field.to_owned(), message, is_dropped: false });
    }
    if writer == Writer::Person && !field.starts_with(STATUS) {
        let faults = limits::faults(value, schema).into_iter();
        misfits.extend(faults.map(|message| Misfit { field: field.to_owned(), message, is_dropped: false }));
    }
    match value {
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                check(entry, &schema["items"], &format!("{field}[{index}]"), writer, misfits);
            }
        }
        Value::Object(fields) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if fields.get(name).is_none_or(Value::is_null) {
                    let message = "missing; the kind demands it".to_owned();
                    misfits.push(Misfit { field: inside(field, name), message, is_dropped: false });
                }
            }
            for (name, value) in fields {
                check_field(name, value, schema, (&inside(field, name), writer), misfits);
            }
        }
        _ => {}
    }
}

fn check_field(name: &str, value: &Value, schema: &Value, (field, writer): (&str, Writer), misfits: &mut Vec<Misfit>) {
    if let Some(known) = schema["properties"].get(name) {
        check(value, known, field, writer, misfits);
    } else if schema["additionalProperties"].is_object() {
        check(value, &schema["additionalProperties"], field, writer, misfits);
    } else if let Some(properties) = schema["properties"].as_object()
        && schema["x-kubernetes-preserve-unknown-fields"] != true
    {
        let mut known: Vec<&str> = properties.keys().map(String::as_str).collect();
        known.sort_unstable();
        let message = format!("is ignored: there is no field of this name; known are {}", known.join(", "));
        misfits.push(Misfit { field: field.to_owned(), message, is_dropped: true });
    }
}

fn inside(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

/// What the schema takes, if the value is something else.
fn wrong_type(value: &Value, schema: &Value) -> Option<&'static str> {
    if schema["x-kubernetes-int-or-string"] == true {
        let fits = value.is_string() || value.as_i64().is_some();
        return (!fits).then_some("a whole number or a text");
    }
    let (fits, expected) = match schema["type"].as_str()? {
        "object" => (value.is_object(), "fields with values"),
        "array" => (value.is_array(), "a list"),
        "string" => (value.is_string(), "a text; put quotes around it"),
        "boolean" => (value.is_boolean(), "true or false"),
        "integer" => (value.is_i64() || value.is_u64(), "a whole number"),
        "number" => (value.is_number(), "a number"),
        _ => return None,
    };
    (!fits).then_some(match (expected, value) {
        ("a text; put quotes around it", Value::Array(_) | Value::Object(_)) => "a text",
        (expected, _) => expected,
    })
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"))
}

/// The beginning of a value, short enough for a message.
fn excerpt(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"},
            "size": {"type": "integer"},
            "unavailable": {"x-kubernetes-int-or-string": true},
            "color": {"type": "string", "enum": ["red", "blue"]},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "list": {"type": "array", "items": {"type": "string", "maxLength": 3}},
            "status": {"type": "object", "properties": {"size": {"type": "integer", "maximum": 3}}},
        }})
    }

    #[rstest]
    #[case::all_is_well(json!({"name": "a", "size": 1, "unavailable": "10%", "free": {"x": [1]}, "list": ["a"]}), &[])]
    #[case::null_is_absent(json!({"name": "a", "size": null}), &[])]
    #[case::a_missing_field(json!({}), &["name: missing; the kind demands it"])]
    #[case::another_type(json!({"name": "a", "size": "1"}), &["size: expected a whole number, found \"1\""])]
    #[case::a_number_as_text(json!({"name": "a", "labels": {"x": 1}}),
        &["labels.x: expected a text; put quotes around it, found 1"])]
    #[case::an_entry(json!({"name": "a", "list": ["a", {}]}), &["list[1]: expected a text, found {}"])]
    #[case::another_value(json!({"name": "a", "color": "green"}),
        &["color: \"green\" is not allowed; write \"red\" or \"blue\""])]
    #[case::an_unknown_field(json!({"name": "a", "sice": 1}), &["sice: is ignored: there is no field of this name; \
        known are color, free, labels, list, name, size, status, unavailable"])]
    #[case::an_entry_that_is_too_long(json!({"name": "a", "list": ["abcd"]}),
        &["list[0]: has 4 characters, and may have 3 at most"])]
    #[case::what_an_object_reports(json!({"name": "a", "status": {"size": 4}}), &[])]
    fn misfits_are_named(#[case] value: Value, #[case] expected: &[&str]) {
        let mut misfits = Vec::new();
        check(&value, &schema(), "", Writer::Person, &mut misfits);
        let found: Vec<String> = misfits.iter().map(|each| format!("{}: {}", each.field, each.message)).collect();
        assert_eq!(found, expected);
    }
}
