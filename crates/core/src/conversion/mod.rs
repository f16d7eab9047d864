//! Objects of version v1alpha1 as those of v1, in which they are stored, and back.
//!
//! Nothing is lost either way: what the other version has no field for is kept in an annotation of the object,
//! [`names::KEPT_V1ALPHA1_ANNOTATION`] or [`names::KEPT_V1_ANNOTATION`], and comes back from there. Reading never fails on
//! what was stored; writing v1alpha1 fails where v1 could not hold it.
//!
//! Source of the shapes: the compatible API's schemas of both versions.

mod os_build;
mod os_config;

use onlay_api::{names, v1alpha1};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use os_config::{Kept, kept};

/// Why an object cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConversionError {
    /// The other version cannot hold a field.
    #[error("{object}: {field}: {why}")]
    Field {
        /// Kind and name.
        object: String,
        /// Path of the field.
        field: String,
        /// What is wrong, and the way out.
        why: String,
    },
    /// It is of no kind or version that is converted.
    #[error(
        "failed to convert {object} from {from} to {to}: MachineOSConfig and MachineOSBuild have versions v1 and v1alpha1"
    )]
    Unknown {
        /// Kind and name.
        object: String,
        /// Its version.
        from: String,
        /// The version that is asked for.
        to: String,
    },
    /// It does not have the shape of its version.
    #[error("failed to read {object} as an object of version {version}")]
    Shape {
        /// Kind and name.
        object: String,
        /// Its version.
        version: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
}

/// A field that the other version cannot hold: its path, and why.
type Refusal = (String, String);

/// An object of the newer version: spec, status, and what only the older version has a field for.
type Newer<K> = (<K as Convert>::Spec, Option<<K as Convert>::Status>, <K as Convert>::OlderOnly);
/// An object of the older version: spec, status, and what only the newer version has a field for.
type Older<K> = (<K as Convert>::OlderSpec, Option<<K as Convert>::OlderStatus>, <K as Convert>::NewerOnly);

/// One kind in both versions.
trait Convert: Sized {
    type OlderSpec: Serialize + DeserializeOwned;
    type OlderStatus: Serialize + DeserializeOwned;
    type Spec: Serialize + DeserializeOwned;
    type Status: Serialize + DeserializeOwned;
    /// What only the older version has a field for.
    type OlderOnly: Serialize + DeserializeOwned + Default + PartialEq;
    /// What only the newer version has a field for.
    type NewerOnly: Serialize + DeserializeOwned + Default + PartialEq;

    fn up(
        spec: Self::OlderSpec,
        status: Option<Self::OlderStatus>,
        kept: Self::NewerOnly,
    ) -> Result<Newer<Self>, Refusal>;

    fn down(spec: Self::Spec, status: Option<Self::Status>, kept: Self::OlderOnly) -> Older<Self>;
}

/// An object in the version `to`, which may be the one it has, such as `machineconfiguration.openshift.io/v1alpha1`.
pub fn convert(object: Value, to: &str) -> Result<Value, ConversionError> {
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let (from, kind) = (text("apiVersion"), text("kind"));
    let versions = if object["metadata"].is_object() { (version(&from), version(to)) } else { (None, None) };
    let converted = match (kind.as_str(), versions) {
        ("MachineOSConfig" | "MachineOSBuild", (Some(from), Some(to))) if from == to => return Ok(object),
        ("MachineOSConfig", (Some(names::VERSION), Some(_))) => down::<os_config::OsConfig>(object),
        ("MachineOSConfig", (Some(_), Some(_))) => up::<os_config::OsConfig>(object),
        ("MachineOSBuild", (Some(names::VERSION), Some(_))) => down::<os_build::OsBuild>(object),
        ("MachineOSBuild", (Some(_), Some(_))) => up::<os_build::OsBuild>(object),
        _ => return Err(ConversionError::Unknown { object: called(&object), from, to: to.to_owned() }),
    };
    let mut converted = converted?;
    converted["apiVersion"] = to.into();
    Ok(converted)
}

/// Fields of a MachineOSConfig, and where the older version has them.
const MOVED: [(&str, &str); 5] = [
    ("spec.containerFile", "spec.buildInputs.containerFile"),
    ("spec.baseImagePullSecret", "spec.buildInputs.baseImagePullSecret"),
    ("spec.renderedImagePushSecret", "spec.buildInputs.renderedImagePushSecret"),
    ("spec.renderedImagePushSpec", "spec.buildInputs.renderedImagePushspec"),
    ("spec.imageBuilder", "spec.buildInputs.imageBuilder"),
];

