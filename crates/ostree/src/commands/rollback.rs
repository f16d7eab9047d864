//! `rollback`: another deployment boots next.

use ostree_ext::gio::Cancellable;
use serde_json::{Value, json};

use crate::error::Error;
use crate::{stage_lock, sysroot};

/// Make a deployment that is already here boot next; a staged one is dropped
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// The deployment, as `status` names it
    #[arg(long, value_name = "ID")]
    to: String,
    /// The sysroot to change
    #[arg(long, value_name = "DIR", default_value = "/")]
    sysroot: std::path::PathBuf,
}

impl Rollback {
    pub fn run(self) -> Result<Value, Error> {
        let booted = self.sysroot.as_os_str() == "/";
        let root = if booted { sysroot::open_booted("roll back")? } else { sysroot::open_offline(&self.sysroot)? };
        let mut order: Vec<_> = root.deployments().into_iter().filter(|one| !one.is_staged()).collect();
        order.sort_by_key(|one| sysroot::id(one) != self.to);
        sysroot::find(&order, &self.to)?;
        root.write_deployments(&order, Cancellable::NONE)
            .map_err(|source| Error::doing(format!("make deployment {} boot next", self.to), source))?;
        if booted {
            stage_lock::clear()?;
        }
        Ok(json!({ "id": self.to }))
    }
}
