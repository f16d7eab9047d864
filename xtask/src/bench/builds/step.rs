//! How soon a build that runs says at which of its instructions it is.

use super::{Base, NAMESPACE, POOL, apply, newest_pod, ready};
use crate::bench::{Figure, Goal, Measured, seconds};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_api::conditions::Condition;
use onlay_api::{ConditionStatus, MachineOSBuild};
use onlay_testkit::{Lab, wait};
use std::time::Duration;

/// An instruction that is long enough to be told.
const INSTRUCTION: &str = "RUN sleep 10";
/// How long a build may take to come to it.
const PATIENCE: Duration = Duration::from_secs(300);
const HOW: &str = "the line of the instruction, by the time of the pod's log, to the MachineOSBuild's condition, looked at every 0.25 s";

/// Builds an image with that instruction.
pub async fn row(lab: &Lab, base: &Base) -> Measured<Figure> {
    apply(&lab.kubectl()?, base, &format!("FROM configs AS final\n{INSTRUCTION}\n")).await?;
    let builds = Api::<MachineOSBuild>::all(lab.client().await?);
    let told = wait::until(&format!("a build of {POOL} to say {INSTRUCTION:?}"), PATIENCE, async || {
        let all = builds.list(&ListParams::default()).await?;
        let mut conditions = all.into_iter().flat_map(|build| build.status.unwrap_or_default().conditions);
        let says = |known: Condition| known.status == ConditionStatus::True && known.message.contains(INSTRUCTION);
        Ok::<_, kube::Error>(conditions.any(says).then(Timestamp::now))
    })
    .await?;
    let pod = newest_pod(lab).await?.ok_or("a build that runs has no pod")?;
    let log = lab.kubectl()?.run(&["logs", "-n", NAMESPACE, "--timestamps", &pod.name_any()]).await?;
    // Which step it is depends on whether a person has asked for a rebuild before.
    let line =
        log.lines().find(|line| line.ends_with(&format!(": {INSTRUCTION}"))).ok_or("its log does not have it")?;
    let printed: Timestamp = line.split(' ').next().unwrap_or_default().parse()?;
    ready(lab).await?;
    let late = told.duration_since(printed).as_secs_f64();
    Ok(seconds(format!("{}build, a step is told after", base.rows), late, Goal::AtMost(2.0), HOW))
}
