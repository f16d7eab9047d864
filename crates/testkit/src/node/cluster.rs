//! Nodes as the API server knows them.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeSpec, Taint};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::network::{self, NetworkError};
use crate::wait::{self, TimedOut};

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
const WORKER: &str = "node-role.kubernetes.io/worker";

/// Why a node is not part of the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The name is not a node's.
    #[error(transparent)]
    Name(#[from] NetworkError),
    /// The API server refused.
    #[error("failed to register node {name}")]
    Api {
        /// The node.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// It did not become ready.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// Registers the node with its role before kubelet does, since kubelet must not give itself a role: so nobody ever sees
/// the node without. One that is there stays as it is.
pub async fn register(client: &Client, name: &str) -> Result<(), ClusterError> {
    match Api::all(client.clone()).create(&PostParams::default(), &object(name)?).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(source) => Err(ClusterError::Api { name: name.to_owned(), source: Box::new(source) }),
        Ok(_) => Ok(()),
    }
}

/// Waits until kubelet says that the node is ready.
pub async fn ready(client: &Client, name: &str, patience: Duration) -> Result<(), ClusterError> {
    let nodes: Api<Node> = Api::all(client.clone());
    wait::until(&format!("node {name} to be Ready"), patience, async || match nodes.get(name).await {
        Ok(node) => readiness(&node).map(Some),
        Err(error) => Err(error.to_string()),
    })
    .await?;
    Ok(())
}

/// `Ok` if the node is ready, else why not.
pub fn readiness(node: &Node) -> Result<(), String> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    match conditions.into_iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => Ok(()),
        Some(ready) => Err(ready.message.clone().unwrap_or_else(|| format!("Ready is {}", ready.status))),
        None => Err("kubelet has not reported yet".to_owned()),
    }
}

fn object(name: &str) -> Result<Node, NetworkError> {
    let address = network::address_of(name)?;
    let is_control_plane = name.starts_with("cp-");
    let role = if is_control_plane { CONTROL_PLANE } else { WORKER };
    let taint = Taint { key: CONTROL_PLANE.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    let labels = [(role, ""), ("kubernetes.io/hostname", name), ("kubernetes.io/os", "linux")];
    Ok(Node {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from(labels.map(|(key, value)| (key.to_owned(), value.to_owned())))),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            pod_cidr: Some(address.pods.clone()),
            pod_cidrs: Some(vec![address.pods]),
            taints: is_control_plane.then(|| vec![taint]),
            ..NodeSpec::default()
        }),
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{NodeCondition, NodeStatus};

    #[test]
    fn the_control_plane_is_tainted_and_workers_are_not() {
        let node = |name| object(name).unwrap();
        let (control, worker) = (node("cp-0"), node("worker-1"));
        assert!(control.metadata.labels.unwrap().contains_key(CONTROL_PLANE));
        assert_eq!(control.spec.unwrap().taints.unwrap()[0].effect, "NoSchedule");
        assert!(worker.metadata.labels.unwrap().contains_key(WORKER));
        assert_eq!(worker.spec.unwrap().taints, None);
    }

    #[test]
    fn a_node_that_is_not_ready_says_why() {
        let node = |status: &str, message: Option<&str>| Node {
            status: Some(NodeStatus {
                conditions: Some(vec![NodeCondition {
                    type_: "Ready".to_owned(),
                    status: status.to_owned(),
                    message: message.map(str::to_owned),
                    ..NodeCondition::default()
                }]),
                ..NodeStatus::default()
            }),
            ..Node::default()
        };
        assert_eq!(readiness(&node("True", None)), Ok(()));
        assert_eq!(readiness(&node("False", Some("no network yet"))), Err("no network yet".to_owned()));
        assert_eq!(readiness(&node("Unknown", None)), Err("Ready is Unknown".to_owned()));
        assert_eq!(readiness(&Node::default()), Err("kubelet has not reported yet".to_owned()));
    }
}
