//! Room on the machine's disk: enough for an image before it is fetched, and always for what the machine can go back to.

use jiff::Timestamp;
use onlay_api::Permit;
use onlay_core::change::disruption::Disruption;
use onlay_core::node::{Decision, Journal, Target};
use rstest::rstest;

use super::updated;
use super::world::{LAYERED, World, desired, order, settle, turn};

#[rstest]
#[case::boot("/boot", 64)]
#[case::sysroot("/sysroot", 512)]
fn too_little_space_is_told_before_anything_is_fetched(#[case] place: &'static str, #[case] needed: u64) {
    let world = World::new();
    world.set_free(place, (needed << 20) - 1);
    let wanted = order("a", LAYERED, Permit::Stage);
    turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    let error = turn(&world, &world.agent(), Some(&wanted), true).unwrap_err();
    let (there, is_needed) = (format!("{place} has {} MiB free", needed - 1), format!("needs {needed} MiB"));
    let told = format!("failed to prepare for staging: {there} and {is_needed}; free some space there");
    assert_eq!(error.to_string(), told);
    assert!(world.fetched().is_empty() && !world.exists("run/onlay/auth.json"), "{:?}", world.fetched());
    assert_eq!(world.deployments().len(), 1);

    world.set_free(place, needed << 20);
    updated(&world, "a", LAYERED);
    assert_eq!(world.fetched(), [LAYERED]);
}

#[test]
fn a_full_disk_does_not_keep_a_file_from_being_written() {
    let world = World::new();
    updated(&world, "a+1", LAYERED);
    world.set_free("/boot", 0);
    updated(&world, "a+2", LAYERED);
    assert_eq!(world.fetched(), [LAYERED], "without a reboot no image is staged");
}

/// A machine with three deployments: adopted, confirmed, and a booted one that was not found well yet.
fn unconfirmed() -> (World, [String; 3]) {
    let world = World::new();
    let adopted = world.booted().id;
    updated(&world, "a", LAYERED);
    let confirmed = world.booted().id;
    let wanted = order("b", LAYERED, Permit::Disrupt);
    while world.booted().id == confirmed {
        turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    }
    let booted = world.booted().id;
    (world, [adopted, confirmed, booted])
}

#[test]
fn a_system_that_is_not_well_takes_nothing_away() {
    let (world, all) = unconfirmed();
    world.fail_unit(Some("autofs.service"));
    turn(&world, &world.agent(), Some(&order("b", LAYERED, Permit::Disrupt)), true).unwrap_err();
    let left = world.deployments();
    assert!(all.iter().all(|id| left.contains(id)), "{all:?}, but there are {left:?}");
}

#[test]
fn what_is_booted_and_what_is_confirmed_outlive_the_next_image() {
    let (world, all) = unconfirmed();
    let machine = world.agent();
    let sight = machine.observe(None, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((sight.confirmed.unwrap().id, &sight.observed.boot.deployment), (all[1].clone(), &all[2]));
    let target = Target { config: "c".into(), image: LAYERED.into() };
    let journal = Journal::begin(target, &sight.observed.boot);
    let staged = machine.stage(&journal, &desired("c"), &Disruption::Reboot, r#"{"auths":{}}"#).unwrap();
    machine.unlock().unwrap();
    drop(machine);
    world.reboot();
    assert_eq!(Some(world.booted().id), staged.deployment);
    let left = world.deployments();
    assert!(all.iter().all(|id| left.contains(id)), "{all:?}, but there are {left:?}");
}

#[test]
fn once_the_new_system_is_well_only_it_and_the_first_one_are_left() {
    let (world, [adopted, _, booted]) = unconfirmed();
    assert_eq!(settle(&world, &order("b", LAYERED, Permit::Disrupt)), Decision::Rest);
    assert_eq!(world.deployments(), [booted, adopted]);
}
