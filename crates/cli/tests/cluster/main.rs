//! `onlay diff` and `onlay plan` of a live cluster: a real API server, asked through the real kubectl.
//!
//! No controller and no kubelet runs: nodes, and the configuration that a pool is told to run, are written by the test.
#![cfg(test)]

use std::process::{Command, Stdio};
use std::{env, io::Write, path::Path};

use onlay_testkit::{ApiServer, objects};

/// A pool of two workers with one file.
const SITE: &str = "\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfigPool
metadata: {name: worker}
spec:
  configuration: {name: rendered-worker-0a4c6d326fd738d859d8eb47f17b1f56}
  machineConfigSelector: {matchLabels: {machineconfiguration.openshift.io/role: worker}}
  nodeSelector: {matchLabels: {node-role.kubernetes.io/worker: ''}}
---
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata: {name: rendered-worker-0a4c6d326fd738d859d8eb47f17b1f56}
spec:
  config:
    ignition: {version: 3.4.0}
    storage: {files: [{path: /etc/containers/policy.json, contents: {source: 'data:,%7B%7D'}}]}
---
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata: {name: 50-policy, labels: {machineconfiguration.openshift.io/role: worker}}
spec:
  config:
    ignition: {version: 3.4.0}
    storage: {files: [{path: /etc/containers/policy.json, contents: {source: 'data:,%7B%7D'}}]}
---
apiVersion: v1
kind: Node
metadata: {name: a, labels: {node-role.kubernetes.io/worker: ''}}
status:
  conditions: [{type: Ready, status: 'True'}]
  nodeInfo: {containerRuntimeVersion: 'containerd://1.7.2', architecture: amd64, bootID: '', kernelVersion: '', kubeProxyVersion: '',
    kubeletVersion: '', machineID: '', operatingSystem: '', osImage: '', systemUUID: ''}
---
apiVersion: v1
kind: Node
metadata: {name: b, labels: {node-role.kubernetes.io/worker: ''}}
status:
  conditions: [{type: Ready, status: 'True'}]
  nodeInfo: {containerRuntimeVersion: 'cri-o://1.31.0', architecture: amd64, bootID: '', kernelVersion: '', kubeProxyVersion: '',
    kubeletVersion: '', machineID: '', operatingSystem: '', osImage: '', systemUUID: ''}
---
apiVersion: v1
kind: Namespace
metadata: {name: openshift-machine-config-operator}
---
apiVersion: v1
kind: Pod
metadata: {name: c, namespace: openshift-machine-config-operator, labels: {app.kubernetes.io/name: onlay-controller}}
spec: {nodeName: a, containers: [{name: c, image: c}]}
";

const WANTED: &str = "\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata: {name: 50-policy, labels: {machineconfiguration.openshift.io/role: worker}}
spec:
  config:
    ignition: {version: 3.4.0}
    storage: {files: [{path: /etc/containers/policy.json, contents: {source: 'data:,%7B%22default%22%3A%5B%5D%7D'}}]}
";

/// Runs a line of a shell with an input: what it wrote to standard output, then its errors, then its exit code.
fn run(line: &str, input: &str, kubeconfig: &Path) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_onlay")).parent().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", line])
        .env("PATH", format!("{}:{}", programs.display(), env::var("PATH").unwrap()))
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may be gone before all of it is written.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    format!("{}{}exit {}\n", text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[tokio::test]
async fn a_live_cluster_is_asked_through_kubectl() {
    let server = ApiServer::start().await.unwrap();
    objects::define(&server.client().await.unwrap(), &onlay_api::crds().unwrap()).await.unwrap();
    let kubeconfig = server.kubeconfig().as_std_path();
    let created = run("kubectl create -f -", SITE, kubeconfig);
    assert!(created.ends_with("exit 0\n"), "{created}");

    insta::assert_snapshot!("plan", run("onlay plan -", WANTED, kubeconfig));
    assert_eq!(run("kubectl onlay plan -", WANTED, kubeconfig), run("onlay plan -", WANTED, kubeconfig));
    insta::assert_snapshot!("diff", run("onlay diff pool/worker -", WANTED, kubeconfig));
    insta::assert_snapshot!("of_one", run("onlay diff machineconfig/50-policy -", WANTED, kubeconfig));
    insta::assert_snapshot!("missing", run("onlay diff machineconfig/nothing -", WANTED, kubeconfig));
    let same = run("kubectl get machineconfigs,machineconfigpools -o yaml | onlay plan -", "", kubeconfig);
    assert_eq!(same, "nothing differs for: worker\nexit 0\n");
}

#[test]
fn kubectl_finds_the_program_as_a_plugin() {
    let nowhere = Path::new("/dev/null");
    for (line, code) in [("render - --pool worker", 0), ("validate nowhere.yaml", 1), ("butane --unknown", 2)] {
        let (through, alone) =
            (run(&format!("kubectl onlay {line}"), WANTED, nowhere), run(&format!("onlay {line}"), WANTED, nowhere));
        assert_eq!(through.replace("kubectl onlay", "onlay"), alone);
        assert!(through.ends_with(&format!("exit {code}\n")), "{through}");
    }
    let help = run("kubectl onlay plan --help", "", nowhere);
    assert!(help.contains("Usage: kubectl onlay plan"), "{help}");
}
