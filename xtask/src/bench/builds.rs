//! `cargo xtask bench builds`: how long builds take and what they write, beside the plain way on the same node.
//!
//! The plain way is the generated Containerfile in one pod with the same rights: `buildah bud` with vfs and nothing kept,
//! then a push. Both push into repositories of their own, which begin empty.

mod download;
mod plain;
mod step;

use super::{Figure, Goal, Measured};
use crate::Outcome;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_api::{MachineConfigPool, MachineOSConfig};
use onlay_testkit::lab::Options;
use onlay_testkit::programs::Profile;
use onlay_testkit::registry::DAEMON;
use onlay_testkit::{Kubectl, Lab, Progress, install, lab, wait};
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

/// The pool that is built for.
const POOL: &str = "bench";
const NAMESPACE: &str = "openshift-machine-config-operator";
/// The MachineConfig that names the large base image.
const CONFIG: &str = "60-bench-base";
/// Where the base image of the lab is named.
const BASE: &str = "jsonpath={.data.baseOSContainerImage}";
/// The node that everything is built on, so that both ways use one disk.
const NODE: &str = "worker-0";
/// How long a build may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// What the user's Containerfile does first.
const PACKAGE: &str = "RUN apt-get update && apt-get install -y --no-install-recommends tree && apt-get clean && \
                       rm -rf /var/lib/apt/lists/*";
const START: &str = "from the builder's first line to the digest, by the times of the pod's log";
const WRITTEN: &str = "sectors written by the machine's disks in the meantime, after sync, all of the machine";
const STARTED: &str = "kubectl apply to the builder's first line, by the time of the pod's log: the cluster's part";
const BEGUN: &str = "kubectl apply to the first STEP, by the time of the pod's log";
const PUSHED: &str = "growth of the registry's blobs";

/// What one build took.
#[derive(Debug, Clone, Copy)]
struct Taken {
    seconds: f64,
    written: f64,
    pushed: f64,
}

/// What a build of onlay took.
#[derive(Debug, Clone, Copy, Default)]
struct Built {
    /// Seconds from the change to the builder's first line.
    started: f64,
    /// Seconds from the change to the builder's first instruction.
    begun: f64,
    /// Seconds from the builder's start to the digest.
    seconds: f64,
}

/// A state that builds begin in, and what is promised for it: times faster, times less written, seconds to the beginning.
struct Case {
    name: &'static str,
    faster: Goal,
    less: Goal,
    begun: Goal,
    containerfile: String,
    rebuild: bool,
}

fn cases() -> [Case; 3] {
    let case = |name, [faster, less, begun]: [Goal; 3], last, rebuild| {
        let containerfile = format!("FROM configs AS final\n{PACKAGE}\nRUN echo {last} > /usr/share/onlay-bench\n");
        Case { name, faster, less, begun, containerfile, rebuild }
    };
    [
        case("first build", [Goal::AtLeast(1.2), Goal::AtLeast(2.0), Goal::Free], "a", false),
        case("base cached", [Goal::AtLeast(2.5), Goal::AtLeast(10.0), Goal::AtMost(3.0)], "a", true),
        case("last line changed", [Goal::AtLeast(5.0), Goal::AtLeast(10.0), Goal::AtMost(3.0)], "b", false),
    ]
}

/// The base image of a table.
#[derive(Debug, Clone)]
struct Base {
    /// The image by digest.
    image: String,
    /// What is before the names of its rows.
    rows: &'static str,
    /// What is in the names of the repositories.
    word: &'static str,
}

/// Adds the figures, in a new lab: one that runs is taken down first; of a base image of `base_mib` MiB more too, unless that is 0.
pub fn measure(base_mib: u64, figures: &mut Vec<Figure>) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tables(base_mib, figures))
}

async fn tables(base_mib: u64, figures: &mut Vec<Figure>) -> Outcome {
    let progress = Progress::stderr();
    let options = Options { profile: Profile::Release, ..Options::from_environment()? };
    // Pools of an earlier use of the lab would build and drain in the meantime.
    lab::down(&options.layout, &progress).await?;
    let lab = Lab::up_with(&options, &progress).await?;
    install::onlay(&lab, &progress).await?;
    install::example_secrets(&lab).await?;
    let kubectl = lab.kubectl()?;
    let image = kubectl.run(&["get", "configmap", "-n", NAMESPACE, "machine-config-osimageurl", "-o", BASE]).await?;
    let base = Base { image: image.trim().to_owned(), rows: "", word: "base" };
    figures.extend(table(&lab, &base, &progress).await?);
    if base_mib > 0 {
        progress.say(format!("making a base image with {base_mib} MiB more"));
        let padded = Base { image: plain::padded(&lab, &base, base_mib).await?, rows: "large base, ", word: "large" };
        let config = json!({
            "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig",
            "metadata": {"name": CONFIG, "labels": {"machineconfiguration.openshift.io/role": POOL}},
            "spec": {"osImageURL": padded.image},
        });
        // Else the one of the first table would be built on it.
        kubectl.run(&["delete", "machineosconfig", POOL]).await?;
        kubectl.apply(&config.to_string()).await?;
        let pools = Api::<MachineConfigPool>::all(lab.client().await?);
        wait::until("the pool to take the large base image", PATIENCE, async || {
            let target = pools.get(POOL).await?.spec.configuration.unwrap_or_default();
            Ok::<_, kube::Error>(
                target.source.iter().any(|source| source.name.as_deref() == Some(CONFIG)).then_some(()),
            )
        })
        .await?;
        figures.extend(table(&lab, &padded, &progress).await?);
    }
    Ok(())
}

