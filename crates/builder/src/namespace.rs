//! The user namespace that buildah works in.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use onlay_core::build::deadline::Deadline;
use onlay_core::build::spec::{Cause, Failure, Outcome};
use onlay_host::command::{self, Run as _, Runner};
use rustix::mount::UnmountFlags;

use crate::destination::Destination;
use crate::error::Error;
use crate::paths::Paths;
use crate::report;

/// Lines of output that a failure shows at most.
const SHOWN: usize = 20;

/// Whether this process is root of no user namespace.
pub fn is_needed() -> bool {
    !rustix::process::geteuid().is_root()
}

/// Unmounts what root's builds have mounted in a directory; what others mount goes away with their namespace.
pub fn unmount_below(directory: &Path) -> io::Result<()> {
    let directory = fs::canonicalize(directory)?;
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    for place in places.filter(|place| place.starts_with(&directory)).collect::<Vec<_>>().into_iter().rev() {
        rustix::mount::unmount(place, UnmountFlags::DETACH)?;
    }
    Ok(())
}

/// Removes the directory of a build, which may have been killed: with what is mounted in it, and what belongs to other users of the
/// build's namespace, which nobody outside of one can remove.
pub fn remove(directory: &Path) -> io::Result<()> {
    unmount_below(directory)?;
    match fs::remove_dir_all(directory) {
        Err(error) if is_needed() && error.kind() == io::ErrorKind::PermissionDenied => {
            let directory = directory.to_str().ok_or(error)?;
            let removed = Runner::here().to_clean_up().output(&["buildah", "unshare", "rm", "-rf", "--", directory]);
            removed.map(drop).map_err(io::Error::other)
        }
        removed => removed,
    }
}

/// Runs this program again as root of a user namespace, and gives its exit code.
///
/// It ends itself at its deadline; what does not, as it waits for a disk, is ended a little later.
pub fn run_inside(paths: &Paths, destination: &Destination, deadline: Option<Deadline>, itself: &[String]) -> i32 {
    let words: Vec<&str> = ["buildah", "unshare"].into_iter().chain(itself.iter().map(String::as_str)).collect();
    let mut output: Vec<String> = Vec::new();
    let until = deadline.map(|deadline| Instant::now() + deadline.left(Timestamp::now()) + deadline.spare() / 2);
    let ended = Runner::here().until(until).follow(&words, &mut |line: &str| {
        report::print(line);
        if output.len() == SHOWN {
            output.remove(0);
        }
        output.push(line.to_owned());
    });
    let failure = match (ended, deadline) {
        (Ok(status), _) if report::left(paths).is_some() => return status.code().unwrap_or(1),
        (Ok(status), _) => {
            let why = "the build ended without a word, or no user namespace could be made for it";
            let message = format!("{why} ({status}); it needs newuidmap and newgidmap with file capabilities");
            Failure { output, ..Failure::new(Cause::MachineFailed, message) }
        }
        (Err(command::Error::TooLong { .. }), Some(deadline)) => match report::left(paths) {
            Some(outcome) => return outcome.exit_code(),
            None => Failure { output, ..deadline.missed("build and push the image") },
        },
        (Err(error), _) => Error::from(error).into_failure(),
    };
    let outcome = Outcome::Failed(failure);
    report::leave(paths, destination, &outcome);
    outcome.exit_code()
}
