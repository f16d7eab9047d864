//! One API server and one webhook for all tests; each test has objects of its own.
//!
//! There is no kube-proxy, so the API server is told the webhook's address instead of its Service.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::time::Duration;

use axum_server::Handle;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use onlay_api::names;
use onlay_testkit::{ApiServer, objects, wait};
use onlay_webhook::Config;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Namespace of the webhook's Secret in these tests.
pub const NAMESPACE: &str = "default";

static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
static WEBHOOKS: Mutex<Vec<std::thread::JoinHandle<()>>> = Mutex::new(Vec::new());

/// An administrator's client of the server that tests share.
pub async fn cluster() -> Client {
    let server = SERVER.get_or_init(|| async { with_webhook(None).await });
    server.await.client().await.unwrap()
}

/// A server whose webhook answers; it may find a Secret from before.
pub async fn with_webhook(secret: Option<Secret>) -> ApiServer {
    let server = ApiServer::start().await.unwrap();
    let client = server.client().await.unwrap();
    objects::define(&client, &onlay_api::crds().unwrap()).await.unwrap();
    if let Some(secret) = secret {
        Api::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &secret).await.unwrap();
    }
    let address = free_address();
    point_to(&client, address).await;
    start(&server, address);
    is_asked(&client).await;
    server
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Definitions and configuration as `deploy/` has them, with an address for the Service.
async fn point_to(client: &Client, address: SocketAddr) {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    for plural in ["machineosconfigs", "machineosbuilds"] {
        let url = format!("https://{address}{}", names::CONVERSION_PATH);
        let config = json!({"service": null, "url": url});
        let patch = Patch::Merge(json!({"spec": {"conversion": {"webhook": {"clientConfig": config}}}}));
        let name = format!("{plural}.{}", names::GROUP);
        definitions.patch(&name, &PatchParams::default(), &patch).await.unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/base/webhook.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap();
    let is_configuration = |document: &Value| document["kind"] == "ValidatingWebhookConfiguration";
    let mut configuration = documents.into_iter().find(is_configuration).unwrap();
    let url = format!("https://{address}{}", names::ADMISSION_PATH);
    configuration["webhooks"][0]["clientConfig"] = json!({"url": url});
    // Here a webhook that does not answer is a failure of the test.
    configuration["webhooks"][0]["failurePolicy"] = json!("Fail");
    let configuration: ValidatingWebhookConfiguration = serde_json::from_value(configuration).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &configuration).await.unwrap();
}

/// Runs the webhook in a runtime of its own, since each test has one that ends with it.
fn start(server: &ApiServer, address: SocketAddr) {
    let kubeconfig = server.kubeconfig().to_string();
    let config = Config { namespace: NAMESPACE.to_owned(), listen: address, address: Some(address.ip()) };
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
            let settings = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
            let client = Client::try_from(settings).unwrap();
            onlay_webhook::answer_requests(client, config, Handle::new()).await.unwrap();
        });
    };
    WEBHOOKS.lock().unwrap().push(std::thread::spawn(run));
}

/// New configurations take a moment until the API server follows them.
async fn is_asked(client: &Client) {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    wait::until("the webhook to be asked", PATIENCE, async || {
        let mut broken = config("probe");
        broken["spec"]["containerFile"] = json!([{"content": "FROM debian"}]);
        match v1(client, "MachineOSConfig").create(&params, &object(&broken)).await {
            Err(kube::Error::Api(status)) if status.message.contains("denied the request") => Ok(Some(())),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
    wait::until("the webhook to be trusted to convert", PATIENCE, async || {
        v1(client, "MachineOSConfig").create(&PostParams::default(), &object(&config("probe"))).await.ok();
        let read = v1alpha1(client, "MachineOSConfig").get("probe").await;
        read.map(|_| Some(())).map_err(|error| error.to_string())
    })
    .await
    .unwrap();
}

fn kind(client: &Client, version: &str, kind: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(names::GROUP, version, kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk(&gvk))
}

/// Objects of a kind in the stored version.
pub fn v1(client: &Client, of: &str) -> Api<DynamicObject> {
    kind(client, names::VERSION, of)
}

/// Objects of a kind in the older version.
pub fn v1alpha1(client: &Client, of: &str) -> Api<DynamicObject> {
    kind(client, onlay_api::v1alpha1::VERSION, of)
}

/// Turns JSON into an object that can be sent.
pub fn object(value: &Value) -> DynamicObject {
    serde_json::from_value(value.clone()).unwrap()
}

/// A good MachineOSConfig.
pub fn config(name: &str) -> Value {
    json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineOSConfig", "metadata": {"name": name},
        "spec": {
            "machineConfigPool": {"name": name}, "imageBuilder": {"imageBuilderType": "Job"},
            "renderedImagePushSecret": {"name": "push"}, "renderedImagePushSpec": "quay.io/os/image:1",
        },
    })
}

/// The same in the older version, as the guides write it.
pub fn older_config(name: &str, content: &str) -> Value {
    json!({
        "apiVersion": "machineconfiguration.openshift.io/v1alpha1", "kind": "MachineOSConfig",
        "metadata": {"name": name},
        "spec": {
            "machineConfigPool": {"name": name},
            "buildInputs": {
                "containerFile": [{"containerfileArch": "noarch", "content": content}],
                "imageBuilder": {"imageBuilderType": "PodImageBuilder"},
                "baseImagePullSecret": {"name": "global-pull-secret-copy"},
                "renderedImagePushSecret": {"name": "builder-dockercfg-123"},
                "renderedImagePushspec":
                    "image-registry.openshift-image-registry.svc:5000/openshift-machine-config-operator/os-image:latest",
            },
            "buildOutputs": {"currentImagePullSecret": {"name": "builder-dockercfg-123"}},
        },
    })
}

/// The message of a refusal.
pub fn refused(outcome: Result<DynamicObject, kube::Error>) -> String {
    match outcome {
        Err(kube::Error::Api(status)) => status.message.clone(),
        other => panic!("not refused: {other:?}"),
    }
}