/// A field of a MachineOSConfig of version v1 as another version of it calls it.
pub fn field_in(version: &str, field: &str) -> String {
    let moved = MOVED.iter().filter(|_| version == v1alpha1::VERSION);
    let found = moved.filter_map(|(newer, older)| Some((older, field.strip_prefix(newer)?)));
    let mut found = found.filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '[']));
    found.next().map_or_else(|| field.to_owned(), |(older, rest)| format!("{older}{rest}"))
}

/// The version of an API version of our group; none if nothing has it.
fn version(api_version: &str) -> Option<&'static str> {
    let (group, version) = api_version.split_once('/')?;
    [names::VERSION, v1alpha1::VERSION].into_iter().find(|known| group == names::GROUP && *known == version)
}

fn up<K: Convert>(mut object: Value) -> Result<Value, ConversionError> {
    let called = called(&object);
    let shape = Shape { object: &called, version: v1alpha1::VERSION };
    let (spec, status) = (shape.read(object["spec"].take())?, shape.status(&mut object)?);
    let kept = take_kept(&mut object, names::KEPT_V1_ANNOTATION);
    let (spec, status, kept) = K::up(spec, status, kept).map_err(|(field, why)| ConversionError::Field {
        object: called.clone(),
        field,
        why,
    })?;
    shape.put(&mut object, &spec, status.as_ref())?;
    keep(&mut object, names::KEPT_V1ALPHA1_ANNOTATION, &kept).map_err(shape.error())?;
    Ok(object)
}

fn down<K: Convert>(mut object: Value) -> Result<Value, ConversionError> {
    let called = called(&object);
    let shape = Shape { object: &called, version: names::VERSION };
    let (spec, status) = (shape.read(object["spec"].take())?, shape.status(&mut object)?);
    let kept = take_kept(&mut object, names::KEPT_V1ALPHA1_ANNOTATION);
    let (spec, status, kept) = K::down(spec, status, kept);
    shape.put(&mut object, &spec, status.as_ref())?;
    keep(&mut object, names::KEPT_V1_ANNOTATION, &kept).map_err(shape.error())?;
    Ok(object)
}

/// Reads and writes the parts of one object.
struct Shape<'a> {
    object: &'a str,
    version: &'static str,
}

impl Shape<'_> {
    fn error(&self) -> impl FnOnce(serde_json::Error) -> ConversionError {
        let (object, version) = (self.object.to_owned(), self.version);
        move |source| ConversionError::Shape { object, version, source }
    }

    fn read<T: DeserializeOwned>(&self, value: Value) -> Result<T, ConversionError> {
        serde_json::from_value(value).map_err(self.error())
    }

    fn status<T: DeserializeOwned>(&self, object: &mut Value) -> Result<Option<T>, ConversionError> {
        object.get_mut("status").map(|status| self.read(status.take())).transpose()
    }

    fn put(
        &self,
        object: &mut Value,
        spec: &impl Serialize,
        status: Option<&impl Serialize>,
    ) -> Result<(), ConversionError> {
        object["spec"] = serde_json::to_value(spec).map_err(self.error())?;
        if let Some(status) = status {
            object["status"] = serde_json::to_value(status).map_err(self.error())?;
        }
        Ok(())
    }
}

/// Kind and name of an object, for people.
fn called(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Takes what was kept out of an annotation. One that somebody else wrote, and that cannot be read, stays.
fn take_kept<T: DeserializeOwned + Default>(object: &mut Value, annotation: &str) -> T {
    let Some(annotations) = object["metadata"]["annotations"].as_object_mut() else { return T::default() };
    let text = annotations.get(annotation).and_then(Value::as_str);
    let Some(kept) = text.and_then(|text| serde_json::from_str(text).ok()) else { return T::default() };
    annotations.remove(annotation);
    kept
}

/// Keeps something in an annotation, unless there is nothing to keep.
fn keep<T: Serialize + Default + PartialEq>(
    object: &mut Value,
    annotation: &str,
    kept: &T,
) -> Result<(), serde_json::Error> {
    let Some(metadata) = object["metadata"].as_object_mut() else { return Ok(()) };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    if annotations.is_null() {
        *annotations = Value::Object(Map::new());
    }
    let Some(annotations) = annotations.as_object_mut() else { return Ok(()) };
    if *kept == T::default() {
        annotations.remove(annotation);
    } else {
        annotations.insert(annotation.to_owned(), serde_json::to_string(kept)?.into());
    }
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
