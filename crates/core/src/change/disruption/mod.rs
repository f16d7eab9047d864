//! What each change costs the node that it happens on, by the cluster's node disruption policy.
//!
//! Source of the rules: the compatible API. The operating system changes by a reboot only, and so does everything that
//! no entry of the policy covers. Files are covered by the entry with the longest path, units by the one with their name.

pub mod policy;
mod registries;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use onlay_api::Needs;
use onlay_api::machine_configuration::{Action, ClusterPolicies, EffectiveActionType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diff::{Change, Diff, Place, same_image};
use crate::build::inputs;

pub use policy::{HostUnits, in_force};

/// What a change, or all of them together, cost a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Disruption {
    /// Nothing.
    #[default]
    None,
    /// The change is made on the running node.
    Live {
        /// Whether pods leave the node before.
        drain: bool,
        /// What is done afterwards, in this order.
        steps: Vec<Step>,
    },
    /// The node is drained and rebooted.
    Reboot,
}

/// One thing that is done after a change on a running node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// systemd reads its units again.
    DaemonReload,
    /// This unit is told to read its configuration again.
    Reload(String),
    /// This unit is started anew.
    Restart(String),
}

/// Why a change costs what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Because {
    /// It only takes effect at boot, whatever the policy says.
    AtBoot,
    /// Another name of the same image.
    SameImage,
    /// Nothing is taken from it.
    Unused,
    /// An entry of the policy: `files /etc/containers/policy.json`, `units chronyd.service`, `sshkey`.
    Policy(String),
    /// An entry of the policy that looks at what changes in `registries.conf`, and what does more than add; none if
    /// nothing does.
    Registries {
        /// The entry.
        entry: String,
        /// What does more than add mirrors and search entries.
        more: Option<String>,
    },
    /// No entry of the policy covers it.
    Uncovered,
}

/// What one change costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost<'a, 'd> {
    /// The change.
    pub change: &'a Change<'d>,
    /// What it costs.
    pub disruption: Disruption,
    /// Why.
    pub because: Because,
}

/// Whether a new image has to be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Rebuild {
    /// No image is built for the pool.
    NotLayered,
    /// The image stays, since the build can see nothing of what changes.
    Same,
    /// A new image is built, for these reasons; nodes reboot into it.
    New(Vec<inputs::Reason>),
    /// The image differs, and a build of before has made it already; nodes reboot into it.
    Built {
        /// Name of the MachineOSBuild.
        build: String,
        /// Why it is another image.
        reasons: Vec<inputs::Reason>,
    },
    /// The pool has no images of its own any more; nodes reboot into the image that the configuration names, or into
    /// the one that they had at first.
    Left,
}

impl Rebuild {
    /// Whether a new image has to be built for a pool with images of its own.
    pub fn between(old: &inputs::Inputs<'_>, new: &inputs::Inputs<'_>) -> Self {
        let reasons = inputs::why(old, new);
        if reasons.is_empty() { Self::Same } else { Self::New(reasons) }
    }

    /// The same for a pool that has images of its own before, afterwards, or both.
    pub fn of(old: Option<&inputs::Inputs<'_>>, new: Option<&inputs::Inputs<'_>>) -> Self {
        match (old, new) {
            (None, None) => Self::NotLayered,
            (None, Some(_)) => Self::New(vec![inputs::Reason::First]),
            (Some(_), None) => Self::Left,
            (Some(old), Some(new)) => Self::between(old, new),
        }
    }

    /// Whether nodes run another image afterwards.
    pub fn is_another_image(&self) -> bool {
        matches!(self, Self::New(_) | Self::Built { .. } | Self::Left)
    }
}

impl fmt::Display for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |reasons: &[inputs::Reason]| reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        match self {
            Self::NotLayered => f.write_str("no: the pool has no images of its own"),
            Self::Same => f.write_str("no: the build can see nothing of what changes"),
            Self::Left => f.write_str("no: the pool has no images of its own any more, and its nodes leave them"),
            Self::New(reasons) => write!(f, "yes: {}", list(reasons)),
            Self::Built { build, reasons } => {
                write!(f, "no: MachineOSBuild {build} has made the other image already ({})", list(reasons))
            }
        }
    }
}

