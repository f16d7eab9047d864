//! Whether a machine that nobody vouches for looks well from within.
//!
//! The agent's word needs the API server, which may be away for longer than a deadline. What does not need it: the kubelet
//! and its runtime run, the units that the configuration enables have not failed, and its files can be what they should be.
//! A kubelet that runs and is refused by the API server looks the same as one that cannot reach it.

use std::time::Duration;

use onlay_host::command::{self, Run};
use onlay_host::converge::{self, Reach, Site};
use onlay_host::root::{self, Root};
use onlay_host::systemd::{self, UnitState};

use crate::decision::Health;
use crate::evidence::{Bounded, KUBELET, RUNTIMES};
use crate::machine::{self, Machine};

/// Why the machine could not be looked at.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Machine(#[from] machine::Error),
    #[error(transparent)]
    Command(#[from] command::Error),
    #[error(transparent)]
    Root(#[from] root::Error),
    #[error(transparent)]
    Converge(#[from] converge::Error),
}

/// Looks at the booted deployment; a unit that was restarted counts as running when it is up for `steady`.
pub fn look(machine: &Machine, run: &impl Run, steady: Duration) -> Health {
    try_look(machine, run, steady).unwrap_or_else(|error| {
        eprintln!("whether the machine is well cannot be seen: {}", crate::chain(&error));
        Health::Unwell
    })
}

fn try_look(machine: &Machine, run: &impl Run, steady: Duration) -> Result<Health, Error> {
    let record = machine.record()?.unwrap_or_default();
    let known: Vec<&str> = [KUBELET].into_iter().chain(RUNTIMES).chain(record.tree.enabled_units()).collect();
    let states = systemd::states(&Bounded(run), &known)?;
    let root = Root::open(&machine.root)?;
    let site = Site { root: &root, image: &root, state: &machine.state, reach: Reach::Whole };
    let impossible = converge::look(site, &record)?.failed;
    let health = judge(&states, machine.uptime()?, steady);
    Ok(if impossible.is_empty() { health } else { Health::Unwell })
}

/// Judges the kubelet, the runtimes and the units that the configuration enables.
fn judge(states: &[UnitState], uptime: Duration, steady: Duration) -> Health {
    let runs = |state: &UnitState| {
        state.is_active() && (state.restarts == 0 || uptime.saturating_sub(state.active_since) >= steady)
    };
    let one_runs = |names: &[&str]| states.iter().any(|state| names.contains(&state.unit.as_str()) && runs(state));
    let well = one_runs(&[KUBELET]) && one_runs(&RUNTIMES) && !states.iter().any(UnitState::is_unwell);
    if well { Health::Well } else { Health::Unwell }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onlay_host::systemd::parse_show;
    use rstest::rstest;

    use super::{Health, judge};

    // Written by systemd 252. In `restarted` the kubelet came up at 19430.276 s after nine restarts.
    const CRASHING: &str = include_str!("fixtures/systemd-252/crashing.show");
    const RESTARTED: &str = include_str!("fixtures/systemd-252/restarted.show");
    const WELL: &str = include_str!("fixtures/systemd-252/well.show");
    const NO_RUNTIME: &str = include_str!("fixtures/systemd-252/no-runtime.show");
    const ENABLED_AND_FAILED: &str = "\nResult=exit-code\nNRestarts=0\nId=broken.service\nLoadState=loaded\n\
                                      ActiveState=failed\nSubState=failed\nActiveEnterTimestampMonotonic=0\n";

    #[rstest]
    #[case::kubelet_and_runtime_run(WELL, 19_430, Health::Well)]
    #[case::the_kubelet_ends_at_each_start(CRASHING, 19_430, Health::Unwell)]
    #[case::the_kubelet_came_up_a_moment_ago_after_restarts(RESTARTED, 19_431, Health::Unwell)]
    #[case::the_kubelet_is_up_not_long_enough_after_restarts(RESTARTED, 19_580, Health::Unwell)]
    #[case::the_kubelet_has_settled(RESTARTED, 19_581, Health::Well)]
    #[case::no_runtime_runs(NO_RUNTIME, 19_430, Health::Unwell)]
    #[case::systemd_says_nothing("", 19_430, Health::Unwell)]
    #[case::an_enabled_unit_failed(&[WELL, ENABLED_AND_FAILED].concat(), 19_430, Health::Unwell)]
    fn judges(#[case] show: &str, #[case] uptime: u64, #[case] expected: Health) {
        assert_eq!(judge(&parse_show(show), Duration::from_secs(uptime), Duration::from_secs(150)), expected);
    }
}
