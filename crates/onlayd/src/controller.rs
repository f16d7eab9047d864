//! Arguments of the controller.

use std::net::SocketAddr;
use std::time::Duration;

use onlay_controller::Config;

/// Settings of the controller; the defaults are those of `deploy/`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Namespace of onlay's own objects.
    #[arg(long, env = "ONLAY_NAMESPACE", default_value = "openshift-machine-config-operator")]
    namespace: String,
    /// Namespace of the pull-only secrets that agents read.
    #[arg(long, default_value = "onlay-node-secrets")]
    node_secrets_namespace: String,
    /// Name of this instance: the name of its pod.
    #[arg(long, env = "POD_NAME", default_value = "onlay-controller")]
    identity: String,
    /// Node that this instance runs on; it is updated last.
    #[arg(long, env = "NODE_NAME")]
    node: Option<String>,
    /// Minutes that a drain may take before it counts as failed; it is tried on.
    #[arg(long, default_value_t = 60)]
    drain_deadline: u32,
    /// Image of the builder's pod.
    #[arg(long, env = "ONLAY_BUILDER_IMAGE")]
    builder_image: String,
    /// Where requests for metrics are answered, at `/metrics`.
    #[arg(long, default_value = "0.0.0.0:8080")]
    metrics_listen: SocketAddr,
    /// ConfigMap in the namespace whose key `ca.crt` holds more authorities for registries.
    #[arg(long, env = "ONLAY_REGISTRY_CA_CONFIGMAP")]
    registry_ca_configmap: Option<String>,
}

impl Arguments {
    /// The settings.
    pub fn config(self) -> Config {
        Config {
            namespace: self.namespace,
            node_secrets_namespace: self.node_secrets_namespace,
            identity: self.identity,
            node: self.node,
            drain_deadline: Duration::from_secs(60 * u64::from(self.drain_deadline)),
            builder_image: self.builder_image,
            metrics_listen: self.metrics_listen,
            registry_ca_configmap: self.registry_ca_configmap,
        }
    }
}
