use std::collections::BTreeSet;
use std::fs;

use camino::Utf8PathBuf;
use onlay_core::build::spec::{Cause, EXIT_DEFINITIVE};
use serde_json::Value;

use crate::world::{Built, LIMIT, OSTREE, World, configuration, run};

/// A command whose file differs each time it runs.
const FIRST: &str = "RUN cat /proc/sys/kernel/random/uuid > /usr/share/first";

fn nothing() -> Value {
    configuration(&[], &[], &[])
}

/// What `FIRST` wrote into an image.
fn first(world: &World, built: &Built) -> String {
    let with = world
        .layers(built.image())
        .into_iter()
        .map(|(_, layer)| layer)
        .find(|layer| run(&["tar", "-tzf", layer.as_str()]).lines().any(|name| name == "usr/share/first"));
    run(&["tar", "-xOzf", with.unwrap().as_str(), "usr/share/first"])
}

fn digests(world: &World, built: &Built) -> BTreeSet<String> {
    world.layers(built.image()).into_iter().map(|(digest, _)| digest).collect()
}

#[test]
fn only_the_line_that_changed_runs_and_only_its_layer_is_new() {
    let mut world = World::new(OSTREE).with_cache();
    let text = |last: &str| format!("FROM configs AS final\n{FIRST}\nRUN echo {last} > /usr/share/last\n");
    let before = world.build(configuration(&[("/etc/motd", "ours\n")], &[], &[]), Some(&text("a")));
    // Whoever pulls the base now is refused.
    world.write_secret("pull", "guess");
    let after = world.build(configuration(&[("/etc/motd", "ours\n")], &[], &[]), Some(&text("b")));
    assert_eq!(first(&world, &before), first(&world, &after));
    let (before, after) = (digests(&world, &before), digests(&world, &after));
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.len() <= 2, "the line's layer, and what was cleaned: {new:?} of {after:?}");
}

#[test]
fn another_configuration_runs_everything_on_top_of_it() {
    let mut world = World::new(OSTREE).with_cache();
    let text = format!("FROM configs AS final\n{FIRST}\n");
    let before = world.build(configuration(&[("/etc/motd", "a\n")], &[], &[]), Some(&text));
    let after = world.build(configuration(&[("/etc/motd", "b\n")], &[], &[]), Some(&text));
    assert_ne!(first(&world, &before), first(&world, &after));
}

#[test]
fn a_text_below_an_instruction_is_part_of_it() {
    let mut world = World::new(OSTREE).with_cache();
    let text = |words: &str| format!("FROM configs AS final\nRUN <<EOF\necho {words} > /usr/share/first\nEOF\n");
    let before = world.build(nothing(), Some(&text("a")));
    let after = world.build(nothing(), Some(&text("b")));
    assert_eq!((first(&world, &before).as_str(), first(&world, &after).as_str()), ("a\n", "b\n"));
}

#[test]
fn what_another_stage_shows_a_command_is_never_old() {
    let mut world = World::new(OSTREE).with_cache();
    let mut tool = |words: &str| {
        let text = format!(
            "FROM configs AS tool\nRUN echo {words} > /usr/share/tool\nFROM configs AS final\n\
             RUN --mount=type=bind,from=tool,source=/usr/share,target=/mnt cat /mnt/tool > /usr/share/first\n"
        );
        let built = world.build(nothing(), Some(&text));
        first(&world, &built)
    };
    assert_eq!(["a", "b", "a"].map(&mut tool), ["a\n", "b\n", "a\n"]);
}

#[test]
fn after_a_person_has_asked_for_another_build_nothing_from_before_is_used() {
    let mut world = World::new(OSTREE).with_cache();
    let text = |last: &str| format!("FROM configs AS final\n{FIRST}\nRUN echo {last} > /usr/share/last\n");
    let before = world.build(nothing(), Some(&text("a")));
    world.rebuilt = Some("2026-01-01T00:00:00Z".to_owned());
    let asked = world.build(nothing(), Some(&text("a")));
    let later = world.build(nothing(), Some(&text("b")));
    assert_ne!(first(&world, &before), first(&world, &asked));
    assert_eq!(first(&world, &asked), first(&world, &later));
}

