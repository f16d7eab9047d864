//! The plain way to build: one pod, buildah with vfs, nothing kept.

use super::{Base, NAMESPACE, NODE, PATIENCE, newest_pod, phase, repository};
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
pub async fn build(lab: &Lab, base: &Base, containerfile: &str) -> Measured<f64> {
    run(lab, base, containerfile).await?;
    seconds(&lab.kubectl()?, NAME, "plain: building", PUSHED).await
}

/// Makes a base image that is so many MiB larger, and gives it by digest.
pub async fn padded(lab: &Lab, base: &Base, size: u64) -> Measured<String> {
    let pad = format!("FROM configs AS final\nRUN head -c {size}M /dev/urandom > /usr/share/onlay-bench-pad\n");
    run(lab, base, &pad).await?;
    let log = lab.kubectl()?.run(&["logs", "-n", NAMESPACE, NAME]).await?;
    let digest = log.lines().find_map(|line| line.strip_prefix(PUSHED)).ok_or("the padded base has no digest")?;
    Ok(format!("{}@{digest}", repository("plain", base)))
}

async fn run(lab: &Lab, base: &Base, containerfile: &str) -> Measured<()> {
    let kubectl = lab.kubectl()?;
    let pods = Api::<Pod>::namespaced(lab.client().await?, NAMESPACE);
    kubectl.run(&["delete", "pod", "-n", NAMESPACE, NAME, "--ignore-not-found"]).await?;
    let like = newest_pod(lab).await?.ok_or("no pod of a build is there to be like")?;
    pods.create(&PostParams::default(), &pod(like, base, containerfile)?).await?;
    wait::until("the plain build to end", PATIENCE, async || {
        let pod = pods.get(NAME).await.map_err(|error| error.to_string())?;
        match phase(&pod) {
            "Succeeded" => Ok(Some(())),
            other => Err(format!("the pod is {other}")),
        }
    })
    .await?;
    Ok(())
}

/// What stands before the digest in the log.
const PUSHED: &str = "plain: pushed ";

/// A pod with the rights and secrets of another one, and nothing that is kept.
fn pod(like: Pod, base: &Base, containerfile: &str) -> Measured<Pod> {
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
        &format!("FROM {} AS configs\nENV DEBIAN_FRONTEND=noninteractive DPKG_FORCE=confold\nFROM configs", base.image),
    );
    let variables = [("CONTAINERFILE", whole), ("TARGET", format!("{}:1", repository("plain", base)))];
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
    let (first, last) = (time_of(kubectl, pod, first).await?, time_of(kubectl, pod, last).await?);
    Ok(last.duration_since(first).as_secs_f64())
}

/// When a pod wrote the first line that begins like this, or after the number of a stage like this.
pub async fn time_of(kubectl: &Kubectl, pod: &str, words: &str) -> Measured<Timestamp> {
    let log = kubectl.run(&["logs", "-n", NAMESPACE, "--timestamps", pod]).await?;
    find(&log, words).ok_or_else(|| format!("the log of {pod} has no line {words:?}: {log}").into())
}

fn find(log: &str, words: &str) -> Option<Timestamp> {
    let mut lines = log.lines().filter_map(|line| line.split_once(' '));
    let without_stage = |line: &str| {
        line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(_, rest)| rest.starts_with(words))
    };
    let begins = |line: &str| line.starts_with(words) || without_stage(line) == Some(true);
    lines.find(|(_, line)| begins(line))?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_time_of_a_line_is_read() {
        let log = "2026-01-01T00:00:01.5Z onlay: building a\n2026-01-01T00:00:02Z [1/2] STEP 1/3: FROM x\n";
        assert_eq!(find(log, "onlay: building "), "2026-01-01T00:00:01.5Z".parse().ok());
        assert_eq!(find(log, "STEP 1/"), "2026-01-01T00:00:02Z".parse().ok());
        assert_eq!(find(log, "onlay: nothing"), None);
    }
}
