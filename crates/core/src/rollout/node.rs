//! What shall be of one node: the spec of its MachineConfigNode, its scheduling, its pods, and what people see.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use onlay_api::conditions as api_conditions;
use onlay_api::conditions::NodeConditionType;
use onlay_api::machine_config_node::{
    MachineConfigNodeSpec, Needs, Permit, SpecConfigImage, SpecConfigVersion, SpecOnlay, UpdatePhase,
};
use onlay_api::names::{
    APP_LABEL, CURRENT_CONFIG_ANNOTATION, CURRENT_IMAGE_ANNOTATION, DESIRED_CONFIG_ANNOTATION,
    DESIRED_IMAGE_ANNOTATION, NodeState, REASON_ANNOTATION, STATE_ANNOTATION, WEBHOOK_ACCOUNT,
};
use onlay_api::reference::NameReference;

use super::drain::{DrainOrder, DrainPlan, DrainView, PodRef, could_run_on, key, plan};
use super::health::cordon_mark;
use super::stand::{Stand, has_let_go, is_midway, stuck_at};
use super::target::Target;
use super::views::{NodeView, Views};
use super::wait::{Drain, WaitReason};
use super::{Cordon, NodeDecision, Note, conditions};

/// What happens to the scheduling of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheduling {
    /// It stays as it is.
    Keep,
    /// No new pods.
    Away,
    /// Pods may come again, if it was us who kept them away.
    Back,
}

/// The way of one node, before it is written down.
#[derive(Debug)]
struct Course {
    spec: Option<MachineConfigNodeSpec>,
    scheduling: Scheduling,
    wait: Option<WaitReason>,
    draining: bool,
    drained: bool,
    evict: Vec<PodRef>,
    again: Option<Timestamp>,
}

impl Course {
    fn new(spec: Option<MachineConfigNodeSpec>, scheduling: Scheduling, wait: Option<WaitReason>) -> Self {
        Self { spec, scheduling, wait, draining: false, drained: false, evict: Vec::new(), again: None }
    }
}

/// Decides what shall be of one node.
pub(super) fn decide(view: &NodeView<'_>, views: &Views<'_>, now: Timestamp) -> NodeDecision {
    let course = course(view, views, now);
    let cordon = cordon(view, course.scheduling, now);
    let is_back = course.scheduling == Scheduling::Back && view.health.cordoned_by_us && cordon.is_none();
    let waits_for = if view.health.ready { WaitReason::Agent } else { WaitReason::NotReady };
    let wait = course.wait.or(is_back.then_some(waits_for));
    let is_drained = course.drained || view.stand.as_ref().is_some_and(keeps_drained);
    let conditions = view.state.map(|state| {
        let seen = conditions::Seen {
            cordon: cordon.as_ref(),
            health: view.health,
            draining: course.draining,
            drained: course.drained,
            keeps_drained: is_drained,
            wait: wait.as_ref(),
        };
        conditions::of(state, &seen, now)
    });
    let mut decision = NodeDecision {
        name: view.name.to_owned(),
        uid: view.node.metadata.uid.clone().unwrap_or_default(),
        mirror: mirror(view, course.spec.as_ref(), wait.as_ref()),
        spec: course.spec,
        cordon,
        draining: course.draining,
        evict: course.evict,
        conditions,
        wait,
        notes: Vec::new(),
        again: course.again,
    };
    decision.notes = notes(view, &decision);
    decision
}

