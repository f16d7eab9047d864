//! The controller as a process on its node, the lease that says which one works, and its metrics.

use crate::cluster::{Cluster, NAMESPACE, NODE, SOON, WORKERS};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_testkit::wait;

/// The label of the controller's pods.
const POD: &str = "app.kubernetes.io/name=onlay-controller";

/// A process `onlayd controller`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Its pod.
    pub pod: String,
    node: String,
    pid: String,
}

impl Controller {
    /// The one that runs, once there is one.
    pub async fn find(cluster: &Cluster) -> Self {
        Self::other_than(cluster, None).await
    }

    /// The one that runs in place of this one, which was killed.
    pub async fn successor(&self, cluster: &Cluster) -> Self {
        Self::other_than(cluster, Some(self)).await
    }

    async fn other_than(cluster: &Cluster, before: Option<&Self>) -> Self {
        let pods = Api::<Pod>::namespaced(cluster.client.clone(), NAMESPACE);
        let words = before.map_or_else(|| "a controller".to_owned(), |before| format!("a controller after {before:?}"));
        wait::until(&words, NODE, async || {
            let all = pods.list(&ListParams::default().labels(POD)).await.map_err(|error| error.to_string())?;
            let mut nodes = all
                .iter()
                .filter(|pod| pod.metadata.deletion_timestamp.is_none())
                .filter_map(|pod| Some((pod.name_any(), pod.spec.as_ref()?.node_name.clone()?)));
            let (pod, node) = nodes.next().ok_or("no pod of it is on a node")?;
            let machine = cluster.lab.node(&node).map_err(|error| error.to_string())?;
            let found = machine.exec(&["pgrep", "-x", "-f", "onlayd controller"]).await;
            let found = found.map_err(|error| error.to_string())?;
            let mut pids =
                found.lines().filter(|pid| before.is_none_or(|before| before.pid != *pid || before.node != node));
            match (pids.next(), pids.next()) {
                (Some(pid), None) => Ok(Some(Self { pod, node, pid: pid.to_owned() })),
                _ => Err(format!("processes of {pod} on {node}: {found}")),
            }
        })
        .await
        .unwrap()
    }

    /// Sends a signal to exactly this process: `KILL`, `STOP`.
    pub async fn signal(&self, cluster: &Cluster, signal: &str) {
        cluster.on_node(&self.node, &format!("kill -{signal} {}", self.pid)).await;
    }
}

/// Waits until a controller has taken or renewed the lease after `since`, and returns its pod.
pub async fn holds_the_lease(cluster: &Cluster, since: Timestamp) -> String {
    let leases = Api::<Lease>::namespaced(cluster.client.clone(), NAMESPACE);
    wait::until(&format!("a controller to hold the lease after {since}"), SOON, async || {
        let lease = leases.get("onlay-controller").await.map_err(|error| error.to_string())?;
        let spec = lease.spec.unwrap_or_default();
        let renewed = spec.renew_time.clone().is_some_and(|renewed| renewed.0 > since);
        match spec.holder_identity.clone() {
            Some(holder) if renewed => Ok(Some(holder)),
            _ => Err(format!("{spec:?}")),
        }
    })
    .await
    .unwrap()
}

/// What the controller's metrics say.
pub async fn metrics(cluster: &Cluster) -> String {
    let address = cluster
        .kubectl(&["get", "service", "onlay-controller", "-n", NAMESPACE, "-o", "jsonpath={.spec.clusterIP}"])
        .await;
    let get = "exec 3<>/dev/tcp/$0/8080; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    cluster.on_node(WORKERS[1], &format!("bash -c \"{}\" {address}", get.replace('$', "\\$"))).await
}
