//! The CustomResourceDefinitions of all kinds, made from their types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceConversion, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceValidation, JSONSchemaProps,
    ServiceReference, WebhookClientConfig, WebhookConversion,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::object::{HasSpec, HasStatus};
use kube::{CustomResourceExt, Resource};
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::{
    LayeringPolicy, LayeringPolicySpec, MachineConfig, MachineConfigNode, MachineConfigPool, MachineConfigSpec,
    MachineConfiguration, MachineOSBuild, MachineOSConfig,
};
use crate::{names, schema, v1alpha1};

/// A definition could not be made from its type: a mistake in this crate, found by its tests.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the schema made from the type {kind}: its JSON is not what a CustomResourceDefinition holds")]
pub struct SchemaError {
    kind: String,
    source: serde_json::Error,
}

/// The definitions of all kinds, complete and ready to be applied.
///
/// # Errors
/// Names the kind whose type does not give a structural schema.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, SchemaError> {
    Ok(vec![machine_config()?, pool()?, os_config()?, os_build()?, node()?, configuration()?, layering_policy()?])
}

fn pool() -> Result<CustomResourceDefinition, SchemaError> {
    let columns = [
        column("Config", "string", ".status.configuration.name"),
        condition("Updated", "Updated"),
        condition("Updating", "Updating"),
        condition("Degraded", "Degraded"),
        column("MachineCount", "number", ".status.machineCount"),
        column("ReadyMachineCount", "number", ".status.readyMachineCount"),
        column("UpdatedMachineCount", "number", ".status.updatedMachineCount"),
        column("DegradedMachineCount", "number", ".status.degradedMachineCount"),
        age(),
    ];
    with_status::<MachineConfigPool>("Nodes that share one configuration and one image.", &columns, &[])
}

fn os_config() -> Result<CustomResourceDefinition, SchemaError> {
    let one_per_pool = json!({
        "rule": "self.metadata.name == self.spec.machineConfigPool.name || oldSelf.hasValue() && \
                 oldSelf.spec.machineConfigPool.name.value() == self.spec.machineConfigPool.name",
        "message": "MachineOSConfig name must match the referenced MachineConfigPool name; can only have one \
                    MachineOSConfig per MachineConfigPool",
        "optionalOldSelf": true,
    });
    let description = "What is built into the image of a pool's nodes, and where the image is pushed.";
    let stored = with_status::<MachineOSConfig>(description, &[], &[one_per_pool])?;
    Ok(also_served(stored, with_status::<v1alpha1::MachineOSConfig>(description, &[], &[])?))
}

fn os_build() -> Result<CustomResourceDefinition, SchemaError> {
    let columns =
        ["Prepared", "Building", "Succeeded", "Interrupted", "Failed"].map(|name| condition(name, name)).to_vec();
    let description = "One build of the image of a pool.";
    let older = with_status::<v1alpha1::MachineOSBuild>(description, &columns, &[])?;
    let stored = with_status::<MachineOSBuild>(description, &[columns, vec![age()]].concat(), &[])?;
    Ok(also_served(stored, older))
}

/// The definition of a kind that is stored in one version, and served in an older one too; the webhook converts.
fn also_served(mut stored: CustomResourceDefinition, older: CustomResourceDefinition) -> CustomResourceDefinition {
    let versions = older.spec.versions.into_iter();
    stored.spec.versions.extend(versions.map(|version| CustomResourceDefinitionVersion { storage: false, ..version }));
    let service = ServiceReference {
        name: names::WEBHOOK_SERVICE.to_owned(),
        namespace: names::NAMESPACE.to_owned(),
        path: Some(names::CONVERSION_PATH.to_owned()),
        port: Some(443),
    };
    stored.spec.conversion = Some(CustomResourceConversion {
        strategy: "Webhook".to_owned(),
        webhook: Some(WebhookConversion {
            client_config: Some(WebhookClientConfig { service: Some(service), ..WebhookClientConfig::default() }),
            conversion_review_versions: vec!["v1".to_owned()],
        }),
    });
    stored
}

fn node() -> Result<CustomResourceDefinition, SchemaError> {
    let columns = [
        column("PoolName", "string", ".spec.pool.name"),
        column("DesiredConfig", "string", ".spec.configVersion.desired"),
        column("CurrentConfig", "string", ".status.configVersion.current"),
        condition("Updated", "Updated"),
        age(),
        wide(condition("UpdatePrepared", "UpdatePrepared")),
        wide(condition("UpdateExecuted", "UpdateExecuted")),
        wide(condition("UpdatePostActionComplete", "UpdatePostActionComplete")),
        wide(condition("UpdateComplete", "UpdateComplete")),
        wide(condition("Resumed", "Resumed")),
        wide(condition("UpdatedFilesAndOS", "AppliedFilesAndOS")),
        wide(condition("CordonedNode", "Cordoned")),
        wide(condition("DrainedNode", "Drained")),
        wide(condition("RebootedNode", "RebootedNode")),
        wide(condition("UncordonedNode", "Uncordoned")),
    ];
    let same_name = json!({
        "rule": "self.metadata.name == self.spec.node.name",
        "message": "spec.node.name should match metadata.name",
    });
    with_status::<MachineConfigNode>(
        "What one node shall run, what it runs, and how far its update is.",
        &columns,
        &[same_name],
    )
}

