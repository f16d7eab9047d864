//! The nodes' system for two architectures, as far as one that runs on one of them can have it.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BaseImageError, IMAGE, step};
use crate::command::command;
use crate::{Layout, registry, tether};

/// An index of the system's image for amd64 and arm64 in the lab's registry.
pub const FOR_TWO: &str = "10.223.0.1:5000/os/base:two";
/// The architecture that is only said.
const OTHER: &str = "arm64";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Pushes [`FOR_TWO`], and gives its digest. The image for arm64 is that for amd64 with another word in its configuration.
pub async fn push_for_two(layout: &Layout) -> Result<String, BaseImageError> {
    let at = |path: &Utf8Path| {
        let path = path.to_owned();
        move |source| BaseImageError::Io { step: "write an image for two architectures", path, source }
    };
    let (_removed_at_the_end, directory) = tether::directory("onlay-two-").map_err(at("/tmp".into()))?;
    let (auth, certs) = (registry::auth_file(layout), registry::cert_dir(layout));
    let place = format!("dir:{directory}");
    let mut pull = command(&["skopeo", "copy", "--quiet", "--src-authfile", auth.as_str(), "--src-cert-dir"]);
    step("pull the base image", pull.args([certs.as_str(), &format!("docker://{IMAGE}"), &place])).await?;
    let (digest, index) = Images { directory: &directory }.join().map_err(at(&directory))?;
    fs::write(directory.join("manifest.json"), index).map_err(at(&directory))?;
    let mut push = command(&["skopeo", "copy", "--quiet", "--all", "--preserve-digests", "--dest-authfile"]);
    push.args([auth.as_str(), "--dest-cert-dir", certs.as_str(), &place, &format!("docker://{FOR_TWO}")]);
    step("push the base image for two architectures", &mut push).await?;
    Ok(digest)
}

/// Copies the image for arm64 to another name of the lab's registry, and gives its digest there.
pub async fn copy_other(layout: &Layout, target: &str) -> Result<String, BaseImageError> {
    let (auth, certs) = (registry::auth_file(layout), registry::cert_dir(layout));
    let (from, to) = (format!("docker://{FOR_TWO}"), format!("docker://{target}"));
    let mut copy = command(&["skopeo", "copy", "--quiet", "--override-arch", OTHER, "--preserve-digests"]);
    copy.args(["--src-authfile", auth.as_str(), "--src-cert-dir", certs.as_str()]);
    copy.args(["--dest-authfile", auth.as_str(), "--dest-cert-dir", certs.as_str(), "--digestfile", "/dev/stdout"]);
    step("copy the base image for arm64", copy.args([from, to])).await.map(|digest| digest.trim().to_owned())
}

/// An image in a directory as skopeo writes it (containers-transports(5), `dir:`): `manifest.json`, blobs by their digest, and
/// `DIGEST.manifest.json` for each image of an index.
struct Images<'a> {
    directory: &'a Utf8Path,
}

impl Images<'_> {
    /// Digest and text of the index.
    fn join(&self) -> std::io::Result<(String, String)> {
        let own = fs::read_to_string(self.directory.join("manifest.json"))?;
        let mut manifest: Value = serde_json::from_str(&own)?;
        let config = self.blob(&manifest["config"]["digest"]);
        let mut config: Value = serde_json::from_str(&fs::read_to_string(config)?)?;
        config["architecture"] = OTHER.into();
        let config = config.to_string();
        manifest["config"]["digest"] = digest(&config).into();
        manifest["config"]["size"] = config.len().into();
        fs::write(self.blob(&manifest["config"]["digest"]), config)?;
        let entries = [self.entry("amd64", &own)?, self.entry(OTHER, &manifest.to_string())?];
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
        Ok((digest(&index), index))
    }

    fn entry(&self, architecture: &str, manifest: &str) -> std::io::Result<Value> {
        let (digest, read) = (digest(manifest), serde_json::from_str::<Value>(manifest)?);
        fs::write(format!("{}.manifest.json", self.blob(&json!(digest))), manifest)?;
        let platform = json!({"architecture": architecture, "os": "linux"});
        let media_type = read["mediaType"].as_str().unwrap_or("application/vnd.oci.image.manifest.v1+json");
        Ok(json!({"mediaType": media_type, "digest": digest, "size": manifest.len(), "platform": platform}))
    }

    fn blob(&self, digest: &Value) -> Utf8PathBuf {
        self.directory.join(digest.as_str().unwrap_or_default().trim_start_matches("sha256:"))
    }
}

fn digest(text: &str) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
