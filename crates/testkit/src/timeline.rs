//! What happened to each node, and when: a watch of Nodes and MachineConfigNodes that writes down every milestone.
//!
//! The times are those at which the API server told the watch, so they are exact to the milliseconds of this machine and do
//! not depend on the resolution of conditions.

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use onlay_api::conditions::{self, NodeConditionType};
use onlay_api::{MachineConfigNode, UpdatePhase};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// A point in a node's update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// The image is staged; pods still run.
    Staged,
    /// The node takes no new pods: it is out of service.
    Cordoned,
    /// The pods that had to leave are gone.
    Drained,
    /// The kernel came up again.
    Rebooted,
    /// The booted system is the target.
    Verified,
    /// The node takes pods again: it is back in service.
    Uncordoned,
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Staged => "staged",
            Self::Cordoned => "cordoned",
            Self::Drained => "drained",
            Self::Rebooted => "rebooted",
            Self::Verified => "verified",
            Self::Uncordoned => "uncordoned",
        })
    }
}

/// A milestone of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When the API server told.
    pub at: Timestamp,
    /// The node.
    pub node: String,
    /// What happened.
    pub milestone: Milestone,
}

/// What is known of a node; the difference between two of these is its milestones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    phase: Option<UpdatePhase>,
    boot_id: Option<String>,
    drained: bool,
    unschedulable: bool,
}

/// The milestones of all nodes from the moment of [`Timeline::start`] on.
pub struct Timeline {
    moments: Arc<Mutex<Vec<Moment>>>,
    watches: Vec<JoinHandle<()>>,
}

impl Timeline {
    /// Begins to write down; `tell` is called with every milestone as it happens.
    pub fn start(client: &Client, tell: impl Fn(&Moment) + Send + Sync + 'static) -> Self {
        let moments = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let written = Arc::clone(&moments);
        let note: Arc<Note> = Arc::new(move |node: String, update: &dyn Fn(&mut Seen)| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let known = seen.get(&node).cloned();
            let mut new = known.clone().unwrap_or_default();
            update(&mut new);
            for milestone in known.map(|known| milestones(&known, &new)).unwrap_or_default() {
                let moment = Moment { at: Timestamp::now(), node: node.clone(), milestone };
                tell(&moment);
                written.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
            }
            seen.insert(node, new);
        });
        let watches = vec![watch_nodes(client, Arc::clone(&note)), watch_machine_config_nodes(client, note)];
        Self { moments, watches }
    }

    /// What was written down so far, in the order in which it happened.
    pub fn moments(&self) -> Vec<Moment> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        for watch in &self.watches {
            watch.abort();
        }
    }
}

type Note = dyn Fn(String, &dyn Fn(&mut Seen)) + Send + Sync;

fn watch_nodes(client: &Client, note: Arc<Note>) -> JoinHandle<()> {
    let nodes =
        watcher(Api::<Node>::all(client.clone()), watcher::Config::default()).default_backoff().applied_objects();
    tokio::spawn(nodes.into_stream().filter_map(async |node| node.ok()).for_each(move |node| {
        let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        note(node.name_any(), &|seen| seen.unschedulable = unschedulable);
        std::future::ready(())
    }))
}

fn watch_machine_config_nodes(client: &Client, note: Arc<Note>) -> JoinHandle<()> {
    let all = Api::<MachineConfigNode>::all(client.clone());
    let nodes = watcher(all, watcher::Config::default()).default_backoff().applied_objects();
    tokio::spawn(nodes.into_stream().filter_map(async |node| node.ok()).for_each(move |node| {
        let status = node.status.clone().unwrap_or_default();
        let onlay = status.onlay.unwrap_or_default();
        let drained = conditions::is_true(&status.conditions, NodeConditionType::Drained);
        note(node.name_any(), &|seen| {
            seen.drained = drained;
            seen.phase = onlay.update.as_ref().map(|update| update.phase);
            seen.boot_id.clone_from(&onlay.boot_id);
        });
        std::future::ready(())
    }))
}

/// The milestones between two states of one node.
fn milestones(before: &Seen, after: &Seen) -> Vec<Milestone> {
    let reached = |phase| after.phase == Some(phase) && before.phase != Some(phase);
    let rebooted = before.boot_id.is_some() && after.boot_id.is_some() && before.boot_id != after.boot_id;
    [
        (Milestone::Staged, reached(UpdatePhase::Staged)),
        (Milestone::Cordoned, after.unschedulable && !before.unschedulable),
        (Milestone::Drained, after.drained && !before.drained),
        (Milestone::Rebooted, rebooted),
        (Milestone::Verified, reached(UpdatePhase::Done)),
        (Milestone::Uncordoned, before.unschedulable && !after.unschedulable),
    ]
    .into_iter()
    .filter_map(|(milestone, happened)| happened.then_some(milestone))
    .collect()
}

/// The most nodes of `names` that were cordoned at the same time.
pub fn most_cordoned(moments: &[Moment]) -> usize {
    let (mut cordoned, mut most) = (0_usize, 0);
    for moment in moments {
        match moment.milestone {
            Milestone::Cordoned => cordoned += 1,
            Milestone::Uncordoned => cordoned = cordoned.saturating_sub(1),
            _ => {}
        }
        most = most.max(cordoned);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(node: &str, milestone: Milestone) -> Moment {
        Moment { at: Timestamp::UNIX_EPOCH, node: node.into(), milestone }
    }

    #[test]
    fn a_change_of_state_is_a_milestone_once() {
        let before = Seen { boot_id: Some("a".into()), ..Seen::default() };
        let after = Seen { phase: Some(UpdatePhase::Done), boot_id: Some("b".into()), ..Seen::default() };
        assert_eq!(milestones(&before, &after), [Milestone::Rebooted, Milestone::Verified]);
        assert_eq!(milestones(&after, &after), []);
    }

    #[test]
    fn overlapping_cordons_are_counted() {
        let moments = [
            moment("a", Milestone::Cordoned),
            moment("a", Milestone::Uncordoned),
            moment("b", Milestone::Cordoned),
            moment("a", Milestone::Cordoned),
        ];
        assert_eq!(most_cordoned(&moments), 2);
        assert_eq!(most_cordoned(&moments[..3]), 1);
    }
}
