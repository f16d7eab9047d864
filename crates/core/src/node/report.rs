//! What the API is told about a node's update.
//!
//! Source of the conditions' meaning: the compatible MachineConfigNode API. While an update is under way, what is reached is
//! True and `Updated` is False; when it is over `Updated` and `Healthy` are True and all others False.

use super::machine::{Decision, Journal, Observed, Step, Target, Trouble};
use jiff::Timestamp;
use onlay_api::conditions::{self, NodeConditionType as Type};
use onlay_api::machine_config_node::{
    Deployment, StatusConfigImage, StatusConfigVersion, StatusOnlay, Update, UpdatePhase,
};
use onlay_api::{MachineConfigNodeStatus, Needs};

/// What a status is made of, besides the status before.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What is true on the node.
    pub observed: &'a Observed,
    /// What the node does next.
    pub decision: &'a Decision,
    /// Why the last try of that failed, if it did.
    pub failure: Option<&'a str>,
    /// The generation of the object that was observed.
    pub generation: Option<i64>,
    /// The deployments on the disk, in boot order.
    pub deployments: Vec<Deployment>,
    /// The image that the node had when it was first met.
    pub adopted_image: Option<String>,
    /// The image that is booted, by the name under which it was fetched.
    pub booted_image: Option<String>,
}

/// The node's status: everything but the conditions of rollout.
pub fn status(before: &MachineConfigNodeStatus, facts: &Facts<'_>, now: Timestamp) -> MachineConfigNodeStatus {
    let earlier = before.onlay.as_ref().and_then(|onlay| onlay.update.as_ref());
    let update = update(earlier, facts);
    let observed = facts.observed;
    let desired = observed.target.as_ref();
    let mut status = MachineConfigNodeStatus {
        observed_generation: facts.generation,
        conditions: own_part(before.clone()).conditions,
        config_version: desired.map(|target| StatusConfigVersion {
            current: observed.running.as_ref().map(|running| running.config.clone()),
            desired: target.config.clone(),
        }),
        config_image: Some(StatusConfigImage {
            current_image: observed
                .running
                .as_ref()
                .map(|running| &running.image)
                .or(facts.booted_image.as_ref())
                .cloned(),
            desired_image: desired.map(|target| target.image.clone()),
        }),
        onlay: Some(StatusOnlay {
            boot_id: Some(observed.boot.id.clone()),
            adopted_image: facts.adopted_image.clone(),
            deployments: facts.deployments.clone(),
            update: update.clone(),
        }),
        ..MachineConfigNodeStatus::default()
    };
    set_conditions(&mut status, update.as_ref(), facts, now);
    status
}

