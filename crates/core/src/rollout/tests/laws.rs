//! Laws over random histories; a history that once broke one is kept as a case of its own.

use onlay_api::machine_config_node::UpdatePhase;
use proptest::prelude::*;

use super::simulation::{Event, World};

fn phase() -> impl Strategy<Value = UpdatePhase> {
    prop_oneof![
        Just(UpdatePhase::Preparing),
        Just(UpdatePhase::Applying),
        Just(UpdatePhase::Rebooting),
        Just(UpdatePhase::Verifying),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let one = 0..6_usize;
    prop_oneof![
        8 => Just(Event::Decide),
        2 => (0..12_usize).prop_map(Event::Write),
        6 => Just(Event::Write(usize::MAX)),
        6 => one.clone().prop_map(Event::AgentReads),
        8 => one.clone().prop_map(Event::AgentActs),
        8 => one.clone().prop_map(Event::AgentReports),
        5 => one.clone().prop_map(Event::PodsEnd),
        1 => (one.clone(), phase()).prop_map(|(node, phase)| Event::Fault(node, phase)),
        1 => (one.clone(), any::<bool>()).prop_map(|(node, holds)| Event::Budget(node, holds)),
        2 => (one.clone(), 0..4_u8).prop_map(|(pool, number)| Event::Configure(pool, number)),
        1 => (one.clone(), any::<bool>()).prop_map(|(pool, paused)| Event::Pause(pool, paused)),
        1 => (one.clone(), any::<bool>()).prop_map(|(node, infra)| Event::Relabel(node, infra)),
        1 => (one.clone(), any::<bool>()).prop_map(|(node, cordon)| Event::PersonCordons(node, cordon)),
        1 => (one.clone(), any::<bool>()).prop_map(|(node, runs)| Event::Kubelet(node, runs)),
        1 => one.clone().prop_map(Event::Recreate),
        1 => (0..20_u8).prop_map(Event::Minutes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The other laws are asserted while the world moves: never more nodes out by us than allowed, nobody is uncordoned
    /// in the middle of an update, nobody is disrupted under running pods.
    #[test]
    fn every_history_ends_well(
        size in 1..5_usize,
        max in 1..3_i32,
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut world = World::new(size, max);
        events.iter().for_each(|event| world.happen(event));
        world.settle().map_err(TestCaseError::fail)?;
    }
}
