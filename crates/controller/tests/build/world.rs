//! One API server with the controller on it, and a registry.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use onlay_api::conditions::{BuildConditionType, ConditionStatus, ConditionType, find};
use onlay_api::names::REBUILD_ANNOTATION;
use onlay_api::{LayeringPolicy, MachineConfig, MachineConfigPool, MachineOSBuild, MachineOSConfig};
use onlay_controller::{Config, Metrics};
use onlay_core::build::spec::{Outcome, SPEC_KEY};
use onlay_testkit::{ApiServer, RegistryServer, objects, wait};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const NAMESPACE: &str = "onlay";
pub const NODE_SECRETS: &str = "node-secrets";

/// One API server with the controller on it, and a registry.
pub struct World {
    pub client: Client,
    pub registry: RegistryServer,
    pub base: String,
    metrics: SocketAddr,
    _server: ApiServer,
    _controller: JoinHandle<()>,
}

impl World {
    /// A pool `worker` with one MachineConfig that names the base image, and the secrets to build its image.
    pub async fn new() -> Self {
        Self::with(&[NAMESPACE, NODE_SECRETS]).await
    }

    /// The same with these namespaces alone.
    pub async fn with(namespaces: &[&str]) -> Self {
        let registry = RegistryServer::start().await.unwrap();
        let labels = json!({"ostree.final-diffid": "sha256:aa", "ostree.bootable": "1"});
        let base = registry.push_empty("os/base:1", &labels).await.unwrap();
        let server = ApiServer::start().await.unwrap();
        let client = server.client().await.unwrap();
        objects::define(&client, &onlay_api::crds().unwrap()).await.unwrap();
        for namespace in namespaces {
            objects::apply(&Api::<Namespace>::all(client.clone()), namespace, json!({})).await.unwrap();
        }
        let kubeconfig = server.kubeconfig().to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = listener.local_addr().unwrap();
        let controller = std::thread::spawn(move || control(&kubeconfig, listener));
        let world = Self { client, registry, base, metrics, _server: server, _controller: controller };
        world.secret("push-secret", &world.registry.docker_config(RegistryServer::PASSWORD)).await;
        let authorities = json!({"data": {"ca.crt": world.registry.authority()}});
        objects::apply(&world.own::<ConfigMap>(), "registry-ca", authorities).await.unwrap();
        let selector = |label: &str| json!({"matchLabels": {label: "worker"}});
        let pool = json!({"spec": {
            "nodeSelector": selector("role"),
            "machineConfigSelector": selector("machineconfiguration.openshift.io/role"),
        }});
        objects::apply(&world.all::<MachineConfigPool>(), "worker", pool).await.unwrap();
        let base = format!("{}/os/base:1", world.registry.address());
        world.machine_config("10-base", json!({"osImageURL": base})).await;
        world
    }