fn course(view: &NodeView<'_>, views: &Views<'_>, now: Timestamp) -> Course {
    let (Some(state), Some(stand)) = (view.state, &view.stand) else {
        let wait = view.pool.as_ref().err().cloned().unwrap_or(WaitReason::NotMet);
        return Course::new(first_spec(view), Scheduling::Keep, Some(wait));
    };
    let kept = || Some(state.spec.clone());
    match (stand, &view.target) {
        (Stand::Unmet, _) => Course::new(kept(), Scheduling::Keep, Some(WaitReason::NotMet)),
        (Stand::InFlight(reason), _) => {
            let course = Course::new(kept(), Scheduling::Keep, Some(reason.clone()));
            Course { again: stuck_at(view.health).filter(|at| *at > now), ..course }
        }
        (Stand::Failed(reason), _) => Course::new(kept(), Scheduling::Keep, Some(reason.clone())),
        (Stand::Held(reason), _) => Course::new(Some(held(view, &state.spec)), Scheduling::Back, Some(reason.clone())),
        (_, Err(reason)) => Course::new(kept(), Scheduling::Keep, Some(reason.clone())),
        (Stand::Settled, Ok(target)) => Course::new(Some(spec(view, target, Permit::Hold)), Scheduling::Back, None),
        (Stand::Staging(reason), Ok(target)) => {
            Course::new(Some(spec(view, target, Permit::Stage)), Scheduling::Back, Some(reason.clone()))
        }
        (Stand::Candidate, Ok(target)) => match views.grants.get(view.name) {
            Some(None) => leaving(view, views, target, now),
            waiting => {
                let reason = waiting.cloned().flatten().unwrap_or(WaitReason::Agent);
                Course::new(Some(spec(view, target, Permit::Stage)), Scheduling::Back, Some(reason))
            }
        },
    }
}

/// The way out of service: cordon, drain, then the permit. A node whose pods stay gets the permit at once.
fn leaving(view: &NodeView<'_>, views: &Views<'_>, target: &Target, now: Timestamp) -> Course {
    if keeps_pods(view) {
        let reason = Some(WaitReason::Update(UpdatePhase::Staged));
        return Course::new(Some(spec(view, target, Permit::Disrupt)), Scheduling::Keep, reason);
    }
    let staged = Some(spec(view, target, Permit::Stage));
    let waiting = |drain| Some(WaitReason::Drain(drain));
    if !view.health.unschedulable {
        let course = Course::new(staged, Scheduling::Away, waiting(Drain::default()));
        return Course { draining: true, ..course };
    }
    let Some(drain) = views.observed.drains.get(view.name) else {
        let course = Course::new(staged, Scheduling::Keep, waiting(Drain::default()));
        return Course { draining: true, ..course };
    };
    let spared = spared(view, views, drain);
    let order = DrainOrder { health: view.health, spared: &spared, deadline: views.observed.drain_deadline };
    match plan(drain, &order, now) {
        DrainPlan::Done => {
            let reason = Some(WaitReason::Update(UpdatePhase::Staged));
            let course = Course::new(Some(spec(view, target, Permit::Disrupt)), Scheduling::Keep, reason);
            Course { drained: true, ..course }
        }
        DrainPlan::Wait { evict, drain, again } => {
            let course = Course::new(staged, Scheduling::Keep, waiting(drain));
            Course { draining: true, evict, again, ..course }
        }
    }
}

/// Whether the node's pods stay while it is updated.
fn keeps_pods(view: &NodeView<'_>) -> bool {
    let update = view.state.and_then(|state| state.status.as_ref()?.onlay.as_ref()?.update.as_ref());
    update.is_some_and(|update| update.needs == Needs::Services)
}

/// Pods of onlay's own that no other node could take: the controller's, and those of the webhook.
fn spared(view: &NodeView<'_>, views: &Views<'_>, drain: &DrainView) -> BTreeSet<String> {
    let own = views.observed.controller.pod.as_str();
    let namespace = own.split_once('/').map_or("", |(namespace, _)| namespace);
    let is_own = |pod: &Pod| {
        let answers = pod.metadata.labels.as_ref().and_then(|labels| labels.get(APP_LABEL));
        let is_webhook = answers.map(String::as_str) == Some(WEBHOOK_ACCOUNT);
        key(pod) == own || is_webhook && pod.metadata.namespace.as_deref() == Some(namespace)
    };
    let stays = |pod: &&Pod| {
        let mut others = views.nodes.iter().filter(|other| other.name != view.name);
        is_own(pod) && !others.any(|other| could_run_on(pod, other.node))
    };
    drain.pods.iter().map(|pod| &**pod).filter(stays).map(key).collect()
}

