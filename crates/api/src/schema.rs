//! How the types of this crate become the schemas of CustomResourceDefinitions.
//!
//! The compatible API fixes the structure: an absent value is never `null` (fields say so where it is), and reading a
//! missing field as some value does not make the API server write that value. The functions here are the shapes that
//! many fields share; rules and messages are those of the compatible API.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// What the type of a condition looks like.
pub(crate) const CONDITION_TYPE: &str =
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
/// What the reason of a condition looks like.
pub(crate) const CONDITION_REASON: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
/// What the name of a host looks like.
pub(crate) const HOST_NAME: &str = r"^([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9]))*$";

const SUBDOMAIN_RULE: &str = "!format.dns1123Subdomain().validate(self).hasValue()";
const DIGEST_RULE: &str = "(self.split('@').size() == 2 && self.split('@')[1].matches('^sha256:[a-f0-9]{64}$'))";
pub(crate) const DIGEST_MESSAGE: &str =
    "the OCI Image reference must end with a valid '@sha256:<digest>' suffix, where '<digest>' is 64 characters long";

/// Key of a field's default that the API server writes; every other default only helps reading.
const SERVER_DEFAULT: &str = "x-server-default";

/// Any JSON object.
pub(crate) fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Any text.
pub(crate) fn string(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string"})
}

/// A point in time.
pub(crate) fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// A number, or text.
pub(crate) fn int_or_string(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true})
}

/// The name of an object.
pub(crate) fn subdomain(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        &[(
            SUBDOMAIN_RULE,
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
         and end with an alphanumeric character.",
        )],
    )
}

/// The name of a stream of base images.
pub(crate) fn stream_name(_: &mut SchemaGenerator) -> Schema {
    at_least_one(text(
        253,
        &[(
            SUBDOMAIN_RULE,
            "a RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end \
         with an alphanumeric character.",
        )],
    ))
}

/// The name of a namespace.
pub(crate) fn dns1123_label(_: &mut SchemaGenerator) -> Schema {
    at_least_one(text(
        63,
        &[(
            "!format.dns1123Label().validate(self).hasValue()",
            "the value must consist of only lowercase alphanumeric characters and hyphens",
        )],
    ))
}

/// The plural name of a resource.
pub(crate) fn dns1035_label(_: &mut SchemaGenerator) -> Schema {
    at_least_one(text(
        63,
        &[(
            "!format.dns1035Label().validate(self).hasValue()",
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
         character, and end with an alphanumeric character",
        )],
    ))
}

/// An image to push, by tag.
pub(crate) fn push_spec(_: &mut SchemaGenerator) -> Schema {
    at_least_one(text(
        447,
        &[(
            r"self.matches('^([a-zA-Z0-9-]+\\.)+[a-zA-Z0-9-]+(:[0-9]{2,5})?(/[a-zA-Z0-9-_]{1,61})*/[a-zA-Z0-9-_.]+:[a-zA-Z0-9._-]+$') || self.matches('^[^.]+\\.[^.]+\\.svc:\\d+\\/[^\\/]+\\/[^\\/]+:[^\\/]+$')",
            "the OCI Image name should follow the host[:port][/namespace]/name format, resembling a valid URL without the \
         scheme. Or it must be a valid .svc followed by a port, repository, image name, and tag.",
        )],
    ))
}

/// An image that was pushed, by digest.
pub(crate) fn digested_image(_: &mut SchemaGenerator) -> Schema {
    at_least_one(text(
        447,
        &[
            (DIGEST_RULE, DIGEST_MESSAGE),
            (
                r"(self.split('@')[0].matches('^([a-zA-Z0-9-]+\\.)+[a-zA-Z0-9-]+(:[0-9]{2,5})?/([a-zA-Z0-9-_]{0,61}/)?[a-zA-Z0-9-_.]*?$'))",
                "the OCI Image name should follow the host[:port][/namespace]/name format, resembling a valid URL without \
             the scheme",
            ),
        ],
    ))
}

/// An image of a release bundle, by digest.
pub(crate) fn release_image(_: &mut SchemaGenerator) -> Schema {
    at_least_one(text(
        447,
        &[
            (DIGEST_RULE, DIGEST_MESSAGE),
            (
                r"(self.split('@')[0].matches('^(localhost|([a-zA-Z0-9-]+\\.)+[a-zA-Z0-9-]+)(:[0-9]{2,5})?/([a-zA-Z0-9-_]{0,61}/)?[a-zA-Z0-9-_.]*?$'))",
                "the OCI Image name should follow the host[:port][/namespace]/name format, resembling a valid URL without \
             the scheme; host must be either 'localhost' or a dot-qualified domain name",
            ),
        ],
    ))
}

/// An image on a node, by digest; unlike those that builds push, it may have come from anywhere.
pub(crate) fn pinned_image(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 1024, "pattern": "^[^@\\s]+@sha256:[a-f0-9]{64}$"})
}

/// A manifest digest.
pub(crate) fn digest(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 71, "pattern": "^sha256:[a-f0-9]{64}$"})
}