fn configuration() -> Result<CustomResourceDefinition, SchemaError> {
    with_status::<MachineConfiguration>("What applying a change of files, units or SSH keys costs a node.", &[], &[])
}

fn layering_policy() -> Result<CustomResourceDefinition, SchemaError> {
    let columns = [
        column("Cache", "string", ".spec.build.cache.type"),
        column("Limit", "string", ".spec.build.cache.sizeLimit"),
        column("Timeout", "integer", ".spec.build.timeoutSeconds"),
        column("Retries", "integer", ".spec.build.retries"),
        age(),
    ];
    let root = root(
        "What people want of the builds of the pool of the same name. A change counts from the next build on.",
        schema::of::<LayeringPolicySpec>(),
    );
    define::<LayeringPolicy>(root, &columns)
}

fn column(name: &str, type_: &str, json_path: &str) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: type_.to_owned(),
        json_path: json_path.to_owned(),
        ..CustomResourceColumnDefinition::default()
    }
}

fn condition(name: &str, type_: &str) -> CustomResourceColumnDefinition {
    column(name, "string", &format!(r#".status.conditions[?(@.type=="{type_}")].status"#))
}

fn age() -> CustomResourceColumnDefinition {
    column("Age", "date", ".metadata.creationTimestamp")
}

/// A column that is shown by `-o wide` only.
fn wide(column: CustomResourceColumnDefinition) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition { priority: Some(1), ..column }
}

/// The definition of a kind whose names and subresources kube derives, with its schema and columns.
fn with_status<K>(
    description: &str,
    columns: &[CustomResourceColumnDefinition],
    rules: &[Value],
) -> Result<CustomResourceDefinition, SchemaError>
where
    K: CustomResourceExt + Resource<DynamicType = ()> + HasSpec + HasStatus,
    K::Spec: JsonSchema,
    K::Status: JsonSchema,
{
    let mut root = root(description, schema::of::<K::Spec>());
    root["properties"]["status"] = schema::of::<K::Status>();
    if !rules.is_empty() {
        root["x-kubernetes-validations"] = json!(rules);
    }
    define::<K>(root, columns)
}

/// The definition of a kind with this schema; every object has a spec.
fn define<K: CustomResourceExt>(
    mut root: Value,
    columns: &[CustomResourceColumnDefinition],
) -> Result<CustomResourceDefinition, SchemaError> {
    root["required"] = json!(["spec"]);
    let mut crd = K::crd();
    let names = &mut crd.spec.names;
    names.list_kind = Some(format!("{}List", names.kind));
    let schema = validation(&names.kind, root)?;
    for version in &mut crd.spec.versions {
        version.schema = Some(schema.clone());
        version.additional_printer_columns = (!columns.is_empty()).then(|| columns.to_vec());
    }
    Ok(crd)
}

fn machine_config() -> Result<CustomResourceDefinition, SchemaError> {
    let kind = MachineConfig::kind(&()).into_owned();
    let plural = MachineConfig::plural(&()).into_owned();
    let root = root(
        "Files, units, kernel arguments and more for the nodes of the pools that select it.",
        schema::of::<MachineConfigSpec>(),
    );
    let version = CustomResourceDefinitionVersion {
        name: names::VERSION.to_owned(),
        served: true,
        storage: true,
        schema: Some(validation(&kind, root)?),
        additional_printer_columns: Some(vec![
            column(
                "GeneratedByController",
                "string",
                r".metadata.annotations.machineconfiguration\.openshift\.io/generated-by-controller-version",
            ),
            column("IgnitionVersion", "string", ".spec.config.ignition.version"),
            age(),
        ]),
        ..CustomResourceDefinitionVersion::default()
    };
    Ok(CustomResourceDefinition {
        metadata: ObjectMeta { name: Some(format!("{plural}.{}", names::GROUP)), ..ObjectMeta::default() },
        spec: CustomResourceDefinitionSpec {
            group: names::GROUP.to_owned(),
            names: CustomResourceDefinitionNames {
                list_kind: Some(format!("{kind}List")),
                singular: Some(kind.to_lowercase()),
                short_names: Some(vec!["mc".to_owned()]),
                plural,
                kind,
                ..CustomResourceDefinitionNames::default()
            },
            scope: "Cluster".to_owned(),
            versions: vec![version],
            ..CustomResourceDefinitionSpec::default()
        },
        ..CustomResourceDefinition::default()
    })
}

fn root(description: &str, spec: Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string", "description": "Group and version of the schema that the object follows."},
            "kind": {"type": "string", "description": "What the object is."},
            "metadata": {"type": "object"},
            "spec": spec,
        },
    })
}

fn validation(kind: &str, root: Value) -> Result<CustomResourceValidation, SchemaError> {
    let schema: JSONSchemaProps =
        serde_json::from_value(root).map_err(|source| SchemaError { kind: kind.to_owned(), source })?;
    Ok(CustomResourceValidation { open_api_v3_schema: Some(schema) })
}
