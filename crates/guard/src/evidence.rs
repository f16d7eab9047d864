//! What a person needs to see about a boot that nobody vouched for: which units are not well, and what they wrote last.
//!
//! The text becomes part of a condition's message, where it stands in one line. It is kept far below what such a message
//! may hold (32768 characters), since the message of a node is repeated in its other conditions and in its pool's.

use onlay_host::command::{self, Run};
use onlay_host::systemd::{self, UnitState};

/// The unit that is always of interest, and whose journal is always quoted.
pub const KUBELET: &str = "kubelet.service";
/// The container runtimes that a kubelet may need; a machine has one of them.
pub const RUNTIMES: [&str; 2] = ["containerd.service", "crio.service"];
/// Seconds that a tool may take: the way back does not wait for its description.
const PATIENCE: &str = "10";
/// How many units that are not well are named, beside the kubelet and its runtime.
const MOST_UNITS: usize = 3;
/// How many lines of the kubelet's journal are quoted, and of any other unit's.
const MOST_LINES: (usize, usize) = (5, 2);
const MOST_CHARACTERS: usize = 200;

/// The same programs, each killed when it takes too long.
pub struct Bounded<'a, R>(pub &'a R);

impl<R: Run> Run for Bounded<'_, R> {
    fn output(&self, words: &[&str]) -> Result<String, command::Error> {
        self.0.output(&[&["timeout", PATIENCE], words].concat())
    }
}

/// What this boot's systemd and journal say. A tool that does not answer is quoted with its error instead.
pub fn gather(run: &impl Run) -> String {
    let run = Bounded(run);
    match states(&run) {
        Ok((states, left_out)) => describe(&states, left_out, |unit, lines| tail(&run, unit, lines)),
        Err(error) => format!("systemd does not say how its units are: {}", cut(&error.to_string())),
    }
}

/// The kubelet, the runtimes that exist, and some units that are not well; and how many of these were left out.
fn states(run: &impl Run) -> Result<(Vec<UnitState>, usize), command::Error> {
    let known: Vec<&str> = [KUBELET].into_iter().chain(RUNTIMES).collect();
    let unwell = systemd::all_unwell(run)?;
    let others: Vec<&str> = unwell.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    let shown = &others[..others.len().min(MOST_UNITS)];
    let mut states = systemd::states(run, &[&known[..], shown].concat())?;
    states.retain(|state| state.exists || state.unit == KUBELET);
    Ok((states, others.len() - shown.len()))
}

fn tail(run: &impl Run, unit: &str, lines: usize) -> Result<String, command::Error> {
    let lines = format!("--lines={lines}");
    run.output(&["journalctl", "--boot", "--no-pager", "--output=cat", &lines, "--unit", unit])
}

/// One line about units; `tail` answers the end of a unit's journal.
fn describe(
    states: &[UnitState],
    left_out: usize,
    tail: impl Fn(&str, usize) -> Result<String, command::Error>,
) -> String {
    let mut parts: Vec<String> = states.iter().map(|state| unit(state, &tail)).collect();
    if left_out > 0 {
        parts.push(format!("and {left_out} more units are not well"));
    }
    parts.join("; ")
}

/// A unit with its state, and the end of its journal if it is the kubelet or not well.
fn unit(state: &UnitState, tail: impl Fn(&str, usize) -> Result<String, command::Error>) -> String {
    let lines = match state.unit == KUBELET {
        _ if !state.exists => return format!("{}: does not exist", state.unit),
        true => MOST_LINES.0,
        false if state.is_unwell() => MOST_LINES.1,
        false => 0,
    };
    let restarts = match state.restarts {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        count => format!(", restarted {count} times"),
    };
    let head = format!("{}: {state}{restarts}", state.unit);
    if lines == 0 {
        return head;
    }
    match tail(&state.unit, lines) {
        Ok(journal) => format!("{head}, {}", quote(&journal, lines)),
        Err(error) => format!("{head}, its journal cannot be read: {}", cut(&error.to_string())),
    }
}

/// The last lines of a journal in one line; silence is told as such.
fn quote(journal: &str, most: usize) -> String {
    let lines: Vec<&str> = journal.lines().filter(|line| !line.trim().is_empty()).collect();
    let end: Vec<String> = lines[lines.len().saturating_sub(most)..].iter().map(|line| cut(line)).collect();
    if end.is_empty() { "wrote nothing".to_owned() } else { format!("wrote last: {}", end.join(" | ")) }
}

fn cut(line: &str) -> String {
    let mut characters = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let start: String = characters.by_ref().take(MOST_CHARACTERS).collect();
    if characters.next().is_some() { start + "…" } else { start }
}

#[cfg(test)]
mod tests;