fn first_spec(view: &NodeView<'_>) -> Option<MachineConfigNodeSpec> {
    let (pool, config) = (view.pool.as_ref().ok()?, view.config.as_ref()?);
    (!view.succeeds).then(|| MachineConfigNodeSpec {
        node: NameReference::new(view.name),
        pool: NameReference::new(*pool),
        config_version: SpecConfigVersion { desired: config.clone() },
        config_image: None,
        onlay: SpecOnlay::default(),
    })
}

/// The same target as before, without a permit to go on.
fn held(view: &NodeView<'_>, spec: &MachineConfigNodeSpec) -> MachineConfigNodeSpec {
    let pool = view.pool.as_ref().map_or_else(|_| spec.pool.clone(), |pool| NameReference::new(*pool));
    MachineConfigNodeSpec { pool, onlay: SpecOnlay { permit: Permit::Hold, ..spec.onlay.clone() }, ..spec.clone() }
}

fn spec(view: &NodeView<'_>, target: &Target, permit: Permit) -> MachineConfigNodeSpec {
    MachineConfigNodeSpec {
        node: NameReference::new(view.name),
        pool: NameReference::new(view.pool.clone().unwrap_or_default()),
        config_version: SpecConfigVersion { desired: target.config.clone() },
        config_image: Some(SpecConfigImage { desired_image: target.image.clone() }),
        onlay: SpecOnlay { permit, pull_secret: target.pull_secret.clone() },
    }
}

fn cordon(view: &NodeView<'_>, scheduling: Scheduling, now: Timestamp) -> Option<Cordon> {
    let is_left = view.state.is_none_or(|state| !is_midway(state) && has_let_go(state));
    match scheduling {
        Scheduling::Away => Some(Cordon::Cordon { mark: cordon_mark(now) }),
        Scheduling::Back if view.health.cordoned_by_us && view.health.ready && is_left => Some(Cordon::Uncordon),
        _ => None,
    }
}

/// Whether a node that was drained counts as drained still.
fn keeps_drained(stand: &Stand) -> bool {
    matches!(stand, Stand::InFlight(_) | Stand::Failed(_) | Stand::Settled)
}

fn mirror(
    view: &NodeView<'_>,
    spec: Option<&MachineConfigNodeSpec>,
    wait: Option<&WaitReason>,
) -> BTreeMap<&'static str, Option<String>> {
    let status = view.state.and_then(|state| state.status.as_ref());
    let spec_image = spec.and_then(|spec| spec.config_image.as_ref());
    let degraded = degraded(view, wait);
    BTreeMap::from([
        (CURRENT_CONFIG_ANNOTATION, status.and_then(|status| status.config_version.as_ref()?.current.clone())),
        (DESIRED_CONFIG_ANNOTATION, spec.map(|spec| spec.config_version.desired.clone())),
        (CURRENT_IMAGE_ANNOTATION, status.and_then(|status| status.config_image.as_ref()?.current_image.clone())),
        (DESIRED_IMAGE_ANNOTATION, spec_image.map(|image| image.desired_image.clone())),
        (STATE_ANNOTATION, node_state(view, degraded.is_some()).map(|state| state.as_str().to_owned())),
        (REASON_ANNOTATION, Some(degraded.unwrap_or_default())),
    ])
}

fn node_state(view: &NodeView<'_>, degraded: bool) -> Option<NodeState> {
    let stand = view.stand.as_ref()?;
    Some(match stand {
        _ if degraded => NodeState::Degraded,
        Stand::Unmet => return None,
        Stand::InFlight(WaitReason::Update(UpdatePhase::Rebooting)) => NodeState::Rebooting,
        Stand::Settled | Stand::Held(_) if !view.health.cordoned_by_us => NodeState::Done,
        _ => NodeState::Working,
    })
}