    pub fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    pub fn own<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub fn node_secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), NODE_SECRETS)
    }

    pub async fn machine_config(&self, name: &str, spec: Value) {
        let labels = json!({"machineconfiguration.openshift.io/role": "worker"});
        objects::apply(&self.all::<MachineConfig>(), name, json!({"metadata": {"labels": labels}, "spec": spec}))
            .await
            .unwrap();
    }

    pub async fn secret(&self, name: &str, docker_config: &str) {
        let secret =
            json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": docker_config}});
        objects::apply(&self.own::<Secret>(), name, secret).await.unwrap();
    }

    /// The MachineOSConfig of the pool; without a Containerfile if the text is empty.
    pub async fn config(&self, containerfile: &str) {
        let mut spec = json!({
            "machineConfigPool": {"name": "worker"},
            "imageBuilder": {"imageBuilderType": "Job"},
            "renderedImagePushSecret": {"name": "push-secret"},
            "renderedImagePushSpec": format!("{}/os/image:latest", self.registry.address()),
        });
        if !containerfile.is_empty() {
            spec["containerFile"] = json!([{"content": containerfile}]);
        }
        objects::apply(&self.all::<MachineOSConfig>(), "worker", json!({"spec": spec})).await.unwrap();
    }

    /// What the pool's LayeringPolicy says of builds.
    pub async fn policy(&self, build: Value) {
        objects::apply(&self.all::<LayeringPolicy>(), "worker", json!({"spec": {"build": build}})).await.unwrap();
    }

    /// Waits until the controller's metrics have this line.
    pub async fn counts(&self, line: &str) {
        wait::until(&format!("the metric {line}"), PATIENCE, async || {
            let text = self.metrics().await.map_err(|error| error.to_string())?;
            if text.lines().any(|each| each == line) { Ok(Some(())) } else { Err(text) }
        })
        .await
        .unwrap();
    }

    async fn metrics(&self) -> std::io::Result<String> {
        let mut stream = tokio::net::TcpStream::connect(self.metrics).await?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    /// A person asks to build once more.
    pub async fn ask_to_rebuild(&self) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {REBUILD_ANNOTATION: ""}}}));
        self.all::<MachineOSConfig>().patch("worker", &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits for the build that is in this state, by the one condition that is True.
    pub async fn build(&self, state: BuildConditionType) -> MachineOSBuild {
        let api = self.all::<MachineOSBuild>();
        wait::until(&format!("a build that is {}", state.as_str()), PATIENCE, async || {
            let builds = api.list(&Default::default()).await.map_err(|error| error.to_string())?.items;
            let found = builds.iter().find(|build| state_of(build) == Some(state)).cloned();
            match found {
                Some(build) => Ok(Some(build)),
                None => Err(self.what_happened(&builds).await),
            }
        })
        .await
        .unwrap()
    }

    async fn what_happened(&self, builds: &[MachineOSBuild]) -> String {
        let states: Vec<_> = builds.iter().map(|build| (build.name_any(), state_of(build))).collect();
        let events: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let events = events.list(&Default::default()).await.map(|list| list.items).unwrap_or_default();
        let notes: Vec<_> = events.into_iter().filter_map(|event| event.note).collect();
        format!("{states:?}, Events: {notes:#?}")
    }

    /// Waits until the MachineOSConfig is as wanted.
    pub async fn sees(&self, what: &str, is: impl Fn(&MachineOSConfig) -> bool) -> MachineOSConfig {
        let api = self.all::<MachineOSConfig>();
        wait::until(what, PATIENCE, async || {
            let config = api.get("worker").await.map_err(|error| error.to_string())?;
            if is(&config) {
                Ok(Some(config))
            } else {
                Err(format!("{:?} {:?}", config.metadata.annotations, config.status))
            }
        })
        .await
        .unwrap()
    }

    /// Waits for the Job of a build.
    pub async fn job(&self, build: &MachineOSBuild) -> Job {
        self.job_named(format!("build-{}", build.name_any())).await
    }

    /// Waits for a Job.
    pub async fn job_named(&self, name: String) -> Job {
        let api = self.own::<Job>();
        wait::until(&format!("Job {name}"), PATIENCE, async || {
            api.get_opt(&name).await.map_err(|error| error.to_string())
        })
        .await
        .unwrap()
    }

    /// What the builder of a Job is asked to do, as it reads it; none if that is gone.
    pub async fn asked(&self, job: &Job) -> Option<String> {
        let volumes = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap().volumes.as_ref().unwrap();
        let spec = volumes.iter().find(|volume| volume.name == "spec").unwrap();
        let name = &spec.config_map.as_ref().unwrap().name;
        let config_map = self.own::<ConfigMap>().get_opt(name).await.unwrap();
        config_map.map(|asked| asked.data.unwrap()[SPEC_KEY].clone())
    }

    /// Plays the Job: its pod runs.
    pub async fn pod_runs(&self, job: &Job) {
        let template = job.spec.clone().unwrap().template;
        let mut metadata = template.metadata.unwrap();
        metadata.name = Some(pod_name(job));
        let labels = metadata.labels.get_or_insert_default();
        labels.insert("batch.kubernetes.io/job-name".to_owned(), job.name_any());
        metadata.owner_references = job.controller_owner_ref(&()).map(|owner| vec![owner]);
        let pod = Pod { metadata, spec: template.spec, status: None };
        self.own::<Pod>().create(&PostParams::default(), &pod).await.unwrap();
        self.pod_status(job, json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})).await;
    }

    /// Plays the Job: its pod ends, and so does the Job.
    pub async fn ends(&self, job: &Job, outcome: &Outcome) {
        let terminated = json!({
            "exitCode": outcome.exit_code(), "message": outcome.to_message(), "reason": "Ended",
            "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:00Z",
        });
        self.pod_status(job, json!({"terminated": terminated})).await;
        self.job_ends(job, outcome.exit_code() == 0).await;
    }

    /// Plays the Job: it ends, perhaps without a pod that anybody has seen.
    pub async fn job_ends(&self, job: &Job, succeeded: bool) {
        let (criteria, end) = if succeeded { ("SuccessCriteriaMet", "Complete") } else { ("FailureTarget", "Failed") };
        let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": "Played", "message": "", "lastTransitionTime": "2026-01-01T00:01:00Z"});
        let mut status =
            json!({"startTime": "2026-01-01T00:00:00Z", "conditions": [condition(criteria), condition(end)]});
        status[if succeeded { "succeeded" } else { "failed" }] = 1.into();
        if succeeded {
            status["completionTime"] = "2026-01-01T00:01:00Z".into();
        }
        let patch = Patch::Merge(json!({"status": status}));
        self.own::<Job>().patch_status(&job.name_any(), &PatchParams::default(), &patch).await.unwrap();
    }

    async fn pod_status(&self, job: &Job, state: Value) {
        let container =
            json!({"name": "build", "image": "a", "imageID": "", "ready": false, "restartCount": 0, "state": state});
        let patch = Patch::Merge(json!({"status": {"containerStatuses": [container]}}));
        self.own::<Pod>().patch_status(&pod_name(job), &PatchParams::default(), &patch).await.unwrap();
    }
}

