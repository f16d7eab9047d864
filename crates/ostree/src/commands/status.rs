//! `status`: every deployment of a sysroot, in boot order.

use std::path::PathBuf;

use ostree_ext::ostree::{Deployment, Repo, Sysroot};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::{fetch, stage_lock, sysroot};

/// Show every deployment, in boot order
#[derive(Debug, clap::Args)]
pub struct Status {
    /// The sysroot to look at
    #[arg(long, value_name = "DIR", default_value = "/")]
    sysroot: PathBuf,
}

#[derive(Debug, Serialize)]
struct Entry {
    id: String,
    osname: String,
    checksum: String,
    serial: i32,
    booted: bool,
    staged: bool,
    locked: bool,
    pinned: bool,
    image: Option<String>,
    digest: Option<String>,
    kargs: Vec<String>,
    path: String,
}

impl Status {
    pub fn run(self) -> Result<Value, Error> {
        let sysroot = sysroot::open(&self.sysroot)?;
        let booted = sysroot.booted_deployment();
        let repo = sysroot.repo();
        let deployments: Vec<Entry> =
            sysroot.deployments().iter().map(|one| entry(&sysroot, &repo, booted.as_ref(), one)).collect();
        Ok(json!({ "booted": booted.as_ref().map(sysroot::id), "deployments": deployments }))
    }
}

fn entry(sysroot: &Sysroot, repo: &Repo, booted: Option<&Deployment>, deployment: &Deployment) -> Entry {
    let (image, digest) = fetch::origin(repo, deployment);
    Entry {
        id: sysroot::id(deployment),
        osname: deployment.osname().into(),
        checksum: deployment.csum().into(),
        serial: deployment.deployserial(),
        booted: booted.is_some_and(|booted| booted.equal(deployment)),
        staged: deployment.is_staged(),
        locked: deployment.is_staged() && stage_lock::is_set(),
        pinned: deployment.is_pinned(),
        image,
        digest,
        kargs: sysroot::kernel_arguments(deployment),
        path: sysroot.deployment_dirpath(deployment).into(),
    }
}
