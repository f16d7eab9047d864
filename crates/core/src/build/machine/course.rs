//! How far a build is, by how far the Jobs of its parts are.

use jiff::Timestamp;

use super::observed::{Build, PartOfBuild};
use super::run::{self, Run};
use crate::build::spec::Failure;

/// How far a build is.
#[derive(Debug)]
pub(super) enum Course<'b, 'a> {
    /// These parts have no Job yet.
    Start(Vec<&'b PartOfBuild<'a>>),
    /// A Job of something else has the name of this part's.
    Held(&'b PartOfBuild<'a>),
    /// A Job is on its way out, or its pod's last word is.
    Ending,
    /// Somebody has deleted a Job.
    Deleted,
    /// A Job says that it succeeded, and the registry does not have what it should have pushed.
    Lost,
    /// The pods are awaited.
    Waiting(String),
    /// A pod is building, or has built.
    Building(String),
    /// Every part has pushed its image: architectures and images, by digest.
    Pushed(Vec<(&'b str, String)>),
    /// A part has failed for good.
    Failed(&'b PartOfBuild<'a>, Failure),
}

/// Reads how far a build is.
pub(super) fn of<'b, 'a>(build: &'b Build<'a>, now: Timestamp) -> Course<'b, 'a> {
    let mut runs: Vec<_> = build.parts.iter().map(|part| (part, run::of(build.build, part, now))).collect();
    if let Some(index) = runs.iter().position(|(_, run)| matches!(run, Run::Failed(_)))
        && let (part, Run::Failed(failure)) = runs.swap_remove(index)
    {
        return Course::Failed(part, failure);
    }
    if runs.iter().any(|(_, run)| *run == Run::Lost) {
        return Course::Lost;
    }
    if runs.iter().any(|(_, run)| *run == Run::Gone) {
        return Course::Deleted;
    }
    let without_job: Vec<_> = runs.iter().filter(|(_, run)| *run == Run::None).map(|(part, _)| *part).collect();
    if !without_job.is_empty() {
        return Course::Start(without_job);
    }
    if let Some((part, _)) = runs.iter().find(|(_, run)| *run == Run::Foreign) {
        return Course::Held(part);
    }
    if runs.iter().any(|(_, run)| *run == Run::Leaving) {
        return Course::Ending;
    }
    words(&runs)
}

/// The state of parts of which none is lost, gone or has failed.
fn words<'b, 'a>(runs: &[(&'b PartOfBuild<'a>, Run)]) -> Course<'b, 'a> {
    let (mut pushed, mut words, mut is_building) = (Vec::new(), Vec::new(), false);
    for (part, run) in runs {
        let architecture = part.part.architecture.as_str();
        is_building |= matches!(run, Run::Building(_) | Run::Sought(_) | Run::Pushed(_));
        let word = match run {
            Run::Pushed(image) => {
                pushed.push((architecture, image.clone()));
                format!("pushed {image}")
            }
            Run::Waiting(message) | Run::Building(message) | Run::Sought(message) => message.clone(),
            _ => continue,
        };
        words.push(if runs.len() == 1 { word } else { format!("{architecture}: {word}") });
    }
    match words.join("; ") {
        _ if pushed.len() == runs.len() => Course::Pushed(pushed),
        words if words.is_empty() => Course::Ending,
        words if is_building => Course::Building(words),
        words => Course::Waiting(words),
    }
}
