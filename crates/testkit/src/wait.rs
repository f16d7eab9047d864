//! The one way to wait: a condition, a deadline, and the words for what is waited for.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// First and longest pause between two looks at the condition.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// A condition that did not come true in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to see {what} within {deadline:?}; last seen: {last}")]
pub struct TimedOut {
    /// What was waited for, as a noun phrase: "node worker-0 to be Ready".
    pub what: String,
    /// How long it was waited for.
    pub deadline: Duration,
    /// The last thing that was observed.
    pub last: String,
}

/// Waits until `poll` answers `Ok(Some(value))`, and returns the value.
///
/// `Ok(None)` means "not yet". An `Err` also means "not yet", and its text becomes the last observed state of the
/// [`TimedOut`] error, so a poll says what it sees by `Err(format!("2 of 3 nodes are Ready"))`. A failure that waiting
/// cannot cure is a value: `Ok(Some(Err(failure)))`. A poll that hangs is cut off at the deadline.
pub async fn until<T, E: Display>(
    what: &str,
    deadline: Duration,
    mut poll: impl AsyncFnMut() -> Result<Option<T>, E>,
) -> Result<T, TimedOut> {
    let end = Instant::now() + deadline;
    let mut last = "nothing yet".to_owned();
    let mut pause = PAUSE.0;
    loop {
        match timeout_at(end, poll()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => {}
            Ok(Err(seen)) => last = seen.to_string(),
            Err(_) => last = format!("{last} (the last look at it did not return)"),
        }
        if Instant::now() + pause >= end {
            return Err(TimedOut { what: what.to_owned(), deadline, last });
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_gives_its_value() {
        let mut looks = 0;
        let value = until("the third look", Duration::from_secs(5), async || {
            looks += 1;
            if looks == 3 { Ok(Some(looks)) } else { Err("too early") }
        });
        assert_eq!(value.await, Ok(3));
    }

    #[tokio::test]
    async fn a_deadline_says_what_was_waited_for_and_what_was_seen_last() {
        let error =
            until("3 nodes", Duration::from_millis(30), async || Err::<Option<()>, _>("2 of 3 nodes are Ready")).await;
        let text = error.unwrap_err().to_string();
        assert_eq!(text, "failed to see 3 nodes within 30ms; last seen: 2 of 3 nodes are Ready");
    }

    #[tokio::test]
    async fn a_poll_that_hangs_is_cut_off() {
        let error = until("an answer", Duration::from_millis(30), async || {
            std::future::pending::<Result<Option<()>, String>>().await
        });
        assert!(error.await.unwrap_err().last.contains("did not return"));
    }
}
