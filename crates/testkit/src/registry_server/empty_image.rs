//! The smallest image: labels and no files.

use camino::Utf8Path;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::layout::{self, LayoutError};

/// Writes it as an OCI image layout (image-layout.md of the OCI image specification 1.0) for linux on an architecture, as
/// Kubernetes names it. `labels` is an object from name to text, or null.
pub fn write(directory: &Utf8Path, architecture: &str, labels: &Value) -> Result<(), LayoutError> {
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [{"created_by": "a test", "empty_layer": true}],
    });
    let config = blob(directory, "application/vnd.oci.image.config.v1+json", &config)?;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": []});
    let manifest = blob(directory, media_type, &manifest)?;
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    layout::write_whole(&directory.join("index.json"), index.to_string(), 0o644)?;
    layout::write_whole(&directory.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#, 0o644)
}

/// Writes a blob and returns its descriptor.
fn blob(directory: &Utf8Path, media_type: &str, contents: &Value) -> Result<Value, LayoutError> {
    let contents = contents.to_string();
    let hex: String = Sha256::digest(&contents).iter().map(|byte| format!("{byte:02x}")).collect();
    layout::write_whole(&directory.join("blobs/sha256").join(&hex), &contents, 0o644)?;
    Ok(json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": contents.len()}))
}
