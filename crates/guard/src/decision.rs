//! Whether to go back from a deployment that nobody has vouched for yet.

use std::fmt;
use std::time::Duration;

/// How many deadlines the guard waits at most for a machine that looks well: the agent's word needs the API server, and an API
/// server that is away is no reason to leave a good deployment.
pub const PATIENCE: u32 = 10;

/// What the machine shows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing is wrong that can be seen without the API server.
    Well,
    /// Something is wrong, or cannot be looked at.
    Unwell,
}

/// Everything that the decision depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The booted deployment.
    pub booted: String,
    /// The last confirmed deployment.
    pub confirmed: Option<String>,
    /// The deployment that the agent vouches for in this boot.
    pub word: Option<String>,
    /// Whether the booted deployment has a record: only what onlay deployed is undone.
    pub recorded: bool,
    /// Whether the confirmed deployment is still on this host.
    pub target_exists: bool,
    /// Whether the guard already went back from this image and configuration once.
    pub left_before: bool,
    /// Time since the guard began to wait.
    pub waited: Duration,
    /// How long it waits for a machine that does not look well.
    pub deadline: Duration,
    /// Until when it agreed to wait longer, counted as `waited`; zero at first.
    pub granted: Duration,
    /// What the machine shows; none until it is looked at, which only is done when it matters.
    pub health: Option<Health>,
}

impl Seen {
    /// Until when the guard waits, counted as `waited`.
    pub fn limit(&self) -> Duration {
        self.deadline.max(self.granted)
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The deployment is well; the guard's work is done.
    Rest,
    /// Look again later.
    Wait,
    /// Look how the machine is, then decide again.
    Look,
    /// The machine looks well: wait for the agent until then, counted as `waited`, and look once more.
    Grant { until: Duration },
    /// Boot this deployment instead.
    GoBack { to: String },
    /// Leave everything as it is and say why.
    Stay(Reason),
}

/// Why the guard does not go back although nobody vouches for the booted deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NothingConfirmed,
    NotOurs,
    TargetGone,
    LeftBefore,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingConfirmed => {
                "no deployment was ever confirmed on this host, so there is nothing to go back to"
            }
            Self::NotOurs => "the booted deployment has no record, so somebody else made it",
            Self::TargetGone => "the last confirmed deployment is not on this host any more",
            Self::LeftBefore => "the guard went back from this image and configuration before, and it was booted again",
        })
    }
}

/// Decides; the agent's word and a confirmed deployment are always respected, also after the deadline.
pub fn decide(seen: &Seen) -> Decision {
    let booted = Some(&seen.booted);
    if seen.confirmed.as_ref() == booted || seen.word.as_ref() == booted {
        return Decision::Rest;
    }
    if seen.waited < seen.limit() {
        return Decision::Wait;
    }
    let last = seen.deadline.saturating_mul(PATIENCE);
    match &seen.confirmed {
        None => Decision::Stay(Reason::NothingConfirmed),
        Some(_) if !seen.recorded => Decision::Stay(Reason::NotOurs),
        Some(_) if !seen.target_exists => Decision::Stay(Reason::TargetGone),
        Some(_) if seen.left_before => Decision::Stay(Reason::LeftBefore),
        Some(to) => match seen.health {
            None => Decision::Look,
            Some(Health::Well) if seen.waited < last => {
                Decision::Grant { until: last.min(seen.waited.saturating_add(seen.deadline)) }
            }
            Some(_) => Decision::GoBack { to: to.clone() },
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::{Decision, Health, Reason, Seen, decide};

    const NEW: &str = "debian/new.0";
    const OLD: &str = "debian/old.0";

    fn late() -> Seen {
        Seen {
            booted: NEW.into(),
            confirmed: Some(OLD.into()),
            word: None,
            recorded: true,
            target_exists: true,
            left_before: false,
            waited: Duration::from_secs(300),
            deadline: Duration::from_secs(300),
            granted: Duration::ZERO,
            health: Some(Health::Unwell),
        }
    }

    /// A machine that looks well, so long after its boot.
    fn well(seconds: u64) -> Seen {
        Seen { waited: Duration::from_secs(seconds), health: Some(Health::Well), ..late() }
    }

    fn grant(seconds: u64) -> Decision {
        Decision::Grant { until: Duration::from_secs(seconds) }
    }

    fn go_back() -> Decision {
        Decision::GoBack { to: OLD.into() }
    }

    #[rstest]
    #[case::silence_at_the_deadline_goes_back(late(), go_back())]
    #[case::silence_before_the_deadline_waits(Seen { waited: Duration::from_secs(299), ..late() }, Decision::Wait)]
    #[case::the_agents_word_ends_the_watch(Seen { word: Some(NEW.into()), waited: Duration::ZERO, ..late() }, Decision::Rest)]
    #[case::the_agents_word_counts_after_the_deadline(Seen { word: Some(NEW.into()), ..late() }, Decision::Rest)]
    #[case::a_word_about_another_deployment_is_no_word(Seen { word: Some(OLD.into()), ..late() }, go_back())]
    #[case::the_confirmed_deployment_never_goes_back_to_itself(Seen { confirmed: Some(NEW.into()), ..late() }, Decision::Rest)]
    #[case::the_confirmed_deployment_needs_no_wait(
        Seen { confirmed: Some(NEW.into()), waited: Duration::ZERO, ..late() }, Decision::Rest)]
    #[case::a_host_without_a_confirmed_deployment_stays(
        Seen { confirmed: None, ..late() }, Decision::Stay(Reason::NothingConfirmed))]
    #[case::a_deployment_of_somebody_else_stays(Seen { recorded: false, ..late() }, Decision::Stay(Reason::NotOurs))]
    #[case::a_target_that_is_gone_stays(Seen { target_exists: false, ..late() }, Decision::Stay(Reason::TargetGone))]
    #[case::the_same_image_and_configuration_is_left_once(
        Seen { left_before: true, ..late() }, Decision::Stay(Reason::LeftBefore))]
    #[case::no_deadline_goes_back_at_once(Seen { waited: Duration::ZERO, deadline: Duration::ZERO, ..late() }, go_back())]
    #[case::at_the_deadline_the_machine_is_looked_at(Seen { health: None, ..late() }, Decision::Look)]
    #[case::a_machine_that_stays_is_not_looked_at(
        Seen { health: None, recorded: false, ..late() }, Decision::Stay(Reason::NotOurs))]
    #[case::a_machine_that_looks_well_is_waited_for(well(300), grant(600))]
    #[case::what_was_granted_is_waited_for(
        Seen { granted: Duration::from_secs(600), health: None, ..well(599) }, Decision::Wait)]
    #[case::then_it_is_looked_at_again(
        Seen { granted: Duration::from_secs(600), health: None, ..well(600) }, Decision::Look)]
    #[case::and_goes_back_if_it_is_not_well_any_more(
        Seen { granted: Duration::from_secs(600), health: Some(Health::Unwell), ..well(600) }, go_back())]
    #[case::the_last_wait_is_shorter_when_a_look_was_late(well(2800), grant(3000))]
    #[case::no_machine_is_waited_for_for_ever(well(3000), go_back())]
    #[case::a_guard_that_began_again_grants_from_now(well(1250), grant(1550))]
    #[case::the_agents_word_counts_while_it_is_waited_for(Seen { word: Some(NEW.into()), ..well(1250) }, Decision::Rest)]
    fn decides(#[case] seen: Seen, #[case] expected: Decision) {
        assert_eq!(decide(&seen), expected);
    }
}
