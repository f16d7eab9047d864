//! How far the Job of a part of a build is.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};
use onlay_api::machine_os_build::MachineOSBuild;

use super::observed::PartOfBuild;
use crate::build::failure::MORE_OF_THE_MACHINE;
use crate::build::job::{CONTAINER, KEPT_SECONDS, RETRIES};
use crate::build::spec::{Cause, Failure, Outcome};

/// How long the last word of a pod may take to arrive after its Job has ended.
const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How soon a registry is asked again that has not said what was pushed.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// What a kubelet gives as the reason of a pod that it evicted.
const EVICTED: &str = "Evicted";

/// How far a Job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Run {
    /// It was not made yet.
    None,
    /// It was made, and is not there any more.
    Gone,
    /// It is on its way out.
    Leaving,
    /// It belongs to something else, perhaps to an earlier build of the name.
    Foreign,
    /// It waits for its pod.
    Waiting(String),
    /// Its pod is building.
    Building(String),
    /// It has ended, and its pod's last word may still arrive.
    Ending,
    /// It has pushed an image.
    Pushed(String),
    /// It has failed for good.
    Failed(Failure),
    /// Only the registry can tell what it has pushed, and has not done so yet.
    Sought(String),
    /// It says that it succeeded, and the registry does not have what it should have pushed.
    Lost,
}

/// Reads how far the Job of a part of a build is.
pub(super) fn of(build: &MachineOSBuild, part: &PartOfBuild<'_>, now: Timestamp) -> Run {
    let Some(job) = part.job else {
        return match has_begun(build) {
            true if is_forgotten(build, now) => sought(part, Run::Gone),
            true => Run::Gone,
            false => Run::None,
        };
    };
    if is_leaving(job, build) {
        return if job.metadata.deletion_timestamp.is_some() { Run::Leaving } else { Run::Foreign };
    }
    // An image that is in the registry counts, before the Job says how it has ended, and in whatever way it ends.
    if let Some(image) = told(part) {
        return Run::Pushed(image);
    }
    if let Some(ended) = condition(job, "Complete") {
        return match sought(part, Run::Lost) {
            Run::Pushed(image) => Run::Pushed(image),
            _ if is_recent(ended, now) => Run::Ending,
            other => other,
        };
    }
    if let Some(ended) = condition(job, "Failed") {
        // Of a Job whose time is over, the pod of the last try goes away, and the newest one is that of the try before.
        return match newest(part).and_then(word) {
            Some(Outcome::Failed(failure)) if is_late(ended) && failure.cause != Cause::TimedOut => {
                Run::Failed(late_after(failure, without_word(job, ended, part)))
            }
            Some(Outcome::Failed(failure)) => Run::Failed(failure),
            _ if is_recent(ended, now) => Run::Ending,
            _ => Run::Failed(after_others(without_word(job, ended, part), part)),
        };
    }
    if let Some(failure) = evicted_too_often(job, part) {
        return Run::Failed(failure);
    }
    match newest(part) {
        Some(pod) => of_pod(pod, part.progress.as_deref(), attempts(job, part)),
        None => Run::Waiting(
            "the Job has no pod yet; if that stays, `kubectl describe` says why it cannot make one".to_owned(),
        ),
    }
}

/// The image that a part has pushed, by digest.
pub(super) fn pushed(part: &PartOfBuild<'_>) -> Option<String> {
    told(part).or_else(|| part.pushed.as_ref()?.said.clone().ok()?)
}

/// When the registry is to be asked what a part has pushed; none if somebody else knows, or it has answered.
pub(super) fn search_at(build: &MachineOSBuild, part: &PartOfBuild<'_>, now: Timestamp) -> Option<Timestamp> {
    let is_sought = match part.job {
        Some(job) => !is_leaving(job, build) && condition(job, "Complete").is_some() && told(part).is_none(),
        None => has_begun(build) && is_forgotten(build, now),
    };
    match &part.pushed {
        _ if !is_sought => None,
        None => Some(now),
        Some(answer) => answer.said.is_err().then(|| answer.at + PAUSE),
    }
}

/// What the registry says of a part whose own word is lost; or `without`, if it does not have it.
fn sought(part: &PartOfBuild<'_>, without: Run) -> Run {
    let target = &part.part.target;
    match part.pushed.as_ref().map(|answer| &answer.said) {
        Some(Ok(Some(image))) => Run::Pushed(image.clone()),
        Some(Ok(None)) => without,
        Some(Err(why)) => {
            Run::Sought(format!("whether {target} was pushed is not known, its registry is asked again: {why}"))
        }
        None => Run::Sought(format!("whether {target} was pushed is not known, its registry is asked")),
    }
}