/// The one condition of a build that is True; none before there is one.
pub fn state_of(build: &MachineOSBuild) -> Option<BuildConditionType> {
    let conditions = &build.status.as_ref()?.conditions;
    let holds = |type_: &BuildConditionType| {
        find(conditions, *type_).is_some_and(|condition| condition.status == ConditionStatus::True)
    };
    let mut true_ones = BuildConditionType::ALL.iter().copied().filter(holds);
    let first = true_ones.next();
    assert_eq!(true_ones.next(), None, "two conditions are True: {build:?}");
    first
}

fn pod_name(job: &Job) -> String {
    let uid = job.uid().unwrap();
    format!("{}-{}", job.name_any(), &uid[..5])
}

/// Runs the controller in a runtime of its own, until the process ends.
fn control(kubeconfig: &str, listener: TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let settings = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        let config = Config {
            namespace: NAMESPACE.to_owned(),
            node_secrets_namespace: NODE_SECRETS.to_owned(),
            identity: "controller-under-test".to_owned(),
            node: None,
            drain_deadline: Duration::from_secs(3600),
            builder_image: "builder".to_owned(),
            metrics_listen: listener.local_addr().unwrap(),
            registry_ca_configmap: Some("registry-ca".to_owned()),
        };
        listener.set_nonblocking(true).unwrap();
        let metrics = Arc::new(Metrics::default());
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(onlay_controller::metrics::serve(listener, Arc::clone(&metrics)));
        match onlay_controller::reconcile(Client::try_from(settings).unwrap(), config, metrics).await {}
    });
}
