//! What the build is asked to do.

use std::fs;
use std::io::Read;

use flate2::read::GzDecoder;
use onlay_api::machine_config::MachineConfigSpec;
use onlay_core::build::spec::{CONFIGURATION_KEY, SPEC_KEY, Spec};
use onlay_core::render::desired::{self, Desired};

use crate::error::Error;
use crate::paths::Paths;

/// What the build is asked to do.
#[derive(Debug)]
pub struct Input {
    /// Names and texts.
    pub spec: Spec,
    /// The configuration.
    pub desired: Desired,
}

/// Reads the build's ConfigMap.
pub fn read(paths: &Paths) -> Result<Input, Error> {
    let path = paths.spec.join(SPEC_KEY);
    let text = fs::read(&path).map_err(Error::file("read", &path))?;
    let spec = serde_json::from_slice(&text).map_err(|source| Error::Input { path, source })?;
    let path = paths.spec.join(CONFIGURATION_KEY);
    let packed = fs::read(&path).map_err(Error::file("read", &path))?;
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut text).map_err(Error::file("unpack", &path))?;
    let configuration: MachineConfigSpec =
        serde_json::from_slice(&text).map_err(|source| Error::Input { path, source })?;
    Ok(Input { spec, desired: desired::of(&configuration)? })
}
