//! What the running systemd says about units.

use std::fmt;
use std::time::Duration;

use crate::command::{self, Run};

/// What is asked of each unit.
const PROPERTIES: &str =
    "--property=Id,LoadState,ActiveState,SubState,Result,NRestarts,CanReload,ActiveEnterTimestampMonotonic";
/// States in which a unit is not well; what systemd does not know of them (`auto-restart-queued` is of version 254) it ignores.
const UNWELL_STATES: &str = "--state=failed,auto-restart,auto-restart-queued";
const RESTARTING: [&str; 2] = ["auto-restart", "auto-restart-queued"];

/// A unit that does not run as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwell {
    /// Name of the unit.
    pub unit: String,
    /// Its state in systemd's words, as `failed (exit-code)`.
    pub state: String,
}

/// A unit as systemd has it now. It prints as its state: `active (running)`, `failed (exit-code)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitState {
    /// Name of the unit.
    pub unit: String,
    /// Whether there is such a unit.
    pub exists: bool,
    /// systemd's word for its state, as `active`, `activating`, `inactive`, `failed`.
    pub active: String,
    /// systemd's word for its state, in the words of its kind, as `running`, `auto-restart`, `dead`.
    pub sub: String,
    /// How it ended the last time, as `success`, `exit-code`, `timeout`.
    pub result: String,
    /// How often systemd started it again by itself since it was last started by somebody; 0 for kinds that it does not restart.
    pub restarts: u32,
    /// Whether it can be told to read its configuration again.
    pub can_reload: bool,
    /// Time from the boot until it became active the last time; zero if it never was.
    pub active_since: Duration,
}

impl UnitState {
    /// Whether it is up.
    pub fn is_active(&self) -> bool {
        self.active == "active"
    }

    /// Whether it has failed, or waits to be started again after it ended.
    pub fn is_unwell(&self) -> bool {
        self.active == "failed" || self.is_restarting()
    }

    fn is_restarting(&self) -> bool {
        RESTARTING.contains(&self.sub.as_str())
    }
}

impl fmt::Display for UnitState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.active.as_str() {
            _ if self.is_restarting() => write!(formatter, "started again and again ({})", self.result),
            "failed" => write!(formatter, "failed ({})", self.result),
            active => write!(formatter, "{active} ({})", self.sub),
        }
    }
}

/// The state of each of `units`, in their order; those that do not exist have one too.
pub fn states(run: &dyn Run, units: &[&str]) -> Result<Vec<UnitState>, command::Error> {
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = vec!["systemctl", "show", PROPERTIES, "--"];
    command.extend(units);
    Ok(parse_show(&run.output(&command)?))
}

/// Which of `units` have failed, or are started again and again. Units that do not exist are well.
pub fn unwell(run: &dyn Run, units: &[&str]) -> Result<Vec<Unwell>, command::Error> {
    let states = states(run, units)?.into_iter().filter(UnitState::is_unwell);
    Ok(states.map(|state| Unwell { state: state.to_string(), unit: state.unit }).collect())
}

/// Names of all units that have failed, or wait to be started again after they ended.
pub fn all_unwell(run: &dyn Run) -> Result<Vec<String>, command::Error> {
    let text = run.output(&["systemctl", "list-units", "--plain", "--no-legend", UNWELL_STATES])?;
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Makes systemd read its units again.
pub fn daemon_reload(run: &dyn Run) -> Result<(), command::Error> {
    run.output(&["systemctl", "daemon-reload"]).map(drop)
}

/// Makes a running unit read its configuration again.
pub fn reload(run: &dyn Run, unit: &str) -> Result<(), command::Error> {
    run.output(&["systemctl", "reload", "--", unit]).map(drop)
}

/// Starts a unit anew, whether or not it runs.
pub fn restart(run: &dyn Run, unit: &str) -> Result<(), command::Error> {
    run.output(&["systemctl", "restart", "--", unit]).map(drop)
}

/// Stops a unit.
pub fn stop(run: &dyn Run, unit: &str) -> Result<(), command::Error> {
    run.output(&["systemctl", "stop", "--", unit]).map(drop)
}

/// Reads `systemctl show`: blocks of `KEY=VALUE` lines, one block a unit, an empty line between them.
pub fn parse_show(text: &str) -> Vec<UnitState> {
    let state = |block: &str| {
        let value = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim().to_owned()
        };
        UnitState {
            unit: value("Id"),
            exists: value("LoadState") != "not-found",
            active: value("ActiveState"),
            sub: value("SubState"),
            result: value("Result"),
            restarts: value("NRestarts").parse().unwrap_or_default(),
            can_reload: value("CanReload") == "yes",
            active_since: Duration::from_micros(value("ActiveEnterTimestampMonotonic").parse().unwrap_or_default()),
        }
    };
    text.split("\n\n").filter(|block| !block.trim().is_empty()).map(state).collect()
}

#[cfg(test)]
mod tests;
