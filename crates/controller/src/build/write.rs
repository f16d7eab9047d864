//! Carries out a decision, in order; what fails keeps what follows from being done.

use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Api, Resource, ResourceExt};
use onlay_api::names::BUILD_MANAGER;
use onlay_api::{MachineOSBuild, MachineOSConfig};
use onlay_core::build::machine::{Action, Decision, Event, Object};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::materials::Materials;
use super::measure;
use super::objects::Objects;
use crate::apply;
use crate::context::Context;
use crate::mirror::Mirror;
use crate::report::{Category, Notice, Reportable, way_out};

/// Why a decision could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A write failed.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// An object could not be made or deleted.
    #[error("failed to {verb} {kind} {name}")]
    Write {
        /// `create` or `delete`.
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// An object of the name is there, and belongs to something that is gone.
    #[error("failed to create ConfigMap {name}: one that is not of this build is still there")]
    Leftover {
        /// Namespace of the ConfigMap.
        namespace: String,
        /// Name of the ConfigMap.
        name: String,
    },
    /// What shall be written is no JSON.
    #[error("failed to write {name} as JSON")]
    Json {
        /// Name of the object.
        name: String,
        /// What the serializer says.
        source: serde_json::Error,
    },
}

impl Reportable for Error {
    fn category(&self) -> Category {
        match self {
            Self::Apply(error) => error.category(),
            Self::Write { source, .. } => Category::of(source),
            Self::Leftover { .. } => Category::Conflict,
            Self::Json { .. } => Category::Internal,
        }
    }

    fn way_out(&self) -> Option<String> {
        match self {
            Self::Apply(error) => error.way_out(),
            Self::Write { source, .. } => way_out(source),
            Self::Leftover { namespace, name } => {
                Some(format!("if it stays, delete it: `kubectl delete configmap {name} -n {namespace}`"))
            }
            Self::Json { .. } => None,
        }
    }
}

/// Carries out a decision, and says when to look again.
pub async fn apply(
    ctx: &Context,
    objects: &Objects,
    config: &MachineOSConfig,
    decision: Decision,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let writer = Writer { ctx, objects, config, now };
    for action in decision.actions {
        writer.act(action).await?;
    }
    Ok(decision.again)
}

struct Writer<'a> {
    ctx: &'a Context,
    objects: &'a Objects,
    config: &'a MachineOSConfig,
    now: Timestamp,
}

