//! The cluster that the tests share, and the words they say to it.
//!
//! Tests run one after the other. Each begins with [`Cluster::fresh`], which takes away whatever an earlier test left. The
//! first one, and one after a failed one, brings the lab up and installs onlay, so that a failed test does not fail the
//! next one.

use k8s_openapi::api::core::v1::{Event, Node};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use onlay_api::names::CURRENT_BUILD_ANNOTATION;
use onlay_api::{ConditionStatus, MachineConfigNode, MachineConfigPool, MachineOSBuild, MachineOSConfig};
use onlay_testkit::timeline::Timeline;
use onlay_testkit::wait::TimedOut;
use onlay_testkit::{Kubectl, Lab, Progress, install, lab, wait};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::architectures;

/// How long a rollout to one node may take.
pub const NODE: Duration = Duration::from_secs(180);
/// How long a build may take.
pub const BUILD: Duration = Duration::from_secs(300);
/// How long something that needs no build and no reboot may take.
pub const SOON: Duration = Duration::from_secs(60);
/// The nodes that tests move about.
pub const WORKERS: [&str; 2] = ["worker-0", "worker-1"];
/// Where onlay lives.
pub const NAMESPACE: &str = "openshift-machine-config-operator";

/// The lab that the test before has left in order; none before the first test and after one that failed.
static LAB: Mutex<Option<Arc<Lab>>> = Mutex::new(None);

pub struct Cluster {
    pub lab: Arc<Lab>,
    pub client: Client,
    pub kubectl: Kubectl,
}

impl Cluster {
    /// A cluster in which nothing of earlier tests is left: two workers in the pool `worker`, everything Updated.
    pub async fn fresh() -> Self {
        let left = LAB.lock().unwrap().take();
        let cluster = match left {
            Some(lab) => Self::of(lab).await,
            None => Self::up().await,
        };
        let Err(left) = cluster.clean_up().await else { return cluster };
        // Only a failed test leaves a cluster like this; it has told its own story.
        eprintln!("the lab is made anew, since an earlier test left it broken: {left}");
        lab::down(cluster.lab.layout(), &Progress::stderr()).await.unwrap();
        let cluster = Self::up().await;
        cluster.clean_up().await.unwrap();
        cluster
    }

    /// The lab alone. It is the next test's no more: that one brings it up by itself, and installs onlay.
    pub fn give_away(self) -> Arc<Lab> {
        let lab = Arc::clone(&self.lab);
        drop(self);
        LAB.lock().unwrap().take();
        lab
    }

    async fn up() -> Self {
        let progress = Progress::stderr();
        let lab = Lab::up(&progress).await.unwrap();
        // A node without a machine would never run the agent that is waited for.
        let kubectl = lab.kubectl().unwrap();
        kubectl.run(&["delete", "node", architectures::ARM, "--ignore-not-found"]).await.unwrap();
        install::onlay(&lab, &progress).await.unwrap();
        Self::of(Arc::new(lab)).await
    }

    async fn of(lab: Arc<Lab>) -> Self {
        Self { client: lab.client().await.unwrap(), kubectl: lab.kubectl().unwrap(), lab }
    }

