//! What a cluster looked like when a test gave up waiting: who reads a failed run elsewhere has nothing else.

use crate::cluster::{Cluster, NAMESPACE, WORKERS};
use onlay_testkit::wait::TimedOut;
use tokio::process::Command;

/// Whether a node reaches the API server as pods do, by its Service, and what kube-proxy has to say about that.
const SERVICES: &str = "address=$(tr '\\0' '\\n' < /proc/$(pgrep -o -f 'onlayd agent')/environ | \
                        sed -n 's/^KUBERNETES_SERVICE_HOST=//p'); \
                        for to in \"$address:443\" 10.223.0.1:6443; do echo \"$to:\"; \
                        timeout 3 bash -c \"exec 3<>/dev/tcp/${to%:*}/${to#*:}\" 2>&1 && echo connected; done; \
                        iptables -t nat -S | grep -e default/kubernetes; \
                        journalctl --no-pager --boot --unit=kube-proxy --lines=20";

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
        match node.exec(&["sh", "-c", SERVICES]).await {
            Ok(said) => eprintln!("{said}"),
            Err(error) => eprintln!("how it reaches services cannot be told: {error}"),
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
