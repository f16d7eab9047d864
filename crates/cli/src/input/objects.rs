//! Documents as objects of the API.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use onlay_api::{MachineConfig, MachineConfigPool, MachineConfiguration, MachineOSConfig, names};
use onlay_core::conversion::{self, ConversionError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::shape::Writer;
use super::yaml::{self, Broken, Document, Id, Step};
use super::{Input, field, metadata, shape};
use crate::finding::{Finding, Source, Spot};

/// Warnings about one object that are shown; people read the first ones.
const MAX_WARNINGS: usize = 20;

/// What to do with a Butane file.
const FROM_BUTANE: &str = "this is a Butane file: `onlay butane FILE.bu` writes the object";

/// An object and where it was read. A copy shares what is in it.
#[derive(Debug, Clone)]
pub struct Object {
    /// Group and version of its kind; empty if it has none.
    pub api_version: String,
    /// Kind, such as `MachineConfig`.
    pub kind: String,
    /// Name; empty if it has none.
    pub name: String,
    /// The object, if onlay reads objects of its kind.
    pub known: Known,
    source: Arc<Source>,
    document: Arc<Document>,
    root: Id,
}

/// Objects that onlay reads.
#[derive(Debug, Clone)]
pub enum Known {
    /// A MachineConfig.
    MachineConfig(Arc<MachineConfig>),
    /// A MachineConfigPool.
    Pool(Arc<MachineConfigPool>),
    /// A MachineOSConfig, in whichever version it is written.
    OsConfig(Arc<MachineOSConfig>),
    /// A MachineConfiguration.
    Configuration(Arc<MachineConfiguration>),
    /// An object whose shape is all that is looked at.
    Other,
    /// An object of another API.
    Foreign,
}

impl Object {
    /// Kind and name, as messages have them.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name).trim_end().to_owned()
    }

    /// The file it was read from.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The place of a field, or of the nearest one above it that is there.
    pub fn spot(&self, field: &str) -> Spot {
        let span = self.document.locate(self.root, &field::steps(field)).span;
        Spot { source: Arc::clone(&self.source), span, label: None }
    }

    /// The place of a field, if all of it is there.
    pub fn spot_of_entry(&self, field: &str) -> Option<Spot> {
        let found = self.document.locate(self.root, &field::steps(field));
        found.is_whole.then(|| Spot { source: Arc::clone(&self.source), span: found.span, label: None })
    }

    /// The place of a line of a text in a field. Texts in one line have one place.
    pub fn spot_of_line(&self, field: &str, line: usize) -> Spot {
        let found = self.document.locate(self.root, &field::steps(field));
        let of_block = found.block.and_then(|at| self.source.line(self.source.position(at).0 + line));
        let of_block = of_block.map(|range| {
            let text = self.source.text.get(range.clone()).unwrap_or_default();
            range.end - text.trim_start().len()..range.end
        });
        Spot { source: Arc::clone(&self.source), span: of_block.unwrap_or(found.span), label: None }
    }

    /// The MachineConfig that it is, if it is one.
    pub fn machine_config(&self) -> Option<&MachineConfig> {
        match &self.known {
            Known::MachineConfig(machine_config) => Some(machine_config),
            _ => None,
        }
    }

    /// The object as a type of its kind; whatever the type does not have is left out.
    ///
    /// # Errors
    /// Says what does not have the shape of the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Finding> {
        let value = self.document.value(self.root).map_err(|broken| of_broken(&self.source, broken))?;
        typed(value).map_err(|error| misshapen(self, &error))
    }

    /// The pool that it is, if it is one.
    pub fn pool(&self) -> Option<&MachineConfigPool> {
        match &self.known {
            Known::Pool(pool) => Some(pool),
            _ => None,
        }
    }

    /// The MachineOSConfig that it is, if it is one.
    pub fn os_config(&self) -> Option<&MachineOSConfig> {
        match &self.known {
            Known::OsConfig(config) => Some(config),
            _ => None,
        }
    }

    /// A field of the stored version, as the version that the object is written in calls it.
    pub fn field_as_written(&self, field: &str) -> String {
        let version = self.api_version.rsplit('/').next().unwrap_or_default();
        conversion::field_in(version, field)
    }
}

/// Reads the objects of a text.
pub fn read(source: &Arc<Source>, writer: Writer, input: &mut Input) {
    match yaml::load(&source.text) {
        Ok(documents) => {
            for document in documents.into_iter().map(Arc::new) {
                read_node((source, &document), 0, writer, input);
            }
        }
        Err(broken) => input.findings.push(of_broken(source, broken)),
    }
}