impl Writer<'_> {
    async fn act(&self, action: Action) -> Result<(), Error> {
        match action {
            Action::CreateBuild(build) => {
                let made = create(&self.all(), &*build).await?;
                self.ctx.os_builds.put(made);
            }
            Action::DeleteBuild { name, uid } => self.delete_build(&name, uid).await?,
            Action::BuildStatus { name, status } => self.build_status(&name, value(&name, &*status)?).await?,
            Action::CreateConfigMap(config_map) => self.create_config_map(&config_map).await?,
            Action::CreateJob(job) => {
                let made = create(&self.own::<Job>(), &*job).await?;
                self.objects.jobs.put(made);
            }
            Action::DeleteJob(name) => self.delete_job(&name).await?,
            Action::DeleteConfigMap(name) => {
                delete(&self.own::<ConfigMap>(), &name, &DeleteParams::default()).await?;
            }
            Action::ConfigStatus(status) => self.config_status(value(&self.config.name_any(), &*status)?).await?,
            Action::Annotate(annotations) => {
                self.annotate(json!({"metadata": {"annotations": annotations}})).await?;
            }
            Action::NodeSecret(secret) => self.secret(secret.0, &self.objects.node_secrets).await?,
            Action::BuildSecret(secret) => self.secret(secret.0, &self.objects.secrets).await?,
            Action::DeleteSecret(name) => {
                delete(&self.own::<Secret>(), &name, &DeleteParams::default()).await?;
            }
            Action::Tell(event) => self.tell(event).await,
            Action::Count(measure) => {
                let settings = super::settings(&self.ctx.config);
                let policy = self.ctx.layering_policies.get(&self.config.spec.machine_config_pool.name);
                let materials = Materials::read(self.objects, &settings, self.config, policy.as_deref());
                measure::take(self.ctx, &materials, *measure);
            }
        }
        Ok(())
    }

    fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.ctx.client.clone())
    }

    fn own<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.ctx.client.clone(), &self.ctx.config.namespace)
    }

    async fn delete_build(&self, name: &str, uid: String) -> Result<(), Error> {
        let preconditions = Some(Preconditions { uid: Some(uid), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::background() };
        // A build that is gone already was seen too late: what follows was decided on a state that is over.
        let api = self.all::<MachineOSBuild>();
        match api.delete(name, &params).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed::<MachineOSBuild>("delete", name, error)),
        }
    }

    async fn build_status(&self, name: &str, status: Value) -> Result<(), Error> {
        let observed = self.ctx.os_builds.get(name);
        let desired = json!({"status": status});
        let written = apply::apply_status(&self.all(), BUILD_MANAGER, name, observed.as_deref(), desired).await?;
        written.into_iter().for_each(|build| self.ctx.os_builds.put(build));
        Ok(())
    }

    async fn config_status(&self, status: Value) -> Result<(), Error> {
        let (name, desired) = (self.config.name_any(), json!({"status": status}));
        let written = apply::apply_status(&self.all(), BUILD_MANAGER, &name, Some(self.config), desired).await?;
        written.into_iter().for_each(|config| self.ctx.os_configs.put(config));
        Ok(())
    }

    /// A merge, since an apply would take away the annotations that are not named this time.
    async fn annotate(&self, patch: Value) -> Result<(), Error> {
        let name = self.config.name_any();
        let params = PatchParams { field_manager: Some(BUILD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.all::<MachineOSConfig>();
        let written = api.patch(&name, &params, &Patch::Merge(patch)).await;
        self.ctx.os_configs.put(written.map_err(|error| failed::<MachineOSConfig>("annotate", &name, error))?);
        Ok(())
    }

    async fn create_config_map(&self, config_map: &ConfigMap) -> Result<(), Error> {
        let api = self.own::<ConfigMap>();
        match create(&api, config_map).await {
            Err(Error::Write { source, .. }) if is_status(&source, 409) => {
                let name = config_map.name_any();
                let there = api.get_opt(&name).await.map_err(|error| failed::<ConfigMap>("read", &name, error))?;
                let same = there.is_some_and(|there| owner(&there.metadata) == owner(&config_map.metadata));
                if same { Ok(()) } else { Err(Error::Leftover { namespace: self.ctx.config.namespace.clone(), name }) }
            }
            other => other.map(drop),
        }
    }

    async fn delete_job(&self, name: &str) -> Result<(), Error> {
        let background = Some(PropagationPolicy::Background);
        let params = DeleteParams { propagation_policy: background, ..DeleteParams::default() };
        let leaving = delete(&self.own::<Job>(), name, &params).await?;
        leaving.into_iter().for_each(|job| self.objects.jobs.put(job));
        Ok(())
    }

    async fn secret(&self, secret: Secret, mirror: &Mirror<Secret>) -> Result<(), Error> {
        let (name, namespace) = (secret.name_any(), secret.namespace().unwrap_or_default());
        let api = Api::<Secret>::namespaced(self.ctx.client.clone(), &namespace);
        let observed = mirror.get(&format!("{namespace}/{name}"));
        let desired = value(&name, &secret)?;
        let written = apply::apply(&api, BUILD_MANAGER, &name, observed.as_deref(), desired).await?;
        written.into_iter().for_each(|secret| mirror.put(secret));
        Ok(())
    }

    async fn tell(&self, event: Event) {
        let object = match &event.on {
            Object::Config => self.config.object_ref(&()),
            Object::Build(name) => match self.ctx.os_builds.get(name) {
                Some(build) => build.object_ref(&()),
                None => ObjectReference { name: Some(name.clone()), ..MachineOSBuild::default().object_ref(&()) },
            },
        };
        let notice = Notice { warning: event.warning, reason: event.reason, action: "Build", note: event.note };
        self.ctx.reporter.notice(&object, &notice, self.now).await;
    }
}

fn value(name: &str, object: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|source| Error::Json { name: name.to_owned(), source })
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let params = PostParams { field_manager: Some(BUILD_MANAGER.to_owned()), ..PostParams::default() };
    api.create(&params, object).await.map_err(|error| failed::<K>("create", &object.name_any(), error))
}

/// Deletes an object, unless it is gone already; the answer is the object on its way out.
async fn delete<K>(api: &Api<K>, name: &str, params: &DeleteParams) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    match api.delete(name, params).await {
        Ok(answer) => Ok(answer.left().filter(|object| object.meta().deletion_timestamp.is_some())),
        Err(error) if is_status(&error, 404) => Ok(None),
        Err(error) => Err(failed::<K>("delete", name, error)),
    }
}

fn failed<K: Resource<DynamicType = ()>>(verb: &'static str, name: &str, error: kube::Error) -> Error {
    Error::Write { verb, kind: K::kind(&()).into_owned(), name: name.to_owned(), source: Box::new(error) }
}

fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

fn owner(metadata: &ObjectMeta) -> Option<&str> {
    metadata.owner_references.as_ref()?.first().map(|owner| owner.uid.as_str())
}
