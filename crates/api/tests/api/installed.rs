//! A real API server with everything of `deploy/` applied by kubectl, as a person would.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::Command;

use futures::FutureExt;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::api::PostParams;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use onlay_api::names::{AGENT_ACCOUNT, CONTROLLER_ACCOUNT, NAMESPACE};
use onlay_testkit::{ApiServer, Assets, Layout, Progress, wait};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::objects::full;
use crate::server::{PATIENCE, apply_definitions, kind_api, object};

/// What came of the installation: it is tried once, all tests share it.
static INSTALLED: OnceCell<Result<Installed, String>> = OnceCell::const_new();

/// Name of a MachineOSConfig from before the policies, whose push specification they would refuse.
pub const OLD: &str = "from-before";

/// A server with everything installed, and agents on nodes.
pub struct Installed {
    server: ApiServer,
    namespace: &'static str,
}

/// The server with everything installed where it usually is.
async fn usual() -> &'static Installed {
    let outcome = INSTALLED.get_or_init(|| async {
        let outcome = AssertUnwindSafe(install()).catch_unwind().await;
        outcome.map_err(|_| "the installation failed in the first test that needed it".to_owned())
    });
    outcome.await.as_ref().unwrap()
}

async fn install() -> Installed {
    let server = ApiServer::start().await.unwrap();
    let client = server.client().await.unwrap();
    apply_definitions(&client).await;
    let mut old = full("MachineOSConfig", OLD);
    old["spec"]["renderedImagePushSpec"] = json!("registry.example.com/a/b/node:v1");
    kind_api(&client, "MachineOSConfig").create(&PostParams::default(), &object(&old)).await.unwrap();
    kubectl(&server, &["apply", "--server-side", "-k", "deploy/base"]).await.unwrap();
    Installed::on(server, NAMESPACE).await
}

/// That server.
pub async fn installed() -> &'static ApiServer {
    &usual().await.server
}

/// An administrator's client.
pub async fn administrator() -> Client {
    installed().await.client().await.unwrap()
}

/// Runs kubectl in the root of the checkout; an error is what it prints.
pub async fn kubectl(server: &ApiServer, arguments: &[&str]) -> Result<String, String> {
    kubectl_in(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")), server, arguments).await
}

/// Runs kubectl in a directory.
pub async fn kubectl_in(directory: &Path, server: &ApiServer, arguments: &[&str]) -> Result<String, String> {
    let layout = Layout::from_environment().unwrap();
    let assets = Assets::ensure_kubernetes(&layout, &Progress::stderr()).await.unwrap();
    let mut command = Command::new(assets.program("kubectl").unwrap());
    command.args(arguments).env("KUBECONFIG", server.kubeconfig()).current_dir(directory);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr) + &text(&output.stdout)) }
}

/// What the kubelet and the DaemonSet controller would make: a node, and the agent's pod on it.
async fn run_agent(client: &Client, namespace: &str, node: &str) {
    let object: Node = serde_json::from_value(json!({"metadata": {"name": node}})).unwrap();
    Api::<Node>::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": pod_of(node)},
        "spec": {
            "nodeName": node,
            "serviceAccountName": AGENT_ACCOUNT,
            "containers": [{"name": "agent", "image": "onlay.dev/onlayd:dev"}],
        },
    }))
    .unwrap();
    Api::<Pod>::namespaced(client.clone(), namespace).create(&PostParams::default(), &pod).await.unwrap();
}

fn pod_of(node: &str) -> String {
    format!("onlay-agent-{node}")
}

/// New policies take a moment until they are enforced.
async fn policies_are_active(client: &Client) {
    let api = kind_api(client, "MachineConfigNode");
    let params = PostParams { dry_run: true, ..PostParams::default() };
    wait::until("the policies to be enforced", PATIENCE, async || {
        let mut config = full("MachineOSConfig", "probe");
        config["spec"]["renderedImagePushSpec"] = json!("registry.example.com/a/b/node:v1");
        let configs = kind_api(client, "MachineOSConfig").create(&params, &object(&config)).await;
        let nodes = api.create(&params, &object(&full("MachineConfigNode", "probe"))).await;
        match (configs, nodes) {
            (Err(_), Err(_)) => Ok(Some(())),
            other => Err(format!("accepted: {:?} {:?}", other.0.is_ok(), other.1.is_ok())),
        }
    })
    .await
    .unwrap();
}

impl Installed {
    /// What becomes of a server to which everything was applied, in this namespace.
    pub async fn on(server: ApiServer, namespace: &'static str) -> Self {
        let client = server.client().await.unwrap();
        for node in ["worker-0", "worker-1", "worker-4"] {
            run_agent(&client, namespace, node).await;
        }
        policies_are_active(&client).await;
        Self { server, namespace }
    }

    /// The server.
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// The client of the agent on a node, with the token that the kubelet would give to its pod.
    pub async fn agent(&self, node: &str) -> Client {
        let pods = Api::<Pod>::namespaced(self.server.client().await.unwrap(), self.namespace);
        let pod = pods.get(&pod_of(node)).await.unwrap();
        let bound = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name,
            uid: pod.metadata.uid,
        };
        self.with_token(self.namespace, AGENT_ACCOUNT, Some(bound)).await
    }

    /// The client of an account, with a token that is bound to no pod.
    pub async fn account(&self, namespace: &str, account: &str) -> Client {
        self.with_token(namespace, account, None).await
    }

    async fn with_token(
        &self,
        namespace: &str,
        account: &str,
        bound_object_ref: Option<BoundObjectReference>,
    ) -> Client {
        let accounts = Api::<ServiceAccount>::namespaced(self.server.client().await.unwrap(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec { bound_object_ref, ..TokenRequestSpec::default() }),
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
        let token = answer.status.unwrap().token;
        let kubeconfig = Kubeconfig::read_from(self.server.kubeconfig()).unwrap();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        config.auth_info = serde_json::from_value::<AuthInfo>(json!({"token": token})).unwrap();
        Client::try_from(config).unwrap()
    }
}

/// The client of the agent on a node.
pub async fn agent(node: &str) -> Client {
    usual().await.agent(node).await
}

/// The client of an agent whose token is not bound to a pod.
pub async fn agent_without_a_node() -> Client {
    usual().await.account(NAMESPACE, AGENT_ACCOUNT).await
}

/// The client of the controller.
pub async fn controller() -> Client {
    usual().await.account(NAMESPACE, CONTROLLER_ACCOUNT).await
}