fn of_broken(source: &Arc<Source>, broken: Broken) -> Finding {
    let spot = Spot { source: Arc::clone(source), span: broken.span, label: None };
    Finding::error(&source.name, broken.what).at(Some(spot))
}

/// Reads an object, or all objects of a list.
fn read_node(text @ (source, document): (&Arc<Source>, &Arc<Document>), root: Id, writer: Writer, input: &mut Input) {
    let items = document.entries(root, &[Step::Name("items".to_owned())]);
    let value = match document.value(root) {
        Ok(value) => value,
        Err(broken) => return input.findings.push(of_broken(source, broken)),
    };
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    if kind.ends_with("List") && value["items"].is_array() {
        for item in items {
            read_node(text, item, writer, input);
        }
        return;
    }
    let plain = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, name) = (plain(&value["apiVersion"]), plain(&value["metadata"]["name"]));
    let (source, document) = (Arc::clone(source), Arc::clone(document));
    let mut object = Object { api_version, kind, name, known: Known::Other, source, document, root };
    match identify(&object, &value) {
        Ok(false) => {
            object.known = Known::Foreign;
            input.objects.push(object);
        }
        Ok(true) => {
            let findings = read_known(&mut object, value, writer).unwrap_or_else(|finding| vec![finding]);
            if !crate::finding::any_error(&findings) {
                input.objects.push(object);
            }
            input.findings.extend(findings);
        }
        Err(finding) => input.findings.push(finding),
    }
}

/// Whether the object is of a kind that onlay knows; an error if it should be and is not.
fn identify(object: &Object, value: &Value) -> Result<bool, Finding> {
    let at = |field: &str| Some(object.spot(field));
    if !value.is_object() {
        let finding = Finding::error(object.file(), "expected an object with apiVersion, kind and metadata");
        return Err(finding.at(at("")));
    }
    for field in ["apiVersion", "kind"] {
        if !value[field].is_string() {
            let finding = Finding::error(object.file(), "missing; every object needs it").in_field(field);
            let finding = finding.at(at(field));
            let is_butane = value["variant"].is_string();
            return Err(if is_butane { finding.help(FROM_BUTANE) } else { finding });
        }
    }
    let schemas = schemas()?;
    match schemas.get(&object.kind) {
        Some(kind) if kind.schema(&object.api_version).is_some() => Ok(true),
        None if object.api_version == format!("{}/{}", names::GROUP, names::VERSION) => {
            let known: Vec<&str> = schemas.keys().map(String::as_str).collect();
            let message = format!("{} is no kind that onlay reads; it reads {}", object.kind, known.join(", "));
            Err(Finding::error(object.title(), message).in_field("kind").at(at("kind")))
        }
        Some(kind) => {
            let expected = kind.versions.iter().map(|(api_version, _)| api_version.as_str()).collect::<Vec<_>>();
            let message =
                format!("{:?} has no kind {}; write {}", object.api_version, object.kind, expected.join(" or "));
            Err(Finding::error(object.title(), message).in_field("apiVersion").at(at("apiVersion")))
        }
        None => Ok(false),
    }
}

/// Checks shape and name, and reads the fields.
fn read_known(object: &mut Object, value: Value, writer: Writer) -> Result<Vec<Finding>, Finding> {
    let mut findings = misfits(object, &value, writer)?;
    let name = name_fault(object).map(|message| ("metadata.name".to_owned(), message));
    findings.extend(name.into_iter().chain(metadata::faults(&value["metadata"])).map(|(field, message)| {
        let spot = object.spot(&field);
        Finding::error(object.title(), message).in_field(field).at(Some(spot))
    }));
    if crate::finding::any_error(&findings) {
        return Ok(findings);
    }
    let known = match object.kind.as_str() {
        "MachineConfig" => typed(value).map(|read| Known::MachineConfig(Arc::new(read))),
        "MachineConfigPool" => typed(value).map(|read| Known::Pool(Arc::new(read))),
        "MachineConfiguration" => typed(value).map(|read| Known::Configuration(Arc::new(read))),
        "MachineOSConfig" => typed(stored(object, value)?).map(|read| Known::OsConfig(Arc::new(read))),
        "MachineOSBuild" => stored(object, value).map(|_| Ok(Known::Other))?,
        _ => Ok(Known::Other),
    };
    object.known = known.map_err(|error| misshapen(object, &error))?;
    Ok(findings)
}

