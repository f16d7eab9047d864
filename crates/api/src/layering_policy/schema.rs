//! Shapes of fields that Kubernetes' own kinds have too; what is refused here would be refused when a build makes its Job.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// What a quantity looks like, as in the API of Kubernetes.
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";
/// What a size looks like: a whole number of bytes, with or without a suffix.
const SIZE: &str = "^[1-9][0-9]{0,11}(k|M|G|T|Ki|Mi|Gi|Ti)?$";
/// What the name of a label or a resource looks like.
const NAME: &str = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// The name of an object.
pub fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// The key of a Containerfile where a policy does not say.
pub const CONTAINERFILE_KEY: &str = "Containerfile";
/// What a key of a ConfigMap or Secret looks like.
const KEY: &str = "^[-._a-zA-Z0-9]+$";

/// The key of a Containerfile.
pub fn containerfile_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 253, "pattern": KEY, "x-server-default": CONTAINERFILE_KEY})
}

/// A key of a ConfigMap or Secret.
pub fn key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 253, "pattern": KEY})
}

/// The name of a build argument.
pub fn argument_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 128, "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
}

/// What names a secret in a Containerfile; it is a file of the builder, too.
pub fn id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 63, "pattern": "^[A-Za-z0-9][-A-Za-z0-9_]*([.][-A-Za-z0-9_]+)*$"})
}

/// The name of an image context: that of no image with a registry, and not that of our own stage.
pub fn context_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 63,
        "pattern": "^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$",
        "x-kubernetes-validations": [{
            "rule": "self != 'configs'",
            "message": "configs is the stage that holds base image and configuration; choose another name",
        }],
    })
}

/// The address of a proxy.
pub fn proxy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 2048, "pattern": r"^https?://[^\s/]\S*$"})
}

/// What is reached without a proxy.
pub fn no_proxy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 8192, "pattern": r"^\S+$"})
}

/// An image.
pub fn image(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 447, "pattern": "^[A-Za-z0-9][-A-Za-z0-9.]*(:[0-9]+)?/[-A-Za-z0-9_./]+(:[A-Za-z0-9_][-A-Za-z0-9_.]*)?(@sha256:[a-f0-9]{64})?$"})
}

/// Rules of a Containerfile in an object.
pub fn containerfile_rules() -> Value {
    json!([{
        "rule": "has(self.configMapKeyRef) != has(self.secretKeyRef)",
        "message": "exactly one of configMapKeyRef and secretKeyRef is required",
    }])
}

/// A size in bytes.
pub fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 16, "pattern": SIZE})
}

/// Quantities by the name of the resource.
pub fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 32,
            "pattern": QUANTITY,
            "x-kubernetes-int-or-string": true,
        },
    })
}

/// Labels that a node must have.
pub fn node_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        },
        "x-kubernetes-validations": [
            {
                "rule": format!("self.all(name, size(name) <= 317 && name.matches('{}'))", NAME.replace('\\', r"\\")),
                "message": "the name of a label consists of alphanumeric characters, '-', '_' or '.', perhaps after a DNS \
                            subdomain and '/'",
            },
            {
                "rule": "!('kubernetes.io/os' in self) && !('kubernetes.io/arch' in self)",
                "message": "kubernetes.io/os and kubernetes.io/arch must be left out: builds run on Linux nodes of the pool's \
                            architecture",
            },
        ],
    })
}

/// Tolerations of a pod.
pub fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "description": "A taint that is tolerated.",
            "type": "object",
            "properties": {
                "key": {"description": "Key of the taint; every one if absent.", "type": "string", "maxLength": 317},
                "operator": {
                    "description": "Equal compares the value too, Exists does not; Equal if absent.",
                    "type": "string",
                    "enum": ["Equal", "Exists"],
                },
                "value": {"description": "Value of the taint.", "type": "string", "maxLength": 63},
                "effect": {
                    "description": "Effect of the taint; every one if absent.",
                    "type": "string",
                    "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
                },
                "tolerationSeconds": {
                    "description": "How long a pod stays that runs there; for good if absent.",
                    "type": "integer",
                    "format": "int64",
                },
            },
            "x-kubernetes-validations": [
                {
                    "rule": "has(self.key) && self.key != '' || has(self.operator) && self.operator == 'Exists'",
                    "message": "operator must be Exists when key is absent",
                },
                {
                    "rule": "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
                    "message": "value must be absent when operator is Exists",
                },
                {
                    "rule": "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
                    "message": "tolerationSeconds must be absent unless effect is NoExecute",
                },
            ],
        },
    })
}

/// Rules of a cache.
pub fn cache_rules() -> Value {
    json!([
        {
            "rule": "self.type == 'Volume' ? has(self.persistentVolumeClaim) : !has(self.persistentVolumeClaim)",
            "message": "persistentVolumeClaim is required when type is Volume, and forbidden otherwise",
        },
        {
            "rule": "self.type != 'None' || !has(self.sizeLimit)",
            "message": "sizeLimit is forbidden when type is None",
        },
    ])
}

/// Rules of resources.
pub fn resource_rules() -> Value {
    json!([{
        "rule": "!has(self.limits) || !has(self.requests) || self.requests.all(name, !(name in self.limits) || \
                 quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
        "message": "a request must not be more than the limit of the same resource",
    }])
}