/// The rows of one base image.
async fn table(lab: &Lab, base: &Base, progress: &Progress) -> Measured<Vec<Figure>> {
    prepare(lab).await?;
    let mut figures = Vec::new();
    for case in cases() {
        let name = format!("{}{}", base.rows, case.name);
        progress.say(format!("building: {name}"));
        let mut built = Built::default();
        let ours = meter(lab, async || {
            built = ours(lab, base, &case).await?;
            Ok(built.seconds)
        })
        .await?;
        progress.say(format!("building the plain way: {name}"));
        let plain = meter(lab, async || plain::build(lab, base, &case.containerfile).await).await?;
        figures.extend(compared(&name, &case, ours, plain));
        figures.push(super::seconds(format!("{name}, until the builder starts"), built.started, Goal::Free, STARTED));
        figures.push(super::seconds(format!("{name}, until the first instruction"), built.begun, case.begun, BEGUN));
    }
    figures.push(step::row(lab, base).await?);
    figures.push(again(lab, base).await?);
    figures.extend(download::rows(lab, base).await?);
    Ok(figures)
}

/// A pool whose builds run on one node, where no build has left anything.
async fn prepare(lab: &Lab) -> Outcome {
    let kubectl = lab.kubectl()?;
    kubectl.run(&["delete", "machineosconfig,layeringpolicy", POOL, "--ignore-not-found"]).await?;
    lab.node(NODE)?.exec(&["find", "/var/lib/onlay/build-cache", "-mindepth", "1", "-delete"]).await?;
    let pool = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool", "metadata": {"name": POOL},
        "spec": {
            "machineConfigSelector": {"matchLabels": {"machineconfiguration.openshift.io/role": POOL}},
            "nodeSelector": {"matchLabels": {format!("node-role.kubernetes.io/{POOL}"): ""}},
        },
    });
    let policy = json!({
        "apiVersion": "onlay.dev/v1alpha1", "kind": "LayeringPolicy", "metadata": {"name": POOL},
        "spec": {"build": {"nodeSelector": {"kubernetes.io/hostname": NODE}}},
    });
    kubectl.apply(&pool.to_string()).await?;
    kubectl.apply(&policy.to_string()).await?;
    Ok(())
}

/// Where images are pushed; new in every run, so that the first push finds nothing.
fn repository(way: &str, base: &Base) -> String {
    format!("10.223.0.1:5000/os/bench-{way}-{}-{}", base.word, std::process::id())
}

async fn apply(kubectl: &Kubectl, base: &Base, containerfile: &str) -> Outcome {
    let object = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineOSConfig", "metadata": {"name": POOL},
        "spec": {
            "machineConfigPool": {"name": POOL},
            "containerFile": [{"content": containerfile}],
            "imageBuilder": {"imageBuilderType": "Job"},
            "baseImagePullSecret": {"name": "pull-and-push-secret"},
            "renderedImagePushSecret": {"name": "push-secret"},
            "renderedImagePushSpec": format!("{}:latest", repository("onlay", base)),
        },
    });
    kubectl.apply(&object.to_string()).await?;
    Ok(())
}