/// An object in the version in which the cluster stores it.
fn stored(object: &Object, value: Value) -> Result<Value, Finding> {
    let wanted = format!("{}/{}", names::GROUP, names::VERSION);
    conversion::convert(value, &wanted).map_err(|error| match error {
        ConversionError::Field { field, why, .. } => {
            let spot = object.spot(&field);
            Finding::error(object.title(), why).in_field(field).at(Some(spot))
        }
        other => Finding::error(object.title(), other.to_string()).at(Some(object.spot(""))),
    })
}

fn misshapen(object: &Object, error: &serde_json::Error) -> Finding {
    let finding = Finding::error(object.title(), format!("does not have the shape of its kind: {error}"));
    finding.at(Some(object.spot("")))
}

/// What in the object its schema does not allow, errors first.
fn misfits(object: &Object, value: &Value, writer: Writer) -> Result<Vec<Finding>, Finding> {
    let mut misfits = Vec::new();
    if let Some(schema) = schemas()?.get(&object.kind).and_then(|kind| kind.schema(&object.api_version)) {
        shape::check(value, schema, "", writer, &mut misfits);
        // As an API server does it: rules are for objects whose fields are right one by one.
        if writer == Writer::Person && misfits.iter().all(|misfit| misfit.is_dropped) {
            shape::rules::check(value, schema, &mut misfits);
        }
    }
    let (dropped, wrong): (Vec<_>, Vec<_>) = misfits.into_iter().partition(|misfit| misfit.is_dropped);
    let finding = |misfit: shape::Misfit| {
        let new = if misfit.is_dropped { Finding::warning } else { Finding::error };
        let spot = object.spot(&misfit.field);
        new(object.title(), misfit.message).in_field(misfit.field).at(Some(spot))
    };
    Ok(wrong.into_iter().chain(dropped.into_iter().take(MAX_WARNINGS)).map(finding).collect())
}

/// What is wrong with the name of an object.
fn name_fault(object: &Object) -> Option<String> {
    if object.name.is_empty() {
        return Some("missing; every object needs a name".to_owned());
    }
    (!metadata::is_name(&object.name)).then(|| {
        format!(
            "{:?} is no name; write lower-case letters, digits, \"-\" and \".\", beginning and ending with a letter \
             or digit",
            object.name
        )
    })
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

/// A kind that onlay knows: its schema in each version, the stored one first.
struct Kind {
    versions: Vec<(String, Value)>,
}

impl Kind {
    fn schema(&self, api_version: &str) -> Option<&Value> {
        self.versions.iter().find(|(known, _)| known == api_version).map(|(_, schema)| schema)
    }
}

/// The kinds that onlay knows, by name.
type Schemas = BTreeMap<String, Kind>;

fn schemas() -> Result<&'static Schemas, Finding> {
    static SCHEMAS: OnceLock<Result<Schemas, String>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(make_schemas).as_ref();
    schemas.map_err(|error| Finding::error("", format!("failed to make the schemas of the API: {error}")))
}

/// Metadata is described by the API server itself; what matters here is added.
fn make_schemas() -> Result<Schemas, String> {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let metadata = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
        "name": {"type": "string"}, "labels": texts, "annotations": texts,
    }});
    let mut schemas = Schemas::new();
    for crd in onlay_api::crds().map_err(|error| error.to_string())? {
        let mut versions = Vec::new();
        for version in crd.spec.versions {
            let Some(schema) = version.schema.and_then(|schema| schema.open_api_v3_schema) else { continue };
            let mut schema = serde_json::to_value(schema).map_err(|error| error.to_string())?;
            schema["properties"]["metadata"] = metadata.clone();
            versions.push((format!("{}/{}", crd.spec.group, version.name), schema));
        }
        schemas.insert(crd.spec.names.kind, Kind { versions });
    }
    Ok(schemas)
}

/// Finds objects that are there twice; the later one of both is taken away.
pub fn check_names(input: &mut Input) {
    let mut kept: Vec<Object> = Vec::with_capacity(input.objects.len());
    let mut known: BTreeMap<(String, String), usize> = BTreeMap::new();
    for object in std::mem::take(&mut input.objects) {
        if matches!(object.known, Known::Foreign) {
            kept.push(object);
            continue;
        }
        let first = known.get(&(object.kind.clone(), object.name.clone())).and_then(|index| kept.get(*index));
        if let Some(first) = first {
            let mut before = first.spot("metadata.name");
            before.label = Some("the first one is here".to_owned());
            let finding = Finding::error(object.title(), "is there twice; the cluster has one object of a name")
                .in_field("metadata.name")
                .at(Some(object.spot("metadata.name")));
            input.findings.push(finding.at(Some(before)).help("rename one of them, or remove it"));
            continue;
        }
        known.insert((object.kind.clone(), object.name.clone()), kept.len());
        kept.push(object);
    }
    input.objects = kept;
}