/// Whether the Jobs of a build were made: its status names them only afterwards.
fn has_begun(build: &MachineOSBuild) -> bool {
    build.status.as_ref().is_some_and(|status| status.builder.is_some())
}

/// Whether a Job of the build may have ended so long ago that it is gone by itself.
pub(super) fn is_forgotten(build: &MachineOSBuild, now: Timestamp) -> bool {
    let start = build.status.as_ref().and_then(|status| status.build_start);
    start.is_some_and(|start| now.duration_since(start) >= SignedDuration::from_secs(KEPT_SECONDS.into()))
}

/// Whether a Job goes on, and nobody has told it to end.
pub(super) fn goes_on(job: &Job, build: &MachineOSBuild) -> bool {
    !is_leaving(job, build) && !has_ended(job)
}

/// Whether a Job is on its way out, or belongs to something else.
fn is_leaving(job: &Job, build: &MachineOSBuild) -> bool {
    job.metadata.deletion_timestamp.is_some() || !is_owned(job, build)
}

fn is_owned(job: &Job, build: &MachineOSBuild) -> bool {
    let mut owners = job.metadata.owner_references.iter().flatten();
    owners.any(|owner| Some(&owner.uid) == build.metadata.uid.as_ref())
}

fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
}

fn is_recent(ended: &JobCondition, now: Timestamp) -> bool {
    ended.last_transition_time.as_ref().is_some_and(|at| now.duration_since(at.0) < GRACE)
}

fn newest<'a>(part: &PartOfBuild<'a>) -> Option<&'a Pod> {
    newest_of(part.pods.iter().copied())
}

/// The pod that was made last.
pub fn newest_of<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<&'a Pod> {
    pods.max_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.name.clone()))
}

/// What a pod left as its message when it ended.
fn word(pod: &Pod) -> Option<Outcome> {
    Outcome::from_message(terminated(pod)?.message.as_deref()?)
}

/// The image that a pod says that it has pushed.
fn told(part: &PartOfBuild<'_>) -> Option<String> {
    part.pods.iter().find_map(|pod| match word(pod) {
        Some(Outcome::Pushed { image }) => Some(image),
        _ => None,
    })
}

/// The failure that the newest pod speaks of that has left a word, without what its instruction has printed.
fn last_told_failure(part: &PartOfBuild<'_>) -> Option<String> {
    let speaks = |pod: &&Pod| matches!(word(pod), Some(Outcome::Failed(_)));
    match newest_of(part.pods.iter().copied().filter(speaks)).and_then(word) {
        Some(Outcome::Failed(failure)) => Some(Failure { output: Vec::new(), ..failure }.describe()),
        _ => None,
    }
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    state(pod)?.terminated.as_ref()
}

/// How a pod that has left no word has ended.
fn exit(terminated: &ContainerStateTerminated) -> String {
    let reason = terminated.reason.as_ref().map(|reason| format!(" ({reason})"));
    format!("ended with exit code {}{}", terminated.exit_code, reason.unwrap_or_default())
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.iter().find(|status| status.name == CONTAINER)
}

fn state(pod: &Pod) -> Option<&ContainerState> {
    container(pod)?.state.as_ref()
}

/// When the builder in a pod started.
pub(super) fn started(pod: &Pod) -> Option<Timestamp> {
    let state = state(pod)?;
    let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    let ended = state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref());
    running.or(ended).map(|time| time.0)
}

/// Whether the builder in a pod runs.
pub fn runs(pod: &Pod) -> bool {
    state(pod).is_some_and(|state| state.running.is_some())
}

/// Whether a Job has been told to end, by its own controller.
pub(super) fn has_ended(job: &Job) -> bool {
    ["Complete", "Failed"].into_iter().any(|type_| condition(job, type_).is_some())
}

/// The pods that a kubelet evicted, since the node or the pod's own limits were exceeded; of pods that are drained, nothing stays.
fn evicted<'a>(part: &PartOfBuild<'a>) -> impl Iterator<Item = &'a Pod> {
    part.pods.iter().copied().filter(|pod| is_evicted(pod))
}

fn is_evicted(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.reason.as_deref()) == Some(EVICTED)
}

/// What a kubelet said of the pod that it evicted last.
fn last_eviction(part: &PartOfBuild<'_>) -> Option<String> {
    let pod = newest_of(evicted(part))?;
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    let said = pod.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default();
    Some(format!(
        "node {node} evicted pod {}: {}",
        pod.metadata.name.as_deref().unwrap_or_default(),
        said.trim_end_matches([' ', '.'])
    ))
}

