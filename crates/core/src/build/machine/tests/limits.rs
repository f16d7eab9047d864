//! What a ConfigMap can hold of what a builder is told.

use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::names;
use rstest::rstest;
use serde_json::json;

use super::super::*;
use super::world::{World, rendered};

/// A configuration that has a little less than a million bytes when packed.
fn large() -> MachineConfigSpec {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 64).unwrap())
    };
    let text: String = (0..1_359_000).map(|_| next()).filter(|char| !"\"\\".contains(*char)).collect();
    MachineConfigSpec { config: json!({"ignition": {"version": "3.4.0"}, "text": text}), ..Default::default() }
}

#[rstest]
#[case::both_fit(30_000, None)]
#[case::together_they_are_too_large(
    70_000,
    Some("a build takes at most 1048576 together; move large files from MachineConfigs")
)]
fn a_configuration_and_what_is_said_of_it(#[case] origins: usize, #[case] refused: Option<&str>) {
    let mut world = World::new();
    let spec = large();
    let packed = start::pack(&spec).unwrap().len();
    assert!((985_000..1_000_000).contains(&packed), "{packed}");
    let mut config = rendered("rendered-worker-1", spec);
    let said = "o".repeat(origins);
    config.metadata.annotations = Some([(names::ORIGINS_ANNOTATION.to_owned(), said)].into());
    world.rendered = Some(config);
    world.settle();
    let (state, message) = World::state(world.only_build());
    let Some(words) = refused else {
        return assert_eq!((state, world.config_maps.len()), ("Prepared", 1), "{message}");
    };
    assert_eq!((state, world.config_maps.len(), world.jobs.len()), ("Failed", 0, 0));
    assert!(message.contains(words) && message.contains("rendered-worker-1") && message.contains(&packed.to_string()));
}
