//! The image of a build: that of its one part, or the index that joins those of several.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use onlay_api::conditions::BuildConditionType;

use super::decision::{Decision, Object};
use super::observed::{Build, Observed, PartOfBuild};
use super::pursue::{self, Step};
use super::status::Turn;
use super::{cure, end, run};
use crate::build::job;
use crate::build::spec::{Cause, Failure};

/// How long a registry that did not take an index is left alone.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// An image index that a registry is to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Where it is pushed, with its tag.
    pub target: String,
    /// The images in it, by digest and by the architecture that they are for.
    pub images: BTreeMap<String, String>,
}

impl Join {
    /// What a registry is to be given for a build; none if it has one part, or one that has not pushed its image yet.
    pub fn of(build: &Build<'_>) -> Option<Self> {
        let image = |part: &PartOfBuild<'_>| Some((part.part.architecture.clone(), run::pushed(part)?));
        let images: BTreeMap<_, _> = build.parts.iter().map(image).collect::<Option<_>>()?;
        (images.len() > 1).then(|| Self { target: build.build.spec.rendered_image_push_spec.clone(), images })
    }
}

/// Goes on with a build all of whose parts have pushed their images.
pub(super) fn pushed<'b, 'a>(
    observed: &Observed<'_>,
    build: &Build<'_>,
    images: &[(&str, String)],
    now: Timestamp,
    decision: &mut Decision,
) -> Step<'b, 'a> {
    if let [(_, image)] = images {
        return succeed(observed, build, image, now, decision);
    }
    let names = images.iter().map(|(architecture, _)| *architecture).collect::<Vec<_>>().join(", ");
    let message = match &build.joined {
        Some(answer) => match &answer.said {
            Ok(image) => return succeed(observed, build, image, now, decision),
            Err(why) if is_late(observed, build, now) => {
                let cause = Cause::NetworkFailed;
                let way_out = cure::way_out(observed, cause);
                let message =
                    format!("the images for {names} are pushed, and the index that joins them is not: {why}{way_out}");
                return pursue::fail(observed, build, &Failure::new(cause, message), now, decision);
            }
            Err(why) => {
                decision.look_again(answer.at + PAUSE);
                format!("the images for {names} are pushed; the index that joins them is tried again: {why}")
            }
        },
        None => format!("the images for {names} are pushed; the index that joins them follows"),
    };
    if build.joined.as_ref().is_none_or(|answer| answer.at + PAUSE <= now) {
        decision.join = Join::of(build);
    }
    pursue::going(observed, build, Turn::building(message), now, decision)
}

/// Whether the time of a build is over.
fn is_late(observed: &Observed<'_>, build: &Build<'_>, now: Timestamp) -> bool {
    let policy = observed.policy.and_then(|policy| policy.spec.build.as_ref());
    let seconds = job::deadline(policy);
    let start = build.build.status.as_ref().and_then(|status| status.build_start);
    start.is_some_and(|start| now.duration_since(start) > SignedDuration::from_secs(seconds))
}

fn succeed<'b, 'a>(
    observed: &Observed<'_>,
    build: &Build<'_>,
    image: &str,
    now: Timestamp,
    decision: &mut Decision,
) -> Step<'b, 'a> {
    let (type_, message) = (BuildConditionType::Succeeded, format!("pushed {image}"));
    let turn = Turn { type_, reason: "Ready", message, image: Some(image.to_owned()) };
    end(observed, build, turn, now, decision);
    decision.tell(Object::Config, "BuildSucceeded", format!("{} is {image}", build.name()));
    Step::Built(image.to_owned())
}