    async fn clean_up(&self) -> Result<(), TimedOut> {
        self.kubectl(&["delete", "machineosconfigs,machineosbuilds", "--all", "--ignore-not-found"]).await;
        self.kubectl(&["delete", "machineconfigurations.operator.openshift.io,layeringpolicies", "--all"]).await;
        self.kubectl(&["delete", "node", architectures::ARM, "--ignore-not-found"]).await;
        for node in WORKERS {
            self.label(node, "node-role.kubernetes.io/worker=").await;
            self.leave_custom_pools(node).await;
            self.kubectl(&["uncordon", node]).await;
        }
        let configs = self.kubectl(&["get", "mc", "-o", "name"]).await;
        for config in configs.lines().filter(|config| !config.contains("/rendered-")) {
            self.kubectl(&["delete", config]).await;
        }
        let pools = self.kubectl(&["get", "mcp", "-o", "name"]).await;
        for pool in pools.lines().filter(|pool| !pool.ends_with("/master") && !pool.ends_with("/worker")) {
            self.kubectl(&["delete", pool]).await;
        }
        self.kubectl(&["delete", "deployment,pdb", "--all", "-n", "default", "--ignore-not-found"]).await;
        self.webhook(2).await;
        self.kubectl(&["patch", "mcp", "worker", "--type=merge", "-p", r#"{"spec":{"paused":false}}"#]).await;
        install::example_secrets(&self.lab).await.unwrap();
        let words = "Updated with 2 machines and no MachineConfig";
        self.wait_for_pool("worker", words, NODE, |pool| updated(pool, 2) && is_empty(pool)).await.map(drop)
    }

    /// Takes every role but `worker` from a node.
    async fn leave_custom_pools(&self, node: &str) {
        let known = Api::<Node>::all(self.client.clone()).get(node).await.unwrap();
        for label in known.labels().keys().filter(|label| label.starts_with("node-role.kubernetes.io/")) {
            if label != "node-role.kubernetes.io/worker" {
                self.label(node, &format!("{label}-")).await;
            }
        }
    }

    /// Writes down what happens to nodes from now on.
    pub async fn timeline(&self) -> Timeline {
        Timeline::start(&self.client, |_| {}).await.unwrap()
    }

    /// Takes away what builds have left on the nodes.
    pub async fn empty_build_caches(&self) {
        for node in WORKERS {
            self.on_node(node, "find /var/lib/onlay/build-cache -mindepth 1 -delete").await;
        }
    }

    /// Runs kubectl; a failure fails the test with what kubectl said.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl.run(arguments).await.unwrap()
    }

    /// Applies YAML or JSON.
    pub async fn apply(&self, object: impl ToString) {
        self.kubectl.apply(&object.to_string()).await.unwrap();
    }

    /// Runs so many instances of the webhook; with none, the cluster is as one whose webhook is away.
    pub async fn webhook(&self, replicas: usize) {
        let replicas = format!("--replicas={replicas}");
        self.kubectl(&["scale", "deployment/onlay-webhook", "-n", NAMESPACE, &replicas]).await;
        let pods = ["pod", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=onlay-webhook"];
        if replicas == "--replicas=0" {
            self.kubectl(&[&["wait", "--for=delete", "--timeout=60s"], &pods[..]].concat()).await;
        } else {
            self.kubectl(&["rollout", "status", "deployment/onlay-webhook", "-n", NAMESPACE, "--timeout=180s"]).await;
            self.webhook_is_asked().await;
        }
    }

    /// Waits until API servers ask the webhook: they store what it would refuse as long as they know no instance of it.
    async fn webhook_is_asked(&self) {
        let refused =
            machine_config("60-test-refused", "worker", json!({"config": {"ignition": {"version": "2.2.0"}}}));
        let dry_run = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
        wait::until("the webhook to refuse a MachineConfig", SOON, async || {
            match self.kubectl.feed(&dry_run, &refused.to_string()).await {
                Ok(_) => Err("it would be stored".to_owned()),
                Err(refusal) if refusal.to_string().contains("ignition.version") => Ok(Some(())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
        .unwrap();
    }

    /// `kubectl label node NODE LABEL`
    pub async fn label(&self, node: &str, label: &str) {
        self.kubectl(&["label", "--overwrite", "node", node, label]).await;
    }

    /// Runs a command on a node, as a person on its console would, and returns what it printed.
    pub async fn on_node(&self, node: &str, command: &str) -> String {
        self.lab.node(node).unwrap().exec(&["sh", "-c", command]).await.unwrap().trim_end().to_owned()
    }

    /// Waits until a pool is as `wanted` says.
    pub async fn pool_is(
        &self,
        name: &str,
        words: &str,
        deadline: Duration,
        wanted: impl Fn(&MachineConfigPool) -> bool,
    ) -> MachineConfigPool {
        self.or_give_up(self.wait_for_pool(name, words, deadline, wanted).await).await
    }

    async fn or_give_up<T>(&self, waited: Result<T, TimedOut>) -> T {
        match waited {
            Ok(there) => there,
            Err(timed_out) => crate::evidence::give_up(self, timed_out).await,
        }
    }

    async fn wait_for_pool(
        &self,
        name: &str,
        words: &str,
        deadline: Duration,
        wanted: impl Fn(&MachineConfigPool) -> bool,
    ) -> Result<MachineConfigPool, TimedOut> {
        let pools = Api::<MachineConfigPool>::all(self.client.clone());
        wait::until(&format!("pool {name} to be {words}"), deadline, async || {
            let pool = pools.get(name).await.map_err(|error| error.to_string())?;
            if wanted(&pool) { Ok(Some(pool)) } else { Err(json!(pool.status).to_string()) }
        })
        .await
    }

    /// Waits until a pool's target is made of a MachineConfig, among others.
    pub async fn renders(&self, pool: &str, config: &str) {
        let has = |pool: &MachineConfigPool| {
            let mut sources = pool.spec.configuration.iter().flat_map(|target| &target.source);
            sources.any(|source| source.name.as_deref() == Some(config))
        };
        self.pool_is(pool, &format!("rendered with {config}"), SOON, has).await;
    }

    /// Waits until a MachineConfigNode is as `wanted` says.
    pub async fn node_is(
        &self,
        name: &str,
        words: &str,
        deadline: Duration,
        wanted: impl Fn(&MachineConfigNode) -> bool,
    ) -> MachineConfigNode {
        let nodes = Api::<MachineConfigNode>::all(self.client.clone());
        let what = format!("machineconfignode {name} to be {words}");
        let waited = wait::until(&what, deadline, async || {
            let node = nodes.get(name).await.map_err(|error| error.to_string())?;
            if wanted(&node) {
                Ok(Some(node))
            } else {
                Err(json!({"spec": node.spec, "status": node.status}).to_string())
            }
        });
        self.or_give_up(waited.await).await
    }

    /// Waits until a MachineOSConfig is as `wanted` says.
    pub async fn config_is(
        &self,
        name: &str,
        words: &str,
        deadline: Duration,
        wanted: impl Fn(&MachineOSConfig) -> bool,
    ) -> MachineOSConfig {
        let configs = Api::<MachineOSConfig>::all(self.client.clone());
        let what = format!("machineosconfig {name} to be {words}");
        let waited = wait::until(&what, deadline, async || {
            let config = configs.get(name).await.map_err(|error| error.to_string())?;
            if wanted(&config) { Ok(Some(config)) } else { Err(json!(config.status).to_string()) }
        });
        self.or_give_up(waited.await).await
    }

    /// Waits until the newest build of a MachineOSConfig, which an annotation names, has `condition` True, and returns it.
    pub async fn build_is(&self, config: &str, condition: &str, deadline: Duration) -> MachineOSBuild {
        let what = format!("a build of {config} to be {condition}");
        self.newest_build(config, &what, deadline, |build| build_condition(build, condition)).await
    }

    /// Waits until a build of a MachineOSConfig that is not this one has succeeded, and returns it. It may have the same name.
    pub async fn next_build(&self, config: &str, before: &MachineOSBuild) -> MachineOSBuild {
        let what = format!("a build of {config} besides {} to be Succeeded", before.name_any());
        let is_next = |build: &MachineOSBuild| build.uid() != before.uid() && build_condition(build, "Succeeded");
        self.newest_build(config, &what, BUILD, is_next).await
    }

    async fn newest_build(
        &self,
        config: &str,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&MachineOSBuild) -> bool,
    ) -> MachineOSBuild {
        let configs = Api::<MachineOSConfig>::all(self.client.clone());
        let builds = Api::<MachineOSBuild>::all(self.client.clone());
        let waited = wait::until(what, deadline, async || {
            let config = configs.get(config).await.map_err(|error| error.to_string())?;
            let status = config.status.clone().unwrap_or_default();
            if status.observed_generation != config.metadata.generation {
                return Err("the MachineOSConfig as it is now was not seen yet".to_owned());
            }
            let Some(current) = config.annotations().get(CURRENT_BUILD_ANNOTATION) else {
                return Err(json!(status.conditions).to_string());
            };
            let build = builds.get(current).await.map_err(|error| error.to_string())?;
            if wanted(&build) { Ok(Some(build)) } else { Err(json!(build.status).to_string()) }
        });
        self.or_give_up(waited.await).await
    }

    /// Waits for an Event about an object whose message contains `words`.
    pub async fn event(&self, kind: &str, name: &str, words: &str) {
        let events = Api::<Event>::all(self.client.clone());
        let of = ListParams::default().fields(&format!("involvedObject.kind={kind},involvedObject.name={name}"));
        wait::until(&format!("an Event of {kind} {name} that says {words:?}"), SOON, async || {
            let all = events.list(&of).await.map_err(|error| error.to_string())?;
            let messages: Vec<_> = all.into_iter().filter_map(|event| event.message).collect();
            if messages.iter().any(|message| message.contains(words)) { Ok(Some(())) } else { Err(messages.join("; ")) }
        })
        .await
        .unwrap();
    }

    /// The boot that a node is in.
    pub async fn boot(&self, node: &str) -> String {
        self.on_node(node, "cat /proc/sys/kernel/random/boot_id").await
    }

    /// The digest of the image that a node runs.
    pub async fn booted_digest(&self, node: &str) -> String {
        let status: Value = serde_json::from_str(&self.on_node(node, "onlay-ostree status").await).unwrap();
        let booted = status["deployments"].as_array().unwrap().iter().find(|known| known["booted"] == true);
        booted.unwrap()["digest"].as_str().unwrap().to_owned()
    }

    /// Whether a node takes pods.
    pub async fn schedulable(&self, name: &str) -> bool {
        let node = Api::<Node>::all(self.client.clone()).get(name).await.unwrap();
        !node.spec.and_then(|spec| spec.unschedulable).unwrap_or(false)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            *LAB.lock().unwrap() = Some(Arc::clone(&self.lab));
        }
    }
}

/// Whether a pool runs its target on `machines` nodes.
pub fn updated(pool: &MachineConfigPool, machines: i32) -> bool {
    let status = pool.status.clone().unwrap_or_default();
    pool_condition(pool, "Updated") == "True"
        && status.machine_count == machines
        && status.updated_machine_count == machines
        && pool.spec.configuration.as_ref().map(|target| target.name.clone())
            == status.configuration.map(|current| current.name)
}

/// The digest in an image's name.
pub fn digest_of(image: &str) -> &str {
    image.split_once('@').unwrap().1
}

/// Whether a pool's target is made of no MachineConfig: one that was just deleted is rendered still.
fn is_empty(pool: &MachineConfigPool) -> bool {
    pool.spec.configuration.as_ref().is_some_and(|target| target.source.is_empty())
}

/// Whether a build has a condition that is True.
fn build_condition(build: &MachineOSBuild, type_: &str) -> bool {
    let mut conditions = build.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|known| known.type_ == type_ && known.status == ConditionStatus::True)
}

/// The status of a pool's condition, empty when it has none.
pub fn pool_condition(pool: &MachineConfigPool, kind: &str) -> String {
    let status = pool.status.clone().unwrap_or_default();
    status
        .conditions
        .iter()
        .find(|known| known.type_ == kind)
        .map(|known| format!("{:?}", known.status))
        .unwrap_or_default()
}

/// A MachineConfig for a role.
pub fn machine_config(name: &str, role: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"name": name, "labels": {"machineconfiguration.openshift.io/role": role}},
        "spec": spec,
    })
}

