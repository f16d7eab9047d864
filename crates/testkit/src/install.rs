//! Installing onlay in the lab, as docs/user/install.md tells people to: images in their registry, an overlay, kubectl.

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use crate::assets::AssetsError;
use crate::command::CommandError;
use crate::images::{self, Images, ImagesError};
use crate::layout::{LayoutError, write_whole};
use crate::registry::{self, RegistryError};
use crate::{Kubectl, Lab, Progress};

/// Where onlay's objects live.
const NAMESPACE: &str = "openshift-machine-config-operator";
/// The base image of the lab's nodes.
const BASE: &str = "10.223.0.1:5000/os/base:1";
/// How long a node of the lab may stay unconfirmed after its boot; it boots in seconds.
const GUARD_DEADLINE: &str = "45s";

/// Why onlay is not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The images.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// kubectl is not there.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// kubectl failed.
    #[error("failed to install onlay")]
    Command(#[from] CommandError),
    /// The overlay.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The registry's credentials.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A file of the lab.
    #[error("failed to read {path}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Builds the images, applies definitions and overlay, and waits until everything runs.
pub async fn onlay(lab: &Lab, progress: &Progress) -> Result<(), InstallError> {
    let images = images::ensure(lab.layout(), lab.profile(), progress).await?;
    let kubectl = lab.kubectl()?;
    let deploy = source().join("deploy");
    progress.step("kubectl apply -k deploy/crds", crds(&kubectl, &deploy)).await?;
    let overlay = write_overlay(lab, &images)?;
    let apply = apply(&kubectl, overlay.as_str());
    progress.step("kubectl apply -k (an overlay of deploy/base)", apply).await?;
    progress.step("controller, webhook and agents run", runs(&kubectl)).await
}

async fn crds(kubectl: &Kubectl, deploy: &Utf8PathBuf) -> Result<(), InstallError> {
    apply(kubectl, deploy.join("crds").as_str()).await?;
    let kinds = ["--for=condition=Established", "crd", "--all", "--timeout=30s"];
    kubectl.run(&[&["wait"], &kinds[..]].concat()).await?;
    Ok(())
}

async fn apply(kubectl: &Kubectl, directory: &str) -> Result<(), InstallError> {
    kubectl.run(&["apply", "--server-side", "--force-conflicts", "-k", directory]).await?;
    Ok(())
}

async fn runs(kubectl: &Kubectl) -> Result<(), InstallError> {
    for workload in ["deployment/onlay-controller", "deployment/onlay-webhook", "daemonset/onlay-agent"] {
        kubectl.run(&["rollout", "status", "-n", NAMESPACE, workload, "--timeout=120s"]).await?;
    }
    Ok(())
}

/// Writes the secrets that docs/user/autofs.md asks people to have: both hold the lab's only user.
pub async fn example_secrets(lab: &Lab) -> Result<(), InstallError> {
    let config = read(&registry::auth_file(lab.layout()))?;
    let secrets = ["push-secret", "pull-and-push-secret"].map(|name| {
        let metadata = json!({"name": name, "namespace": NAMESPACE});
        let data = json!({".dockerconfigjson": config});
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": metadata, "stringData": data})
    });
    lab.kubectl()?.apply(&json!({"apiVersion": "v1", "kind": "List", "items": secrets}).to_string()).await?;
    Ok(())
}

/// The overlay: image names, the registry's authority, the base image.
fn write_overlay(lab: &Lab, images: &Images) -> Result<Utf8PathBuf, InstallError> {
    let directory = lab.layout().state().join("overlay");
    let maps = json!({"apiVersion": "v1", "kind": "List", "items": [
        config_map("registry-ca", json!({"ca.crt": lab.pki().ca_pem()})),
        config_map("machine-config-osimageurl", json!({"osImageURL": BASE, "baseOSContainerImage": BASE})),
    ]});
    let depth = directory.components().count() - 1;
    let base = format!("{}{}", "../".repeat(depth), source().join("deploy/base").as_str().trim_start_matches('/'));
    let (name, tag) = images.onlayd.rsplit_once(':').unwrap_or((&images.onlayd, "latest"));
    let environment = json!([
        {"name": "ONLAY_BUILDER_IMAGE", "value": images.builder},
        {"name": "ONLAY_REGISTRY_CA_CONFIGMAP", "value": "registry-ca"},
    ]);
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base, "maps.yaml"],
        "images": [{"name": "onlay.dev/onlayd", "newName": name, "newTag": tag}],
        "patches": [
            {"patch": container("Deployment", "onlay-controller", "controller", "env", environment).to_string()},
            {"patch": container("DaemonSet", "onlay-agent", "agent", "args", json!([
                "agent", "--node-name=$(NODE_NAME)", format!("--guard-deadline={GUARD_DEADLINE}"),
            ])).to_string()},
        ],
    });
    write_whole(&directory.join("maps.yaml"), maps.to_string(), 0o644)?;
    write_whole(&directory.join("kustomization.yaml"), kustomization.to_string(), 0o644)?;
    Ok(directory)
}

fn config_map(name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data})
}

/// A patch of one field of one container.
fn container(kind: &str, name: &str, container: &str, field: &str, value: Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"template": {"spec": {"containers": [{"name": container, field: value}]}}},
    })
}

/// The root of the project.
fn source() -> Utf8PathBuf {
    Utf8PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize_utf8().unwrap_or_default()
}

fn read(path: &Utf8PathBuf) -> Result<String, InstallError> {
    std::fs::read_to_string(path).map_err(|source| InstallError::Read { path: path.clone(), source })
}
