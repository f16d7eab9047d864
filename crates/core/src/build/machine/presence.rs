//! Whether an image that was built is still in its registry.
//!
//! Only a registry that says so has lost an image: one that is away or refuses leaves everything as it is.

use jiff::{SignedDuration, Timestamp};
use onlay_api::conditions::{self, OSConfigConditionType};

use super::decision::Decision;
use super::observed::Observed;
use crate::build::base::watch::{self, Watch};

/// How old an answer may be for an image that is to be served again.
const RECENT: SignedDuration = SignedDuration::from_secs(10);

/// Whether an image is in its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is, as far as is known.
    There,
    /// It is not.
    Gone,
    /// Its registry is asked first.
    Awaited,
}

/// Whether an image is in its registry; asks when that was not asked for a while. `built` is when it was pushed.
///
/// An image that is served is asked for at the interval of the pool's policy; one that is to be served again, before that.
pub(super) fn of(
    observed: &Observed<'_>,
    image: &str,
    built: Option<Timestamp>,
    now: Timestamp,
    decision: &mut Decision,
) -> Presence {
    // An answer from before the image was pushed is about another one.
    let answer = observed.presences.get(image).filter(|answer| built.is_none_or(|built| answer.at > built));
    let said = answer.map(|answer| &answer.said);
    if !is_served(observed, image) && answer.is_none_or(|answer| now.duration_since(answer.at) > RECENT) {
        decision.ask_for(image);
        return Presence::Awaited;
    }
    let interval = Watch::of(observed.policy).interval;
    let pause = if said.is_some_and(Result::is_err) { watch::LATER.min(interval) } else { interval };
    let last = answer.map(|answer| answer.at).or(built);
    let due = last.map_or(now, |last| last.checked_add(pause).unwrap_or(Timestamp::MAX));
    if due <= now {
        decision.ask_for(image);
    } else {
        decision.look_again(due);
    }
    match said {
        Some(Ok(false)) => Presence::Gone,
        _ => Presence::There,
    }
}

/// Why an image is built again that its registry does not have.
pub(super) fn lost(image: &str) -> String {
    format!("its registry does not have {image} any more")
}

/// Whether nodes are told to run an image now.
fn is_served(observed: &Observed<'_>, image: &str) -> bool {
    let status = observed.config.status.as_ref();
    let is_current = status.and_then(|status| status.current_image_pull_spec.as_deref()) == Some(image);
    is_current
        && status.is_some_and(|status| conditions::is_true(&status.conditions, OSConfigConditionType::ImageReady))
}
