//! The commands of docs/user, typed as they stand.

use crate::build_faults::{AT_THE_GATE, Gate};
use crate::builds::{logs, node, pod_of};
use crate::cluster::{
    BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, file, held_workload, layered, machine_config, pool, updated,
};
use kube::ResourceExt;
use onlay_api::{MachineConfigNode, UpdatePhase};
use onlay_testkit::{command, registry, wait};
use serde_json::Value;
use std::path::Path;

/// The blocks of a page in a language.
fn fenced(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.strip_prefix("```") == Some(language) {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

/// The blocks that a shell can run.
pub fn blocks(page: &str) -> Vec<String> {
    fenced(page, "sh")
}

/// The commands that root types on a node.
fn on_a_node(page: &str) -> Vec<String> {
    let blocks = fenced(page, "console");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines.filter_map(|line| line.strip_prefix("# ")).map(str::to_owned).collect()
}

/// Types a block of a page into a shell.
pub async fn typed(cluster: &Cluster, block: &str) -> String {
    typed_in(cluster, Path::new("."), block).await
}

/// Types a block of a page into a shell in this directory.
async fn typed_in(cluster: &Cluster, directory: &Path, block: &str) -> String {
    let mut shell = command::command(&["sh", "-euxc", block]);
    let programs = cluster.kubectl.program().parent().unwrap();
    shell.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
    shell.env("KUBECONFIG", cluster.lab.layout().kubeconfig()).env("EXAMPLE", "../lab/examples/autofs");
    command::output(shell.current_dir(directory)).await.unwrap()
}

#[tokio::test]
async fn the_page_about_autofs_does_what_it_says() {
    let cluster = Cluster::fresh().await;
    let blocks = blocks(include_str!("../../../docs/user/autofs.md"));
    assert!(blocks.len() > 4, "the page has its commands");
    for block in blocks {
        typed(&cluster, &block).await;
    }
    cluster.pool_is("worker", "Updated with 2 machines", NODE, |pool| updated(pool, 2)).await;
}

#[tokio::test]
async fn the_page_about_the_cost_of_changes_does_what_it_says() {
    let cluster = Cluster::fresh().await;
    let blocks = blocks(include_str!("../../../docs/user/disruption.md"));
    let [reboots, policy, lives] = blocks.as_slice() else { panic!("the page has other commands: {blocks:?}") };
    let state = "cat /proc/sys/kernel/random/boot_id /run/greeting";
    typed(&cluster, reboots).await;
    let mut boots = Vec::new();
    for node in WORKERS {
        let state = cluster.on_node(node, state).await;
        boots.push(state.strip_suffix("\nhello").expect(&state).to_owned());
    }
    assert!(typed(&cluster, policy).await.ends_with("/etc/example"), "the user's entry comes after the defaults");
    let events = typed(&cluster, lives).await;
    for (node, boot) in WORKERS.iter().zip(boots) {
        assert_eq!(cluster.on_node(node, state).await, format!("{boot}\nhello again"));
        assert!(events.contains(&format!("node/{node}")), "{events}");
    }
}

/// The pool of the page about builds.
const POOL: &str = "worker-automount";

#[tokio::test]
async fn the_page_about_builds_does_what_it_says() {
    let cluster = Cluster::fresh().await;
    let page = include_str!("../../../docs/user/build.md");
    let blocks = blocks(page);
    let [files, rebuild, authorities, follow, steps, workstation] = blocks.as_slice() else {
        panic!("the page has other commands: {blocks:?}")
    };
    assert!(workstation.lines().all(|line| line.starts_with("onlay build ")), "crates/builder types these");
    let directory = tempfile::tempdir().unwrap();
    let there = directory.path();
    let gate = Gate::closed();
    std::fs::create_dir(there.join("worker-image")).unwrap();
    std::fs::write(there.join("worker-image/Containerfile"), gate.containerfile()).unwrap();
    let authority = registry::cert_dir(cluster.lab.layout()).join("ca.crt");
    std::fs::copy(authority, there.join("corporate-ca.pem")).unwrap();

    // A ConfigMap with the Containerfile, which the page's policy names.
    cluster.kubectl(&["delete", "configmap", "worker-image", "-n", NAMESPACE, "--ignore-not-found"]).await;
    typed_in(&cluster, there, files).await;
    cluster.apply(pool(POOL)).await;
    let policies = fenced(page, "yaml");
    cluster.apply(policies.iter().find(|block| block.contains("name: worker-image")).unwrap()).await;
    let mut config = layered(POOL, "");
    config["spec"].as_object_mut().unwrap().remove("containerFile");
    cluster.apply(config).await;
    let build = cluster.build_is(POOL, "Building", BUILD).await;
    logs(&cluster, &pod_of(&cluster, &build).await, AT_THE_GATE).await;

    // Following it.
    wait::until("the page's columns to have the step", SOON, async || {
        let shown = typed(&cluster, steps).await;
        let has = shown.lines().any(|line| line.starts_with(&build.name_any()) && line.contains(AT_THE_GATE));
        if has { Ok(Some(())) } else { Err(shown) }
    })
    .await
    .unwrap();
    let open = gate.open();
    let log = tokio::time::timeout(BUILD, typed(&cluster, follow)).await.expect("the log ends with the build");
    assert!(log.contains(&build.name_any()) && log.contains("onlay: pushed "), "{log}");
    cluster.build_is(POOL, "Succeeded", SOON).await;

    // Authorities make no new image; a person who asks gets one.
    typed_in(&cluster, there, authorities).await;
    let bundle = ["get", "configmap", "onlay-trusted-ca", "-n", NAMESPACE, "-o", "jsonpath={.data.ca-bundle\\.crt}"];
    assert!(cluster.kubectl(&bundle).await.contains("BEGIN CERTIFICATE"));
    typed(&cluster, rebuild).await;
    let again = cluster.next_build(POOL, &build).await;
    drop(open);

    // Emptying what it has left.
    let builder = pod_of(&cluster, &again).await;
    let left = async || cluster.on_node(node(&builder), "ls /var/lib/onlay/build-cache").await;
    assert_ne!(left().await, "");
    let [empty] = on_a_node(page).try_into().unwrap();
    cluster.on_node(node(&builder), &empty).await;
    assert_eq!(left().await, "");
    cluster.kubectl(&["delete", "configmap", "worker-image", "-n", NAMESPACE]).await;
    let without = r#"[{"op": "remove", "path": "/data"}]"#;
    cluster.kubectl(&["patch", "configmap", "onlay-trusted-ca", "-n", NAMESPACE, "--type=json", "-p", without]).await;
}

#[tokio::test]
async fn the_page_about_a_node_shows_what_is_there() {
    let cluster = Cluster::fresh().await;
    // A budget that allows no eviction keeps the update where it is, and its journal there.
    cluster.apply(held_workload()).await;
    cluster.kubectl(&["rollout", "status", "deployment/held", "--timeout=60s"]).await;
    cluster.apply(machine_config("60-worker-page", "worker", file("/etc/page", 0o644, "page\n"))).await;
    let is_staged = |node: &MachineConfigNode| {
        let update = node.status.as_ref().and_then(|status| status.onlay.as_ref()?.update.as_ref());
        update.is_some_and(|update| update.phase == UpdatePhase::Staged)
    };
    cluster.node_is(WORKERS[0], "Staged", NODE, is_staged).await;

    let page = include_str!("../../../docs/user/node.md");
    let [look] = blocks(page).try_into().unwrap();
    let shown = typed(&cluster, &look).await;
    assert!(shown.contains("\"phase\":\"Staged\"") && shown.contains("Kind:         MachineConfigNode"), "{shown}");
    let [status, guard, journal] = on_a_node(page).try_into().unwrap();
    let node = async |command: &str| cluster.on_node(WORKERS[0], command).await;
    let status: Value = serde_json::from_str(&node(&status).await).unwrap();
    assert!(status["deployments"].is_array(), "{status}");
    let journal: Value = serde_json::from_str(&node(&journal).await).unwrap();
    assert!(journal.is_object(), "{journal}");

    // A node that was never updated has a guard from its next boot on.
    cluster.kubectl(&["delete", "pdb,deployment", "held"]).await;
    cluster.pool_is("worker", "Updated with 2 machines", NODE * 2, |pool| updated(pool, 2)).await;
    let said = node(&guard).await;
    assert!(said.contains("onlay-guard"), "{said}");
    cluster.kubectl(&["delete", "mc", "60-worker-page"]).await;
    cluster.pool_is("worker", "Updated without the file", NODE * 2, |pool| updated(pool, 2)).await;
}
