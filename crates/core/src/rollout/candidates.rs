//! Which staged nodes of a pool may go out of service now, and what every other one waits for.
//!
//! At most `maxUnavailable` nodes are out at any time, counting those that are out for other reasons. A node that is
//! already out never waits for a slot: updating it costs nothing and may be its cure.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::wait::WaitReason;

/// How many nodes of a pool of `size` may be out of service at once.
///
/// One if nothing is written; a percentage is rounded down; never more than there are, and never less than one, since a
/// pool that may not lose a node is a paused one: 0 and "0%" are 1, as in the compatible API. The error is what was
/// written and cannot be read.
pub fn max_unavailable(written: Option<&IntOrString>, size: usize) -> Result<usize, WaitReason> {
    let (number, given) = match written {
        None => (Some(1), String::new()),
        Some(IntOrString::Int(number)) => (usize::try_from(*number).ok(), number.to_string()),
        Some(IntOrString::String(text)) => (parsed(text, size), text.clone()),
    };
    Ok(number.ok_or(WaitReason::MaxUnavailable(given))?.min(size).max(1))
}

fn parsed(text: &str, size: usize) -> Option<usize> {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse::<usize>().ok()?.checked_mul(size).map(|product| product / 100),
        None => text.parse().ok(),
    }
}

/// One node of a pool, as far as the choice of candidates needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// Name of the node.
    pub name: &'a str,
    /// Whether it is out of service for any reason, or was let into an update.
    pub out: bool,
    /// Whether it would be out of service without us too.
    pub broken: bool,
    /// What it does.
    pub role: Role,
    /// Whether the controller runs on it.
    pub runs_controller: bool,
}

/// What a node of a pool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It has staged the target and wants to go out of service.
    Candidate,
    /// It is on its way and will become a candidate.
    Coming,
    /// It failed on the pool's target.
    Failed,
    /// Nothing of the above.
    Resting,
}

/// Whether a candidate may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant<'a> {
    /// It may be taken out of service.
    Go(&'a str),
    /// It waits.
    Wait(&'a str, WaitReason),
}

/// Answers all candidates of a pool, in the order of `members`, the controller's own node last.
pub fn grant<'a>(members: &[Member<'a>], max: &Result<usize, WaitReason>) -> Vec<Grant<'a>> {
    let mut out: Vec<String> = members.iter().filter(|each| each.out).map(|each| each.name.to_owned()).collect();
    out.sort();
    let failed = members.iter().find(|each| each.role == Role::Failed);
    let before: Vec<String> = members
        .iter()
        .filter(|each| matches!(each.role, Role::Candidate | Role::Coming) && !each.runs_controller)
        .map(|each| each.name.to_owned())
        .collect();
    let mut taken = out.len();
    let candidates = members.iter().filter(|each| each.role == Role::Candidate);
    candidates
        .map(|each| {
            let wait = |reason| Grant::Wait(each.name, reason);
            match (max, failed) {
                _ if each.broken => Grant::Go(each.name),
                (Err(reason), _) => wait(reason.clone()),
                (_, Some(failed)) => wait(WaitReason::Stopped { node: failed.name.to_owned() }),
                _ if each.out => Grant::Go(each.name),
                _ if each.runs_controller && !before.is_empty() => wait(WaitReason::Last { before: before.clone() }),
                (Ok(max), _) if taken < *max => {
                    taken += 1;
                    out.push(each.name.to_owned());
                    Grant::Go(each.name)
                }
                (Ok(max), _) => wait(WaitReason::Slot { out: out.clone(), max: *max }),
            }
        })
        .collect()
}
