//! Laws of the step machine over random histories: wherever it is cut off, it ends the same, and it never reboots by itself.

use super::{boot, target};
use crate::node::machine::*;
use onlay_api::{Needs, Permit};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What happens to the simulated node.
#[derive(Debug, Clone)]
enum Event {
    /// The agent does what it decided, and marks it done.
    Work,
    /// The agent does what it decided and is killed before it marks it.
    Killed,
    /// The power goes: /run is empty, an unlocked deployment is not finalised.
    PowerCut,
    /// Somebody types `reboot`.
    Reboot,
    /// The controller names another target.
    Retarget(&'static str),
    /// The controller gives another permit.
    Permit(Permit),
    /// Nobody vouched for the booted system in time.
    Deadline,
    /// Somebody boots another deployment of those on the disk.
    Choice(usize),
    /// The agent does what it decided, and what came of it is not well.
    Unwell,
}

/// Whether a target is reached by changing the running system.
fn is_live(target: &Target) -> bool {
    target.config.starts_with("live")
}

/// A node as its agent's steps change it.
struct Machine {
    observed: Observed,
    unlocked: bool,
    boots: u32,
    reboots_by_us: u32,
    /// The disk: deployments with what their records say, the one found well, what is quarantined.
    records: BTreeMap<String, Target>,
    confirmed: String,
    quarantine: Vec<Target>,
    /// What the guard left and has not been written down.
    left: Option<Target>,
    /// Targets that the node was ever allowed to reboot for.
    allowed: Vec<Target>,
}

impl Machine {
    fn new() -> Self {
        let mut machine = Machine {
            observed: super::node(),
            unlocked: false,
            boots: 1,
            reboots_by_us: 0,
            records: [("old".to_owned(), target("old"))].into(),
            confirmed: "old".to_owned(),
            quarantine: Vec::new(),
            left: None,
            allowed: Vec::new(),
        };
        machine.look();
        machine
    }

    /// Brings what is observed up to date with the disk.
    fn look(&mut self) {
        let seen = &mut self.observed;
        seen.confirmed = self.confirmed == seen.boot.deployment;
        seen.running = self.records.get(&seen.boot.deployment).filter(|_| seen.confirmed).cloned();
        seen.quarantined =
            seen.target.as_ref().filter(|target| self.quarantine.contains(target)).map(|_| "x".to_owned());
        seen.went_back = self.left.is_some();
        if let (Permit::Disrupt, Some(target)) = (seen.permit, &seen.target) {
            self.allowed.push(target.clone());
        }
    }

    fn boot(&mut self, deployment: Option<String>) {
        self.boots += 1;
        let staged = self.observed.staged.take();
        let deployment = deployment.or(staged.filter(|_| self.unlocked));
        let next = deployment.unwrap_or_else(|| self.observed.boot.deployment.clone());
        self.observed.boot = boot(&self.boots.to_string(), &next);
        self.unlocked = false;
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Work => self.work(true),
            Event::Killed => self.work(false),
            Event::Unwell => self.fail(),
            Event::PowerCut => self.boot(Some(self.observed.boot.deployment.clone())),
            Event::Reboot => self.boot(None),
            Event::Retarget(name) => self.observed.target = Some(target(name)),
            Event::Permit(permit) => self.observed.permit = *permit,
            Event::Deadline if self.confirmed != self.observed.boot.deployment => {
                let left = self.records.get(&self.observed.boot.deployment).cloned();
                self.quarantine.extend(left.clone());
                self.left = left;
                self.boot(Some(self.confirmed.clone()));
            }
            Event::Deadline => {}
            Event::Choice(index) => {
                let deployments: Vec<_> = self.records.keys().cloned().collect();
                self.boot(Some(deployments[index % deployments.len()].clone()));
            }
        }
        self.look();
    }

    /// Does what was decided; `mark` is whether the journal reaches the disk.
    fn work(&mut self, mark: bool) {
        let booted = self.observed.boot.deployment.clone();
        let mut journal = self.observed.journal.clone();
        match decide(&self.observed) {
            Decision::Begin(begun) => journal = Some(begun),
            Decision::Do(Step::Verify, before) => {
                if before.is_live() {
                    self.records.insert(booted.clone(), before.target);
                }
                self.confirmed = booted;
                journal = None;
            }
            Decision::Do(step, before) => journal = Some(self.step(step, before)),
            Decision::Rename(renamed) => {
                self.records.insert(booted, renamed.target);
                journal = None;
            }
            Decision::Undo(_) => {
                self.observed.staged = None;
                journal = None;
            }
            Decision::GoBack(left) => {
                assert!(left.failure.is_some(), "went back without a reason");
                self.quarantine.push(left.target);
                journal = None;
            }
            Decision::NoteWentBack => {
                self.left = None;
                journal = None;
            }
            Decision::Accept => self.confirmed = booted,
            Decision::Rest | Decision::Wait(_) | Decision::Stop(_) => {}
        }
        if mark {
            self.observed.journal = journal;
        }
    }

    /// What came of the decided step is not well: it counts for a system that is changed while it runs.
    fn fail(&mut self) {
        if let Decision::Do(Step::Services | Step::Verify, journal) = decide(&self.observed)
            && journal.is_live()
        {
            self.observed.journal = Some(journal.failed("x".to_owned()));
        }
    }

