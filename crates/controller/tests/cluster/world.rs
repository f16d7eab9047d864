//! One API server and one controller for all tests; each test has pools and nodes of its own.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use onlay_api::{MachineConfig, MachineConfigNode, MachineConfigPool};
use onlay_controller::Config;
use onlay_testkit::{ApiServer, objects, wait};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The image that nodes have when they are met.
pub const BASE: &str = "10.0.0.1:5000/os/base@sha256:1111111111111111111111111111111111111111111111111111111111111111";

static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
static CONTROLLER: Mutex<Option<std::thread::JoinHandle<()>>> = Mutex::new(None);

/// A client of the server that has our definitions, and a controller that works on it.
pub async fn cluster() -> Client {
    let server = SERVER.get_or_init(|| async {
        let server = ApiServer::start().await.unwrap();
        objects::define(&server.client().await.unwrap(), &onlay_api::crds().unwrap()).await.unwrap();
        let kubeconfig = server.kubeconfig().to_string();
        *CONTROLLER.lock().unwrap() = Some(std::thread::spawn(move || control(&kubeconfig)));
        server
    });
    server.await.client().await.unwrap()
}

pub fn config() -> Config {
    Config {
        namespace: "default".to_owned(),
        node_secrets_namespace: "default".to_owned(),
        identity: "controller-under-test".to_owned(),
        node: None,
        drain_deadline: Duration::from_secs(3600),
        builder_image: "builder".to_owned(),
        metrics_listen: ([127, 0, 0, 1], 0).into(),
        registry_ca_configmap: None,
    }
}

/// Runs the controller in a runtime of its own, since each test has one that ends with it.
fn control(kubeconfig: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
        let settings = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
        match onlay_controller::reconcile(onlay_controller::client(settings).unwrap(), config(), Default::default())
            .await {}
    });
}

/// Access to the kinds that tests look at.
pub struct World {
    pub client: Client,
    pub pools: Api<MachineConfigPool>,
    pub configs: Api<MachineConfig>,
    pub nodes: Api<Node>,
    pub states: Api<MachineConfigNode>,
    pub pods: Api<Pod>,
}

impl World {
    pub async fn new() -> Self {
        let client = cluster().await;
        Self {
            pools: Api::all(client.clone()),
            configs: Api::all(client.clone()),
            nodes: Api::all(client.clone()),
            states: Api::all(client.clone()),
            pods: Api::default_namespaced(client.clone()),
            client,
        }
    }

