//! `cargo xtask bench lab`: figures of a real cluster.

use super::{Figure, Goal, Measured, mebibytes, seconds};
use crate::Outcome;
use crate::demo::report::{between, out_of_service};
use crate::demo::{self, Told};
use kube::api::Api;
use onlay_api::MachineConfigNode;
use onlay_testkit::lab::Options;
use onlay_testkit::programs::Profile;
use onlay_testkit::timeline::{Milestone, Timeline};
use onlay_testkit::{Lab, Progress, install, lab, wait};
use serde_json::json;
use std::time::{Duration, Instant};

/// The MachineConfig that is applied to see how fast a change reaches the nodes.
const CHANGE: &str = "70-worker-automount-bench";
/// How long an idle agent is watched.
const IDLE: Duration = Duration::from_secs(60);
/// How the staging of an image is measured.
const PULLED: &str =
    "the new image in the node's spec to staged: its layers pulled for the first time, the slower node of the demo";
/// How long any single measurement may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The figures of the lab, which is taken down first, so that its start can be measured.
pub fn measure() -> Measured<Vec<Figure>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(figures())
}

async fn figures() -> Measured<Vec<Figure>> {
    let progress = Progress::stderr();
    let options = Options { profile: Profile::Release, ..Options::from_environment()? };
    prepare(&options, &progress).await?;
    lab::down(&options.layout, &progress).await?;
    let start = Instant::now();
    Lab::up_with(&options, &progress).await?;
    let up = start.elapsed();
    let Told { lab, nodes, moments, .. } = demo::story(&options, &progress).await?;
    let story = start.elapsed();
    let out: Vec<_> = nodes.iter().filter_map(|node| out_of_service(node, &moments)).collect();
    let pulled = nodes.iter().map(|node| between(node, &moments, Milestone::Targeted, Milestone::Staged));
    let pulled =
        pulled.collect::<Option<Vec<_>>>().ok_or("a node of the demo was not told its image, or did not stage it")?;
    let (started, staged) = change(&lab, &nodes).await?;
    let agent = "pgrep -o -f 'onlayd agent'";
    let controller = "pgrep -o -f 'onlayd controller'";
    Ok(vec![
        seconds(
            "lab up, warm",
            up.as_secs_f64(),
            Goal::AtMost(30.0),
            "cp-0 and 2 workers Ready, from nothing but the cache",
        ),
        seconds("demo, warm", story.as_secs_f64(), Goal::AtMost(180.0), "from no lab to both workers updated"),
        seconds(
            "node out of service",
            worst(&out),
            Goal::AtMost(10.0),
            "cordoned to uncordoned, the slower node of the demo",
        ),
        seconds(
            "change to first node",
            started,
            Goal::AtMost(1.0),
            "from before kubectl apply to a node that has the new target",
        ),
        seconds("staging a derived image", worst(&pulled), Goal::AtMost(5.0), PULLED),
        seconds(
            "staging a configuration",
            staged,
            Goal::Free,
            "new target to staged, on the derived image that the node has",
        ),
        mebibytes("agent, resident", rss(&lab, &nodes[0], agent).await?, Goal::AtMost(15.0), "VmRSS after the demo"),
        mebibytes(
            "controller, resident",
            rss(&lab, "cp-0", controller).await?,
            Goal::AtMost(25.0),
            "VmRSS after the demo",
        ),
        idle(&lab, &nodes[0], agent).await?,
    ])
}

/// Builds what a warm start takes from the cache: the programs as they are shipped, and everything made of them.
async fn prepare(options: &Options, progress: &Progress) -> Outcome {
    lab::down(&options.layout, progress).await?;
    let lab = Lab::up_with(options, progress).await?;
    install::onlay(&lab, progress).await?;
    Ok(())
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Applies a file to the pool: seconds, from before kubectl begins, until a node has the new target, and from there until it is staged.
async fn change(lab: &Lab, nodes: &[String]) -> Measured<(f64, f64)> {
    let client = lab.client().await?;
    let timeline = Timeline::start(&client, |_| {}).await?;
    let all = Api::<MachineConfigNode>::all(client);
    let before = all.get(&nodes[0]).await?.spec.config_version.desired;
    let object = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig",
        "metadata": {"name": CHANGE, "labels": {"machineconfiguration.openshift.io/role": "worker-automount"}},
        "spec": {"config": {
            "ignition": {"version": "3.4.0"},
            "storage": {"files": [{"path": "/etc/onlay-bench", "contents": {"source": "data:,1"}}]},
        }},
    });
    let kubectl = lab.kubectl()?;
    let applied = Instant::now();
    kubectl.apply(&object.to_string()).await?;
    wait::until("a node to have the new target", PATIENCE, async || {
        let desired = all.get(&nodes[0]).await.map(|node| node.spec.config_version.desired);
        desired.map(|desired| (desired != before).then_some(()))
    })
    .await?;
    let started = applied.elapsed();
    wait::until("a node to be staged", PATIENCE, async || {
        let staged = timeline.moments().iter().any(|moment| moment.milestone == Milestone::Staged);
        Ok::<_, String>(staged.then_some(()))
    })
    .await?;
    let staged = applied.elapsed() - started;
    demo::in_pool(lab, "worker-automount", nodes).await?;
    kubectl.run(&["delete", "machineconfig", CHANGE]).await?;
    demo::in_pool(lab, "worker-automount", nodes).await?;
    Ok((started.as_secs_f64(), staged.as_secs_f64()))
}

async fn shell(lab: &Lab, node: &str, command: &str) -> Measured<f64> {
    let text = lab.node(node)?.exec(&["sh", "-c", command]).await?;
    text.trim().parse().map_err(|_| format!("`{command}` on {node} answered {text:?}, not a number").into())
}

/// Resident memory of a process, in KiB.
async fn rss(lab: &Lab, node: &str, pid: &str) -> Measured<f64> {
    shell(lab, node, &format!("awk '/^VmRSS/ {{print $2}}' /proc/$({pid})/status")).await
}

/// Share of one core that an idle agent uses.
async fn idle(lab: &Lab, node: &str, pid: &str) -> Measured<Figure> {
    let ticks = format!("awk '{{print $14 + $15}}' /proc/$({pid})/stat");
    let before = shell(lab, node, &ticks).await?;
    tokio::time::sleep(IDLE).await;
    let used = shell(lab, node, &ticks).await? - before;
    let percent = used / shell(lab, node, "getconf CLK_TCK").await? / IDLE.as_secs_f64() * 100.0;
    let how = "user and system time of 60 s, from /proc/PID/stat";
    Ok(Figure::new("agent, idle", (percent, "%"), 3, Goal::Below(0.1), how))
}