/// The status of a node that could not be looked at: everything stays as it was told last, and the failure is added.
pub fn blind(
    before: &MachineConfigNodeStatus,
    failure: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> MachineConfigNodeStatus {
    let mut status = own_part(before.clone());
    conditions::set(&mut status.conditions, Type::NodeDegraded, true, "NodeUnreadable", failure, now, generation);
    status
}

/// A status without the conditions that rollout owns.
pub fn own_part(mut status: MachineConfigNodeStatus) -> MachineConfigNodeStatus {
    let rollout = [Type::Cordoned, Type::Drained, Type::Uncordoned].map(conditions::ConditionType::as_str);
    status.conditions.retain(|known| !rollout.contains(&known.type_.as_str()));
    status
}

/// The newest update that the node began; the one before while none is under way.
fn update(before: Option<&Update>, facts: &Facts<'_>) -> Option<Update> {
    let target = facts.observed.target.as_ref();
    let make = |target: &Target, phase, needs, step: &str, message: String| {
        let message = facts.failure.map_or(message, str::to_owned);
        Some(Update {
            config: target.config.clone(),
            image: target.image.clone(),
            phase,
            needs,
            step: step.into(),
            message,
        })
    };
    let of = |journal: &Journal, phase, step: Step| {
        make(&journal.target, phase, journal.needs, &step.to_string(), services(journal))
    };
    match facts.decision {
        Decision::Rest => {
            let target = target?;
            let same = before.filter(|update| update.config == target.config && update.image == target.image);
            make(target, UpdatePhase::Done, same.map_or(Needs::None, |update| update.needs), "", String::new())
        }
        Decision::Wait(wait) => match &facts.observed.journal {
            Some(journal) if journal.done.is_some() => {
                let then = services(journal);
                let message = if then.is_empty() { wait.to_string() } else { format!("{wait}; then: {then}") };
                make(&journal.target, UpdatePhase::Staged, journal.needs, "stage", message)
            }
            Some(journal) => make(&journal.target, UpdatePhase::Preparing, journal.needs, "", wait.to_string()),
            None => ended(before, facts.observed.running.as_ref()),
        },
        Decision::Stop(trouble) => {
            let phase = match trouble {
                Trouble::WentBack { .. } => UpdatePhase::RolledBack,
                Trouble::NotFinalised { .. } | Trouble::OtherBooted { .. } => UpdatePhase::Failed,
            };
            make(target?, phase, Needs::Reboot, "", trouble.to_string())
        }
        Decision::Begin(journal) => of(journal, UpdatePhase::Preparing, Step::Stage),
        Decision::Rename(journal) => of(journal, UpdatePhase::Applying, Step::Stage),
        Decision::Do(step, journal) => of(journal, phase_of(*step), *step),
        Decision::Undo(_) | Decision::GoBack(_) | Decision::Accept | Decision::NoteWentBack => before.cloned(),
    }
}

/// The update before, which has no journal any more: it has ended, even if nobody could be told when it did. One that was
/// undone is not told at all.
///
/// A Node that is made again in the middle of an update has a MachineConfigNode without an image until this is known.
fn ended(before: Option<&Update>, running: Option<&Target>) -> Option<Update> {
    let before = before?;
    if before.phase >= UpdatePhase::Done {
        return Some(before.clone());
    }
    let running = running.filter(|running| running.config == before.config && running.image == before.image);
    let (phase, step, message) = (UpdatePhase::Done, String::new(), String::new());
    running.map(|_| Update { phase, step, message, ..before.clone() })
}

/// What a change of the running system ends with, in words.
fn services(journal: &Journal) -> String {
    journal.services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn phase_of(step: Step) -> UpdatePhase {
    match step {
        Step::Stage => UpdatePhase::Preparing,
        Step::Converge | Step::Services | Step::Unlock => UpdatePhase::Applying,
        Step::Reboot => UpdatePhase::Rebooting,
        Step::Verify => UpdatePhase::Verifying,
    }
}

fn set_conditions(status: &mut MachineConfigNodeStatus, update: Option<&Update>, facts: &Facts<'_>, now: Timestamp) {
    let phase = update.map(|update| update.phase);
    let message = facts.failure.or(update.map(|update| update.message.as_str())).unwrap_or_default();
    let under_way = |phase| phase < UpdatePhase::Done;
    let reached = |least| phase.is_some_and(|phase| under_way(phase) && phase >= least);
    let updated = matches!(facts.decision, Decision::Rest);
    let degraded = facts.failure.is_some() || matches!(facts.decision, Decision::Stop(_));
    let (verifying, image) = (reached(UpdatePhase::Verifying), update.is_some_and(|each| each.needs == Needs::Reboot));
    let truths = [
        (Type::UpdatePrepared, reached(UpdatePhase::Staged)),
        (Type::ImagePulledFromRegistry, image && reached(UpdatePhase::Staged)),
        (Type::OSImageStaged, image && reached(UpdatePhase::Staged) && !verifying),
        (Type::AppliedFiles, reached(UpdatePhase::Rebooting)),
        (Type::AppliedOSImage, image && reached(UpdatePhase::Rebooting)),
        (Type::AppliedFilesAndOS, reached(UpdatePhase::Rebooting)),
        (Type::UpdateExecuted, reached(UpdatePhase::Rebooting)),
        (Type::RebootedNode, image && verifying),
        (Type::UpdatePostActionComplete, verifying),
        (Type::UpdateComplete, false),
        (Type::Resumed, false),
        (Type::Updated, updated),
        (Type::Healthy, updated && !degraded),
        (Type::NodeDegraded, degraded),
    ];
    let reason = match (degraded, phase) {
        (true, Some(UpdatePhase::RolledBack)) => "RolledBack".to_owned(),
        (true, _) => "UpdateFailed".to_owned(),
        (false, Some(phase)) => format!("{phase:?}"),
        (false, None) => "NotUpdatedYet".to_owned(),
    };
    for (kind, truth) in truths {
        let words = if kind == Type::NodeDegraded && !degraded { "" } else { message };
        conditions::set(&mut status.conditions, kind, truth, &reason, words, now, facts.generation);
    }
}
