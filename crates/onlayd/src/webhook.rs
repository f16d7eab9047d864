//! Arguments of the webhook.

use std::net::SocketAddr;

use onlay_webhook::Config;

/// Settings of the webhook; the defaults are those of `deploy/`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Namespace of onlay's own objects.
    #[arg(long, env = "ONLAY_NAMESPACE", default_value = "openshift-machine-config-operator")]
    namespace: String,
    /// Where to listen.
    #[arg(long, default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
}

impl Arguments {
    /// The settings.
    pub fn config(self) -> Config {
        Config { namespace: self.namespace, listen: self.listen, address: None }
    }
}
