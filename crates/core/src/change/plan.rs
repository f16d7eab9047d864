//! When which node of a pool goes, and how long it takes.
//!
//! The plan asks [`grant`] who may go next, as the rollout does, and assumes that every node comes back after its time.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Serialize;

use super::disruption::{Disruption, Rebuild};
use crate::rollout::candidates::{Grant, Member, Role, grant};
use crate::rollout::wait::WaitReason;

/// One node of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanNode<'a> {
    /// Name of the node.
    pub name: &'a str,
    /// What the change costs it; [`Disruption::None`] if nothing of it reaches the node.
    pub disruption: Disruption,
    /// Whether it is out of service for reasons of its own: not Ready, or cordoned by a person.
    pub out: bool,
    /// Whether the controller runs on it.
    pub runs_controller: bool,
}

/// A pool whose configuration changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPool<'a> {
    /// Its nodes, in the order in which the rollout sees them.
    pub nodes: Vec<PlanNode<'a>>,
    /// How many nodes may be out at once: [`crate::rollout::candidates::max_unavailable`].
    pub max_unavailable: Result<usize, WaitReason>,
    /// Whether the pool is paused.
    pub paused: bool,
    /// Whether a new image has to be built before the first node goes.
    pub rebuild: Rebuild,
}

/// How long things took in this cluster, newest or oldest first: the order does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// Builds of this pool's image.
    pub build: Vec<SignedDuration>,
    /// Pulling and staging an image on a node.
    pub stage: Vec<SignedDuration>,
    /// Draining a node.
    pub drain: Vec<SignedDuration>,
    /// Applying a change on a running node, verification included.
    pub apply: Vec<SignedDuration>,
    /// From the request to reboot until the node was verified and took pods again.
    pub reboot: Vec<SignedDuration>,
}

/// How long one thing takes, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pace {
    /// How long it takes.
    #[schemars(with = "String")]
    pub takes: SignedDuration,
    /// How many times of the past it is the median of; 0 if it is an assumption.
    pub samples: usize,
}

/// How long everything takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Paces {
    /// A build of an image: 10 minutes if none was seen.
    pub build: Pace,
    /// Staging: 2 minutes.
    pub stage: Pace,
    /// A drain: 2 minutes.
    pub drain: Pace,
    /// A change on a running node: 15 seconds.
    pub apply: Pace,
    /// A reboot: 5 minutes.
    pub reboot: Pace,
}

/// What happens to a pool, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What the times are made from.
    pub paces: Paces,
    /// Until the first node goes: building, then staging on all nodes at once.
    #[schemars(with = "String")]
    pub before: SignedDuration,
    /// The nodes that go, in order.
    pub turns: Vec<Turn>,
    /// Nodes that do not go as things are, with what they wait for.
    pub waiting: Vec<Waiting>,
    /// Nodes that the change costs nothing, in the order of the pool: they follow at once, and take no slot.
    pub at_once: Vec<String>,
    /// How many nodes are in their turns at the same time, at most.
    pub together: usize,
    /// Until the last node is back.
    #[schemars(with = "String")]
    pub total: SignedDuration,
}

/// One node's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Name of the node.
    pub node: String,
    /// When it begins, from the start of the plan.
    #[schemars(with = "String")]
    pub begins: SignedDuration,
    /// How long the node is in it.
    #[schemars(with = "String")]
    pub takes: SignedDuration,
    /// What happens.
    pub disruption: Disruption,
}

/// A node that does not go as things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Name of the node.
    pub node: String,
    /// What it waits for, in words.
    pub reason: String,
}

impl Paces {
    /// The medians of the past; an assumption where there is none.
    pub fn from_past(past: &Past) -> Self {
        let or_assume =
            |seen: &[SignedDuration], assumed| Pace { takes: median(seen).unwrap_or(assumed), samples: seen.len() };
        Self {
            build: or_assume(&past.build, SignedDuration::from_mins(10)),
            stage: or_assume(&past.stage, SignedDuration::from_mins(2)),
            drain: or_assume(&past.drain, SignedDuration::from_mins(2)),
            apply: or_assume(&past.apply, SignedDuration::from_secs(15)),
            reboot: or_assume(&past.reboot, SignedDuration::from_mins(5)),
        }
    }

    /// How long a node is in its turn.
    fn of(&self, disruption: &Disruption) -> SignedDuration {
        let drain = if disruption.drains() { self.drain.takes } else { SignedDuration::ZERO };
        let change = match disruption {
            Disruption::None => SignedDuration::ZERO,
            Disruption::Live { .. } => self.apply.takes,
            Disruption::Reboot => self.reboot.takes,
        };
        drain.saturating_add(change)
    }
}

