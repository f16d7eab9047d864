//! Deployments that must survive the finalisation of a staged one.
//!
//! When libostree finalises a staged deployment it keeps the new one, the booted one and pinned ones. The last
//! confirmed deployment can be none of these: a node that booted an image it never confirmed, and gets another one.
//! So it is pinned, with a mark in its origin file that tells our pins from those of people.

use ostree_ext::glib::KeyFile;
use ostree_ext::ostree::{Deployment, Sysroot};

use crate::error::Error;
use crate::sysroot;

const GROUP: &str = "onlay";
const KEY: &str = "kept";

/// Pins a deployment, unless it already is pinned.
pub fn keep(root: &Sysroot, deployment: &Deployment) -> Result<(), Error> {
    if deployment.is_pinned() || deployment.is_staged() {
        return Ok(());
    }
    if let Some(origin) = deployment.origin() {
        origin.set_boolean(GROUP, KEY, true);
    }
    pin(root, deployment, true)
}

/// Takes back a pin of ours; a pin of somebody else stays.
pub fn release(root: &Sysroot, deployment: &Deployment) -> Result<(), Error> {
    let Some(origin) = deployment.origin().filter(is_ours) else { return Ok(()) };
    origin
        .remove_group(GROUP)
        .map_err(|source| Error::doing(format!("unmark deployment {}", sysroot::id(deployment)), source))?;
    pin(root, deployment, false)
}

/// Whether somebody else than onlay pinned this deployment.
pub fn is_pinned_by_others(deployment: &Deployment) -> bool {
    deployment.is_pinned() && !deployment.origin().as_ref().is_some_and(is_ours)
}

fn is_ours(origin: &KeyFile) -> bool {
    origin.boolean(GROUP, KEY).unwrap_or(false)
}

fn pin(root: &Sysroot, deployment: &Deployment, pinned: bool) -> Result<(), Error> {
    root.deployment_set_pinned(deployment, pinned)
        .map_err(|source| Error::doing(format!("change the pin of deployment {}", sysroot::id(deployment)), source))
}
