//! Following a build: its conditions, and each step of the builder as it begins.

use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_api::{ConditionStatus, MachineOSBuild};
use onlay_testkit::{Kubectl, Lab, Progress, wait};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Shows the newest build of a MachineOSConfig until it ends, and returns the image by digest.
pub async fn follow(
    lab: &Lab,
    config: &str,
    deadline: Duration,
    progress: &Progress,
) -> Result<String, Box<dyn std::error::Error>> {
    let builds = Api::<MachineOSBuild>::all(lab.client().await?);
    let (mut last, mut log) = (String::new(), None);
    let ended = wait::until(&format!("the build of {config} to end"), deadline, async || {
        let all = builds.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let newest = all
            .into_iter()
            .filter(|build| build.spec.machine_os_config.name == config)
            .max_by_key(|build| build.creation_timestamp().map(|time| time.0));
        let Some(build) = newest else { return Err("no MachineOSBuild".to_owned()) };
        let (state, message) = state(&build);
        if state != last {
            progress.say(format!("{} {state}", build.name_any()));
            last.clone_from(&state);
        }
        if state == "Building" && log.is_none() {
            log = lab.kubectl().ok().map(|kubectl| tokio::spawn(steps(kubectl, build.name_any(), progress.clone())));
        }
        let image = build.status.and_then(|status| status.digested_image_push_spec);
        match state.as_str() {
            "Succeeded" => Ok(Some(image.ok_or_else(|| format!("{config}: the build has no image")))),
            "Failed" | "Interrupted" => Ok(Some(Err(format!("the build of {config} is {state}: {message}")))),
            _ => Err(format!("{state} {message}")),
        }
    })
    .await?;
    if let Some(log) = log {
        log.abort();
    }
    Ok(ended?)
}

/// The one condition that is True, and its message.
fn state(build: &MachineOSBuild) -> (String, String) {
    let status = build.status.clone().unwrap_or_default();
    let now = status.conditions.into_iter().find(|condition| condition.status == ConditionStatus::True);
    now.map(|condition| (condition.type_, condition.message)).unwrap_or_default()
}

/// Says each line of the builder's log that begins a step.
async fn steps(kubectl: Kubectl, build: String, progress: Progress) {
    let job = format!("job/build-{build}");
    let arguments = ["logs", "-f", "-n", "openshift-machine-config-operator", &job, "--pod-running-timeout=2m"];
    let mut command = kubectl.command(&arguments);
    let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn() else { return };
    let Some(stdout) = child.stdout.take() else { return };
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("STEP ") || line.starts_with("onlay: ") {
            progress.say(format!("  {line}"));
        }
    }
}