/// The spec of a MachineConfig with one file.
pub fn file(path: &str, mode: i32, text: &str) -> Value {
    let source = format!("data:,{}", text.replace('%', "%25").replace(' ', "%20").replace('\n', "%0A"));
    json!({"config": {
        "ignition": {"version": "3.4.0"},
        "storage": {"files": [{"path": path, "mode": mode, "contents": {"source": source}}]},
    }})
}

/// A pool named like its role, for nodes with the label of the role.
pub fn pool(name: &str) -> Value {
    json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool", "metadata": {"name": name},
        "spec": {
            "machineConfigSelector": {"matchExpressions": [
                {"key": "machineconfiguration.openshift.io/role", "operator": "In", "values": ["worker", name]},
            ]},
            "nodeSelector": {"matchLabels": {format!("node-role.kubernetes.io/{name}"): ""}},
        },
    })
}

/// A MachineOSConfig for a pool.
pub fn layered(pool: &str, containerfile: &str) -> Value {
    json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineOSConfig", "metadata": {"name": pool},
        "spec": {
            "machineConfigPool": {"name": pool},
            "containerFile": [{"content": containerfile}],
            "imageBuilder": {"imageBuilderType": "Job"},
            "baseImagePullSecret": {"name": "pull-and-push-secret"},
            "renderedImagePushSecret": {"name": "push-secret"},
            "renderedImagePushSpec": format!("10.223.0.1:5000/os/{pool}:latest"),
        },
    })
}

/// A pod on worker-0 that a PodDisruptionBudget keeps there.
pub fn held_workload() -> Value {
    let container = json!({"name": "pause", "image": "10.223.0.1:5000/lab/pause:1", "imagePullPolicy": "IfNotPresent"});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "held", "namespace": "default"},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": "held"}},
                "template": {
                    "metadata": {"labels": {"app": "held"}},
                    "spec": {"containers": [container], "nodeSelector": {"kubernetes.io/hostname": WORKERS[0]}, "terminationGracePeriodSeconds": 1},
                },
            },
        },
        {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "held", "namespace": "default"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "held"}}},
        },
    ]})
}
