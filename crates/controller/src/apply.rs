//! Server-side apply that writes nothing when nothing differs.
//!
//! A desired object is the JSON of exactly the fields that one manager owns. An explicit `null` says that the manager
//! may have set the field before and wants it gone: it is left out of what is sent, so that the API server removes it.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::report::{Category, Reportable, way_out};

/// A write that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused it, or could not be reached.
    #[error("failed to write {kind} {name} as {manager}")]
    Write {
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// Field manager of the write.
        manager: &'static str,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// What we hold of the object cannot be written as JSON.
    #[error("failed to read the fields of {kind} {name}")]
    Fields {
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// What the serializer says.
        source: serde_json::Error,
    },
}

impl Reportable for Error {
    fn category(&self) -> Category {
        match self {
            Self::Write { source, .. } => Category::of(source),
            Self::Fields { .. } => Category::Internal,
        }
    }

    fn way_out(&self) -> Option<String> {
        match self {
            Self::Write { source, .. } => way_out(source),
            Self::Fields { .. } => None,
        }
    }
}

/// Which part of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Object,
    Status,
}

/// Applies the fields of `manager` to the object, unless `observed` has them all; the answer is the written object.
pub async fn apply<K>(
    api: &Api<K>,
    manager: &'static str,
    name: &str,
    observed: Option<&K>,
    desired: Value,
) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    write(api, manager, name, observed, desired, Part::Object).await
}

/// Applies the fields of `manager` to the object's status, unless `observed` has them all.
///
/// `desired` holds the field `status`. The object must exist.
pub async fn apply_status<K>(
    api: &Api<K>,
    manager: &'static str,
    name: &str,
    observed: Option<&K>,
    desired: Value,
) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    write(api, manager, name, observed, desired, Part::Status).await
}

async fn write<K>(
    api: &Api<K>,
    manager: &'static str,
    name: &str,
    observed: Option<&K>,
    desired: Value,
    part: Part,
) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let kind = K::kind(&()).into_owned();
    if let Some(observed) = observed {
        let observed = serde_json::to_value(observed).map_err(|source| Error::Fields {
            kind: kind.clone(),
            name: name.to_owned(),
            source,
        })?;
        if has(&observed, &desired) {
            return Ok(None);
        }
    }
    let patch = Patch::Apply(identified::<K>(name, desired));
    let params = PatchParams::apply(manager).force();
    let answer = match part {
        Part::Object => api.patch(name, &params, &patch).await,
        Part::Status => api.patch_status(name, &params, &patch).await,
    };
    answer.map(Some).map_err(|source| Error::Write { kind, name: name.to_owned(), manager, source: Box::new(source) })
}

fn identified<K: Resource<DynamicType = ()>>(name: &str, desired: Value) -> Value {
    let mut object = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {}});
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), without_nulls(desired)) {
        object.extend(fields);
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("name".to_owned(), name.into());
        }
    }
    object
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, v)| (key, without_nulls(v))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Whether an object already has all desired fields, and none of those that are desired to be gone.
///
/// Lists whose items carry a `type`, such as conditions, are compared item by item, since each of several managers may
/// own some; any other list must be equal, and one that is missing is empty.
pub fn has(observed: &Value, desired: &Value) -> bool {
    match (observed, desired) {
        (_, Value::Null) => observed.is_null(),
        (Value::Null, Value::Array(desired)) => desired.is_empty(),
        (Value::Object(observed), Value::Object(desired)) => {
            desired.iter().all(|(key, desired)| has(observed.get(key).unwrap_or(&Value::Null), desired))
        }
        (Value::Null, Value::Object(desired)) => {
            desired.values().all(|desired| has(&Value::Null, desired)) && !desired.is_empty()
        }
        (Value::Array(observed), Value::Array(desired)) if !desired.is_empty() && desired.iter().all(is_typed) => {
            desired.iter().all(|desired| {
                observed.iter().any(|observed| observed.get("type") == desired.get("type") && has(observed, desired))
            })
        }
        (Value::Array(observed), Value::Array(desired)) => {
            observed.len() == desired.len() && observed.iter().zip(desired).all(|(o, d)| has(o, d) && has(d, o))
        }
        _ => observed == desired,
    }
}

fn is_typed(item: &Value) -> bool {
    item.as_object().is_some_and(|item: &Map<String, Value>| item.contains_key("type"))
}

#[cfg(test)]
mod tests;
