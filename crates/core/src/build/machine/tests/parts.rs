use onlay_api::conditions::ConditionStatus;
use onlay_api::machine_os_config::{Containerfile, ContainerfileArch};
use onlay_api::names;

use super::super::*;
use super::world::{IMAGE, World, rendered, with_file};
use crate::build::spec::{Cause, SPEC_KEY, Spec};
use crate::build::spec::{Failure, Outcome};

const ARM: &str = "registry.example.com/os/image@sha256:22";
/// What the registry of the world says that an index of two images is.
const BOTH: &str = "registry.example.com/os/image@sha256:2";

fn world() -> World {
    let mut world = World::new();
    world.architectures = ["amd64", "arm64"].map(str::to_owned).into();
    world.settle();
    world
}

fn pushed(image: &str) -> Outcome {
    Outcome::Pushed { image: image.to_owned() }
}

fn built() -> World {
    let mut world = world();
    world.end_part("amd64", &pushed(IMAGE));
    world.end_part("arm64", &pushed(ARM));
    world.settle();
    world
}

#[test]
fn every_architecture_has_a_job_on_nodes_of_its_own() {
    let world = world();
    let build = world.only_build().metadata.name.clone().unwrap();
    let jobs: Vec<_> = world.jobs.keys().cloned().collect();
    assert_eq!(jobs, ["amd64", "arm64"].map(|architecture| format!("build-{build}-{architecture}")));
    for (job, architecture) in world.jobs.values().zip(["amd64", "arm64"]) {
        let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        assert_eq!(pod.node_selector.as_ref().unwrap()["kubernetes.io/arch"], architecture);
    }
    for (config_map, architecture) in world.config_maps.values().zip(["amd64", "arm64"]) {
        let spec: Spec = serde_json::from_str(&config_map.data.as_ref().unwrap()[SPEC_KEY]).unwrap();
        let target = format!("registry.example.com/os/image:{build}-{architecture}");
        assert_eq!((spec.architecture.as_str(), spec.target), (architecture, target));
    }
    let status = world.only_build().status.as_ref().unwrap();
    let related: Vec<_> = status.related_objects.iter().map(|object| object.name.clone()).collect();
    assert_eq!(related, jobs);
}