/// What all changes cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment<'a, 'd> {
    /// What each change costs by itself, in the order of the changes.
    pub costs: Vec<Cost<'a, 'd>>,
    /// Whether a new image has to be built.
    pub rebuild: Rebuild,
    /// What all of it costs together.
    pub total: Disruption,
}

/// What the changes of a pool cost each of its nodes.
///
/// `policies` is what [`in_force`] answers. Another image costs a reboot, whatever else changes.
pub fn assess<'a, 'd>(
    diff: &'a Diff<'d>,
    policies: &ClusterPolicies,
    host: &HostUnits,
    rebuild: Rebuild,
) -> Assessment<'a, 'd> {
    let costs: Vec<_> = diff.changes.iter().map(|change| cost(change, policies, host)).collect();
    let image = rebuild.is_another_image().then_some(&Disruption::Reboot);
    let total = Disruption::together(costs.iter().map(|cost| &cost.disruption).chain(image));
    Assessment { costs, rebuild, total }
}

fn cost<'a, 'd>(change: &'a Change<'d>, policies: &ClusterPolicies, host: &HostUnits) -> Cost<'a, 'd> {
    let (disruption, because) = match change {
        Change::OsImageUrl(image) if same_image(image.old, image.new) => (Disruption::None, Because::SameImage),
        Change::ExtensionsImage { used: false, .. } => (Disruption::None, Because::Unused),
        Change::ExtensionsImage { image, .. } if same_image(image.old, image.new) => {
            (Disruption::None, Because::SameImage)
        }
        Change::Image(_)
        | Change::OsImageUrl(_)
        | Change::ExtensionsImage { .. }
        | Change::Fips(_)
        | Change::KernelType(_)
        | Change::KernelArguments(_)
        | Change::Extensions(_) => (Disruption::Reboot, Because::AtBoot),
        Change::Path { path, place } => {
            let found = policy::of_path(policies, path);
            let contents = |place: Option<Place<'_>>| match place {
                None => Some(Vec::new()),
                Some(place) => place.contents().map(<[u8]>::to_vec),
            };
            let special =
                || registries::more_than_additions(contents(place.old).as_deref(), contents(place.new).as_deref());
            covered(found, host, special)
        }
        Change::Unit { name, .. } => covered(policy::of_unit(policies, name), host, || None),
        Change::SshKeys(_) => covered(policy::of_ssh_keys(policies), host, || None),
    };
    Cost { change, disruption, because }
}

/// What the entry of a policy says; `special` answers what does more than the action Special lets pass.
fn covered(
    found: Option<policy::Found<'_>>,
    host: &HostUnits,
    special: impl FnOnce() -> Option<String>,
) -> (Disruption, Because) {
    let Some(policy::Found { entry, lists }) = found else { return (Disruption::Reboot, Because::Uncovered) };
    let by_list: Vec<Disruption> = lists.iter().map(|actions| Disruption::of(actions)).collect();
    let said = Disruption::together(&by_list);
    let is_special = |action: &Action<EffectiveActionType>| action.type_ == EffectiveActionType::Special;
    if !lists.iter().any(|actions| actions.iter().any(is_special)) {
        return (said, Because::Policy(entry));
    }
    let more = special();
    let reload = Disruption::live(more.is_some(), vec![host.runtime_step()]);
    (Disruption::together([&said, &reload]), Because::Registries { entry, more })
}

impl Disruption {
    /// A change on the running node; [`Self::None`] if nothing is done about it.
    fn live(drain: bool, steps: Vec<Step>) -> Self {
        if drain || !steps.is_empty() { Self::Live { drain, steps } } else { Self::None }
    }

