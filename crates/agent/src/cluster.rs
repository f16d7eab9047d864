//! What the agent says to the API server, and asks of it.

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use onlay_api::{MachineConfig, MachineConfigNode, MachineConfigNodeStatus, names};
use onlay_core::render::RenderError;
use onlay_core::render::desired::{self, Desired};
use serde_json::json;

/// Why the API server could not be asked or told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server.
    #[error("failed to {doing} {name}")]
    Api {
        /// What was being done.
        doing: &'static str,
        /// With which object.
        name: String,
        /// The answer.
        source: Box<kube::Error>,
    },
    /// The rendered configuration cannot be read.
    #[error("failed to read {name}")]
    Configuration {
        /// The configuration.
        name: String,
        /// What is wrong with it.
        source: Box<RenderError>,
    },
    /// A secret that is no docker config.
    #[error("failed to read secret {name}: it has no key .dockerconfigjson")]
    Secret {
        /// The secret.
        name: String,
    },
}

/// The API server, for one node.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    node: String,
}

impl Cluster {
    /// For the node of this name.
    pub fn new(client: Client, node: String) -> Self {
        Self { client, node }
    }

    fn nodes(&self) -> Api<MachineConfigNode> {
        Api::all(self.client.clone())
    }

    /// The node's own MachineConfigNode, whenever it changes; none when it is deleted.
    pub fn watch(&self) -> impl Stream<Item = Option<MachineConfigNode>> + Send + use<> {
        let own = watcher::Config::default().fields(&format!("metadata.name={}", self.node));
        watcher(self.nodes(), own).default_backoff().filter_map(async |event| match event {
            Ok(watcher::Event::Apply(node) | watcher::Event::InitApply(node)) => Some(Some(node)),
            Ok(watcher::Event::Delete(_)) => Some(None),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => None,
            Err(error) => {
                tracing::warn!(%error, "the watch of the MachineConfigNode broke and begins again");
                None
            }
        })
    }

    /// Everything that a rendered configuration asks for.
    pub async fn desired(&self, name: &str) -> Result<Desired, Error> {
        let configs = Api::<MachineConfig>::all(self.client.clone());
        let source = configs.get(name).await;
        let config = source.map_err(|source| api("get machineconfig", name, source))?;
        desired::of(&config.spec)
            .map_err(|source| Error::Configuration { name: name.to_owned(), source: Box::new(source) })
    }

    /// The docker config of a derived pull secret.
    pub async fn pull_secret(&self, name: &str) -> Result<Vec<u8>, Error> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), names::NODE_SECRETS_NAMESPACE);
        let secret = secrets.get(name).await.map_err(|source| api("get secret", name, source))?;
        let config = secret.data.unwrap_or_default().remove(".dockerconfigjson");
        Ok(config.ok_or_else(|| Error::Secret { name: name.to_owned() })?.0)
    }

    /// Writes the agent's part of the status, unless it is there already.
    pub async fn publish(&self, known: &MachineConfigNode, status: &MachineConfigNodeStatus) -> Result<(), Error> {
        let patch = json!({
            "apiVersion": "machineconfiguration.openshift.io/v1",
            "kind": "MachineConfigNode",
            "metadata": {"name": self.node, "uid": known.metadata.uid},
            "status": status,
        });
        let params = PatchParams::apply(names::AGENT_MANAGER).force();
        let written = self.nodes().patch_status(&self.node, &params, &Patch::Apply(&patch)).await;
        written.map(drop).map_err(|source| api("write the status of machineconfignode", &self.node, source))
    }
}

fn api(doing: &'static str, name: &str, source: kube::Error) -> Error {
    Error::Api { doing, name: name.to_owned(), source: Box::new(source) }
}
