//! What a pool says about its nodes: counts, the configuration they have, and the conditions.

use jiff::Timestamp;
use onlay_api::conditions::{ConditionStatus, PoolCondition, PoolConditionType, set_pool};
use onlay_api::machine_config_pool::{MachineConfigPool, MachineConfigPoolStatus};
use onlay_api::names::RENDER_ERROR_ANNOTATION;

use super::stand::Stand;
use super::views::{NodeView, PoolView};
use super::wait::{WaitReason, names};
use super::{NodeDecision, Note, candidates, node};

/// The nodes of a pool, counted.
#[derive(Debug, Default)]
struct Count {
    nodes: usize,
    updated: usize,
    ready: usize,
    unavailable: usize,
    /// Nodes that need a person, and why.
    degraded: Vec<String>,
    /// Nodes that do not run the target yet or are not back in service, and what they wait for.
    waiting: Vec<(String, WaitReason)>,
    /// Whether a paused pool has nodes that were let into an update before.
    in_flight: bool,
}

/// What keeps a pool as a whole from its target.
#[derive(Debug, Default)]
struct Problems {
    render: Option<String>,
    build: Option<String>,
    other: Option<String>,
}

impl Problems {
    fn of(view: &PoolView<'_>, size: usize) -> Self {
        let annotations = view.pool.metadata.annotations.as_ref();
        let mut problems =
            Self { render: annotations.and_then(|all| all.get(RENDER_ERROR_ANNOTATION)).cloned(), ..Self::default() };
        match view.target.as_ref().ok().and_then(|target| target.image.as_ref().err()) {
            Some(reason @ WaitReason::ImageFailed { .. }) => problems.build = Some(reason.to_string()),
            Some(reason @ WaitReason::NotPinned { .. }) => problems.render = Some(reason.to_string()),
            _ => (),
        }
        let max = candidates::max_unavailable(view.pool.spec.max_unavailable.as_ref(), size);
        problems.other = max.err().map(|reason| reason.to_string());
        problems
    }

    fn first(&self) -> Option<&String> {
        [&self.render, &self.build, &self.other].into_iter().flatten().next()
    }
}

/// Decides the status of one pool; `nodes` and `decisions` are in the same order.
pub(super) fn decide(
    view: &PoolView<'_>,
    nodes: &[NodeView<'_>],
    decisions: &[NodeDecision],
    now: Timestamp,
) -> super::PoolDecision {
    let count = count(view, nodes, decisions);
    let problems = Problems::of(view, count.nodes);
    let pool = view.pool;
    let is_rendered = view.target.is_ok() || pool.status.is_some();
    let status = (is_rendered || problems.render.is_some()).then(|| status(view, &count, &problems, now));
    let notes = status.as_ref().map(|status| notes(pool, status)).unwrap_or_default();
    super::PoolDecision { name: view.name.to_owned(), status, notes }
}

fn count(view: &PoolView<'_>, nodes: &[NodeView<'_>], decisions: &[NodeDecision]) -> Count {
    let mut count = Count::default();
    for (node, decision) in nodes.iter().zip(decisions) {
        let degraded = node::degraded(node, decision.wait.as_ref());
        if let (Some(text), true) = (&degraded, is_claimed_by(node, view)) {
            count.degraded.push(format!("{}: {text}", node.name));
        }
        if node.pool.as_ref() != Ok(&view.name) {
            continue;
        }
        let settled = node.stand == Some(Stand::Settled);
        count.nodes += 1;
        count.updated += usize::from(settled);
        count.ready += usize::from(settled && node.health.in_service());
        count.unavailable += usize::from(!node.health.in_service());
        count.in_flight |= matches!(node.stand, Some(Stand::InFlight(_)));
        if let Some(wait) = decision.wait.clone() {
            count.waiting.push((node.name.to_owned(), wait));
        }
    }
    count
}

/// Whether a node belongs to the pool, or several pools claim it and this is one of them.
fn is_claimed_by(node: &NodeView<'_>, view: &PoolView<'_>) -> bool {
    match &node.pool {
        Ok(pool) => *pool == view.name,
        Err(_) => {
            let labels = node.node.metadata.labels.clone().unwrap_or_default();
            crate::pools::selects(view.pool.spec.node_selector.as_ref(), &labels) == Ok(true)
        }
    }
}

