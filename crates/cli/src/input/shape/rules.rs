//! The rules in CEL that a schema has, as an API server applies them to an object that is new.
//!
//! Rules that compare with what was there before say nothing about a new object. The functions are those that Kubernetes adds to CEL,
//! as far as our definitions use them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use cel::extractors::This;
use cel::objects::OptionalValue;
use cel::{Context, Program, Value as CelValue};
use serde_json::{Map, Value};

use super::super::metadata;
use super::{Misfit, STATUS, inside};

/// Factors of the suffixes of quantities.
const SUFFIXES: [(&str, f64); 15] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The rules that an object of this schema breaks.
pub fn check(object: &Value, schema: &Value, misfits: &mut Vec<Misfit>) {
    check_value(&filled(object, schema), schema, "", misfits);
}

/// The object as the API server sees it: without `null`, and with what is there by default.
fn filled(value: &Value, schema: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let of_field = |name: &str| schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
            let given = fields.iter().filter(|(_, value)| !value.is_null());
            let mut all: Map<String, Value> =
                given.map(|(name, value)| (name.clone(), filled(value, of_field(name)))).collect();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(value) = field.get("default").filter(|_| !all.contains_key(name)) {
                    all.insert(name.clone(), value.clone());
                }
            }
            Value::Object(all)
        }
        Value::Array(entries) => entries.iter().map(|entry| filled(entry, &schema["items"])).collect(),
        plain => plain.clone(),
    }
}

fn check_value(value: &Value, schema: &Value, field: &str, misfits: &mut Vec<Misfit>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let text = |key: &str| rule[key].as_str().unwrap_or_default();
        let compares = text("rule").contains("oldSelf") && rule["optionalOldSelf"] != true;
        if !compares && holds(text("rule"), value) == Some(false) {
            let message = text("message").to_owned();
            misfits.push(Misfit { field: field.to_owned(), message, is_dropped: false });
        }
    }
    match value {
        Value::Object(fields) => {
            // What an object reports of itself is nothing that people write.
            for (name, value) in fields.iter().filter(|(name, _)| !field.is_empty() || *name != STATUS) {
                let of_field = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                check_value(value, of_field, &inside(field, name), misfits);
            }
        }
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                check_value(entry, &schema["items"], &format!("{field}[{index}]"), misfits);
            }
        }
        _ => {}
    }
}

/// Whether a rule holds for a value; none if that cannot be said here.
fn holds(rule: &str, value: &Value) -> Option<bool> {
    let program = program(rule)?;
    let mut context = context()?;
    context.add_variable("self", cel::to_value(value).ok()?).ok()?;
    match program.execute(&context).ok()? {
        CelValue::Bool(holds) => Some(holds),
        _ => None,
    }
}

/// A rule, read once: one stands in many places.
fn program(rule: &str) -> Option<Rc<Program>> {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<String, Rc<Program>>> = const { RefCell::new(BTreeMap::new()) };
    }
    KNOWN.with_borrow_mut(|known| match known.get(rule) {
        Some(program) => Some(Rc::clone(program)),
        None => {
            let program = Rc::new(Program::compile(rule).ok()?);
            known.insert(rule.to_owned(), Rc::clone(&program));
            Some(program)
        }
    })
}

/// What Kubernetes adds to the language.
fn context() -> Option<Context<'static, 'static>> {
    let mut context = Context::default();
    context.add_variable_from_value("format", CelValue::Null);
    context.add_variable_from_value("oldSelf", optional(None));
    for format in ["dns1123Subdomain", "dns1123Label", "dns1035Label"] {
        context.add_function(format, move |_: This<CelValue>| format.to_owned()).ok()?;
    }
    context.add_function("validate", validate).ok()?;
    context.add_function("split", split).ok()?;
    context.add_function("quantity", |text: Arc<String>| quantity(&text).unwrap_or(f64::NAN)).ok()?;
    context.add_function("compareTo", |This(own): This<f64>, other: f64| own.total_cmp(&other) as i64).ok()?;
    Some(context)
}

fn optional(value: Option<CelValue>) -> CelValue {
    CelValue::Opaque(Arc::new(value.map_or_else(OptionalValue::none, OptionalValue::of)))
}

/// What is wrong with a text of this format, if anything is.
fn validate(This(format): This<Arc<String>>, text: Arc<String>) -> CelValue {
    let is_label = text.len() <= 63 && metadata::is_name_part(&text);
    let fits = match format.as_str() {
        "dns1123Subdomain" => metadata::is_name(&text),
        "dns1035Label" => is_label && text.starts_with(|first: char| first.is_ascii_lowercase()),
        _ => is_label,
    };
    optional((!fits).then(|| CelValue::String(format)))
}

fn split(This(text): This<Arc<String>>, separator: Arc<String>) -> CelValue {
    let parts = text.split(separator.as_str()).map(|part| CelValue::String(Arc::new(part.to_owned())));
    CelValue::List(Arc::new(parts.collect()))
}

/// The number that a quantity such as `500m` or `2Gi` stands for.
fn quantity(text: &str) -> Option<f64> {
    let suffixed = SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (number, factor) = suffixed.unwrap_or((text, 1.0));
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    /// Whether each rule of our definitions that a new object can break is one that can be evaluated: an error while it is
    /// evaluated would let everything pass. That the answers are those of an API server, tests/rules shows.
    #[test]
    fn every_rule_is_read() {
        fn rules(schema: &Value, all: &mut Vec<String>) {
            match schema {
                Value::Object(fields) => {
                    let own = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
                    all.extend(own.filter_map(|rule| rule["rule"].as_str()).map(str::to_owned));
                    fields.values().for_each(|value| rules(value, all));
                }
                Value::Array(entries) => entries.iter().for_each(|entry| rules(entry, all)),
                _ => {}
            }
        }
        let mut all = Vec::new();
        rules(&serde_json::to_value(onlay_api::crds().unwrap()).unwrap(), &mut all);
        assert!(all.len() > 50);
        for rule in all {
            assert!(Program::compile(&rule).is_ok(), "{rule}");
        }
    }

    #[rstest]
    #[case::less("500m", "1", -1)]
    #[case::equal("1Gi", "1024Mi", 0)]
    #[case::more("1.5k", "1e3", 1)]
    fn quantities_are_compared(#[case] a: &str, #[case] b: &str, #[case] order: i64) {
        let rule = format!("quantity('{a}').compareTo(quantity('{b}')) == {order}");
        assert_eq!(holds(&rule, &Value::Null), Some(true));
    }

    #[test]
    fn what_is_there_by_default_is_seen_and_null_is_not() {
        let schema = json!({"properties": {"type": {"default": "Node"}}, "x-kubernetes-validations": [
            {"rule": "self.type == 'Node' ? !has(self.claim) : has(self.claim)", "message": "no claim"}]});
        let broken = |object: Value| {
            let mut misfits = Vec::new();
            check(&object, &schema, &mut misfits);
            misfits.len()
        };
        assert_eq!(
            [json!({}), json!({"claim": null}), json!({"claim": {}}), json!({"type": "Volume"})].map(broken),
            [0, 0, 1, 1]
        );
    }
}
