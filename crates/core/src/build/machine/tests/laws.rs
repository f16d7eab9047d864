use std::collections::BTreeSet;

use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::machine_os_build::MachineOSBuild;
use onlay_api::names;
use proptest::prelude::*;

use super::super::*;
use super::world::{IMAGE, World, material, rendered, usable, with_file};
use crate::build::part::Part;
use crate::build::spec::{Cause, Failure, Outcome};

/// Something that happens to a MachineOSConfig.
#[derive(Debug, Clone)]
enum Happening {
    Look,
    Containerfile(u8),
    Rendered(u8),
    Credentials(u8),
    NoCredentials,
    Rebuild,
    PodRuns,
    Succeeds,
    Fails(bool),
    JobGone,
    BuildsGone,
    BaseAway,
    Dies(usize),
    Architectures(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => Just(Happening::Look),
        1 => (0..3_u8).prop_map(Happening::Containerfile),
        1 => (0..3_u8).prop_map(Happening::Rendered),
        1 => (0..2_u8).prop_map(Happening::Credentials),
        1 => Just(Happening::NoCredentials),
        1 => Just(Happening::Rebuild),
        2 => Just(Happening::PodRuns),
        2 => Just(Happening::Succeeds),
        1 => any::<bool>().prop_map(Happening::Fails),
        1 => Just(Happening::JobGone),
        1 => Just(Happening::BuildsGone),
        1 => Just(Happening::BaseAway),
        3 => (0..6_usize).prop_map(Happening::Dies),
        1 => any::<bool>().prop_map(Happening::Architectures),
    ]
}

fn amd64() -> BTreeSet<String> {
    ["amd64".to_owned()].into()
}

/// Whether a build that has begun has its ConfigMaps until it ends.
fn has_what_its_pods_read(world: &World, build: &MachineOSBuild) -> bool {
    let goes_on = !has_ended(build) && build.status.as_ref().is_some_and(|status| status.builder.is_some());
    !goes_on || Part::of(build).iter().all(|part| world.config_maps.contains_key(&part.config_map))
}

fn happen(world: &mut World, happening: &Happening) {
    match happening {
        Happening::Look => {
            world.step();
        }
        Happening::Containerfile(0) => world.containerfile("FROM configs\nBOGUS\n"),
        Happening::Containerfile(number) => world.containerfile(&format!("FROM configs\nRUN {number}\n")),
        Happening::Rendered(0) => world.rendered = Some(rendered("rendered-worker-0", MachineConfigSpec::default())),
        Happening::Rendered(1) => world.rendered = Some(rendered("rendered-worker-1", with_file("/etc/apt/a"))),
        Happening::Rendered(_) => world.rendered = Some(rendered("rendered-worker-2", with_file("/etc/a"))),
        Happening::Credentials(number) => {
            world.credentials.push = material("push-secret", usable(&number.to_string()));
        }
        Happening::NoCredentials => world.credentials.push = material("push-secret", MaterialState::Missing),
        Happening::Rebuild => world.annotate(names::REBUILD_ANNOTATION),
        Happening::PodRuns if !world.jobs.is_empty() => world.run_pod(),
        Happening::Succeeds if !world.jobs.is_empty() => {
            world.end_pod(Some(&Outcome::Pushed { image: IMAGE.to_owned() }));
            world.end_job("Complete", 0);
        }
        Happening::Fails(word) if !world.jobs.is_empty() => {
            let outcome = Outcome::Failed(Failure::new(Cause::AccessDenied, "no"));
            world.end_pod(Some(&outcome).filter(|_| *word));
            world.end_job("Failed", 1);
        }
        Happening::JobGone => world.jobs.clear(),
        Happening::BuildsGone => {
            world.builds.clear();
            world.jobs.clear();
            world.config_maps.clear();
        }
        Happening::Dies(writes) => {
            world.dies_after = Some(*writes);
            world.step();
        }
        Happening::Architectures(both) => {
            world.architectures = if *both { ["amd64", "arm64"].map(str::to_owned).into() } else { amd64() };
        }
        Happening::BaseAway => world.base = Base::Unknown { why: "away".to_owned() },
        _ => {}
    }
}

proptest! {
    /// The world itself asserts that nothing is made twice, that a final state is never touched, and that times fit.
    #[test]
    fn one_condition_is_true_and_the_served_name_never_lies(history in prop::collection::vec(happening(), 0..40)) {
        let mut world = World::new();
        for happening in &history {
            happen(&mut world, happening);
            for build in world.builds.values().filter(|build| build.status.is_some()) {
                World::state(build);
                prop_assert!(has_what_its_pods_read(&world, build), "{:?}", build.metadata.name);
            }
            let (image, serves) = world.served();
            prop_assert!(serves.is_none() || image.is_some(), "a name without an image");
        }
    }

    /// Whatever happened before, a controller that died at any write included, a person who puts everything right and asks
    /// to build once more gets the image.
    #[test]
    fn everything_heals(history in prop::collection::vec(happening(), 0..40)) {
        let mut world = World::new();
        let base = world.base.clone();
        history.iter().for_each(|happening| happen(&mut world, happening));
        world.base = base;
        world.credentials.push = material("push-secret", usable("right"));
        world.containerfile("FROM configs\nRUN right\n");
        world.architectures = amd64();
        world.annotate(names::REBUILD_ANNOTATION);
        world.jobs.clear();
        world.pods.clear();
        world.settle();
        if !world.jobs.is_empty() {
            world.succeed(IMAGE);
        }
        let name = world.rendered.as_ref().and_then(|rendered| rendered.metadata.name.clone());
        prop_assert_eq!(world.served(), (Some(IMAGE), name.as_deref()));
        prop_assert!(world.config_maps.is_empty(), "left behind: {:?}", world.config_maps.keys());
    }
}