fn status(view: &PoolView<'_>, count: &Count, problems: &Problems, now: Timestamp) -> MachineConfigPoolStatus {
    let old = view.pool.status.clone().unwrap_or_default();
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let is_updated = view.target.is_ok() && count.waiting.is_empty() && problems.first().is_none();
    let has_all = view.target.is_ok() && count.updated == count.nodes;
    MachineConfigPoolStatus {
        observed_generation: view.pool.metadata.generation,
        configuration: if has_all { view.pool.spec.configuration.clone() } else { old.configuration },
        machine_count: number(count.nodes),
        updated_machine_count: number(count.updated),
        ready_machine_count: number(count.ready),
        unavailable_machine_count: number(count.unavailable),
        degraded_machine_count: number(count.degraded.len()),
        conditions: conditions(view, count, problems, is_updated, old.conditions, now),
        ..old
    }
}

fn conditions(
    view: &PoolView<'_>,
    count: &Count,
    problems: &Problems,
    is_updated: bool,
    old: Vec<PoolCondition>,
    now: Timestamp,
) -> Vec<PoolCondition> {
    use PoolConditionType::{Degraded, ImageBuildDegraded, NodeDegraded, RenderDegraded, Updated, Updating};
    let known = |condition: &PoolCondition| {
        PoolConditionType::ALL
            .iter()
            .any(|type_| onlay_api::conditions::ConditionType::as_str(*type_) == condition.type_)
    };
    let mut new: Vec<PoolCondition> = old.into_iter().filter(known).collect();
    let config = view.target.as_ref().map(|target| target.config.as_str()).unwrap_or_default();
    let is_paused = view.pool.spec.paused && !is_updated;
    let moves = count.waiting.iter().any(|(_, wait)| wait.is_moving());
    let is_updating = !is_updated && if is_paused { count.in_flight } else { moves && problems.first().is_none() };
    let progress = progress(view, count, is_paused);

    let (reason, message) = match (is_updated, is_paused) {
        (true, _) => ("AllNodesUpdated", format!("all {} nodes run {config}", count.nodes)),
        (_, true) => ("Paused", progress.clone()),
        _ => ("NodesWaiting", problems.first().cloned().unwrap_or_else(|| progress.clone())),
    };
    set_pool(&mut new, Updated, is_updated, reason, message, now);
    let (reason, message) = match (is_updating, is_paused) {
        (true, _) => ("NodesUpdating", progress),
        (_, true) => ("Paused", progress),
        _ => ("NothingToDo", String::new()),
    };
    set_pool(&mut new, Updating, is_updating, reason, message, now);

    let nodes = (!count.degraded.is_empty()).then(|| names(&count.degraded));
    let first = problems.first().or(nodes.as_ref()).cloned();
    for (type_, problem, reason) in [
        (Degraded, &first, "NeedsAttention"),
        (NodeDegraded, &nodes, "NodesDegraded"),
        (RenderDegraded, &problems.render, "RenderFailed"),
        (ImageBuildDegraded, &problems.build, "BuildFailed"),
    ] {
        let reason = if problem.is_some() { reason } else { "AsExpected" };
        set_pool(&mut new, type_, problem.is_some(), reason, problem.clone().unwrap_or_default(), now);
    }
    new
}

fn progress(view: &PoolView<'_>, count: &Count, is_paused: bool) -> String {
    if let Err(reason) = &view.target {
        return reason.to_string();
    }
    let each: Vec<String> = count.waiting.iter().map(|(node, wait)| format!("{node}: {wait}")).collect();
    if is_paused {
        let still = if count.in_flight { "; nodes that were let into an update finish it" } else { "" };
        return format!("the pool is paused; {} of {} nodes wait{still}", count.waiting.len(), count.nodes);
    }
    format!("{} of {} nodes updated; {}", count.updated, count.nodes, names(&each))
}

fn notes(pool: &MachineConfigPool, new: &MachineConfigPoolStatus) -> Vec<Note> {
    let old = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let changed = |type_: &str| {
        let status = |all: &[PoolCondition]| all.iter().find(|each| each.type_ == type_).map(|each| each.status);
        (status(old) != status(&new.conditions)).then(|| new.conditions.iter().find(|each| each.type_ == type_))?
    };
    let mut notes = Vec::new();
    if let Some(updated) = changed("Updated").filter(|updated| updated.status == ConditionStatus::True) {
        notes.push(Note::normal("Updated", updated.message.clone()));
    }
    if let Some(updating) = changed("Updating").filter(|updating| updating.status == ConditionStatus::True) {
        notes.push(Note::normal("Updating", updating.message.clone()));
    }
    for (type_, reason) in
        [("RenderDegraded", "RenderFailed"), ("ImageBuildDegraded", "BuildFailed"), ("NodeDegraded", "NodesDegraded")]
    {
        if let Some(degraded) = changed(type_).filter(|degraded| degraded.status == ConditionStatus::True) {
            notes.push(Note::warning(reason, degraded.message.clone()));
        }
    }
    notes
}
