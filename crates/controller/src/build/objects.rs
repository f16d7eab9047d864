//! Mirrors of what only builds need: their Jobs and pods, and what users provide in the namespace.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};
use onlay_api::{MachineOSBuild, names};
use onlay_core::build::machine::{self, Build, PartOfBuild};
use onlay_core::build::part::Part;
use serde::de::DeserializeOwned;

use super::follow::Logs;
use super::proxy::ClusterProxy;
use crate::context::{Context, keep, listed, watch_config};
use crate::mirror::Mirror;

/// Label that Kubernetes puts onto the pods of a Job.
const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// Mirrors of what only builds need.
pub struct Objects {
    namespace: String,
    /// Jobs of builds.
    pub jobs: Mirror<Job>,
    pods: Mirror<Pod>,
    config_maps: Mirror<ConfigMap>,
    /// Secrets of the namespace, but for those of others.
    pub secrets: Mirror<Secret>,
    cluster_entitlements: Mirror<Secret>,
    /// The proxies of the cluster.
    pub proxy: ClusterProxy,
    /// Secrets that were derived for nodes.
    pub node_secrets: Mirror<Secret>,
    logs: Logs,
}

/// A build with what belongs to it.
pub struct OfBuild<'a> {
    build: &'a MachineOSBuild,
    parts: Vec<OfPart>,
}

/// A part of a build with what belongs to it.
struct OfPart {
    part: Part,
    job: Option<Arc<Job>>,
    has_config_map: bool,
    pods: Vec<Arc<Pod>>,
    progress: Option<String>,
}

impl Objects {
    /// Begins to watch, and waits until every kind was listed once.
    pub async fn watch(ctx: &Context) -> Self {
        let own = ctx.config.namespace.as_str();
        let of_builds = watch_config().labels(names::EPHEMERAL_BUILD_OBJECT_LABEL);
        let of_nodes = watch_config().labels(names::ON_CLUSTER_LAYERING_LABEL);
        // The name makes it a right to one secret. Where there is no such namespace, the list is empty.
        let of_cluster = watch_config().fields(&format!("metadata.name={}", names::ENTITLEMENT_SECRET));
        let objects = Self {
            namespace: own.to_owned(),
            jobs: mirror(ctx, own, of_builds.clone(), keep),
            pods: mirror(ctx, own, of_builds, keep),
            config_maps: mirror(ctx, own, watch_config(), not_of_builds),
            secrets: mirror(ctx, own, watch_config().fields(&of_others()), without_key_of_webhook),
            cluster_entitlements: mirror(ctx, names::CLUSTER_NAMESPACE, of_cluster, keep),
            node_secrets: mirror(ctx, &ctx.config.node_secrets_namespace, of_nodes, keep),
            proxy: ClusterProxy::new(ctx.client.clone()),
            logs: Logs::new(ctx),
        };
        listed(&objects.jobs).await;
        listed(&objects.pods).await;
        listed(&objects.config_maps).await;
        listed(&objects.secrets).await;
        listed(&objects.cluster_entitlements).await;
        listed(&objects.node_secrets).await;
        objects
    }

    /// A ConfigMap of the namespace.
    pub fn config_map(&self, name: &str) -> Option<Arc<ConfigMap>> {
        self.config_maps.get(&format!("{}/{name}", self.namespace))
    }

    /// A Secret of the namespace.
    pub fn secret(&self, name: &str) -> Option<Arc<Secret>> {
        self.secrets.get(&format!("{}/{name}", self.namespace))
    }

    /// The entitlements in the cluster's usual place.
    pub fn cluster_entitlement(&self) -> Option<Arc<Secret>> {
        self.cluster_entitlements.get(&format!("{}/{}", names::CLUSTER_NAMESPACE, names::ENTITLEMENT_SECRET))
    }

    /// A build with what belongs to it.
    pub fn of_build<'a>(&self, build: &'a MachineOSBuild) -> OfBuild<'a> {
        OfBuild { build, parts: Part::of(build).into_iter().map(|part| self.of_part(part)).collect() }
    }

    fn of_part(&self, part: Part) -> OfPart {
        let has_config_map = self.config_map(&part.config_map).is_some();
        let job = self.jobs.get(&format!("{}/{}", self.namespace, part.job));
        let mut pods = self.pods.all();
        pods.retain(|pod| job.as_ref().is_some_and(|job| is_pod_of(pod, job)));
        let progress = machine::newest_of(pods.iter().map(|pod| &**pod)).and_then(|pod| self.logs.progress(pod));
        OfPart { part, job, has_config_map, pods, progress }
    }
}

impl OfBuild<'_> {
    /// The same, as decisions take it.
    pub fn view(&self) -> Build<'_> {
        Build { build: self.build, parts: self.parts.iter().map(OfPart::view).collect(), joined: None }
    }
}

impl OfPart {
    fn view(&self) -> PartOfBuild<'_> {
        PartOfBuild {
            part: self.part.clone(),
            job: self.job.as_deref(),
            has_config_map: self.has_config_map,
            pods: self.pods.iter().map(|pod| &**pod).collect(),
            pushed: None,
            progress: self.progress.clone(),
        }
    }
}

fn is_pod_of(pod: &Pod, job: &Job) -> bool {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let named = pod.labels().get(JOB_NAME_LABEL).is_some_and(|name| *name == job.name_any());
    named && owners.any(|owner| Some(&owner.uid) == job.metadata.uid.as_ref())
}

fn mirror<K>(ctx: &Context, namespace: &str, config: watcher::Config, trim: fn(&mut K)) -> Mirror<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + PartialEq
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    Mirror::watch(Api::namespaced(ctx.client.clone(), namespace), config, trim, vec![ctx.wakes.build.clone()])
}

/// The Secrets that nothing of ours names, by their types: what Helm keeps is large, and a token is nobody's business.
fn of_others() -> String {
    ["helm.sh/release.v1", "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"]
        .map(|kind| format!("type!={kind}"))
        .join(",")
}

/// The controller has no use for the private key of the webhook.
fn without_key_of_webhook(secret: &mut Secret) {
    if secret.name_any() == names::WEBHOOK_SECRET {
        secret.data = None;
    }
}

/// The ConfigMaps of builds are large, and their contents are not read here. Which of the others a policy names is not known.
fn not_of_builds(config_map: &mut ConfigMap) {
    if config_map.labels().contains_key(names::EPHEMERAL_BUILD_OBJECT_LABEL) {
        (config_map.data, config_map.binary_data) = (None, None);
    }
}
