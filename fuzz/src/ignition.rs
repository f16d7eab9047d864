//! Ignition configurations: read as a whole, and rendered for a pool.

use onlay_api::machine_config::{MachineConfig, MachineConfigSpec};
use onlay_core::render::ignition::spec::configuration;
use onlay_core::render::{Rendered, render};
use serde_json::Value;

/// What is read is written as what reads the same; what is rendered is valid, and rendering it again changes nothing.
pub fn target(input: &[u8]) {
    if let Ok(config) = configuration::read(input) {
        let written = config.to_string();
        let again = configuration::read(written.as_bytes()).map(|config| config.to_string());
        assert_eq!(again.as_ref(), Ok(&written), "what was written does not read as what it was");
    }
    let Ok(config) = serde_json::from_slice::<Value>(input) else { return };
    let spec = MachineConfigSpec { config, ..MachineConfigSpec::default() };
    let Ok(rendered) = of(spec.clone()) else { return };
    assert_eq!(of(spec).as_ref(), Ok(&rendered), "the same gave something else");
    let valid = configuration::of_value(&rendered.spec.config);
    assert!(valid.is_ok(), "what was rendered is refused: {valid:?}");
    let again = of(rendered.spec.clone()).map(|again| again.name);
    assert_eq!(again.as_ref(), Ok(&rendered.name), "rendering what was rendered changes it");
}

fn of(spec: MachineConfigSpec) -> Result<Rendered, String> {
    render("worker", [&MachineConfig::new("50-fuzz", spec)]).map_err(|error| error.to_string())
}
