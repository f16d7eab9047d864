//! Many builds at once on two nodes, which share what they keep there.

use crate::architectures::inspect;
use crate::build_faults::{AT_THE_GATE, Gate};
use crate::builds::{self, logs, nothing_leaks, pod_of};
use crate::cluster::{BUILD, Cluster, SOON, layered, pool};
use onlay_testkit::command;
use serde_json::{Value, json};
use std::time::Duration;

/// Pools that build at once.
const POOLS: usize = 10;
/// How long a build may take beside nine others.
const PATIENCE: Duration = BUILD.saturating_mul(3);
/// What each build writes into its image.
const FILE: &str = "usr/share/onlay-test";

fn name(number: usize) -> String {
    format!("many-{number}")
}

/// A file in an image of the lab's registry, from the uppermost layer that has it; empty if none has.
async fn read(cluster: &Cluster, image: &str, path: &str) -> String {
    let manifest = inspect(cluster, &["inspect", "--raw"], image).await;
    let blobs = cluster.lab.layout().state().join("registry/data/docker/registry/v2/blobs/sha256");
    for layer in manifest["layers"].as_array().unwrap().iter().rev() {
        let digest = layer["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let blob = blobs.join(&digest[..2]).join(digest).join("data");
        assert!(blob.is_file(), "{blob} is no layer of {image}");
        // A layer without the file is a failure of tar.
        let script = r#"zcat -f "$0" | tar --extract --to-stdout "$1" 2>/dev/null || true"#;
        let text = command::run(&["sh", "-c", script, blob.as_str(), path]).await.unwrap();
        if !text.is_empty() {
            return text;
        }
    }
    String::new()
}

#[tokio::test]
async fn ten_pools_build_at_once_and_each_gets_what_its_own_build_has_made() {
    let cluster = builds::cluster().await;
    let gate = Gate::closed();
    let text = |name: &str| format!("FROM configs AS final\nRUN {}; echo {name} > /{FILE}\n", gate.wait());
    let names: Vec<String> = (0..POOLS).map(name).collect();
    let objects: Vec<Value> = names.iter().flat_map(|name| [pool(name), layered(name, &text(name))]).collect();
    cluster.apply(json!({"apiVersion": "v1", "kind": "List", "items": objects})).await;
    // None of them ends before all of them run.
    for name in &names {
        let build = cluster.build_is(name, "Building", PATIENCE).await;
        let pod = pod_of(&cluster, &build).await;
        logs(&cluster, &pod, AT_THE_GATE).await;
    }
    let _open = gate.open();
    for name in &names {
        let build = cluster.build_is(name, "Succeeded", PATIENCE).await;
        let image = build.status.unwrap().digested_image_push_spec.unwrap();
        assert_eq!(read(&cluster, &image, FILE).await, format!("{name}\n"), "{image}");
        let served = |spec: Option<&str>| spec == Some(image.as_str());
        cluster
            .config_is(name, &format!("served with {image}"), SOON, |config| {
                served(config.status.as_ref().and_then(|status| status.current_image_pull_spec.as_deref()))
            })
            .await;
        nothing_leaks(&cluster, name).await;
    }
}
