//! Whole updates of a machine on a temporary directory.

mod live;
mod room;
mod world;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use jiff::Timestamp;
use onlay_api::{Needs, Permit};
use onlay_core::node::{Decision, Step, Trouble, Wait};
use onlay_host::state::{Confirmed, GuardReport, Quarantine};
use rstest::rstest;

use super::Error;
use world::{BASE, LAYERED, World, order, settle, turn};

const WANTED: &str = "etc/systemd/system/multi-user.target.wants/autofs.service";

fn updated(world: &World, config: &str, image: &str) {
    assert_eq!(settle(world, &order(config, image, Permit::Disrupt)), Decision::Rest);
}

#[test]
fn the_first_look_changes_nothing_and_remembers_the_image() {
    let world = World::new();
    let before = world.etc();
    let sight = world.agent().observe(None, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((sight.adopted.image.as_str(), sight.observed.confirmed), (BASE, true));
    assert_eq!(sight.observed.running, None);
    assert_eq!((world.etc(), world.boot_count()), (before, 1));
    assert!(world.read("var/lib/onlay/adopted.json").unwrap().contains(BASE));
}

#[test]
fn builds_have_a_directory_of_their_own_whoever_made_it() {
    let world = World::new();
    let directory = world.path("var/lib/onlay/build-cache");
    for made in [false, true] {
        if made {
            // As the kubelet makes it where no agent has been.
            std::os::unix::fs::chown(&directory, Some(0), Some(0)).unwrap();
            std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        world.agent().make_build_cache().unwrap();
        let metadata = std::fs::metadata(&directory).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (1000, 1000, 0o700));
    }
}

#[test]
fn an_empty_configuration_on_the_image_that_is_there_needs_no_reboot() {
    let world = World::new();
    let wanted = order("empty", BASE, Permit::Stage);
    assert_eq!(settle(&world, &wanted), Decision::Rest);
    let sight = world.agent().observe(Some(&wanted), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(sight.observed.running, wanted.target);
    assert_eq!((world.boot_count(), world.deployments().len()), (1, 1));
}

#[test]
fn another_name_of_the_same_image_needs_no_reboot() {
    let world = World::new();
    updated(&world, "empty", BASE);
    updated(&world, "empty", "mirror:5000/base@sha256:base");
    assert_eq!(world.boot_count(), 1);
}

#[test]
fn an_update_waits_for_its_permit_and_changes_no_file_before() {
    let world = World::new();
    let before = world.etc();
    assert_eq!(settle(&world, &order("a", LAYERED, Permit::Hold)), Decision::Wait(Wait::PermitToStage));
    assert_eq!(world.deployments().len(), 1);
    assert_eq!(settle(&world, &order("a", LAYERED, Permit::Stage)), Decision::Wait(Wait::PermitToDisrupt));
    assert_eq!((world.etc(), world.boot_count()), (before, 1));
    assert!(!world.exists("run/onlay/auth.json"), "credentials are there only while the image is fetched");
}

#[test]
fn an_update_brings_image_files_units_and_arguments() {
    let world = World::new();
    updated(&world, "a", LAYERED);
    assert_eq!(world.booted().image.as_deref(), Some(LAYERED));
    assert_eq!(world.booted().kargs, ["root=LABEL=root", "rw", "config=a"]);
    assert_eq!((world.read("etc/a").as_deref(), world.read("etc/shipped").as_deref()), (Some("a"), Some("a")));
    assert!(world.exists(WANTED), "a unit that only the new image has is enabled");
    assert_eq!(world.boot_count(), 2);
    assert_eq!(world.read("run/onlay/confirmed"), Some(world.booted().id));
    assert!(!world.exists("var/lib/onlay/journal.json"));
}

#[test]
fn the_next_configuration_replaces_the_one_before() {
    let world = World::new();
    updated(&world, "a", LAYERED);
    updated(&world, "b", LAYERED);
    assert_eq!(world.booted().kargs, ["root=LABEL=root", "rw", "config=b"]);
    assert_eq!((world.read("etc/a"), world.read("etc/b").as_deref()), (None, Some("b")));
    updated(&world, "empty", BASE);
    assert_eq!(world.booted().kargs, ["root=LABEL=root", "rw"]);
    assert_eq!(world.read("etc/shipped").as_deref(), Some("as shipped"));
    assert!(!world.exists("etc/b") && !world.exists(WANTED));
    let contents = std::fs::read_dir(world.path("var/lib/onlay/content")).unwrap().count();
    let kept = world.deployments().len();
    assert_eq!((contents, kept), (0, 2), "the booted deployment and the adopted one stay, and nothing else");
}

#[test]
fn what_people_changed_and_nobody_names_goes_along() {
    let world = World::new();
    std::fs::write(world.path("etc/theirs"), "by hand").unwrap();
    updated(&world, "a", LAYERED);
    assert_eq!(world.read("etc/theirs").as_deref(), Some("by hand"));
}

#[derive(Debug, Clone, Copy)]
enum Accident {
    Killed,
    PowerCut,
    Reboot,
}

#[rstest]
fn an_accident_at_any_step_ends_as_without_one(
    #[values(Accident::Killed, Accident::PowerCut, Accident::Reboot)] accident: Accident,
    #[values(true, false)] marked: bool,
) {
    let undisturbed = World::new();
    updated(&undisturbed, "a", LAYERED);
    updated(&undisturbed, "b", BASE);
    for step in 0..8 {
        let world = World::new();
        updated(&world, "a", LAYERED);
        let wanted = order("b", BASE, Permit::Disrupt);
        for _ in 0..step {
            turn(&world, &world.agent(), Some(&wanted), true).unwrap();
        }
        turn(&world, &world.agent(), Some(&wanted), marked).unwrap();
        match accident {
            Accident::Killed => {}
            Accident::PowerCut => world.power_cut(),
            Accident::Reboot => world.reboot(),
        }
        assert_eq!(settle(&world, &wanted), Decision::Rest, "{accident:?} after step {step}");
        assert_eq!(world.booted().image.as_deref(), Some(BASE), "{accident:?} after step {step}");
        let (mut found, mut expected) = (world.etc(), undisturbed.etc());
        assert_eq!(found.remove("onlay/held.json"), expected.remove("onlay/held.json"));
        assert_eq!(found, expected, "{accident:?} after step {step}");
    }
}

#[test]
fn another_target_before_the_reboot_leaves_nothing_behind() {
    let world = World::new();
    updated(&world, "a", LAYERED);
    let before = world.etc();
    let wanted = order("b", BASE, Permit::Disrupt);
    while !matches!(turn(&world, &world.agent(), Some(&wanted), true).unwrap(), Decision::Do(Step::Converge, _)) {}
    assert!(world.exists("etc/b"));
    assert_eq!(settle(&world, &order("a", LAYERED, Permit::Hold)), Decision::Rest);
    assert_eq!(world.etc(), before);
    assert_eq!(world.boot_count(), 2);
}

#[test]
fn without_an_api_server_an_update_that_is_past_the_permit_is_finished() {
    let world = World::new();
    let wanted = order("a", LAYERED, Permit::Disrupt);
    while world.boot_count() == 1 {
        turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    }
    let decision = turn(&world, &world.agent(), None, true).unwrap();
    assert!(matches!(decision, Decision::Do(Step::Verify, _)), "{decision:?}");
    assert_eq!(world.read("run/onlay/confirmed"), Some(world.booted().id));
}

#[test]
fn a_staged_system_that_is_never_finalised_ends_with_the_last_boots_words() {
    let world = World::new();
    world.lose_staged(true);
    let decision = settle(&world, &order("a", LAYERED, Permit::Disrupt));
    let Decision::Stop(trouble @ Trouble::NotFinalised { attempts: 2, .. }) = decision else { panic!("{decision:?}") };
    assert!(trouble.to_string().contains("no space left"), "{trouble}");
    assert_eq!(world.boot_count(), 3);
}

#[test]
fn a_system_that_somebody_boots_is_vouched_for() {
    let world = World::new();
    updated(&world, "a", LAYERED);
    let adopted = world.deployments().into_iter().find(|id| id.contains("base")).unwrap();
    world.choose(&adopted);
    let hold = order("a", LAYERED, Permit::Hold);
    assert_eq!(settle(&world, &hold), Decision::Wait(Wait::PermitToStage));
    assert_eq!(world.read("run/onlay/confirmed"), Some(adopted));
    assert!(!world.exists("etc/a") && world.read("etc/shipped").as_deref() == Some("as shipped"));
}

#[test]
fn a_pair_that_the_guard_left_is_not_tried_again() {
    let world = World::new();
    let wanted = order("a", LAYERED, Permit::Disrupt);
    while world.boot_count() == 1 {
        turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    }
    let left = world.booted();
    let agent = world.agent();
    let from = Confirmed { id: left.id, digest: left.digest.unwrap() };
    let to = agent.state.load::<Confirmed>().unwrap().unwrap();
    let reason = "kubelet does not start".to_owned();
    let report = GuardReport { from, to: to.clone(), config: "a".into(), reason, at: Timestamp::UNIX_EPOCH };
    agent.state.save(&report).unwrap();
    drop(agent);
    world.choose(&to.id);
    let decision = settle(&world, &wanted);
    let Decision::Stop(trouble @ Trouble::WentBack { .. }) = decision else { panic!("{decision:?}") };
    assert!(trouble.to_string().contains("kubelet does not start"), "{trouble}");
    assert_eq!(world.agent().state.load::<Quarantine>().unwrap().unwrap().entries.len(), 1);
    updated(&world, "b", LAYERED);
}

#[test]
fn a_guard_that_stayed_does_not_keep_a_well_system_from_being_vouched_for() {
    let world = World::new();
    let wanted = order("a", LAYERED, Permit::Disrupt);
    while world.boot_count() == 1 {
        turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    }
    let here = Confirmed { id: world.booted().id, digest: "sha256:layered".into() };
    let (config, reason) = ("a".to_owned(), "nobody spoke".to_owned());
    let report = GuardReport { from: here.clone(), to: here, config, reason, at: Timestamp::UNIX_EPOCH };
    world.agent().state.save(&report).unwrap();
    updated(&world, "a", LAYERED);
    assert_eq!(world.agent().state.load::<GuardReport>().unwrap(), None);
}

#[test]
fn a_unit_of_the_configuration_that_fails_keeps_the_word_back() {
    let world = World::new();
    let wanted = order("a", LAYERED, Permit::Disrupt);
    while world.boot_count() == 1 {
        turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    }
    world.fail_unit(Some("autofs.service"));
    let error = turn(&world, &world.agent(), Some(&wanted), true).unwrap_err();
    assert!(error.to_string().contains("autofs.service: has failed (exit-code)"), "{error}");
    assert!(!world.exists("run/onlay/confirmed"));
    world.fail_unit(None);
    updated(&world, "a", LAYERED);
}

#[test]
fn a_file_where_the_new_image_has_a_directory_is_refused_before_the_permit() {
    let world = World::new();
    std::fs::create_dir(world.path("etc/a")).unwrap();
    std::fs::write(world.path("etc/a/theirs"), "kept").unwrap();
    let wanted = order("a", LAYERED, Permit::Stage);
    turn(&world, &world.agent(), Some(&wanted), true).unwrap();
    let error = turn(&world, &world.agent(), Some(&wanted), true).unwrap_err();
    assert!(matches!(&error, Error::Problems { problems, .. } if problems.starts_with("/etc/a: ")), "{error}");
    assert_eq!(world.deployments().len(), 1, "the staged deployment is dropped");
}

#[test]
fn what_applying_takes_is_known_once_it_is_staged() {
    let world = World::new();
    let wanted = order("a", LAYERED, Permit::Stage);
    settle(&world, &wanted);
    let sight = world.agent().observe(Some(&wanted), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(sight.observed.journal.unwrap().needs, Needs::Reboot);
}

#[test]
fn the_guard_is_installed_once_and_survives_updates() {
    let world = World::new();
    let program = world.path("guard-in-the-image");
    std::fs::write(&program, "guard").unwrap();
    let program = camino::Utf8Path::from_path(&program).unwrap();
    for _ in 0..2 {
        world.agent().install_guard(program, 300).unwrap();
    }
    updated(&world, "a", LAYERED);
    assert_eq!(world.read("var/lib/onlay/bin/onlay-guard").as_deref(), Some("guard"));
    assert!(world.exists("etc/systemd/system/multi-user.target.wants/onlay-guard.service"));
    assert!(world.exists("etc/systemd/system/sysinit.target.wants/onlay-guard-watch.service"));
    assert_eq!(world.commands().iter().filter(|command| command.ends_with("daemon-reload")).count(), 1);
}

#[test]
fn a_second_agent_is_kept_out() {
    let world = World::new();
    let _first = world.agent();
    let second = world.try_agent();
    assert!(second.is_err_and(|error| error.to_string().starts_with("failed to lock")));
}