/// Why a node needs a person, if it does.
pub(super) fn degraded(view: &NodeView<'_>, wait: Option<&WaitReason>) -> Option<String> {
    let own = wait.filter(|wait| {
        let of_node = !matches!(
            wait,
            WaitReason::ImageFailed { .. } | WaitReason::NotPinned { .. } | WaitReason::MaxUnavailable(_)
        );
        of_node && wait.is_degraded()
    });
    let conditions = view.state.and_then(|state| state.status.as_ref()).map(|status| status.conditions.as_slice());
    let reported = api_conditions::find(conditions.unwrap_or_default(), NodeConditionType::NodeDegraded)
        .filter(|condition| condition.status == api_conditions::ConditionStatus::True);
    match (own, reported) {
        (Some(own), _) => Some(own.to_string()),
        (None, Some(reported)) => Some(reported.message.clone()),
        (None, None) => None,
    }
}

fn notes(view: &NodeView<'_>, decision: &NodeDecision) -> Vec<Note> {
    let mut notes = Vec::new();
    let target = decision.spec.as_ref().map(|spec| spec.config_version.desired.as_str()).unwrap_or_default();
    match &decision.cordon {
        Some(Cordon::Cordon { .. }) => notes.push(Note::normal("Cordon", format!("cordoned to update to {target}"))),
        Some(Cordon::Uncordon) => notes.push(Note::normal("Uncordon", "pods may be scheduled here again")),
        None => (),
    }
    let old = view.state.map(|state| &state.spec);
    if let (Some(old), Some(new)) = (old, &decision.spec)
        && old.onlay.permit < new.onlay.permit
    {
        notes.push(match new.onlay.permit {
            Permit::Disrupt if keeps_pods(view) => {
                Note::normal("Applying", format!("{target} is applied to the running system; pods stay"))
            }
            Permit::Disrupt => Note::normal("Drained", format!("drained; {target} is applied now")),
            _ => Note::normal("Staging", format!("staging {target}")),
        });
    }
    let annotations = view.node.metadata.annotations.as_ref();
    let before = |key: &str| annotations.and_then(|all| all.get(key)).map(String::as_str).unwrap_or_default();
    let after = |key: &str| decision.mirror.get(key).and_then(Option::as_deref).unwrap_or_default();
    let (was, is) = (before(STATE_ANNOTATION), after(STATE_ANNOTATION));
    if is == NodeState::Degraded.as_str() && after(REASON_ANNOTATION) != before(REASON_ANNOTATION) {
        let reason =
            decision.wait.as_ref().filter(|wait| wait.is_degraded()).map_or("NodeDegraded", WaitReason::reason);
        notes.push(Note::warning(reason, after(REASON_ANNOTATION)));
    }
    if is == NodeState::Done.as_str() && was == NodeState::Working.as_str() && view.stand == Some(Stand::Settled) {
        notes.push(Note::normal("Updated", format!("runs {target} and is in service")));
    }
    if let Some(text) = new_refusal(view, decision) {
        notes.push(Note::warning("DrainBlocked", text));
    }
    notes
}

/// What newly keeps a drain from going on.
fn new_refusal(view: &NodeView<'_>, decision: &NodeDecision) -> Option<String> {
    let Some(wait @ WaitReason::Drain(drain)) = &decision.wait else { return None };
    let conditions = view.state.and_then(|state| state.status.as_ref()).map(|status| status.conditions.as_slice());
    let known = api_conditions::find(conditions.unwrap_or_default(), NodeConditionType::Drained);
    let text = wait.to_string();
    (!drain.refused.is_empty() && !drain.late && known.is_none_or(|known| known.message != text)).then_some(text)
}