    fn step(&mut self, step: Step, before: Journal) -> Journal {
        let mut after = Journal { done: Some(step), ..before };
        match step {
            Step::Stage if is_live(&after.target) => {
                after.deployment = Some("next".to_owned());
                after.needs = Needs::Services;
            }
            Step::Converge if after.is_live() => {
                assert!(self.allowed.contains(&after.target), "{} is applied without a permit", after.target);
            }
            Step::Stage => {
                let id = format!("of-{}-{}", after.target.config, self.records.len());
                self.records.insert(id.clone(), after.target.clone());
                self.observed.staged = Some(id.clone());
                self.unlocked = false;
                after.deployment = Some(id);
                after.needs = Needs::Reboot;
            }
            Step::Unlock => self.unlocked = true,
            Step::Reboot => {
                assert!(self.allowed.contains(&after.target), "a reboot for {} without a permit", after.target);
                self.reboots_by_us += 1;
                self.observed.journal = Some(after.clone());
                self.boot(None);
            }
            Step::Converge | Step::Services | Step::Verify => {}
        }
        after
    }

    /// Lets the agent work in peace, with the permit, until nothing changes.
    fn end(&mut self) -> Decision {
        self.happen(&Event::Permit(Permit::Disrupt));
        for _ in 0..24 {
            self.happen(&Event::Work);
        }
        decide(&self.observed)
    }
}

fn accident() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Work),
        3 => Just(Event::Killed),
        1 => Just(Event::PowerCut),
        1 => Just(Event::Reboot),
    ]
}

fn anything() -> impl Strategy<Value = Event> {
    let permit = prop_oneof![Just(Permit::Hold), Just(Permit::Stage), Just(Permit::Disrupt)];
    prop_oneof![
        8 => accident(),
        1 => prop_oneof![Just("old"), Just("new"), Just("newer"), Just("live"), Just("livelier")].prop_map(Event::Retarget),
        1 => Just(Event::Unwell),
        2 => permit.prop_map(Event::Permit),
        1 => Just(Event::Deadline),
        1 => (0..4_usize).prop_map(Event::Choice),
    ]
}

proptest! {
    #[test]
    fn accidents_do_not_change_where_a_node_ends(events in prop::collection::vec(accident(), 0..30)) {
        let mut machine = Machine::new();
        events.iter().for_each(|event| machine.happen(event));
        let end = machine.end();
        let stopped = matches!(end, Decision::Stop(Trouble::NotFinalised { .. }));
        prop_assert!(end == Decision::Rest || stopped, "{:?} ends in {end:?}", machine.observed);
    }

    #[test]
    fn whatever_happens_a_node_ends_on_its_target_or_says_why(events in prop::collection::vec(anything(), 0..40)) {
        let mut machine = Machine::new();
        events.iter().for_each(|event| machine.happen(event));
        let end = machine.end();
        match &end {
            Decision::Rest => prop_assert_eq!(&machine.observed.running, &machine.observed.target),
            Decision::Stop(_) => prop_assert!(machine.observed.confirmed, "nobody vouches for {:?}", machine.observed),
            _ => prop_assert!(false, "{:?} ends in {end:?}", machine.observed),
        }
    }
}

#[test]
fn a_change_of_the_running_system_reboots_never() {
    let mut machine = Machine::new();
    machine.happen(&Event::Retarget("live"));
    assert_eq!(machine.end(), Decision::Rest);
    assert_eq!((machine.reboots_by_us, machine.observed.boot.deployment.as_str()), (0, "old"));
}

#[test]
fn a_changed_system_that_is_not_well_twice_is_left_for_good() {
    let mut machine = Machine::new();
    machine.happen(&Event::Retarget("live"));
    for event in [Event::Work, Event::Work, Event::Work, Event::Unwell, Event::Unwell] {
        machine.happen(&event);
    }
    let end = machine.end();
    assert!(matches!(end, Decision::Stop(Trouble::WentBack { .. })), "{end:?}");
    assert_eq!((machine.observed.running.clone(), machine.reboots_by_us), (Some(target("old")), 0));
}

#[test]
fn an_undisturbed_update_reboots_once() {
    let mut machine = Machine::new();
    assert_eq!(machine.end(), Decision::Rest);
    assert_eq!(machine.reboots_by_us, 1);
}

#[test]
fn a_crash_at_every_step_ends_as_without_one() {
    for crash in 0..8 {
        for accident in [Event::Killed, Event::PowerCut, Event::Reboot] {
            let mut machine = Machine::new();
            (0..crash).for_each(|_| machine.happen(&Event::Work));
            machine.happen(&accident);
            assert_eq!(machine.end(), Decision::Rest, "{accident:?} after {crash} steps");
            assert_eq!(machine.observed.running, Some(target("new")), "{accident:?} after {crash} steps");
        }
    }
}

#[test]
fn a_system_that_is_unwell_is_left_once_and_not_tried_again() {
    let mut machine = Machine::new();
    while machine.observed.boot.deployment == "old" {
        machine.happen(&Event::Work);
    }
    machine.happen(&Event::Deadline);
    assert_eq!(machine.end(), Decision::Stop(Trouble::WentBack { reason: "x".into() }));
    assert_eq!((machine.reboots_by_us, machine.observed.boot.deployment.as_str()), (1, "old"));
    machine.happen(&Event::Retarget("newer"));
    assert_eq!(machine.end(), Decision::Rest);
}