/// Builds by onlay.
async fn ours(lab: &Lab, base: &Base, case: &Case) -> Measured<Built> {
    let kubectl = lab.kubectl()?;
    let before = newest_pod(lab).await?.map(|pod| pod.name_any());
    let asked = Timestamp::now();
    apply(&kubectl, base, &case.containerfile).await?;
    if case.rebuild {
        kubectl.run(&["annotate", "machineosconfig", POOL, "machineconfiguration.openshift.io/rebuild="]).await?;
    }
    let pod = wait::until("a new pod to have built", PATIENCE, async || {
        let pod = newest_pod(lab).await?.filter(|pod| Some(pod.name_any()) != before);
        Ok::<_, kube::Error>(pod.filter(|pod| phase(pod) == "Succeeded"))
    })
    .await?;
    ready(lab).await?;
    let seconds = plain::seconds(&kubectl, &pod.name_any(), "onlay: building ", "onlay: pushed ").await?;
    let after = async |words| {
        let time = plain::time_of(&kubectl, &pod.name_any(), words).await?;
        Measured::Ok(time.duration_since(asked).as_secs_f64())
    };
    Ok(Built { started: after("onlay: building ").await?, begun: after("STEP 1/").await?, seconds })
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// The newest pod of a build of the pool.
async fn newest_pod(lab: &Lab) -> Result<Option<Pod>, kube::Error> {
    let client = lab.client().await.map_err(|error| kube::Error::Service(error.into()))?;
    let of_pool = format!("machineconfiguration.openshift.io/target-machine-config-pool={POOL}");
    let pods = Api::<Pod>::namespaced(client, NAMESPACE).list(&ListParams::default().labels(&of_pool)).await?;
    Ok(pods.into_iter().max_by_key(|pod| pod.creation_timestamp().map(|time| time.0)))
}

/// Waits until the image of the MachineOSConfig as it is now is there, and gives it.
async fn ready(lab: &Lab) -> Measured<String> {
    let configs = Api::<MachineOSConfig>::all(lab.client().await?);
    let image = wait::until("the image to be ready", PATIENCE, async || {
        let config = configs.get(POOL).await?;
        let status = config.status.unwrap_or_default();
        let is_ready = status.conditions.iter().any(|known| known.type_ == "ImageReady" && known.reason == "Built");
        let is_new = status.observed_generation == config.metadata.generation;
        Ok::<_, kube::Error>(status.current_image_pull_spec.filter(|_| is_ready && is_new))
    });
    Ok(image.await?)
}

/// Goes back to the inputs of the first build: no pod, and the image at once.
async fn again(lab: &Lab, base: &Base) -> Measured<Figure> {
    let [_, first, _] = cases();
    let before = newest_pod(lab).await?.map(|pod| pod.name_any());
    let start = Instant::now();
    apply(&lab.kubectl()?, base, &first.containerfile).await?;
    ready(lab).await?;
    let taken = start.elapsed().as_secs_f64();
    if newest_pod(lab).await?.map(|pod| pod.name_any()) != before {
        return Err("going back to earlier inputs has made a pod".into());
    }
    Ok(super::seconds(
        format!("{}build, equal inputs", base.rows),
        taken,
        Goal::AtMost(1.0),
        "kubectl apply to ImageReady, and no pod was made",
    ))
}

/// Measures what is written and pushed while something builds.
async fn meter(lab: &Lab, build: impl AsyncFnOnce() -> Measured<f64>) -> Measured<Taken> {
    let (written, pushed) = (sectors()?, stored(lab)?);
    let seconds = build().await?;
    Ok(Taken { seconds, written: (sectors()? - written) / 2.0, pushed: stored(lab)? - pushed })
}

/// Sectors of 512 bytes that the disks have written since the machine began, all that is in memory among them.
fn sectors() -> Measured<f64> {
    crate::run::pass(&mut Command::new("sync"))?;
    let text = std::fs::read_to_string("/proc/diskstats")?;
    let of_disks = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let whole = |name: &str| std::path::Path::new("/sys/block").join(name).join("device").exists();
    Ok(of_disks
        .filter(|words| words.len() > 9 && whole(words[2]))
        .filter_map(|words| words[9].parse::<f64>().ok())
        .sum())
}

/// KiB that the registry holds.
fn stored(lab: &Lab) -> Measured<f64> {
    let data = lab.layout().service(DAEMON).join("data");
    let text =
        crate::run::read(Command::new("du").args(["--summarize", "--apparent-size", "--block-size=1024"]).arg(data))?;
    let number = text.split_whitespace().next().unwrap_or_default();
    number.parse().map_err(|_| format!("`du` answered {text:?}, not a number").into())
}

/// The rows of one case.
fn compared(name: &str, case: &Case, ours: Taken, plain: Taken) -> Vec<Figure> {
    let times = |what: &str, plain: f64, ours: f64, goal| {
        let ratio = plain / ours.max(f64::MIN_POSITIVE);
        Figure::new(format!("{name}, {what}"), (ratio, "x"), 1, goal, "the ratio of both")
    };
    vec![
        super::seconds(format!("{name}, plain"), plain.seconds, Goal::Free, START),
        super::seconds(format!("{name}, onlay"), ours.seconds, Goal::Free, START),
        times("faster", plain.seconds, ours.seconds, case.faster),
        super::mebibytes(format!("{name}, written, plain"), plain.written, Goal::Free, WRITTEN),
        super::mebibytes(format!("{name}, written, onlay"), ours.written, Goal::Free, WRITTEN),
        times("less written", plain.written, ours.written, case.less),
        super::mebibytes(format!("{name}, pushed, plain"), plain.pushed, Goal::Free, PUSHED),
        super::mebibytes(format!("{name}, pushed, onlay"), ours.pushed, Goal::Free, PUSHED),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_can_be_measured() {
        let before = sectors().unwrap();
        assert!(before > 0.0 && sectors().unwrap() >= before);
    }
}
