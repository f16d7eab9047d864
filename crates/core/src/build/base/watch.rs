//! What a base image stands for that is named by a tag, and when a registry is asked for it again.
//!
//! The last answer counts until there is another one: a registry that does not answer, or refuses, changes nothing. What
//! was found is kept on the MachineOSConfig, so that a controller that begins anew knows what its builds are based on.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use onlay_api::layering_policy::{BaseImageTag, LayeringPolicy};

use super::digest;
use crate::build::machine::{Base, Standing};

/// How long an answer counts where a policy does not say.
const INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// How soon a registry is asked again without whose answer nothing can be built, or when a person wants a new answer.
const SOON: SignedDuration = SignedDuration::from_secs(10);
/// How soon a registry is asked again whose answer is missed, but not needed.
pub(crate) const LATER: SignedDuration = SignedDuration::from_mins(1);

/// How registries are asked for the images of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// What a tag stands for.
    pub tag: BaseImageTag,
    /// How long an answer counts.
    pub interval: SignedDuration,
}

impl Watch {
    /// What a policy says.
    pub fn of(policy: Option<&LayeringPolicy>) -> Self {
        let build = policy.and_then(|policy| policy.spec.build.as_ref());
        let seconds = build.and_then(|build| build.poll_interval_seconds);
        Self {
            tag: build.and_then(|build| build.base_image_tag).unwrap_or_default(),
            interval: seconds.map_or(INTERVAL, SignedDuration::from_secs),
        }
    }
}

/// What an image was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The image by digest.
    pub image: String,
    /// Why nothing can be built on it; none if it can.
    pub fault: Option<String>,
}

/// The last answer of a registry, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// When it was asked.
    pub at: Timestamp,
    /// What it said.
    pub said: Result<T, String>,
}

/// A base image, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The image as it is named, perhaps by a tag.
    pub asked: &'a str,
    /// What it was for the builds before.
    pub remembered: Option<&'a Found>,
    /// The last answer, since the controller began.
    pub answer: Option<&'a Answer<Found>>,
    /// Since when a person asks to build once more, if one does: only an answer from then on will do.
    pub rebuild: Option<Timestamp>,
    /// Whether the newest build has failed: the image may be corrected under its tag.
    pub failed: bool,
    /// How registries are asked.
    pub watch: Watch,
}

impl Question<'_> {
    /// When the registry is to be asked; none if there is nothing to ask.
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let pause = self.pause()?;
        // An answer from the future is one from before the clock was set.
        let answer = self.answer.filter(|answer| answer.at <= now && (answer.said.is_err() || !self.is_owed()));
        Some(answer.map_or(now, |answer| answer.at.checked_add(pause).unwrap_or(Timestamp::MAX)))
    }

    /// Whether a person waits for an answer.
    fn is_owed(&self) -> bool {
        self.rebuild.is_some_and(|since| self.answer.is_none_or(|answer| answer.at < since || answer.said.is_err()))
    }

    /// How long the last answer counts; none for good.
    fn pause(&self) -> Option<SignedDuration> {
        let Some(known) = self.known() else { return Some(SOON) };
        let is_missed = self.answer.is_some_and(|answer| answer.said.is_err());
        match self.watch.tag {
            _ if self.is_digest() => None,
            _ if self.is_owed() || known.fault.is_some() => Some(SOON),
            BaseImageTag::Pin => None,
            BaseImageTag::Watch if self.failed || is_missed => Some(LATER.min(self.watch.interval)),
            BaseImageTag::Watch => Some(self.watch.interval),
        }
    }

    /// What counts.
    fn known(&self) -> Option<&Found> {
        let answered = self.answer.and_then(|answer| answer.said.as_ref().ok());
        let kept = self.remembered.filter(|found| self.keeps(found));
        kept.or(answered).or(self.remembered)
    }

    /// Whether an image counts whatever becomes of its tag.
    fn keeps(&self, found: &Found) -> bool {
        let is_asked_for = self.rebuild.is_some() && !self.is_owed();
        self.watch.tag == BaseImageTag::Pin && !is_asked_for && found.fault.is_none()
    }

    fn is_digest(&self) -> bool {
        self.asked.contains('@')
    }

    /// What the image stands for.
    pub fn base(&self) -> Base {
        let missed = self.answer.and_then(|answer| answer.said.as_ref().err());
        let why = missed.cloned().unwrap_or_else(|| format!("the registry of {} has not answered yet", self.asked));
        let Some(known) = self.known() else { return Base::Unknown { why } };
        let standing = match missed {
            _ if self.is_digest() => Standing::Digest,
            _ if self.is_owed() => Standing::Unanswered { why },
            _ if self.keeps(known) => Standing::Pinned,
            Some(_) => Standing::Unanswered { why },
            None => Standing::Answered,
        };
        let Found { image, fault } = known.clone();
        Base::Known { asked: self.asked.to_owned(), image, fault, standing }
    }
}

/// A tag that stands for another image than for the builds before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved<'a> {
    tag: &'a str,
    from: &'a str,
    to: &'a str,
}

impl<'a> Moved<'a> {
    /// Whether what an image stands for now is another one than what is remembered of it.
    pub fn between(remembered: Option<&'a Found>, asked: &'a str, image: &'a str) -> Option<Self> {
        let (from, to) = (digest(&remembered?.image), digest(image));
        (from != to).then_some(Self { tag: asked, from, to })
    }
}

impl fmt::Display for Moved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, from, to } = self;
        write!(f, "the tag {tag} moved from {from} to {to}")
    }
}

#[cfg(test)]
mod tests;