/// The name of a Secret.
pub(crate) fn secret_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// The identity of a boot.
pub(crate) fn boot_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 36,
        "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    })
}

/// A selector of objects by their labels.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that an object must have.",
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
            "matchExpressions": {
                "description": "Statements about labels that must all hold.",
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One statement about one label.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"description": "Name of the label.", "type": "string"},
                        "operator": {"description": "In, NotIn, Exists or DoesNotExist.", "type": "string"},
                        "values": {
                            "description": "Values for In and NotIn.",
                            "type": "array",
                            "x-kubernetes-list-type": "atomic",
                            "items": {"type": "string"},
                        },
                    },
                },
            },
        },
    })
}

/// A list of references to objects.
pub(crate) fn object_references(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "atomic",
        "items": {
            "description": "Names one object.",
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "properties": {
                "apiVersion": {"description": "API version of the object.", "type": "string"},
                "fieldPath": {"description": "The part of the object that is meant.", "type": "string"},
                "kind": {"description": "Kind of the object.", "type": "string"},
                "name": {"description": "Name of the object.", "type": "string"},
                "namespace": {"description": "Namespace of the object.", "type": "string"},
                "resourceVersion": {"description": "Resource version of the object.", "type": "string"},
                "uid": {"description": "UID of the object.", "type": "string"},
            },
        },
    })
}

/// How much is logged.
pub(crate) fn log_level(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["", "Normal", "Debug", "Trace", "TraceAll"], "x-server-default": "Normal"})
}

/// The name of a unit.
pub(crate) fn unit_name(_: &mut SchemaGenerator) -> Schema {
    text(
        255,
        &[
            (
                r"self.matches('\\.(service|socket|device|mount|automount|swap|target|path|timer|snapshot|slice|scope)$')",
                "Invalid ${SERVICETYPE} in service name. Expected format is ${NAME}${SERVICETYPE}, where ${SERVICETYPE} \
             must be one of \".service\", \".socket\", \".device\", \".mount\", \".automount\", \".swap\", \".target\", \
             \".path\", \".timer\",\".snapshot\", \".slice\" or \".scope\".",
            ),
            (
                r"self.matches('^[a-zA-Z0-9:._\\\\-]+\\..')",
                "Invalid ${NAME} in service name. Expected format is ${NAME}${SERVICETYPE}, where {NAME} must be atleast \
             1 character long and can only consist of alphabets, digits, \":\", \"-\", \"_\", \".\", and \"\\\"",
            ),
        ],
    )
}

/// Rules of a list of actions: some of them stand alone.
pub(crate) fn alone_rules() -> Value {
    let rule = |alone: &str| {
        json!({
            "rule": format!("self.exists(x, x.type=='{alone}') ? size(self) == 1 : true"),
            "message": format!("{alone} action can only be specified standalone, as it will override any other actions"),
        })
    };
    json!([rule("Reboot"), rule("None")])
}

/// Rules of an action: it names a unit exactly if it does something to one.
pub(crate) fn service_rules() -> Value {
    let rule = |kind: &str, field: &str| {
        json!({
            "rule": format!("has(self.type) && self.type == '{kind}' ? has(self.{field}) : !has(self.{field})"),
            "message": format!("{field} is required when type is {kind}, and forbidden otherwise"),
        })
    };
    json!([rule("Reload", "reload"), rule("Restart", "restart")])
}

fn text(max: u32, rules: &[(&str, &str)]) -> Schema {
    let rules: Vec<Value> = rules.iter().map(|(rule, message)| json!({"rule": rule, "message": message})).collect();
    json_schema!({"type": "string", "maxLength": max, "x-kubernetes-validations": rules})
}

fn at_least_one(mut schema: Schema) -> Schema {
    schema.insert("minLength".to_owned(), 1.into());
    schema
}

/// The structural schema of a type.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.with_transform(Structural).into_generator().into_root_schema_for::<T>().to_value()
}

/// Rewrites what schemars writes into what Kubernetes calls a structural schema.
#[derive(Debug, Clone)]
struct Structural;

impl Transform for Structural {
    fn transform(&mut self, schema: &mut Schema) {
        schema.remove("title");
        schema.remove("default");
        if let Some(default) = schema.remove(SERVER_DEFAULT) {
            schema.insert("default".to_owned(), default);
        }
        drop_null(schema);
        hoist_enum(schema);
        transform_subschemas(self, schema);
    }
}

/// An optional field is one that may be absent.
fn drop_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|type_| type_ != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(any_of)) = schema.get_mut("anyOf") {
        let before = any_of.len();
        any_of.retain(|variant| variant != &json!({"type": "null"}));
        if let [Value::Object(only)] = any_of.as_slice()
            && before == 2
        {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                if schema.get(&key).is_none() {
                    schema.insert(key, value);
                }
            }
        }
    }
}

/// Variants with a description each become one list of values.
fn hoist_enum(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.get("oneOf") else { return };
    let values: Option<Vec<Value>> = variants.iter().map(|variant| variant.get("const").cloned()).collect();
    if let Some(values) = values {
        schema.remove("oneOf");
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), Value::Array(values));
    }
}