/// The middle one of the durations, the lower one of two.
fn median(of: &[SignedDuration]) -> Option<SignedDuration> {
    let mut sorted = of.to_vec();
    sorted.sort();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// When which node of a pool goes.
///
/// A node that is out of service for reasons of its own is updated at once and stays out, so it keeps its slot: the
/// plan does not count on a cure. A change on a running node takes a slot as well, with or without a drain.
pub fn plan(pool: &PlanPool<'_>, past: &Past) -> Plan {
    let paces = Paces::from_past(past);
    let before = lead(pool, &paces);
    let (changed, same): (Vec<_>, Vec<_>) = pool.nodes.iter().partition(|node| node.disruption != Disruption::None);
    let held = if pool.paused { Some(WaitReason::Paused) } else { None };
    let (turns, waiting) = match &held {
        Some(reason) => (Vec::new(), changed.iter().map(|node| waits(node.name, reason)).collect()),
        None => Course::of(pool, &paces, before).run(),
    };
    let begins: Vec<SignedDuration> = turns.iter().map(|turn| turn.begins).collect();
    let in_turn = |at: &SignedDuration| turns.iter().filter(|turn| turn.begins <= *at && *at < turn.ends()).count();
    Plan {
        together: begins.iter().map(in_turn).max().unwrap_or_default(),
        total: turns.iter().map(Turn::ends).max().unwrap_or(before),
        at_once: if pool.paused { Vec::new() } else { same.iter().map(|node| node.name.to_owned()).collect() },
        paces,
        before,
        turns,
        waiting,
    }
}

/// Until the first node can go: the build, then staging where a node gets another image.
fn lead(pool: &PlanPool<'_>, paces: &Paces) -> SignedDuration {
    let build = if matches!(pool.rebuild, Rebuild::New(_)) { paces.build.takes } else { SignedDuration::ZERO };
    let reboots = pool.nodes.iter().any(|node| node.disruption == Disruption::Reboot);
    build.saturating_add(if reboots { paces.stage.takes } else { SignedDuration::ZERO })
}

fn waits(node: &str, reason: &WaitReason) -> Waiting {
    Waiting { node: node.to_owned(), reason: reason.to_string() }
}

impl Turn {
    /// When the node is back, from the start of the plan.
    pub fn ends(&self) -> SignedDuration {
        self.begins.saturating_add(self.takes)
    }
}

/// A rollout as it is played through.
struct Course<'p, 'a> {
    pool: &'p PlanPool<'a>,
    paces: &'p Paces,
    now: SignedDuration,
    members: Vec<Member<'a>>,
    /// Nodes in their turns, and when these end.
    under_way: BTreeMap<usize, SignedDuration>,
    turns: Vec<Turn>,
}

impl<'p, 'a> Course<'p, 'a> {
    fn of(pool: &'p PlanPool<'a>, paces: &'p Paces, now: SignedDuration) -> Self {
        let member = |node: &PlanNode<'a>| Member {
            name: node.name,
            out: node.out,
            broken: node.out,
            role: if node.disruption == Disruption::None { Role::Resting } else { Role::Candidate },
            runs_controller: node.runs_controller,
        };
        let members = pool.nodes.iter().map(member).collect();
        Self { pool, paces, now, members, under_way: BTreeMap::new(), turns: Vec::new() }
    }

    /// Plays until nobody is under way and nobody may go.
    fn run(mut self) -> (Vec<Turn>, Vec<Waiting>) {
        loop {
            let grants = grant(&self.members, &self.pool.max_unavailable);
            let mut waiting = Vec::new();
            let mut going = Vec::new();
            for grant in grants {
                match grant {
                    Grant::Go(name) => going.push(name.to_owned()),
                    Grant::Wait(name, reason) => waiting.push(waits(name, &reason)),
                }
            }
            going.iter().for_each(|name| self.begin(name));
            if !self.come_back() {
                return (self.turns, waiting);
            }
        }
    }

    fn begin(&mut self, name: &str) {
        let Some(index) = self.members.iter().position(|member| member.name == name) else { return };
        let disruption = self.pool.nodes[index].disruption.clone();
        let takes = self.paces.of(&disruption);
        self.members[index].out = true;
        self.members[index].role = Role::Coming;
        self.under_way.insert(index, self.now.saturating_add(takes));
        self.turns.push(Turn { node: name.to_owned(), begins: self.now, takes, disruption });
    }

    /// Moves on to when the next nodes are back; false if none is under way.
    fn come_back(&mut self) -> bool {
        let Some(next) = self.under_way.values().min().copied() else { return false };
        self.now = next;
        let back: Vec<usize> =
            self.under_way.iter().filter(|(_, ends)| **ends == next).map(|(index, _)| *index).collect();
        for index in back {
            self.under_way.remove(&index);
            self.members[index].out = self.pool.nodes[index].out;
            self.members[index].role = Role::Resting;
        }
        true
    }
}
