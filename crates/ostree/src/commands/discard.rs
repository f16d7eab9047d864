//! `discard`: drop the staged deployment.

use ostree_ext::gio::Cancellable;
use serde_json::{Value, json};

use crate::error::Error;
use crate::{stage_lock, sysroot};

/// Drop the staged deployment, if there is one
#[derive(Debug, clap::Args)]
pub struct Discard {}

impl Discard {
    pub fn run(self) -> Result<Value, Error> {
        let root = sysroot::open_booted("discard")?;
        let staged = root.staged_deployment().map(|staged| sysroot::id(&staged));
        if let Some(id) = &staged {
            let others: Vec<_> = root.deployments().into_iter().filter(|one| !one.is_staged()).collect();
            root.write_deployments(&others, Cancellable::NONE)
                .map_err(|source| Error::doing(format!("drop the staged deployment {id}"), source))?;
        }
        stage_lock::clear()?;
        Ok(json!({ "id": staged }))
    }
}
