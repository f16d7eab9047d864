//! What happened to each node, and when: a watch of Nodes and MachineConfigNodes that writes down every milestone.
//!
//! The times are those at which the API server told the watch, so they are exact to the milliseconds of this machine and do
//! not depend on the resolution of conditions.

use crate::wait::{self, TimedOut};
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use onlay_api::conditions::{self, NodeConditionType};
use onlay_api::{MachineConfigNode, UpdatePhase};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long the first lists may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A point in a node's update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// The node is told to run another image than before.
    Targeted,
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
            Self::Targeted => "targeted",
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

/// What a Node says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Service {
    unschedulable: bool,
}

/// What a MachineConfigNode says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Progress {
    image: Option<String>,
    phase: Option<UpdatePhase>,
    boot_id: Option<String>,
    drained: bool,
}

/// The milestones of all nodes from the moment of [`Timeline::start`] on.
pub struct Timeline {
    moments: Arc<Mutex<Vec<Moment>>>,
    watches: Vec<JoinHandle<()>>,
}

impl Timeline {
    /// Begins to write down, from how things are when this returns; `tell` is called with every milestone as it happens.
    pub async fn start(client: &Client, tell: impl Fn(&Moment) + Send + Sync + 'static) -> Result<Self, TimedOut> {
        let moments = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&moments);
        let note: Arc<Note> = Arc::new(move |node: &str, milestones: Vec<Milestone>| {
            for milestone in milestones {
                let moment = Moment { at: Timestamp::now(), node: node.to_owned(), milestone };
                tell(&moment);
                written.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
            }
        });
        let nodes = Api::<Node>::all(client.clone());
        let states = Api::<MachineConfigNode>::all(client.clone());
        let (nodes, nodes_listed) = watch(nodes, service, served, Arc::clone(&note));
        let (states, states_listed) = watch(states, progress, progressed, note);
        let timeline = Self { moments, watches: vec![nodes, states] };
        let listed = [nodes_listed, states_listed];
        let missing = || listed.iter().filter(|listed| !listed.load(Ordering::Acquire)).count();
        wait::until("the first lists of Nodes and MachineConfigNodes", PATIENCE, async || match missing() {
            0 => Ok(Some(())),
            missing => Err(format!("{missing} of 2 are missing")),
        })
        .await?;
        Ok(timeline)
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

type Note = dyn Fn(&str, Vec<Milestone>) + Send + Sync;

/// Watches a kind; what changes between two looks at an object are its milestones. The answer says when the first list is there.
fn watch<K, S>(
    api: Api<K>,
    look: fn(&K) -> S,
    between: fn(&S, &S) -> Vec<Milestone>,
    note: Arc<Note>,
) -> (JoinHandle<()>, Arc<AtomicBool>)
where
    K: Resource<DynamicType = ()> + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
    S: Send + 'static,
{
    let listed = Arc::new(AtomicBool::new(false));
    let is_listed = Arc::clone(&listed);
    let events = watcher(api, watcher::Config::default()).default_backoff();
    let mut seen = BTreeMap::new();
    let handle = tokio::spawn(events.filter_map(async |event| event.ok()).for_each(move |event| {
        match event {
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                let (name, now) = (object.name_any(), look(&object));
                if let Some(before) = seen.get(&name) {
                    note(&name, between(before, &now));
                }
                seen.insert(name, now);
            }
            watcher::Event::InitDone => is_listed.store(true, Ordering::Release),
            watcher::Event::Init | watcher::Event::Delete(_) => {}
        }
        std::future::ready(())
    }));
    (handle, listed)
}

fn service(node: &Node) -> Service {
    Service { unschedulable: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false) }
}

fn served(before: &Service, after: &Service) -> Vec<Milestone> {
    match (before.unschedulable, after.unschedulable) {
        (false, true) => vec![Milestone::Cordoned],
        (true, false) => vec![Milestone::Uncordoned],
        _ => Vec::new(),
    }
}

fn progress(node: &MachineConfigNode) -> Progress {
    let status = node.status.clone().unwrap_or_default();
    let onlay = status.onlay.unwrap_or_default();
    Progress {
        image: node.spec.config_image.as_ref().map(|image| image.desired_image.clone()),
        phase: onlay.update.map(|update| update.phase),
        boot_id: onlay.boot_id,
        drained: conditions::is_true(&status.conditions, NodeConditionType::Drained),
    }
}

fn progressed(before: &Progress, after: &Progress) -> Vec<Milestone> {
    let reached = |phase| after.phase == Some(phase) && before.phase != Some(phase);
    let rebooted = before.boot_id.is_some() && after.boot_id.is_some() && before.boot_id != after.boot_id;
    let all = [
        (Milestone::Targeted, after.image.is_some() && before.image != after.image),
        (Milestone::Staged, reached(UpdatePhase::Staged)),
        (Milestone::Drained, after.drained && !before.drained),
        (Milestone::Rebooted, rebooted),
        (Milestone::Verified, reached(UpdatePhase::Done)),
    ];
    all.into_iter().filter_map(|(milestone, happened)| happened.then_some(milestone)).collect()
}

/// The most nodes that were cordoned at the same time.
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
        let before = Progress { boot_id: Some("a".into()), ..Progress::default() };
        let after = Progress { phase: Some(UpdatePhase::Done), boot_id: Some("b".into()), ..Progress::default() };
        assert_eq!(progressed(&before, &after), [Milestone::Rebooted, Milestone::Verified]);
        assert_eq!(progressed(&after, &after), []);
        let told = Progress { image: Some("os@sha256:aa".into()), ..before.clone() };
        assert_eq!(progressed(&before, &told), [Milestone::Targeted]);
        assert_eq!((progressed(&told, &told), progressed(&told, &before)), (vec![], vec![]));
        let (out, back) = (Service { unschedulable: true }, Service::default());
        assert_eq!(
            (served(&back, &out), served(&out, &back)),
            (vec![Milestone::Cordoned], vec![Milestone::Uncordoned])
        );
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
