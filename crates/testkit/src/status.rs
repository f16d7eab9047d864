//! What of the lab is running, for people and scripts.

use std::fmt;

use k8s_openapi::api::core::v1::Node as ClusterNode;
use kube::Api;

use crate::client;
use crate::node::{self, Node, NodeError};
use crate::{Layout, control_plane, dns, process, registry};

/// What of the lab is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// One line for each daemon and node.
    pub parts: Vec<Part>,
}

/// One daemon or node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, as `logs` takes it.
    pub name: String,
    /// Whether it runs.
    pub runs: bool,
    /// What else is known of it.
    pub detail: String,
}

impl Status {
    /// Looks at everything.
    pub async fn observe(layout: &Layout) -> Result<Self, NodeError> {
        let daemons = [&[registry::DAEMON][..], &control_plane::DAEMONS, &[dns::DAEMON]].concat();
        let mut parts: Vec<Part> = daemons.into_iter().map(|name| daemon(layout, name)).collect();
        let nodes = node::installed(layout);
        let seen = if parts.iter().all(|part| part.runs) { cluster_nodes(layout).await } else { Ok(Vec::new()) };
        for name in nodes {
            let machine = machine(&Node::new(layout, &name)?);
            let word = match &seen {
                Ok(nodes) => nodes.iter().find(|node| node.metadata.name.as_ref() == Some(&name)).map(word),
                Err(error) => Some(error.clone()),
            };
            let detail = [word, machine.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ");
            parts.push(Part { name, runs: machine.is_some(), detail });
        }
        Ok(Self { parts })
    }

    /// Whether there is a lab and all of it runs.
    pub fn is_up(&self) -> bool {
        self.parts.iter().all(|part| part.runs)
    }
}

fn daemon(layout: &Layout, name: &str) -> Part {
    let pid = process::running(layout, name);
    let detail = pid.map_or_else(String::new, |pid| format!("process {pid}"));
    Part { name: name.to_owned(), runs: pid.is_some(), detail }
}

/// What the machine around a node says, or `None` if it is off.
fn machine(node: &Node) -> Option<String> {
    let state = node.state().ok()?;
    let words = if state.ready { "boot" } else { "booting" };
    Some(format!("{words} {} of {}", state.boots, state.deployment))
}

async fn cluster_nodes(layout: &Layout) -> Result<Vec<ClusterNode>, String> {
    let client = client::from_file(&layout.kubeconfig()).await.map_err(|error| error.to_string())?;
    let nodes = Api::<ClusterNode>::all(client).list(&Default::default()).await;
    nodes.map(|nodes| nodes.items).map_err(|error| error.to_string())
}

/// What the cluster says of a node, as in `kubectl get nodes`.
fn word(node: &ClusterNode) -> String {
    let ready = match node::cluster::readiness(node) {
        Ok(()) => "Ready".to_owned(),
        Err(reason) => format!("NotReady ({reason})"),
    };
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    if cordoned { format!("{ready}, SchedulingDisabled") } else { ready }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.parts.iter().map(|part| part.name.len()).max().unwrap_or(0);
        for Part { name, runs, detail } in &self.parts {
            let line = format!("{name:width$}  {:4}  {detail}", if *runs { "up" } else { "down" });
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_runs() {
        let part = |name: &str, runs, detail: &str| Part { name: name.to_owned(), runs, detail: detail.to_owned() };
        let status = Status { parts: vec![part("etcd", true, "process 12"), part("worker-0", false, "")] };
        assert_eq!(status.to_string(), "etcd      up    process 12\nworker-0  down\n");
        assert!(!status.is_up());
    }

    #[tokio::test]
    async fn without_a_lab_everything_is_down() {
        let directory = tempfile::tempdir().unwrap();
        let root = camino::Utf8Path::from_path(directory.path()).unwrap();
        let layout = Layout::new(root.join("state"), root.join("cache")).unwrap();
        let status = Status::observe(&layout).await.unwrap();
        assert!(status.parts.iter().all(|part| !part.runs));
    }
}
