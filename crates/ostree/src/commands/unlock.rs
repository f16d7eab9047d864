//! `unlock`: the staged deployment boots next.

use serde_json::{Value, json};

use crate::error::Error;
use crate::{stage_lock, sysroot};

/// Let the staged deployment boot next
#[derive(Debug, clap::Args)]
pub struct Unlock {}

impl Unlock {
    pub fn run(self) -> Result<Value, Error> {
        let root = sysroot::open_booted("unlock")?;
        let staged = root.staged_deployment().ok_or(Error::NothingStaged)?;
        stage_lock::clear()?;
        Ok(json!({ "id": sysroot::id(&staged) }))
    }
}
