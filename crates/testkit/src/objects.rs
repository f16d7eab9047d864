//! What tests write to an API server: definitions of kinds, and objects as a person writes them.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
    CustomResourceDefinitionVersion, CustomResourceValidation, JSONSchemaProps,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::wait::{self, TimedOut};

/// How long the API server may take to serve a new kind, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why an object is not there.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The API server did not take it.
    #[error("failed to write {kind} {name}")]
    Refused {
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// The kind is not served.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// The definition of OpenShift's kind ClusterOperator, as small as can be.
pub fn cluster_operators() -> CustomResourceDefinition {
    let any = JSONSchemaProps {
        type_: Some("object".into()),
        x_kubernetes_preserve_unknown_fields: Some(true),
        ..JSONSchemaProps::default()
    };
    CustomResourceDefinition {
        metadata: ObjectMeta { name: Some("clusteroperators.config.openshift.io".into()), ..ObjectMeta::default() },
        spec: CustomResourceDefinitionSpec {
            group: "config.openshift.io".into(),
            scope: "Cluster".into(),
            names: CustomResourceDefinitionNames {
                kind: "ClusterOperator".into(),
                plural: "clusteroperators".into(),
                singular: Some("clusteroperator".into()),
                ..CustomResourceDefinitionNames::default()
            },
            versions: vec![CustomResourceDefinitionVersion {
                name: "v1".into(),
                served: true,
                storage: true,
                schema: Some(CustomResourceValidation { open_api_v3_schema: Some(any) }),
                ..CustomResourceDefinitionVersion::default()
            }],
            ..CustomResourceDefinitionSpec::default()
        },
        status: None,
    }
}

/// Applies definitions of kinds and waits until each one is served.
pub async fn define(client: &Client, definitions: &[CustomResourceDefinition]) -> Result<(), ObjectError> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in definitions {
        let name = definition.name_any();
        let params = PatchParams::apply("person").force();
        let applied = api.patch(&name, &params, &Patch::Apply(definition)).await;
        applied.map_err(refused::<CustomResourceDefinition>(&name))?;
        let objects = Api::<DynamicObject>::all_with(client.clone(), &resource(definition));
        wait::until(&format!("{name} to be served"), PATIENCE, async || {
            let status = api.get(&name).await.map_err(|error| error.to_string())?.status.unwrap_or_default();
            let conditions = status.conditions.unwrap_or_default();
            let served = conditions.iter().any(|each| each.type_ == "Established" && each.status == "True");
            if !served {
                return Err(format!("{conditions:?}"));
            }
            objects.list(&ListParams::default()).await.map(|_| Some(())).map_err(|error| error.to_string())
        })
        .await?;
    }
    Ok(())
}

/// The newest version of a kind, with the names of its definition.
fn resource(definition: &CustomResourceDefinition) -> ApiResource {
    let spec = &definition.spec;
    let version = spec.versions.first().map(|version| version.name.as_str()).unwrap_or_default();
    let kind = GroupVersionKind::gvk(&spec.group, version, &spec.names.kind);
    ApiResource::from_gvk_with_plural(&kind, &spec.names.plural)
}

/// Writes an object as a person does: server-side apply of `fields` (`metadata`, `spec`, …) under the manager `person`,
/// with force. What an earlier call named and this one does not goes away.
pub async fn apply<K>(api: &Api<K>, name: &str, fields: Value) -> Result<(), ObjectError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let mut object = fields;
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    object["metadata"]["name"] = json!(name);
    let params = PatchParams::apply("person").force();
    api.patch(name, &params, &Patch::Apply(object)).await.map(drop).map_err(refused::<K>(name))
}

fn refused<K: Resource<DynamicType = ()>>(name: &str) -> impl FnOnce(kube::Error) -> ObjectError {
    let (kind, name) = (K::kind(&()).into_owned(), name.to_owned());
    |source| ObjectError::Refused { kind, name, source }
}