/// The failure of a Job whose pods are evicted again and again. The Job itself would go on until its time is over, since a pod
/// that has to make room is no failed try.
fn evicted_too_often(job: &Job, part: &PartOfBuild<'_>) -> Option<Failure> {
    let times = evicted(part).count();
    let last = last_eviction(part).filter(|_| usize::try_from(retries(job)).is_ok_and(|retries| times > retries))?;
    let often = if times == 1 { String::new() } else { format!(", the last of {times} times") };
    Some(Failure::new(Cause::MachineFailed, format!("{last}{often}; {MORE_OF_THE_MACHINE}")))
}

fn retries(job: &Job) -> i32 {
    job.spec.as_ref().and_then(|spec| spec.backoff_limit).unwrap_or(RETRIES)
}

/// What there is to say about earlier tries.
fn attempts(job: &Job, part: &PartOfBuild<'_>) -> String {
    let evicted = last_eviction(part).map(|words| format!("; {words}")).unwrap_or_default();
    let failed = job.status.as_ref().and_then(|status| status.failed).unwrap_or_default();
    if failed == 0 {
        return evicted;
    }
    let has_failed = |pod: &&Pod| terminated(pod).is_some() && !is_evicted(pod);
    let last = newest_of(part.pods.iter().copied().filter(has_failed));
    let before = match last.and_then(word) {
        Some(Outcome::Failed(failure)) => format!("; the last one failed: {}", failure.describe()),
        _ => last.and_then(terminated).map(|ended| format!("; the last one {}", exit(ended))).unwrap_or_default(),
    };
    format!(" (try {} of {}{before}){evicted}", failed + 1, retries(job) + 1)
}

fn of_pod(pod: &Pod, progress: Option<&str>, attempts: String) -> Run {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let state = state(pod);
    if runs(pod) {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        let progress = progress.map(|words| format!("{words}; ")).unwrap_or_default();
        return Run::Building(format!("{progress}pod {name} builds on node {node}{attempts}"));
    }
    if state.is_some_and(|state| state.terminated.is_some()) {
        return Run::Waiting(format!("pod {name} has ended; the Job decides what follows{attempts}"));
    }
    Run::Waiting(format!("pod {name} waits: {}{attempts}", obstacle(pod)))
}

/// What a pod waits for.
fn obstacle(pod: &Pod) -> String {
    let waiting = state(pod).and_then(|state| state.waiting.as_ref());
    if let Some(waiting) = waiting {
        let words = [waiting.reason.as_deref(), waiting.message.as_deref()];
        return words.into_iter().flatten().collect::<Vec<_>>().join(": ");
    }
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut unmet = conditions.filter(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    unmet.find_map(|condition| condition.message.clone()).unwrap_or_else(|| "it is about to start".to_owned())
}

/// Whether a Job was ended since its time was over: its last pod is gone, with its word.
fn is_late(ended: &JobCondition) -> bool {
    ended.reason.as_deref() == Some("DeadlineExceeded")
}

/// The failure of a Job that was ended in a try after one that failed so.
fn late_after(before: Failure, late: Failure) -> Failure {
    let message = format!("{}; the last try before failed: {}", late.message, before.message);
    Failure { cause: late.cause, message, ..before }
}

/// The failure of a Job whose last pod has left no word, after tries that have: what they say is told, and is not the cause.
fn after_others(mut failure: Failure, part: &PartOfBuild<'_>) -> Failure {
    if let Some(before) = last_told_failure(part) {
        failure.message.push_str(&format!("; an earlier try failed: {before}"));
    }
    failure
}

/// The failure of a Job whose pod has left no word.
fn without_word(job: &Job, ended: &JobCondition, part: &PartOfBuild<'_>) -> Failure {
    let reason = ended.reason.as_deref().unwrap_or("Failed");
    let said = ended.message.as_deref().unwrap_or_default();
    let last = newest(part).and_then(terminated);
    let needs_memory = last.is_some_and(|terminated| terminated.reason.as_deref() == Some("OOMKilled"));
    let code = last.map(|terminated| format!("; its last pod {}", exit(terminated)));
    let cause = match needs_memory {
        _ if is_late(ended) => Cause::TimedOut,
        true => Cause::MachineFailed,
        false => Cause::BuilderFailed,
    };
    let way_out = match job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds) {
        Some(seconds) if is_late(ended) => {
            format!(
                "; it may take {seconds} s, which spec.build.timeoutSeconds of the pool's LayeringPolicy can change; delete \
                 the MachineOSBuild to build again"
            )
        }
        _ if needs_memory => format!("; {MORE_OF_THE_MACHINE}"),
        _ => String::new(),
    };
    Failure::new(cause, format!("the Job ended with {reason}: {said}{}{way_out}", code.unwrap_or_default()))
}
