//! A rendered configuration as the object that the cluster has.

use onlay_api::MachineConfig;
use onlay_api::names::SOURCES_ANNOTATION;
use onlay_core::render::Rendered;
use serde_json::json;

/// The MachineConfig of a rendered configuration, with the names of what it was merged from.
pub fn machine_config(rendered: &Rendered) -> MachineConfig {
    let mut object = MachineConfig::new(&rendered.name, rendered.spec.clone());
    let sources = json!(rendered.sources).to_string();
    object.metadata.annotations = Some([(SOURCES_ANNOTATION.to_owned(), sources)].into());
    object
}
