//! What may help a build that has failed, although its inputs are the same.
//!
//! The failure of a build is evidence that nobody keeps elsewhere: only what can have to do with it repeats the build.

use super::observed::{Observed, TRUSTED};
use super::wish;
use crate::build::spec::Cause;

/// Whether a build that failed for this cause, as far as that is known, may succeed with what it talks to registries with now, which is
/// not what it was given. Both as [`Observed::fingerprint`] has them.
pub(super) fn by_other_credentials(cause: Option<Cause>, given: &str, now: &str) -> bool {
    use Cause::{AccessDenied, CertificateNotTrusted, ImageNotFound, InstructionFailed};
    match cause {
        _ if given == now => false,
        // To a stranger, some registries say that there is no such image.
        None | Some(AccessDenied | CertificateNotTrusted | ImageNotFound) => true,
        // Commands see nothing of the secrets of registries.
        Some(InstructionFailed) => trusted(given) != trusted(now),
        Some(cause) => !cause.is_definitive(),
    }
}

fn trusted(fingerprint: &str) -> Option<&str> {
    fingerprint.split('.').find(|part| part.starts_with(TRUSTED))
}

/// What a person can do when a build has failed for a cause that may lie outside of its inputs; nothing if it does not.
pub(super) fn way_out(observed: &Observed<'_>, cause: Cause) -> String {
    match cause {
        Cause::AccessDenied | Cause::CertificateNotTrusted | Cause::ImageNotFound => {
            format!("; if it is mended at the registry, build once more: {}", wish::command(observed.config))
        }
        cause if cause.is_definitive() => String::new(),
        _ => "; no more tries follow, delete the MachineOSBuild to try again".to_owned(),
    }
}
