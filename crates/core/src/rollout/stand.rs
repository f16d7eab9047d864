//! Where one node stands on the way to its target.

use jiff::{SignedDuration, Timestamp};
use onlay_api::conditions::{NodeConditionType, is_true};
use onlay_api::machine_config_node::{MachineConfigNode, Needs, Permit, Update, UpdatePhase};

use super::health::Health;
use super::target::Target;
use super::wait::WaitReason;

/// How long a node that is not Ready is left alone with an update that it was let into.
///
/// After that it gets the newest target, since that may be what repairs it.
pub const STUCK: SignedDuration = SignedDuration::from_mins(10);

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// Its agent has not reported anything yet.
    Unmet,
    /// It was let into an update, and nothing is changed until that is over.
    InFlight(WaitReason),
    /// It runs its target.
    Settled,
    /// It may not move; the permit is taken back.
    Held(WaitReason),
    /// It failed, and is left as it is until its target changes or its agent gets further.
    Failed(WaitReason),
    /// It stages its target, or shall.
    Staging(WaitReason),
    /// It has staged its target, and wants to be taken out of service.
    Candidate,
}

/// Where a node stands, given its target or what keeps that from being known.
pub fn stand(
    state: &MachineConfigNode,
    health: Health,
    target: &Result<Target, WaitReason>,
    paused: bool,
    now: Timestamp,
) -> Stand {
    let Some(report) = state.status.as_ref().and_then(|status| status.onlay.as_ref()) else { return Stand::Unmet };
    let update = report.update.as_ref();
    if let Some(phase) = in_flight(state, update)
        && !is_stuck(health, now)
        && !wants_another_target(state, phase, target)
    {
        return Stand::InFlight(WaitReason::Update(phase));
    }
    let target = match target {
        Ok(target) => target,
        Err(reason) => return Stand::Held(reason.clone()),
    };
    let of_target = update.filter(|update| target.is_of(update));
    if target.is_run_by(state) && update.is_none_or(|update| leaves_alone(update, of_target.is_some())) {
        return Stand::Settled;
    }
    if let Some(update) = of_target.filter(|_| target.is_asked_by(&state.spec)) {
        match update.phase {
            UpdatePhase::Failed => return Stand::Failed(WaitReason::Failed(update.message.clone())),
            UpdatePhase::RolledBack => return Stand::Held(WaitReason::RolledBack(update.message.clone())),
            _ => (),
        }
    }
    if paused {
        return Stand::Held(WaitReason::Paused);
    }
    match of_target {
        Some(update) if target.is_asked_by(&state.spec) && state.spec.onlay.permit != Permit::Hold => staged(update),
        _ => Stand::Staging(WaitReason::Agent),
    }
}

fn staged(update: &Update) -> Stand {
    match (update.phase, update.needs) {
        (UpdatePhase::Preparing, _) => Stand::Staging(WaitReason::Staging(progress(update))),
        (UpdatePhase::Staged, Needs::None | Needs::Write) => Stand::Staging(WaitReason::Update(UpdatePhase::Verifying)),
        (UpdatePhase::Staged, _) => Stand::Candidate,
        _ => Stand::Staging(WaitReason::Agent),
    }
}

fn progress(update: &Update) -> String {
    let parts = [update.step.as_str(), update.message.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// Whether an update cannot be applied, so that another target is what helps.
///
/// Before the reboot the agent can undo what it has applied; after it, the update ends one way or the other.
fn wants_another_target(state: &MachineConfigNode, phase: UpdatePhase, target: &Result<Target, WaitReason>) -> bool {
    let conditions = state.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    phase == UpdatePhase::Applying
        && is_true(conditions, NodeConditionType::NodeDegraded)
        && target.as_ref().is_ok_and(|target| !target.is_asked_by(&state.spec))
}

/// Whether the agent is in the middle of an update, or stopped there.
pub fn is_midway(state: &MachineConfigNode) -> bool {
    let update = state.status.as_ref().and_then(|status| status.onlay.as_ref()?.update.as_ref());
    update.is_some_and(|update| {
        use UpdatePhase::{Applying, Failed, Rebooting, Verifying};
        matches!(update.phase, Applying | Rebooting | Verifying | Failed)
    })
}

/// Whether the agent cannot begin to disrupt the node any more: it has ended what it was let into, or has seen that it
/// may not begin.
///
/// A permit that was taken back counts until the agent says that it knows; it may have begun meanwhile.
pub fn has_let_go(state: &MachineConfigNode) -> bool {
    let status = state.status.as_ref();
    let update = status.and_then(|status| status.onlay.as_ref()?.update.as_ref());
    let has_ended = asked(state, update).is_some_and(|update| {
        matches!(update.phase, UpdatePhase::Done | UpdatePhase::RolledBack | UpdatePhase::Failed)
    });
    let seen = status.and_then(|status| status.observed_generation).unwrap_or_default();
    let knows = seen >= state.metadata.generation.unwrap_or_default();
    has_ended || (knows && state.spec.onlay.permit != Permit::Disrupt)
}

/// The newest update, if it leads to what the spec asks for.
fn asked<'a>(state: &MachineConfigNode, update: Option<&'a Update>) -> Option<&'a Update> {
    let image = state.spec.config_image.as_ref().map(|image| &image.desired_image);
    update.filter(|each| each.config == state.spec.config_version.desired && Some(&each.image) == image)
}

/// The phase of an update that the node was let into and that has not ended.
///
/// A permit to disrupt is never taken back: the agent may act on it at any moment, before it can say so.
fn in_flight(state: &MachineConfigNode, update: Option<&Update>) -> Option<UpdatePhase> {
    let let_in = state.spec.onlay.permit == Permit::Disrupt;
    match (update.map(|update| update.phase), asked(state, update).map(|asked| asked.phase)) {
        (Some(phase @ (UpdatePhase::Applying | UpdatePhase::Rebooting | UpdatePhase::Verifying)), _) => Some(phase),
        (_, Some(UpdatePhase::Done | UpdatePhase::RolledBack | UpdatePhase::Failed)) => None,
        _ if let_in => Some(UpdatePhase::Staged),
        _ => None,
    }
}

fn is_stuck(health: Health, now: Timestamp) -> bool {
    !health.ready && stuck_at(health).is_some_and(|at| at <= now)
}

/// When a node that is not Ready counts as stuck.
pub fn stuck_at(health: Health) -> Option<Timestamp> {
    health.ready_changed.filter(|_| !health.ready)?.checked_add(STUCK).ok()
}

/// Whether the newest update has not touched what the node runs, or has brought the node there.
fn leaves_alone(update: &Update, of_target: bool) -> bool {
    use UpdatePhase::{Done, Preparing, RolledBack, Staged};
    match update.phase {
        Done => true,
        Preparing | Staged | RolledBack => !of_target,
        _ => false,
    }
}
