//! What the agent says to the API server, and asks of it.

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::machine_configuration::{self, NodeDisruptionPolicy};
use onlay_api::{MachineConfig, MachineConfigNode, MachineConfigNodeStatus, MachineConfiguration, names};
use onlay_core::change::diff::State;
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
    /// The object is another one of the same name.
    #[error(
        "failed to write the status of machineconfignode {name}: it was deleted and made again since it was last seen"
    )]
    Recreated {
        /// The object.
        name: String,
    },
    /// A secret that is no docker config.
    #[error("failed to read secret {name}: it has no key .dockerconfigjson")]
    Secret {
        /// The secret.
        name: String,
    },
}

/// A rendered configuration, and everything that it asks for.
#[derive(Debug, Clone)]
pub struct Configuration {
    spec: MachineConfigSpec,
    /// What it asks for.
    pub desired: Desired,
}

impl Configuration {
    fn of(name: &str, object: MachineConfig) -> Result<Self, Error> {
        let desired = desired::of(&object.spec)
            .map_err(|source| Error::Configuration { name: name.to_owned(), source: Box::new(source) })?;
        Ok(Self { spec: object.spec, desired })
    }

    /// The same beside an image.
    pub fn state<'a>(&'a self, image: &'a str) -> State<'a> {
        State { spec: &self.spec, desired: &self.desired, image: Some(image) }
    }
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
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the watch of the MachineConfigNode broke and begins again");
                None
            }
        })
    }

    /// A rendered configuration.
    pub async fn configuration(&self, name: &str) -> Result<Configuration, Error> {
        let configs = Api::<MachineConfig>::all(self.client.clone());
        let found = configs.get(name).await.map_err(|source| api("get machineconfig", name, source))?;
        Configuration::of(name, found)
    }

    /// A rendered configuration; none if it is gone.
    pub async fn find_configuration(&self, name: &str) -> Result<Option<Configuration>, Error> {
        let configs = Api::<MachineConfig>::all(self.client.clone());
        let found = configs.get_opt(name).await.map_err(|source| api("get machineconfig", name, source))?;
        found.map(|found| Configuration::of(name, found)).transpose()
    }

    /// What people want changes to cost; none if they have not said anything.
    pub async fn disruption_policy(&self) -> Result<Option<NodeDisruptionPolicy>, Error> {
        let configurations = Api::<MachineConfiguration>::all(self.client.clone());
        let found = configurations.get_opt(machine_configuration::NAME).await;
        let found = found.map_err(|source| api("get machineconfiguration", machine_configuration::NAME, source))?;
        Ok(found.and_then(|found| found.spec.node_disruption_policy))
    }

    /// The docker config of a derived pull secret.
    pub async fn pull_secret(&self, name: &str) -> Result<Vec<u8>, Error> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), names::NODE_SECRETS_NAMESPACE);
        let secret = secrets.get(name).await.map_err(|source| api("get secret", name, source))?;
        let config = secret.data.unwrap_or_default().remove(".dockerconfigjson");
        Ok(config.ok_or_else(|| Error::Secret { name: name.to_owned() })?.0)
    }

    /// Writes the agent's part of the status.
    ///
    /// The API server does not compare the uid of a status with that of the stored object, so the resource version guards
    /// against writing about a node of the same name that has come since.
    pub async fn publish(&self, known: &MachineConfigNode, status: &MachineConfigNodeStatus) -> Result<(), Error> {
        let doing = "write the status of machineconfignode";
        let mut version = known.metadata.resource_version.clone();
        loop {
            match self.write(version.as_deref(), status).await {
                Err(kube::Error::Api(answer)) if answer.is_conflict() => {
                    let now = self.nodes().get(&self.node).await;
                    let now = now.map_err(|source| api("get machineconfignode", &self.node, source))?;
                    if now.metadata.uid != known.metadata.uid {
                        return Err(Error::Recreated { name: self.node.clone() });
                    }
                    version = now.metadata.resource_version;
                }
                written => return written.map_err(|source| api(doing, &self.node, source)),
            }
        }
    }

    /// Writes the status if the object still has this resource version.
    async fn write(&self, version: Option<&str>, status: &MachineConfigNodeStatus) -> Result<(), kube::Error> {
        let patch = json!({
            "apiVersion": "machineconfiguration.openshift.io/v1",
            "kind": "MachineConfigNode",
            "metadata": {"name": self.node, "resourceVersion": version},
            "status": status,
        });
        let params = PatchParams::apply(names::AGENT_MANAGER).force();
        self.nodes().patch_status(&self.node, &params, &Patch::Apply(&patch)).await.map(drop)
    }
}

fn api(doing: &'static str, name: &str, source: kube::Error) -> Error {
    Error::Api { doing, name: name.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests;
