//! The objects that docs/user shows, as a real API server with everything installed takes them.

use camino::Utf8Path;
use serde_json::Value;

use crate::installed::{installed, kubectl};

/// The blocks of a page that are objects of ours, with the line where each begins.
fn objects(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line == "```yaml" {
            let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let text = block.join("\n");
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            let is_ours = |document: &Value| {
                let version = document["apiVersion"].as_str().unwrap_or_default();
                version.contains(".openshift.io/") || version.starts_with("onlay.dev/")
            };
            if documents.iter().any(is_ours) {
                found.push((number + 2, text));
            }
        }
    }
    found
}

#[tokio::test]
async fn every_object_in_the_pages_is_taken() {
    let server = installed().await;
    let directory = Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/user"));
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("object.yaml");
    let mut tried = 0;
    for entry in directory.read_dir_utf8().unwrap() {
        let path = entry.unwrap().path().to_owned();
        for (line, text) in objects(&std::fs::read_to_string(&path).unwrap()) {
            std::fs::write(&file, text).unwrap();
            let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", file.to_str().unwrap()];
            let said = kubectl(server, &arguments).await;
            assert!(said.is_ok(), "{path}:{line}: {}", said.unwrap_err());
            tried += 1;
        }
    }
    assert!(tried > 5, "{tried} objects are few");
}
