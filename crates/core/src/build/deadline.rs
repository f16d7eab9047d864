//! When a build has to end, and how long its parts may stand still.
//!
//! Source of the rule: the API server ends a Job that has run for `activeDeadlineSeconds`, all its pods counted, and removes the
//! pod that runs, with its last word and its log. So the builder ends itself a little before that, and says where it was.
//!
//! The Job's command says when that is, as a time: what is left differs for each try. It is not in the build's ConfigMap, which may be
//! older than the Job. Clocks of a node and of the control plane differ by less than the time between the two ends, or the Job's
//! own end is the one that counts; and no try lasts longer than all of them may, whatever the node's clock says.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::spec::{Cause, Failure};

/// How long before its Job a builder ends at most, and the part of the whole time that it is at most.
const SPARE: SignedDuration = SignedDuration::from_secs(30);
const SPARE_PART: i32 = 6;
/// How long a pull or push may stand still at most, and the part of the whole time that it may at most: every try may end in
/// it before the time is over. A registry may be silent for minutes when it has a large layer to put in its place.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
const PATIENCE_PART: i32 = 8;

/// When the Job of a build has to end.
///
/// As text it is an interval of ISO 8601, all the time that the Job has and its end: `PT2H/2026-01-01T02:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    timeout: SignedDuration,
    end: Timestamp,
}

/// Why a text is no [`Deadline`].
#[derive(Debug, thiserror::Error)]
pub enum DeadlineError {
    /// It is no interval.
    #[error("{0:?} is no interval; it has to be a duration and an end, such as PT2H/2026-01-01T02:00:00Z")]
    NoInterval(String),
    /// A part of it cannot be read.
    #[error("{part:?} is neither the duration nor the end of an interval such as PT2H/2026-01-01T02:00:00Z")]
    Part {
        /// The part.
        part: String,
        /// What the parser says.
        source: jiff::Error,
    },
}

impl Deadline {
    /// The end of a Job that begins now and may take so many seconds.
    pub fn of_job(now: Timestamp, seconds: i64) -> Self {
        let timeout = SignedDuration::from_secs(seconds);
        Self { timeout, end: now.checked_add(timeout).unwrap_or(Timestamp::MAX) }
    }

    /// How much earlier than the Job its builder ends.
    pub fn spare(&self) -> Duration {
        unsigned(SPARE.min(self.timeout / SPARE_PART))
    }

    /// How long a builder may work that begins now; nothing if it is too late.
    pub fn left(&self, now: Timestamp) -> Duration {
        unsigned(self.end.duration_since(now).min(self.timeout)).saturating_sub(self.spare())
    }

    /// The failure of a build that is not ready then, and was to do this.
    pub fn missed(&self, tried: &str) -> Failure {
        self.failure(&format!("ended in the attempt to {tried}"), "are over")
    }

    /// The failure of a build that begins when nothing is left, by the clock of its node.
    pub fn begun_too_late(&self, now: Timestamp) -> Failure {
        let began = format!(
            "begun at {now} by the clock of the build's node, while the Job ends at {} by that of the controller",
            self.end
        );
        self.failure(&began, "were over by then")
    }

    fn failure(&self, what: &str, over: &str) -> Failure {
        let seconds = self.timeout.as_secs();
        let message = format!(
            "{what}: the {seconds} s {over} that the build has for all tries together; correct what takes so long, or give it \
             more with spec.build.timeoutSeconds of the pool's LayeringPolicy, and delete the MachineOSBuild to build again"
        );
        Failure::new(Cause::TimedOut, message)
    }
}

/// How long a pull or push may stand still.
pub fn patience(deadline: Option<&Deadline>) -> Duration {
    unsigned(deadline.map_or(PATIENCE, |deadline| PATIENCE.min(deadline.timeout / PATIENCE_PART)))
}

fn unsigned(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.timeout, self.end)
    }
}

impl FromStr for Deadline {
    type Err = DeadlineError;

    fn from_str(text: &str) -> Result<Self, DeadlineError> {
        let (timeout, end) = text.split_once('/').ok_or_else(|| DeadlineError::NoInterval(text.to_owned()))?;
        let part = |part: &str| {
            let part = part.to_owned();
            move |source| DeadlineError::Part { part, source }
        };
        Ok(Self { timeout: timeout.parse().map_err(part(timeout))?, end: end.parse().map_err(part(end))? })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-01-01T{time}Z").parse().unwrap()
    }

    #[rstest]
    #[case::of_two_hours(7200, "00:00:00", 7170)]
    #[case::of_two_hours_at_a_later_try(7200, "01:30:00", 1770)]
    #[case::of_a_minute(60, "00:00:00", 50)]
    #[case::that_is_over(60, "00:00:55", 0)]
    #[case::that_was_over_long_ago(60, "12:00:00", 0)]
    #[case::by_a_clock_that_is_late(600, "00:00:00", 570)]
    fn the_time_that_is_left(#[case] seconds: i64, #[case] now: &str, #[case] left: u64) {
        let deadline = Deadline::of_job(at("00:00:00"), seconds);
        assert_eq!(deadline.left(at(now)), Duration::from_secs(left));
    }

    #[test]
    fn no_try_may_take_longer_than_all_whatever_the_clock_says() {
        let deadline = Deadline::of_job(at("12:00:00"), 600);
        assert_eq!(deadline.left(at("00:00:00")), Duration::from_secs(570));
    }

    #[rstest]
    #[case::without_a_deadline(None, 600)]
    #[case::of_two_hours(Some(7200), 600)]
    #[case::of_ten_minutes(Some(600), 75)]
    fn every_try_may_stand_still_once(#[case] seconds: Option<i64>, #[case] expected: u64) {
        let deadline = seconds.map(|seconds| Deadline::of_job(at("00:00:00"), seconds));
        assert_eq!(patience(deadline.as_ref()), Duration::from_secs(expected));
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let deadline = Deadline::of_job(at("00:00:00"), 7200);
        assert_eq!(deadline.to_string(), "PT2H/2026-01-01T02:00:00Z");
        assert_eq!(deadline.to_string().parse::<Deadline>().unwrap(), deadline);
        for (text, words) in [("", "no interval"), ("PT2H/now", "\"now\""), ("long/2026-01-01T02:00:00Z", "\"long\"")] {
            let error = text.parse::<Deadline>().unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("such as PT2H/"), "{error}");
        }
    }

    #[test]
    fn a_build_that_is_too_late_names_the_field_and_both_clocks() {
        let deadline = Deadline::of_job(at("00:00:00"), 600);
        let failure = deadline.begun_too_late(at("00:20:00"));
        assert_eq!(failure.cause, Cause::TimedOut);
        let words =
            ["2026-01-01T00:20:00Z", "2026-01-01T00:10:00Z", "600 s", "spec.build.timeoutSeconds", "LayeringPolicy"];
        assert!(words.iter().all(|word| failure.message.contains(word)), "{}", failure.message);
    }
}
