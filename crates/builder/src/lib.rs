//! What runs in the pod of a build: it makes the context, drives buildah, pushes the image, and leaves its last word. `onlay build`
//! runs the same on a workstation.
//!
//! The pod has no privileges. buildah works as root of a user namespace that it makes itself; [`run`] enters it by running
//! this program once more below `buildah unshare`.

#![warn(missing_docs)]

mod archive;
mod buildah;
mod check;
mod context;
mod declare;
mod destination;
mod error;
mod extras;
mod image;
mod input;
mod limits;
mod namespace;
mod ostree;
mod paths;
mod registries;
mod report;
mod rootfs;
mod seal;
mod store;
mod trust;

pub use destination::Destination;
pub use error::Error;
pub use namespace::remove;
pub use onlay_core::build::deadline::Deadline;
pub use onlay_host::command::stop;
pub use paths::Paths;

use onlay_core::build::spec::Outcome;

/// Builds what the mounted objects ask for, and gives the exit code of the process.
///
/// The log goes to stdout, the outcome to the termination message. If there is a deadline, the build is over before it, with an
/// outcome. `itself` is how this program is run again, inside the user namespace: its path and arguments.
pub fn run(paths: &Paths, destination: &Destination, deadline: Option<Deadline>, itself: &[String]) -> i32 {
    if namespace::is_needed() {
        return namespace::run_inside(paths, destination, deadline, itself);
    }
    let outcome = match image::build(paths, destination, deadline) {
        Ok(image) => Outcome::Pushed { image },
        Err(error) => Outcome::Failed(error.into_failure()),
    };
    report::leave(paths, destination, &outcome);
    outcome.exit_code()
}