#[test]
fn what_an_earlier_build_has_left_is_not_why_a_build_fails() {
    let mut world = World::new(OSTREE).with_cache();
    // The name of this process stands for a mirror: it goes on while a layer stays as it is.
    let mirror = format!("/proc/{}/comm", std::process::id());
    let text = |last: &str| format!("FROM configs AS final\nRUN cat {mirror} > /usr/share/first\nRUN {last}\n");
    fs::write(&mirror, "old").unwrap();
    world.build(nothing(), Some(&text("true")));
    fs::write(&mirror, "new").unwrap();
    let built = world.build(nothing(), Some(&text(&format!("test $(cat {mirror}) = $(cat /usr/share/first)"))));
    assert_eq!(first(&world, &built), "new\n");
}

#[test]
fn a_line_that_fails_is_named_although_the_lines_before_it_were_not_run() {
    let mut world = World::new(OSTREE).with_cache();
    let text = |last: &str| format!("FROM configs AS final\n{FIRST}\nRUN {last}\n");
    world.rebuilt = Some("2026-01-01T00:00:00Z".to_owned());
    world.build(nothing(), Some(&text("echo a")));
    let built = world.build(nothing(), Some(&text("echo E: no such thing && exit 42")));
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::InstructionFailed, EXIT_DEFINITIVE));
    let step = failure.step.as_ref().unwrap();
    assert_eq!((step.line, step.exit_code), (3, Some(42)));
    assert_eq!(failure.output, ["E: no such thing"]);
}

#[test]
fn a_configuration_alone_gives_the_same_image_whatever_is_there() {
    let wanted = || configuration(&[("/etc/motd", "ours\n")], &[], &[]);
    let mut world = World::new(OSTREE);
    let without = world.build(wanted(), None);
    let mut world = world.with_cache();
    world.build(wanted(), Some(&format!("FROM configs AS final\n{FIRST}\n")));
    assert_eq!(world.build(wanted(), None).image(), without.image());
}

#[test]
fn builds_at_the_same_time_share_a_cache() {
    let mut world = World::new(OSTREE).with_cache();
    let text = |last: &str| format!("FROM configs AS final\n{FIRST}\nRUN echo {last} > /usr/share/last\n");
    assert_eq!(world.build_twice(nothing(), &text("a")), [0, 0]);
    assert_eq!(world.build_twice(nothing(), &text("b")), [0, 0]);
    let built = world.build(nothing(), Some(&text("c")));
    assert_eq!(built.exit_code, 0);
}

#[test]
fn a_cache_that_cannot_be_used_fails_no_build() {
    let mut world = World::new(OSTREE);
    fs::write(world.path("cache"), "no directory").unwrap();
    let built = world.build(nothing(), Some(&format!("FROM configs AS final\n{FIRST}\n")));
    assert_eq!(built.exit_code, 0);
}

#[test]
fn a_cache_that_is_too_large_is_emptied_and_used() {
    let mut world = World::new(OSTREE).with_cache();
    let text = format!("FROM configs AS final\n{FIRST}\n");
    let before = world.build(nothing(), Some(&text));
    world.unmount();
    world.limit = 4096;
    let emptied = world.build(nothing(), Some(&text));
    assert_ne!(first(&world, &before), first(&world, &emptied));
    let names: Vec<Utf8PathBuf> =
        world.path("cache").read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()).collect();
    assert!(!names.iter().any(|name| name.file_name().unwrap().starts_with("trash-")), "{names:?}");
    world.limit = LIMIT;
    let again = world.build(nothing(), Some(&text));
    assert_eq!(first(&world, &emptied), first(&world, &again));
}

#[test]
fn a_build_that_was_killed_leaves_a_cache_that_the_next_one_can_use() {
    let mut world = World::new(OSTREE).with_cache();
    world.kill_at("STEP 3/4", nothing(), &format!("FROM configs AS final\n{FIRST}\nRUN while :; do :; done\n"));
    let built = world.build(nothing(), Some(&format!("FROM configs AS final\n{FIRST}\n")));
    assert_eq!(built.exit_code, 0);
}

/// The builder in a process of its own, for [`World::kill_at`].
#[test]
#[ignore = "run by another test"]
fn a_process_that_builds() {
    if let Ok(directory) = std::env::var(crate::world::CHILD) {
        crate::world::build_in(directory.as_str().into());
    }
}
