//! What the build says: lines of the log, and the termination message.

use std::fs;
use std::io;

use onlay_core::build::progress::OWN;
use onlay_core::build::spec::Outcome;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::destination::Destination;
use crate::paths::Paths;

/// A line of our own in the log; the others are buildah's and its commands'.
pub fn say(line: impl AsRef<str>) {
    print(&format!("{OWN}{}", line.as_ref()));
}

/// Prints a line of the log, unless there is nobody to read it: after Ctrl-C the other programs of a pipeline are gone, and the build
/// still has to be cleaned up after.
pub fn print(line: &str) {
    let stdout = io::stdout();
    let mut ends = [PollFd::new(&stdout, PollFlags::OUT)];
    let asked = rustix::event::poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    if asked.is_err() || !ends.iter().any(|end| end.revents().contains(PollFlags::ERR)) {
        println!("{line}");
    }
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
