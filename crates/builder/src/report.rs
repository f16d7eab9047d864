//! What the build says: lines of the log, and the termination message.

use std::fs;

use onlay_core::build::progress::OWN;
use onlay_core::build::spec::Outcome;

use crate::destination::Destination;
use crate::paths::Paths;

/// A line of our own in the log; the others are buildah's and its commands'.
pub fn say(line: impl AsRef<str>) {
    println!("{OWN}{}", line.as_ref());
}

/// Leaves the outcome, in the log and as the termination message.
pub fn leave(paths: &Paths, destination: &Destination, outcome: &Outcome) {
    match outcome {
        Outcome::Pushed { image } => say(format!("{} {image}", destination.done())),
        Outcome::Failed(failure) => say(format!("failed ({}): {}", failure.cause.as_str(), failure.describe())),
    }
    if let Err(error) = fs::write(&paths.message, outcome.to_message()) {
        say(format!("failed to leave the outcome in {}: {error}", paths.message));
    }
}

/// The outcome that was left, if any was.
pub fn left(paths: &Paths) -> Option<Outcome> {
    Outcome::from_message(&fs::read_to_string(&paths.message).ok()?)
}
