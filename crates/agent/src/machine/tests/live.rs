//! Changes of a machine that goes on running.

use onlay_api::Permit;
use onlay_core::node::{Decision, Step, Trouble, Wait};
use rstest::rstest;

use super::updated;
use super::world::{BASE, EXTRA, UNIT, World, order, settle, turn};

/// How many boots a machine has behind it that runs the configuration `a+1`.
const BOOTS: u32 = 2;

fn running() -> World {
    let world = World::new();
    updated(&world, "a+1", BASE);
    assert_eq!((world.read(EXTRA).as_deref(), world.boot_count()), (Some("1"), BOOTS));
    world
}

fn told(world: &World) -> Vec<String> {
    world.commands().into_iter().filter(|command| command.contains("restart") || command.contains("daemon")).collect()
}

#[test]
fn a_file_is_written_and_its_unit_restarted() {
    let world = running();
    updated(&world, "a+2", BASE);
    assert_eq!((world.read(EXTRA).as_deref(), world.boot_count()), (Some("2"), BOOTS));
    assert_eq!(told(&world), ["systemctl daemon-reload", &format!("systemctl restart -- {UNIT}")]);
    assert!(!world.exists("var/lib/onlay/deployments/running/next.json"));
    assert!(!world.exists("var/lib/onlay/journal.json"));
}

#[test]
fn nothing_is_written_before_the_nodes_turn() {
    let world = running();
    assert_eq!(settle(&world, &order("a+2", BASE, Permit::Stage)), Decision::Wait(Wait::PermitToDisrupt));
    assert_eq!((world.read(EXTRA).as_deref(), told(&world).len()), (Some("1"), 0));
    world.reboot();
    assert_eq!(world.read(EXTRA).as_deref(), Some("1"));
    updated(&world, "a+2", BASE);
}

#[test]
fn another_image_takes_a_reboot_whatever_the_policy_says_of_files() {
    let world = running();
    updated(&world, "a+2", super::world::LAYERED);
    assert_eq!((world.read(EXTRA).as_deref(), world.boot_count()), (Some("2"), BOOTS + 1));
}

#[test]
fn a_unit_that_is_not_there_is_refused_before_anything_changes() {
    let world = running();
    let wanted = order("a+missing", BASE, Permit::Disrupt);
    turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    let error = turn(&world, &world.agent(), Some(&wanted), true).unwrap_err().to_string();
    assert!(error.contains("missing.service: cannot restart missing.service: there is no such unit"), "{error}");
    assert!(error.contains("MachineConfiguration cluster"), "{error}");
    assert_eq!((world.read(EXTRA).as_deref(), told(&world).len()), (Some("1"), 0));
    updated(&world, "a+2", BASE);
}

#[test]
fn a_system_that_is_not_well_gets_its_files_back_and_does_not_try_again() {
    let world = running();
    world.fail_unit(Some(UNIT));
    let wanted = order("a+2", BASE, Permit::Disrupt);
    let mut errors = 0;
    for _ in 0..12 {
        errors += u32::from(turn(&world, &world.agent(), Some(&wanted), true).is_err());
    }
    assert_eq!((errors, world.read(EXTRA).as_deref(), world.boot_count()), (2, Some("1"), BOOTS));
    let Decision::Stop(Trouble::WentBack { reason }) = settle(&world, &wanted) else { panic!("it does not stop") };
    assert!(reason.contains("extra.service: has failed"), "{reason}");
    assert_eq!(told(&world).last(), Some(&format!("systemctl restart -- {UNIT}")), "the old files are told about too");
    world.fail_unit(None);
    updated(&world, "a+3", BASE);
    assert_eq!(world.read(EXTRA).as_deref(), Some("3"));
}

#[test]
fn another_target_undoes_what_was_written() {
    let world = running();
    let wanted = order("a+2", BASE, Permit::Disrupt);
    for _ in 0..3 {
        turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    }
    assert_eq!(world.read(EXTRA).as_deref(), Some("2"));
    let back = order("a+1", BASE, Permit::Disrupt);
    let undone = turn(&world, &world.agent(), Some(&back), true).unwrap();
    assert!(matches!(undone, Decision::Undo(_)), "{undone:?}");
    assert_eq!((settle(&world, &back), world.read(EXTRA).as_deref()), (Decision::Rest, Some("1")));
}

#[rstest]
#[case::the_agent_is_killed(false)]
#[case::the_power_goes(true)]
fn cut_off_at_every_step_it_ends_as_without(#[case] power: bool) {
    let expected = {
        let world = running();
        updated(&world, "a+2", BASE);
        world.etc()
    };
    for steps in 0..6 {
        for mark in [true, false] {
            let world = running();
            let wanted = order("a+2", BASE, Permit::Disrupt);
            for step in 0..steps {
                turn(&world, &world.agent(), Some(&wanted), mark || step + 1 < steps).unwrap();
            }
            if power {
                world.power_cut();
            }
            updated(&world, "a+2", BASE);
            assert_eq!(world.etc(), expected, "cut off after {steps} steps");
            assert_eq!(world.boot_count(), BOOTS + u32::from(power), "cut off after {steps} steps");
        }
    }
}

#[test]
fn the_steps_are_these() {
    let world = running();
    let wanted = order("a+2", BASE, Permit::Disrupt);
    let mut steps = Vec::new();
    for _ in 0..5 {
        if let Decision::Do(step, _) = turn(&world, &world.agent(), Some(&wanted), true).unwrap() {
            steps.push(step);
        }
    }
    assert_eq!(steps, [Step::Stage, Step::Converge, Step::Services, Step::Verify]);
}
