//! The plain way to build: one pod, buildah with vfs, nothing kept.

use super::{NAMESPACE, NODE, PATIENCE, newest_pod, phase, repository};
use crate::bench::Measured;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use onlay_testkit::{Kubectl, Lab, wait};

/// Name of the pod.
const NAME: &str = "bench-plain";
/// What the pod does; the environment has base, target and Containerfile.
const SCRIPT: &str = r#"
echo "plain: building"
mkdir -p "$HOME" /build/context
printf '%s' "$CONTAINERFILE" > /build/context/Containerfile
buildah="buildah --root /build/storage --runroot /build/run --storage-driver vfs"
authority="--cert-dir /run/onlay/registry-ca"
$buildah bud --isolation chroot --network host --no-cache --format oci $authority \
  --authfile /run/onlay/pull/.dockerconfigjson --tag localhost/image --file /build/context/Containerfile /build/context
$buildah push $authority --authfile /run/onlay/push/.dockerconfigjson --digestfile /build/digest localhost/image "docker://$TARGET"
echo "plain: pushed $(cat /build/digest)"
"#;

/// Builds in a pod like the newest one of onlay's, and gives the seconds that it took.
pub async fn build(lab: &Lab, containerfile: &str) -> Measured<f64> {
    let kubectl = lab.kubectl()?;
    let pods = Api::<Pod>::namespaced(lab.client().await?, NAMESPACE);
    kubectl.run(&["delete", "pod", "-n", NAMESPACE, NAME, "--ignore-not-found"]).await?;
    let like = newest_pod(lab).await?.ok_or("no pod of a build is there to be like")?;
    let base = kubectl.run(&["get", "configmap", "-n", NAMESPACE, "machine-config-osimageurl", "-o", BASE]).await?;
    pods.create(&PostParams::default(), &pod(like, base.trim(), containerfile)?).await?;
    wait::until("the plain build to end", PATIENCE, async || {
        let pod = pods.get(NAME).await.map_err(|error| error.to_string())?;
        match phase(&pod) {
            "Succeeded" => Ok(Some(())),
            other => Err(format!("the pod is {other}")),
        }
    })
    .await?;
    seconds(&kubectl, NAME, "plain: building", "plain: pushed ").await
}

/// Where the base image of the lab is named.
const BASE: &str = "jsonpath={.data.baseOSContainerImage}";

/// A pod with the rights and secrets of another one, and nothing that is kept.
fn pod(like: Pod, base: &str, containerfile: &str) -> Measured<Pod> {
    let mut spec = like.spec.ok_or("the pod has no spec")?;
    let kept = |name: &str| matches!(name, "work" | "pull" | "push" | "registry-ca");
    spec.volumes.iter_mut().for_each(|volumes| volumes.retain(|volume| kept(&volume.name)));
    (spec.node_name, spec.affinity) = (None, None);
    spec.node_selector = Some([("kubernetes.io/hostname".to_owned(), NODE.to_owned())].into());
    let container = spec.containers.first_mut().ok_or("the pod has no container")?;
    container.volume_mounts.iter_mut().for_each(|mounts| mounts.retain(|mount| kept(&mount.name)));
    container.command = Some(["bash", "-euc", SCRIPT].map(str::to_owned).into());
    let whole = containerfile.replace(
        "FROM configs",
        &format!("FROM {base} AS configs\nENV DEBIAN_FRONTEND=noninteractive DPKG_FORCE=confold\nFROM configs"),
    );
    let variables = [("CONTAINERFILE", whole), ("TARGET", format!("{}:1", repository("plain")))];
    let environment = container.env.get_or_insert_default();
    environment.extend(variables.map(|(name, value)| k8s_openapi::api::core::v1::EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    }));
    let metadata =
        ObjectMeta { name: Some(NAME.to_owned()), namespace: Some(NAMESPACE.to_owned()), ..ObjectMeta::default() };
    Ok(Pod { metadata, spec: Some(spec), status: None })
}

/// Seconds between two lines of a pod's log, by how they begin.
pub async fn seconds(kubectl: &Kubectl, pod: &str, first: &str, last: &str) -> Measured<f64> {
    let log = kubectl.run(&["logs", "-n", NAMESPACE, "--timestamps", pod]).await?;
    between(&log, first, last)
        .ok_or_else(|| format!("the log of {pod} has no line {first:?} or {last:?}: {log}").into())
}

fn between(log: &str, first: &str, last: &str) -> Option<f64> {
    let time = |words: &str| {
        let mut lines = log.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(_, line)| line.starts_with(words))?.0.parse::<Timestamp>().ok()
    };
    Some(time(last)?.duration_since(time(first)?).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn the_time_between_two_lines_is_read() {
        let log =
            "2026-01-01T00:00:01.5Z onlay: building a\n2026-01-01T00:00:02Z x\n2026-01-01T00:00:04Z onlay: pushed b\n";
        assert_eq!(between(log, "onlay: building ", "onlay: pushed "), Some(2.5));
        assert_eq!(between(log, "onlay: building ", "onlay: nothing"), None);
    }
}
