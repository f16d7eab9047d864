//! `prune`: remove what no deployment needs.

use std::path::PathBuf;

use ostree_ext::container::deploy;
use ostree_ext::gio::Cancellable;
use ostree_ext::ostree::{Deployment, Sysroot};
use ostree_ext::sysroot::SysrootLock;
use serde_json::{Value, json};

use crate::error::Error;
use crate::{keep, sysroot};

/// Remove deployments, images and objects that are not needed; the booted, the staged and pinned deployments stay
#[derive(Debug, clap::Args)]
pub struct Prune {
    /// A deployment that stays
    #[arg(long, value_name = "ID")]
    keep: Vec<String>,
    /// The sysroot to change
    #[arg(long, value_name = "DIR", default_value = "/")]
    sysroot: PathBuf,
}

impl Prune {
    pub fn run(self) -> Result<Value, Error> {
        let root = if self.sysroot.as_os_str() == "/" {
            sysroot::open_booted("prune")?
        } else {
            sysroot::open_offline(&self.sysroot)?
        };
        let booted = root.booted_deployment();
        let stays = |one: &Deployment| {
            one.is_staged()
                || booted.as_ref().is_some_and(|booted| booted.equal(one))
                || keep::is_pinned_by_others(one)
                || self.keep.contains(&sysroot::id(one))
        };
        let (kept, removed): (Vec<_>, Vec<_>) = root.deployments().into_iter().partition(stays);
        for deployment in kept.iter().chain(&removed).filter(|one| !self.keep.contains(&sysroot::id(one))) {
            keep::release(&root, deployment)?;
        }
        remove(&root, &kept, &removed)?;
        let lock = SysrootLock::from_assumed_locked(&root);
        let pruned = deploy::prune(&lock).map_err(|source| Error::doing("remove images and objects", source))?;
        let removed: Vec<String> = removed.iter().map(sysroot::id).collect();
        Ok(json!({ "removed": removed, "images": pruned.n_images, "layers": pruned.n_layers, "bytes": pruned.objsize }))
    }
}

fn remove(root: &Sysroot, kept: &[Deployment], removed: &[Deployment]) -> Result<(), Error> {
    if removed.is_empty() {
        return Ok(());
    }
    let names = removed.iter().map(sysroot::id).collect::<Vec<_>>().join(", ");
    root.write_deployments(kept, Cancellable::NONE)
        .map_err(|source| Error::doing(format!("remove deployments {names}"), source))
}
