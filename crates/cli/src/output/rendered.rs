//! A rendered configuration as the object that the cluster has.

use onlay_api::MachineConfig;
use onlay_core::render::Rendered;

/// The MachineConfig of a rendered configuration, with what is known about it.
pub fn machine_config(rendered: &Rendered) -> MachineConfig {
    let mut object = MachineConfig::new(&rendered.name, rendered.spec.clone());
    object.metadata.annotations = Some(rendered.annotations.clone());
    object
}
