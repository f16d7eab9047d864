//! What every reconciler shares: the client, the mirrors of the API, and how to report.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeStatus, NodeSystemInfo};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use onlay_api::{
    LayeringPolicy, MachineConfig, MachineConfigNode, MachineConfigPool, MachineConfiguration, MachineOSBuild,
    MachineOSConfig,
};
use serde::de::DeserializeOwned;

use crate::metrics::Metrics;
use crate::mirror::Mirror;
use crate::report::Reporter;
use crate::wake::Wake;

/// Objects per page of a list: small, so that a list of big objects does not need much memory at once.
pub const PAGE_SIZE: u32 = 50;

/// Settings of the controller.
#[derive(Debug, Clone)]
pub struct Config {
    /// Namespace of onlay's own objects.
    pub namespace: String,
    /// Namespace of the pull-only secrets that agents read.
    pub node_secrets_namespace: String,
    /// Unique name of this instance: the name of its pod.
    pub identity: String,
    /// The node that this instance runs on, if it runs on one: that node is updated last.
    pub node: Option<String>,
    /// How long a drain may take before it counts as failed; it is tried on.
    pub drain_deadline: Duration,
    /// Image of the builder's pod.
    pub builder_image: String,
    /// Where requests for metrics are answered.
    pub metrics_listen: SocketAddr,
    /// ConfigMap in the namespace whose key `ca.crt` holds more authorities for registries.
    pub registry_ca_configmap: Option<String>,
}

/// One reconciler's wake for each of them; watches wake those that read their kind.
#[derive(Debug, Clone, Default)]
pub struct Wakes {
    /// Wakes [`crate::render`].
    pub render: Wake,
    /// Wakes `build`.
    pub build: Wake,
    /// Wakes [`crate::rollout`].
    pub rollout: Wake,
    /// Wakes [`crate::policy`].
    pub policy: Wake,
}

/// What every reconciler shares.
pub struct Context {
    /// Settings.
    pub config: Config,
    /// The client of the API server.
    pub client: Client,
    /// Log lines and Events.
    pub reporter: Reporter,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// How to wake the reconcilers.
    pub wakes: Wakes,
    /// All pools.
    pub pools: Mirror<MachineConfigPool>,
    /// All MachineConfigs, those of users and the rendered ones.
    pub configs: Mirror<MachineConfig>,
    /// All nodes, with no more of their status than the condition `Ready` and the version of the container runtime.
    pub nodes: Mirror<Node>,
    /// All MachineConfigNodes.
    pub node_states: Mirror<MachineConfigNode>,
    /// All MachineOSConfigs.
    pub os_configs: Mirror<MachineOSConfig>,
    /// All MachineOSBuilds.
    pub os_builds: Mirror<MachineOSBuild>,
    /// All LayeringPolicies, named like their pools.
    pub layering_policies: Mirror<LayeringPolicy>,
    /// All MachineConfigurations, of which one is read.
    pub configurations: Mirror<MachineConfiguration>,
}

impl Context {
    /// Begins to watch, and waits until every kind was listed once.
    pub async fn start(client: Client, config: Config, metrics: Arc<Metrics>) -> Self {
        let wakes = Wakes::default();
        let Wakes { render, build, rollout, policy } = wakes.clone();
        let context = Self {
            reporter: Reporter::new(client.clone(), "controller", &config.identity),
            pools: cluster(&client, keep, vec![render.clone(), build.clone(), rollout.clone()]),
            configs: cluster(&client, keep, vec![render, build.clone(), rollout.clone()]),
            nodes: cluster(&client, only_what_is_read, vec![rollout.clone(), policy.clone()]),
            node_states: cluster(&client, keep, vec![rollout.clone()]),
            os_configs: cluster(&client, keep, vec![build.clone(), rollout.clone()]),
            os_builds: cluster(&client, keep, vec![build.clone(), rollout]),
            layering_policies: cluster(&client, keep, vec![build]),
            configurations: cluster(&client, keep, vec![policy]),
            wakes,
            metrics,
            client,
            config,
        };
        context.ready().await;
        context
    }

    async fn ready(&self) {
        listed(&self.pools).await;
        listed(&self.configs).await;
        listed(&self.nodes).await;
        listed(&self.node_states).await;
        listed(&self.os_configs).await;
        listed(&self.os_builds).await;
        listed(&self.layering_policies).await;
        listed(&self.configurations).await;
    }
}

/// Waits until a mirror was filled once, and says so when that takes long.
pub async fn listed<K>(mirror: &Mirror<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static,
{
    while tokio::time::timeout(Duration::from_secs(10), mirror.ready()).await.is_err() {
        tracing::warn!(kind = %K::kind(&()), "still waiting for the first list of this kind");
    }
}

/// How kinds are watched here.
pub fn watch_config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE_SIZE)
}

fn cluster<K>(client: &Client, trim: fn(&mut K), wakes: Vec<Wake>) -> Mirror<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static,
{
    Mirror::watch(Api::all(client.clone()), watch_config(), trim, wakes)
}

/// Keeps an object as it is.
pub fn keep<K>(_: &mut K) {}

fn only_what_is_read(node: &mut Node) {
    let status = node.status.take().unwrap_or_default();
    let mut conditions = status.conditions.unwrap_or_default();
    conditions.retain(|condition| condition.type_ == "Ready");
    for condition in &mut conditions {
        condition.last_heartbeat_time = None;
    }
    let node_info = status.node_info.map(|info| NodeSystemInfo {
        container_runtime_version: info.container_runtime_version,
        ..NodeSystemInfo::default()
    });
    node.status = Some(NodeStatus { conditions: Some(conditions), node_info, ..NodeStatus::default() });
}