    /// Makes a pool whose nodes and MachineConfigs have the role of its name.
    pub async fn pool(&self, name: &str, spec: Value) {
        let mut pool = json!({"spec": {
            "nodeSelector": {"matchLabels": {format!("node-role.kubernetes.io/{name}"): ""}},
            "machineConfigSelector": {"matchLabels": {"machineconfiguration.openshift.io/role": name}},
        }});
        pool["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        objects::apply(&self.pools, name, pool).await.unwrap();
    }

    /// A MachineConfig with one file.
    pub async fn file(&self, name: &str, role: &str, path: &str, contents: &str) {
        self.ignition(
            name,
            role,
            json!({
                "ignition": {"version": "3.5.0"},
                "storage": {"files": [{"path": path, "contents": {"source": format!("data:,{contents}")}}]},
            }),
        )
        .await;
    }

    pub async fn ignition(&self, name: &str, role: &str, config: Value) {
        let labels = json!({"machineconfiguration.openshift.io/role": role});
        objects::apply(&self.configs, name, json!({"metadata": {"labels": labels}, "spec": {"config": config}}))
            .await
            .unwrap();
    }

    /// A node that is Ready, and has met its agent.
    pub async fn node(&self, name: &str, role: &str) {
        let labels = json!({format!("node-role.kubernetes.io/{role}"): ""});
        objects::apply(&self.nodes, name, json!({"metadata": {"labels": labels}})).await.unwrap();
        let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""});
        let status = json!({"status": {"conditions": [ready]}});
        self.nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// Tells as the kubelet of a node does which container runtime it has.
    pub async fn runtime(&self, node: &str, version: &str) {
        let status = json!({"status": {"nodeInfo": {"containerRuntimeVersion": version}}});
        self.nodes.patch_status(node, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// Writes as the agent of a node does: the node runs `current`, and its newest update is in this phase.
    pub async fn agent(&self, node: &str, current: &str, phase: Option<&str>) {
        let spec = self.states.get(node).await.unwrap().spec;
        let image = spec.config_image.map(|image| image.desired_image);
        let image = image.unwrap_or_else(|| BASE.to_owned());
        let mut onlay = json!({"adoptedImage": BASE});
        if let Some(phase) = phase {
            let (config, message) = (&spec.config_version.desired, "said by the agent");
            onlay["update"] =
                json!({"config": config, "image": image, "phase": phase, "needs": "Reboot", "message": message});
        }
        let mut version = json!({"desired": spec.config_version.desired});
        if !current.is_empty() {
            version["current"] = current.into();
        }
        let status = json!({
            "apiVersion": MachineConfigNode::api_version(&()),
            "kind": MachineConfigNode::kind(&()),
            "metadata": {"name": node},
            "status": {
                "configVersion": version,
                "configImage": {"currentImage": BASE, "desiredImage": image},
                "onlay": onlay,
            },
        });
        let params = PatchParams::apply("onlay-agent").force();
        self.states.patch_status(node, &params, &Patch::Apply(status)).await.unwrap();
    }

    /// Waits until an object is as wanted, and returns it.
    pub async fn see<K>(&self, api: &Api<K>, name: &str, what: &str, is: impl Fn(&K) -> bool) -> K
    where
        K: Resource + Clone + Debug + DeserializeOwned,
    {
        wait::until(&format!("{name}: {what}"), PATIENCE, async || {
            let mut object = api.get_opt(name).await.map_err(|error| error.to_string())?.ok_or("it does not exist")?;
            object.meta_mut().managed_fields = None;
            if is(&object) { Ok(Some(object)) } else { Err(format!("{object:?}")) }
        })
        .await
        .unwrap()
    }

    /// Waits until a pool has a target, and returns its name.
    pub async fn rendered(&self, pool: &str, is: impl Fn(&[String]) -> bool) -> String {
        let has = |pool: &MachineConfigPool| {
            let sources = |name: &onlay_api::machine_config_pool::PoolConfiguration| {
                name.source.iter().filter_map(|source| source.name.clone()).collect::<Vec<_>>()
            };
            pool.spec.configuration.as_ref().is_some_and(|configuration| is(&sources(configuration)))
        };
        let pool = self.see(&self.pools, pool, "rendered from these sources", has).await;
        pool.spec.configuration.unwrap().name
    }

    /// Waits until a pool has another target than this one, and returns its name.
    pub async fn rendered_anew(&self, pool: &str, before: &str) -> String {
        let differs = |pool: &MachineConfigPool| {
            pool.spec.configuration.as_ref().is_some_and(|configuration| configuration.name != before)
        };
        let pool = self.see(&self.pools, pool, "rendered anew", differs).await;
        pool.spec.configuration.unwrap().name
    }

    /// Waits until the columns of a pool are these: Updated, Updating, Degraded, machines, ready, updated, degraded.
    pub async fn columns(&self, pool: &str, columns: &str) -> MachineConfigPool {
        self.see(&self.pools, pool, columns, |pool| columns_of(pool) == columns).await
    }
}

pub fn columns_of(pool: &MachineConfigPool) -> String {
    let Some(status) = &pool.status else { return String::new() };
    let condition = |type_: &str| {
        let condition = status.conditions.iter().find(|each| each.type_ == type_);
        condition.map_or("-", |condition| condition.status.as_str())
    };
    format!(
        "{} {} {} {} {} {} {}",
        condition("Updated"),
        condition("Updating"),
        condition("Degraded"),
        status.machine_count,
        status.ready_machine_count,
        status.updated_machine_count,
        status.degraded_machine_count
    )
}