#[test]
fn every_architecture_has_its_own_containerfile_or_that_for_all() {
    let mut world = World::new();
    world.architectures = ["amd64", "arm64"].map(str::to_owned).into();
    let file = |containerfile_arch, content: &str| Containerfile { containerfile_arch, content: content.to_owned() };
    world.config.spec.container_file = vec![
        file(ContainerfileArch::NoArch, "FROM configs\nRUN all\n"),
        file(ContainerfileArch::Arm64, "FROM configs\nRUN arm\n"),
    ];
    world.settle();
    let texts = world.config_maps.values().map(|config_map| {
        let spec: Spec = serde_json::from_str(&config_map.data.as_ref().unwrap()[SPEC_KEY]).unwrap();
        spec.containerfile.unwrap()
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["FROM configs\nRUN all\n", "FROM configs\nRUN arm\n"]);
}

#[test]
fn an_architecture_without_a_containerfile_is_told_before_anything_is_built() {
    let mut world = World::new();
    world.architectures = ["amd64", "arm64"].map(str::to_owned).into();
    let content = "FROM configs\nRUN a\n".to_owned();
    world.config.spec.container_file = vec![Containerfile { containerfile_arch: ContainerfileArch::Amd64, content }];
    world.settle();
    assert_eq!(world.builds.len(), 0);
    let (valid, reason, message) = world.config_condition(onlay_api::conditions::OSConfigConditionType::Valid);
    assert_eq!((valid, reason.as_str()), (ConditionStatus::False, "ContainerfileMissing"));
    assert!(message.contains("has no Containerfile for arm64"), "{message}");
}

#[test]
fn images_are_joined_when_the_last_one_is_pushed() {
    let mut world = world();
    world.end_part("amd64", &pushed(IMAGE));
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!((state, world.served().0), ("Building", None));
    assert!(message.starts_with(&format!("amd64: pushed {IMAGE}; arm64: the Job has no pod yet")), "{message}");
    world.end_part("arm64", &pushed(ARM));
    world.settle();
    let build = world.only_build();
    assert_eq!(World::state(build), ("Succeeded", format!("pushed {BOTH}")));
    assert_eq!(world.served(), (Some(BOTH), Some("rendered-worker-1")));
    assert_eq!(world.annotation(names::ARCHITECTURES_ANNOTATION), Some("amd64,arm64"));
    assert_eq!(world.config_maps.len(), 0);
    let [measure] = world.measures.as_slice() else { panic!("{:?}", world.measures) };
    let images = [("amd64", IMAGE), ("arm64", ARM)].map(|(each, image)| (each.to_owned(), image.to_owned()));
    assert_eq!(measure.images, images.into());
}

#[test]
fn a_registry_that_takes_no_index_is_tried_again_until_the_time_of_the_build_is_over() {
    let mut world = world();
    world.joins = Err("away".to_owned());
    world.end_part("amd64", &pushed(IMAGE));
    world.end_part("arm64", &pushed(ARM));
    (0..15).for_each(|_| _ = world.step());
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Building");
    assert!(message.contains("amd64, arm64 are pushed; the index that joins them is tried again: away"), "{message}");
    let mut late = world.policy.clone();
    world.joins = Ok(());
    world.now += SignedDuration::from_secs(10);
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Succeeded");

    let mut world = self::world();
    world.joins = Err("away".to_owned());
    world.policy = late.take();
    world.end_part("amd64", &pushed(IMAGE));
    world.end_part("arm64", &pushed(ARM));
    (0..5).for_each(|_| _ = world.step());
    world.now += SignedDuration::from_hours(3);
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    assert!(message.contains("the index that joins them is not: away"), "{message}");
}

#[test]
fn one_part_that_fails_fails_the_build_and_ends_the_others() {
    let mut world = world();
    world.end_part("arm64", &Outcome::Failed(Failure::new(Cause::InstructionFailed, "no such package")));
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    assert!(message.starts_with("for arm64: no such package"), "{message}");
    let jobs: Vec<_> = world.jobs.keys().collect();
    assert!(matches!(jobs.as_slice(), [only] if only.ends_with("-arm64")), "only the one with the log: {jobs:?}");
    assert_eq!(world.config_maps.len(), 0);
}

#[test]
fn the_job_of_one_part_that_somebody_deletes_interrupts_all_of_them() {
    let mut world = world();
    world.jobs.retain(|name, _| name.ends_with("amd64"));
    world.settle();
    assert_eq!((World::state(world.only_build()).0, world.jobs.len()), ("Interrupted", 0));
}

#[test]
fn the_last_node_of_an_architecture_that_leaves_makes_no_new_image() {
    let mut world = built();
    world.architectures = ["amd64".to_owned()].into();
    world.settle();
    world.only_build();
    assert_eq!(world.served().0, Some(BOTH));
    world.rendered = Some(rendered("rendered-worker-2", with_file("/etc/apt/a")));
    world.settle();
    assert_eq!(world.jobs.keys().filter(|name| !name.ends_with("64")).count(), 1, "the next one is for amd64 alone");
}

#[test]
fn the_first_node_of_an_architecture_that_joins_makes_a_new_image() {
    let mut world = World::new();
    world.settle();
    world.succeed(IMAGE);
    let first = world.only_build().metadata.name.clone().unwrap();
    world.architectures = ["amd64", "arm64"].map(str::to_owned).into();
    world.settle();
    assert_eq!(world.served().0, Some(IMAGE), "until the new one is there");
    assert_eq!(world.annotation(names::ARCHITECTURES_ANNOTATION), Some("amd64"));
    let second = world.builds.iter().find(|(name, _)| **name != first).unwrap().1;
    let why = second.metadata.annotations.as_ref().unwrap()[names::REASON_FOR_BUILD_ANNOTATION].clone();
    assert_eq!(why, "the nodes have other architectures");
}
