//! How large a value may be and how a text looks, by the schema of its field.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use super::{excerpt, text};

/// What is wrong with a value that has the right type.
pub fn faults(value: &Value, schema: &Value) -> Vec<String> {
    match value {
        Value::Number(number) => of_number(number.as_f64().unwrap_or_default(), schema),
        Value::String(given) => of_text(given, schema),
        Value::Array(entries) => of_list(entries, schema),
        Value::Object(fields) => of_size(fields.len(), schema, ["minProperties", "maxProperties"], "fields"),
        _ => Vec::new(),
    }
}

fn of_number(number: f64, schema: &Value) -> Vec<String> {
    let least = schema["minimum"].as_f64().filter(|least| number < *least);
    let most = schema["maximum"].as_f64().filter(|most| number > *most);
    let least = least.map(|least| format!("{number} is too small; write {least} or more"));
    least.into_iter().chain(most.map(|most| format!("{number} is too large; write {most} or less"))).collect()
}

fn of_text(given: &str, schema: &Value) -> Vec<String> {
    let mut faults = of_size(given.chars().count(), schema, ["minLength", "maxLength"], "characters");
    let pattern = schema["pattern"].as_str();
    // A pattern that cannot be read is no mistake of the person who wrote the object.
    let reads = pattern.and_then(|pattern| Regex::new(pattern).ok());
    if let Some((pattern, _)) = pattern.zip(reads).filter(|(_, reads)| !reads.is_match(given)) {
        faults.push(format!("{} does not match {pattern}", excerpt(&Value::from(given))));
    }
    faults
}

fn of_list(entries: &[Value], schema: &Value) -> Vec<String> {
    let mut faults = of_size(entries.len(), schema, ["minItems", "maxItems"], "entries");
    let keys: Vec<&str> =
        schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let key = |entry: &Value| match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Some(text(entry)),
        Some("map") => {
            let values = keys.iter().map(|key| entry.get(*key).or(schema["items"]["properties"][*key].get("default")));
            Some(values.map(|value| value.map(text).unwrap_or_default()).collect::<Vec<_>>().join(", "))
        }
        _ => None,
    };
    let mut known = BTreeSet::new();
    let twice = entries.iter().filter_map(key).filter(|key| !known.insert(key.clone()));
    faults.extend(twice.map(|key| format!("has {key} twice; keep one of them")));
    faults
}

fn of_size(size: usize, schema: &Value, [least, most]: [&str; 2], what: &str) -> Vec<String> {
    let limit = |name: &str| schema[name].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let least = limit(least).filter(|least| size < *least);
    let most = limit(most).filter(|most| size > *most);
    let least = least.map(|least| format!("has {size} {what}, and needs {least} or more"));
    least.into_iter().chain(most.map(|most| format!("has {size} {what}, and may have {most} at most"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::a_number_in_between(json!(5), json!({"minimum": 0, "maximum": 9}), &[])]
    #[case::too_small(json!(-5), json!({"minimum": 0}), &["-5 is too small; write 0 or more"])]
    #[case::too_large(json!(10), json!({"maximum": 9}), &["10 is too large; write 9 or less"])]
    #[case::characters_and_not_bytes(json!("äöü"), json!({"maxLength": 3}), &[])]
    #[case::too_short(json!(""), json!({"minLength": 1}), &["has 0 characters, and needs 1 or more"])]
    #[case::too_long(json!("abcd"), json!({"maxLength": 3}), &["has 4 characters, and may have 3 at most"])]
    #[case::as_the_pattern(json!("Managed"), json!({"pattern": "^(Managed|Removed)$"}), &[])]
    #[case::not_as_the_pattern(json!("managed"), json!({"pattern": "^(Managed|Removed)$"}),
        &["\"managed\" does not match ^(Managed|Removed)$"])]
    #[case::too_many(json!([1, 2]), json!({"maxItems": 1}), &["has 2 entries, and may have 1 at most"])]
    #[case::too_many_fields(json!({"a": 1, "b": 1}), json!({"maxProperties": 1}), &["has 2 fields, and may have 1 at most"])]
    #[case::a_list_of_anything(json!([1, 1]), json!({"x-kubernetes-list-type": "atomic"}), &[])]
    #[case::a_set(json!(["a", "a"]), json!({"x-kubernetes-list-type": "set"}), &["has \"a\" twice; keep one of them"])]
    #[case::a_map(json!([{"a": "x", "b": 1}, {"a": "y"}, {"a": "x", "b": 2}]),
        json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]}), &["has \"x\" twice; keep one of them"])]
    fn values_and_their_limits(#[case] value: Value, #[case] schema: Value, #[case] expected: &[&str]) {
        assert_eq!(faults(&value, &schema), expected);
    }
}
