//! The texts were written by systemd 252 (`systemctl show`, `systemctl list-units`), but for the names of units.

use std::cell::RefCell;
use std::time::Duration;

use rstest::rstest;

use super::{UnitState, all_unwell, parse_show, states, unwell};
use crate::command::{self, Run};

const RUNNING: &str = "Result=success\nNRestarts=9\nId=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\n\
                       ActiveEnterTimestampMonotonic=19430276510\n";
const CRASHING: &str = "Result=exit-code\nNRestarts=8\nId=b.service\nLoadState=loaded\nActiveState=activating\n\
                        SubState=auto-restart\nActiveEnterTimestampMonotonic=19420236294\n";
const FAILED: &str = "Result=signal\nNRestarts=0\nId=c.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n\
                      ActiveEnterTimestampMonotonic=19430456775\n";
const MISSING: &str = "Result=success\nNRestarts=0\nId=d.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n\
                       ActiveEnterTimestampMonotonic=0\n";
const MOUNTED: &str = "Result=success\nId=e.mount\nLoadState=loaded\nActiveState=active\nSubState=mounted\n\
                       ActiveEnterTimestampMonotonic=19338432465\n";

/// A systemd that gives one answer, and keeps what it was asked.
struct Systemd(String, RefCell<Vec<String>>);

impl Run for Systemd {
    fn output(&self, command: &[&str]) -> Result<String, command::Error> {
        self.1.borrow_mut().push(command.join(" "));
        Ok(self.0.clone())
    }
}

fn systemd(answer: &str) -> Systemd {
    Systemd(answer.to_owned(), RefCell::default())
}

#[rstest]
#[case::running(RUNNING, "a.service exists: active (running), 9 restarts", false)]
#[case::crashing(CRASHING, "b.service exists: started again and again (exit-code), 8 restarts", true)]
#[case::failed(FAILED, "c.service exists: failed (signal), 0 restarts", true)]
#[case::missing(MISSING, "d.service is missing: inactive (dead), 0 restarts", false)]
#[case::of_a_kind_that_is_not_restarted(MOUNTED, "e.mount exists: active (mounted), 0 restarts", false)]
fn a_unit(#[case] text: &str, #[case] expected: &str, #[case] is_unwell: bool) {
    let states = parse_show(text);
    let [state] = states.as_slice() else { panic!("{states:?}") };
    let there = if state.exists { "exists" } else { "is missing" };
    assert_eq!(format!("{} {there}: {state}, {} restarts", state.unit, state.restarts), expected);
    assert_eq!(state.is_unwell(), is_unwell);
}

#[test]
fn times_are_counted_from_the_boot() {
    assert_eq!(parse_show(RUNNING)[0].active_since, Duration::from_micros(19_430_276_510));
}

#[test]
fn a_restart_that_waits_for_its_turn_is_no_end_of_it() {
    let state = UnitState { active: "activating".into(), sub: "auto-restart-queued".into(), ..UnitState::default() };
    assert!(state.is_unwell());
}

#[test]
fn only_those_of_the_units_that_are_unwell() {
    let systemd = systemd(&[RUNNING, CRASHING, FAILED, MISSING, MOUNTED].join("\n"));
    let found = unwell(&systemd, &["a.service", "b.service"]).unwrap();
    let found: Vec<_> = found.iter().map(|found| format!("{}: {}", found.unit, found.state)).collect();
    assert_eq!(found, ["b.service: started again and again (exit-code)", "c.service: failed (signal)"]);
    assert!(systemd.1.borrow()[0].ends_with(" -- a.service b.service"), "{:?}", systemd.1);
}

#[test]
fn systemd_is_not_asked_about_no_unit() {
    let systemd = systemd(RUNNING);
    assert_eq!(states(&systemd, &[]).unwrap(), []);
    assert!(systemd.1.borrow().is_empty());
}

#[test]
fn all_that_are_unwell_are_listed_by_name() {
    let systemd = systemd(
        "broken.service  loaded failed     failed       A unit that fails\n\
         kubelet.service loaded activating auto-restart kubelet: The Kubernetes Node Agent\n",
    );
    assert_eq!(all_unwell(&systemd).unwrap(), ["broken.service", "kubelet.service"]);
}