    /// What a list of actions says, the action Special aside. An action that should name a unit and names none is
    /// refused by the API server, and counts as a reboot here.
    fn of(actions: &[Action<EffectiveActionType>]) -> Self {
        use EffectiveActionType::{DaemonReload, Drain, None, Reboot, Reload, Restart, Special};
        let (mut drain, mut steps) = (false, Vec::new());
        for action in actions {
            let step = match (action.type_, &action.reload, &action.restart) {
                (None | Special, ..) => continue,
                (Drain, ..) => {
                    drain = true;
                    continue;
                }
                (DaemonReload, ..) => Step::DaemonReload,
                (Reload, Some(unit), _) => Step::Reload(unit.service_name.clone()),
                (Restart, _, Some(unit)) => Step::Restart(unit.service_name.clone()),
                (Reboot | Reload | Restart, ..) => return Self::Reboot,
            };
            steps.push(step);
        }
        Self::live(drain, ordered([steps.as_slice()]))
    }

    /// What several changes cost together: the strongest of them, with every step of all of them once.
    ///
    /// The order in which they are given does not matter. Steps keep the order that each of them has; where two of them
    /// contradict each other, or say nothing, the order is that of [`Step`].
    pub fn together<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut drains, mut lists) = (false, Vec::new());
        for one in all {
            match one {
                Self::None => {}
                Self::Live { drain, steps } => {
                    drains |= drain;
                    lists.push(steps.as_slice());
                }
                Self::Reboot => return Self::Reboot,
            }
        }
        Self::live(drains, ordered(lists))
    }

    /// The same in the words of the API.
    pub fn needs(&self) -> Needs {
        match self {
            Self::None => Needs::Write,
            Self::Live { drain: false, .. } => Needs::Services,
            Self::Live { drain: true, .. } => Needs::Drain,
            Self::Reboot => Needs::Reboot,
        }
    }

    /// What is done on the running system after the change.
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Live { steps, .. } => steps,
            Self::None | Self::Reboot => &[],
        }
    }

    /// Whether pods leave the node before the change.
    pub fn drains(&self) -> bool {
        matches!(self, Self::Reboot | Self::Live { drain: true, .. })
    }
}

/// Every step of all lists once, each after those that come before it in any list.
fn ordered<'a>(lists: impl IntoIterator<Item = &'a [Step]>) -> Vec<Step> {
    let mut waits: BTreeMap<&Step, BTreeSet<&Step>> = BTreeMap::new();
    for list in lists {
        for (index, step) in list.iter().enumerate().filter(|(index, step)| !list[..*index].contains(step)) {
            waits.entry(step).or_default().extend(&list[..index]);
        }
    }
    let mut order = Vec::new();
    while let Some(next) = waits.iter().find(|(_, before)| before.is_empty()).or(waits.iter().next()) {
        let next = *next.0;
        waits.remove(next);
        waits.values_mut().for_each(|before| _ = before.remove(next));
        order.push(next.clone());
    }
    order
}

impl fmt::Display for Disruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing to do on the node"),
            Self::Reboot => f.write_str("drain, reboot"),
            Self::Live { drain, steps } => {
                let drain = drain.then(|| "drain".to_owned());
                let all: Vec<String> = drain.into_iter().chain(steps.iter().map(ToString::to_string)).collect();
                f.write_str(&all.join(", "))
            }
        }
    }
}

impl Step {
    /// The unit that is told.
    pub fn unit(&self) -> Option<&str> {
        match self {
            Self::DaemonReload => None,
            Self::Reload(unit) | Self::Restart(unit) => Some(unit),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DaemonReload => f.write_str("daemon-reload"),
            Self::Reload(unit) => write!(f, "reload {unit}"),
            Self::Restart(unit) => write!(f, "restart {unit}"),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtBoot => f.write_str("takes effect at boot only"),
            Self::SameImage => f.write_str("another name of the same image"),
            Self::Unused => f.write_str("no extension and no other kernel is taken from it"),
            Self::Policy(entry) => write!(f, "node disruption policy: {entry}"),
            Self::Registries { entry, more: None } => {
                write!(f, "node disruption policy: {entry}; it only adds mirrors or search entries")
            }
            Self::Registries { entry, more: Some(more) } => {
                write!(f, "node disruption policy: {entry}; it does more than add mirrors or search entries: {more}")
            }
            Self::Uncovered => f.write_str("no entry of the node disruption policy covers it"),
        }
    }
}
