//! What a cluster looked like when a test gave up waiting: who reads a failed run elsewhere has nothing else.

use crate::cluster::{Cluster, NAMESPACE, WORKERS};
use onlay_testkit::wait::TimedOut;
use tokio::process::Command;

/// How much of a log is told.
const LINES: &str = "60";

/// Ends the test with what was waited for, after telling what the cluster and its nodes say.
pub async fn give_up(cluster: &Cluster, waited: TimedOut) -> ! {
    for objects in ["nodes,mcp,machineconfignodes,machineosconfigs,machineosbuilds", "pods,jobs"] {
        tell(cluster, &["get", objects, "--all-namespaces", "-o", "wide"]).await;
    }
    tell(cluster, &["get", "machineconfignodes", "-o", "yaml"]).await;
    let pods = cluster.kubectl.run(&["get", "pods", "-n", NAMESPACE, "-o", "name"]).await.unwrap_or_default();
    for pod in pods.lines() {
        tell(cluster, &["logs", "-n", NAMESPACE, pod, "--all-containers", "--prefix", "--tail", LINES]).await;
    }
    for name in WORKERS {
        let Ok(node) = cluster.lab.node(name) else { continue };
        eprintln!("== {name}: {:?}", node.state());
        let mut journal = Command::from(node.journal(&["--no-pager", "--lines", LINES]));
        match journal.output().await {
            Ok(said) => eprintln!("{}", String::from_utf8_lossy(&said.stdout)),
            Err(error) => eprintln!("its journal cannot be read: {error}"),
        }
    }
    panic!("{waited}");
}

async fn tell(cluster: &Cluster, words: &[&str]) {
    eprintln!("== kubectl {}", words.join(" "));
    match cluster.kubectl.run(words).await {
        Ok(said) => eprintln!("{said}"),
        Err(error) => eprintln!("{error}"),
    }
}
