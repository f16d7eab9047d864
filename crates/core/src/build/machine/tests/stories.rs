use onlay_api::conditions::{ConditionStatus, OSConfigConditionType};
use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::names;
use rstest::rstest;

use super::super::*;
use super::world::{IMAGE, World, material, rendered, usable, with_file};
use crate::build::spec::{Cause, Failure, Step};

const OTHER_IMAGE: &str = "registry.example.com/os/image@sha256:22";

fn failure() -> Failure {
    let step = Some(Step { line: 2, instruction: "RUN a".to_owned(), exit_code: Some(100) });
    let output = vec!["E: Unable to locate package a".to_owned()];
    Failure { cause: Cause::InstructionFailed, message: "correct it".to_owned(), step, output }
}

fn built() -> World {
    let mut world = World::new();
    world.settle();
    world.succeed(IMAGE);
    world
}

#[test]
fn a_build_is_prepared_builds_and_succeeds() {
    let mut world = World::new();
    world.settle();
    let build = world.only_build();
    let name = build.metadata.name.clone().unwrap();
    assert_eq!(World::state(build).0, "Prepared");
    assert_eq!(build.spec.machine_config.name, "rendered-worker-1");
    assert_eq!(build.spec.rendered_image_push_spec, format!("registry.example.com/os/image:{name}"));
    assert_eq!(build.metadata.owner_references.as_ref().unwrap()[0].uid, "uid-of-the-config");
    assert_eq!(world.annotation(names::CURRENT_BUILD_ANNOTATION), Some(name.as_str()));
    assert_eq!((world.jobs.len(), world.config_maps.len()), (1, 1));
    assert_eq!(world.served(), (None, None));

    world.run_pod();
    world.settle();
    assert_eq!(World::state(world.only_build()), ("Building", "pod build-x builds on node worker-0".to_owned()));
    world.progress = Some("step 2 of 3: RUN true".to_owned());
    world.settle();
    let words = "step 2 of 3: RUN true; pod build-x builds on node worker-0".to_owned();
    assert_eq!(World::state(world.only_build()), ("Building", words));
    assert_eq!(world.ready().0, ConditionStatus::False);

    world.succeed(IMAGE);
    let build = world.only_build();
    assert_eq!(World::state(build).0, "Succeeded");
    assert_eq!(build.status.as_ref().unwrap().digested_image_push_spec.as_deref(), Some(IMAGE));
    assert_eq!(world.served(), (Some(IMAGE), Some("rendered-worker-1")));
    assert_eq!(world.ready().0, ConditionStatus::True);
    assert_eq!(world.config.status.as_ref().unwrap().machine_os_build.as_ref().unwrap().name, name);
    assert_eq!((world.jobs.len(), world.config_maps.len()), (1, 0), "the Job stays for its log");
    let secret = world.node_secret.as_ref().unwrap();
    assert_eq!(secret.metadata.name.as_deref(), Some("pull-worker"));
    assert_eq!((world.told("BuildStarted"), world.told("BuildSucceeded")), (1, 2), "on the build, and on its config");
    assert_eq!((world.told("BuildPrepared"), world.told("BuildRunning")), (1, 1));
}

#[test]
fn a_change_that_the_image_cannot_see_is_served_by_the_same_build() {
    let mut world = built();
    world.rendered = Some(rendered("rendered-worker-2", with_file("/etc/autofs.conf")));
    world.settle();
    assert_eq!(world.served(), (Some(IMAGE), Some("rendered-worker-2")));
    world.only_build();
}

#[test]
fn a_change_of_the_image_makes_a_new_build_and_serves_the_old_image_until_then() {
    let mut world = built();
    world.rendered = Some(rendered("rendered-worker-2", with_file("/etc/apt/sources.list")));
    world.settle();
    assert_eq!(world.builds.len(), 2);
    let current = world.annotation(names::CURRENT_BUILD_ANNOTATION).unwrap();
    let why = world.builds[current].metadata.annotations.as_ref().unwrap()[names::REASON_FOR_BUILD_ANNOTATION].as_str();
    assert_eq!(why, "/etc/apt/sources.list differs, and is read by package managers or what they start");
    assert!(world.events.iter().any(|event| event.reason == "BuildStarted" && event.note.ends_with(why)));
    assert_eq!(world.served(), (Some(IMAGE), Some("rendered-worker-1")));
    assert_eq!(world.ready().0, ConditionStatus::False);
    world.forget_jobs();
    world.settle();
    world.succeed(OTHER_IMAGE);
    assert_eq!(world.served(), (Some(OTHER_IMAGE), Some("rendered-worker-2")));
}

#[test]
fn going_back_to_earlier_inputs_serves_the_earlier_image_at_once() {
    let mut world = built();
    world.rendered = Some(rendered("rendered-worker-2", with_file("/etc/apt/sources.list")));
    world.settle();
    world.rendered = Some(rendered("rendered-worker-1", MachineConfigSpec::default()));
    world.settle();
    assert_eq!(world.served(), (Some(IMAGE), Some("rendered-worker-1")));
    assert_eq!(world.ready().0, ConditionStatus::True);
}

#[test]
fn new_inputs_interrupt_a_running_build() {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.settle();
    let first = world.only_build().metadata.name.clone().unwrap();
    world.containerfile("FROM configs AS final\nRUN apt-get install -y tree\n");
    world.settle();
    assert_eq!(World::state(&world.builds[&first]).0, "Interrupted");
    assert!(!world.jobs.contains_key(&format!("build-{first}")));
    assert_eq!((world.jobs.len(), world.config_maps.len()), (1, 1), "of the new build");
    assert_eq!(world.told("BuildInterrupted"), 2, "on the build, and on its config");

    world.containerfile("FROM configs AS final\nRUN apt-get install -y autofs\n");
    world.settle();
    assert_eq!(World::state(&world.builds[&first]).0, "Prepared", "the inputs are wanted again");
}

/// Before the next one looks, the first inputs are wanted again. No person has deleted a Job.
#[rstest]
fn a_controller_that_dies_while_it_gives_up_a_build_leaves_no_job(#[values(0, 1, 2, 3, 4, 5)] writes: usize) {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.settle();
    world.containerfile("FROM configs AS final\nRUN apt-get install -y tree\n");
    world.dies_after = Some(writes);
    world.step();
    world.containerfile("FROM configs AS final\nRUN apt-get install -y autofs\n");
    world.settle();
    let running: Vec<_> =
        world.builds.values().filter(|build| ["Prepared", "Building"].contains(&World::state(build).0)).collect();
    assert_eq!((running.len(), world.jobs.len()), (1, 1));
}

#[test]
fn a_failing_instruction_is_told_with_line_and_output() {
    let mut world = World::new();
    world.settle();
    world.fail(failure());
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    assert!(message.contains("line 2: `RUN a` ended with exit code 100"), "{message}");
    assert!(message.contains("E: Unable to locate package a"), "{message}");
    assert!(message.contains("; the whole log: kubectl logs -n onlay build-x. Last lines of output:\n"), "{message}");
    assert_eq!(world.served(), (None, None));
    let (ready, reason, words) = world.ready();
    assert_eq!((ready, reason.as_str()), (ConditionStatus::False, "BuildFailed"));
    assert!(words.contains("line 2"), "{words}");
    assert_eq!(world.told("BuildFailed"), 2, "one on the build, one on the MachineOSConfig");
    assert_eq!((world.jobs.len(), world.config_maps.len()), (1, 0), "the Job stays for its log");
}

#[test]
fn a_corrected_containerfile_is_a_new_build() {
    let mut world = World::new();
    world.settle();
    world.fail(failure());
    world.forget_jobs();
    world.containerfile("FROM configs AS final\nRUN true\n");
    world.settle();
    world.succeed(IMAGE);
    assert_eq!(world.served().0, Some(IMAGE));
    assert_eq!(world.builds.len(), 2);
}

#[test]
fn corrected_credentials_repeat_a_failed_build() {
    let mut world = World::new();
    world.settle();
    let told: Vec<_> = world.config_maps.keys().cloned().collect();
    world.fail(Failure::new(Cause::AccessDenied, "push refused"));
    assert_eq!(World::state(world.only_build()).0, "Failed");
    world.credentials.push = material("push-secret", usable("corrected"));
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Prepared");
    assert!(
        world.config_maps.keys().all(|name| !told.contains(name)),
        "a node may know the one before still: {told:?}"
    );
    world.succeed(IMAGE);
    assert_eq!(world.served().0, Some(IMAGE));
}

#[test]
fn rotated_credentials_do_not_repeat_a_build_that_succeeded() {
    let mut world = built();
    world.credentials.push = material("push-secret", usable("rotated"));
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Succeeded");
}

#[rstest]
#[case::an_unknown_instruction("FROM configs\nBOGUS x\n", "line 2: `BOGUS x`: BOGUS is no instruction")]
#[case::another_last_stage("FROM debian:12\nRUN true\n", "begins with `debian:12`, not with `configs`")]
fn a_containerfile_that_cannot_be_read_fails_without_a_job(#[case] text: &str, #[case] words: &str) {
    let mut world = World::new();
    world.containerfile(text);
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!((state, world.jobs.len()), ("Failed", 0));
    assert!(message.contains(words), "{message}");
    world.containerfile("FROM configs\nRUN true\n");
    world.settle();
    world.succeed(IMAGE);
    assert_eq!(world.served().0, Some(IMAGE));
}

#[test]
fn a_base_image_without_ostree_fails_without_a_job() {
    let mut world = World::new();
    let Base::Known { asked, image, standing, .. } = world.base.clone() else { unreachable!() };
    world.base = Base::Known { asked, image, fault: Some("debian:12 has no label ostree.commit".to_owned()), standing };
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!((state, world.jobs.len()), ("Failed", 0));
    assert!(message.contains("ostree.commit"), "{message}");
}

#[rstest]
#[case::a_tag(
    MachineConfigSpec { extensions: vec!["usbguard".to_owned()], ..Default::default() },
    "extensions is registry.example.com/os/extensions:9, which no digest names; set baseOSExtensionsContainerImage to"
)]
#[case::a_kernel(
    MachineConfigSpec { kernel_type: Some("64k-pages".to_owned()), ..Default::default() },
    "is for nodes of architecture arm64, and the pool's are amd64; remove spec.kernelType"
)]
fn what_no_build_can_install_is_refused(#[case] spec: MachineConfigSpec, #[case] words: &str) {
    let mut world = World::new();
    world.extensions_image = Some("registry.example.com/os/extensions:9".to_owned());
    world.rendered = Some(rendered("rendered-worker-1", spec));
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    assert!(message.contains(words), "{message}");
}

#[rstest]
#[case::a_missing_secret(
    MaterialState::Missing,
    "Secret onlay/push-secret (spec.renderedImagePushSecret) does not exist"
)]
#[case::a_secret_of_another_kind(
    MaterialState::Unusable { why: "has no key .dockerconfigjson".to_owned() },
    "Secret onlay/push-secret (spec.renderedImagePushSecret) has no key .dockerconfigjson"
)]
fn a_build_waits_for_its_secrets(#[case] state: MaterialState, #[case] words: &str) {
    let mut world = World::new();
    world.credentials.push = material("push-secret", state);
    world.settle();
    assert_eq!(world.builds.len(), 0);
    let (valid, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!((valid, reason.as_str()), (ConditionStatus::False, "CredentialsUnusable"));
    assert!(message.contains(words), "{message}");
    assert_eq!(world.told("CredentialsUnusable"), 1, "told once");
    world.credentials.push = material("push-secret", usable("1"));
    world.settle();
    assert_eq!(world.config_condition(OSConfigConditionType::Valid).0, ConditionStatus::True);
    assert_eq!(World::state(world.only_build()).0, "Prepared");
}

#[rstest]
#[case::without_a_pool(|world: &mut World| world.pool = None, "PoolMissing")]
#[case::without_a_rendered_configuration(|world: &mut World| world.rendered = None, "NotRendered")]
#[case::without_a_base_image(
    |world: &mut World| world.base = Base::Unknown { why: "no node has reported its image".to_owned() },
    "BaseImageUnknown"
)]
fn what_is_not_known_yet_is_waited_for(#[case] change: fn(&mut World), #[case] reason: &str) {
    let mut world = World::new();
    change(&mut world);
    world.settle();
    assert_eq!(world.builds.len(), 0);
    assert_eq!(world.config_condition(OSConfigConditionType::Valid).1, reason);
}

#[test]
fn what_is_served_is_served_on_while_the_base_image_cannot_be_looked_up() {
    let mut world = built();
    world.base = Base::Unknown { why: "the registry does not answer".to_owned() };
    world.settle();
    assert_eq!(world.served(), (Some(IMAGE), Some("rendered-worker-1")));
    assert_eq!(world.ready().0, ConditionStatus::True);
}

#[test]
fn a_person_may_ask_to_build_once_more() {
    let mut world = built();
    let first = world.only_build().metadata.uid.clone();
    world.annotate(names::REBUILD_ANNOTATION);
    world.settle();
    assert_ne!(world.only_build().metadata.uid, first);
    assert_eq!(world.annotation(names::REBUILD_ANNOTATION), None);
    assert_eq!(world.asked().rebuilt.as_deref(), world.annotation(names::REBUILT_ANNOTATION));
    assert_eq!(world.served(), (Some(IMAGE), Some("rendered-worker-1")), "until the new one is there");
    world.succeed(OTHER_IMAGE);
    assert_eq!(world.served().0, Some(OTHER_IMAGE));
}

#[test]
fn deleting_a_build_that_succeeded_keeps_its_image() {
    let mut world = built();
    world.builds.clear();
    world.jobs.clear();
    world.settle();
    assert_eq!(world.builds.len(), 0);
    assert_eq!(world.served(), (Some(IMAGE), Some("rendered-worker-1")));
}

#[test]
fn deleting_a_build_that_failed_tries_again() {
    let mut world = World::new();
    world.settle();
    world.fail(failure());
    world.builds.clear();
    world.jobs.clear();
    world.settle();
    assert_eq!(World::state(world.only_build()).0, "Prepared");
}

#[test]
fn a_job_of_an_earlier_build_is_waited_out() {
    let mut world = World::new();
    world.step();
    let build = world.only_build().clone();
    let mut job = k8s_openapi::api::batch::v1::Job::default();
    job.metadata.owner_references = Some(vec![Default::default()]);
    let name = format!("build-{}", build.metadata.name.as_deref().unwrap());
    world.jobs.insert(name, job);
    world.step();
    let (_, _, message) = world.ready();
    assert!(
        message.contains("is not of this build; if it stays, delete it: kubectl delete job -n onlay build-worker-")
    );
    assert!(!world.step(), "nothing to do but wait");
    world.jobs.clear();
    world.settle();
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn a_job_that_somebody_deletes_interrupts_its_build_until_a_person_asks_for_another_one() {
    let mut world = World::new();
    world.settle();
    world.run_pod();
    world.settle();
    world.jobs.clear();
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!((state, world.jobs.len(), world.config_maps.len()), ("Interrupted", 0, 0));
    assert!(message.contains("kubectl annotate machineosconfig worker machineconfiguration.openshift.io/rebuild="));
    let (status, reason, _) = world.ready();
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "BuildInterrupted"));
    assert_eq!(world.told("BuildInterrupted"), 2, "on the build, and on its config");
    world.annotate(names::REBUILD_ANNOTATION);
    world.settle();
    world.succeed(IMAGE);
    assert_eq!(world.served().0, Some(IMAGE));
}

#[test]
fn other_inputs_are_built_after_an_interruption_too() {
    let mut world = World::new();
    world.settle();
    world.jobs.clear();
    world.settle();
    world.containerfile("FROM configs AS final\nRUN other\n");
    world.settle();
    world.succeed(IMAGE);
    assert_eq!(world.served().0, Some(IMAGE));
}

#[test]
fn a_config_made_anew_under_its_name_does_not_take_over_builds() {
    let mut world = built();
    world.config.metadata.uid = Some("uid-of-another-config".to_owned());
    world.config.status = None;
    world.config.metadata.annotations = None;
    world.settle();
    assert_eq!(world.served(), (None, None), "the garbage collector is awaited");
    world.builds.clear();
    world.jobs.clear();
    world.settle();
    world.succeed(OTHER_IMAGE);
    assert_eq!(world.served(), (Some(OTHER_IMAGE), Some("rendered-worker-1")));
}

#[test]
fn a_config_on_its_way_out_is_left_alone() {
    let mut world = World::new();
    world.config.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(world.now));
    assert!(!world.step());
}

#[test]
fn builds_of_before_are_kept_as_far_as_the_limit_and_where_a_node_runs_them() {
    let mut world = World::new();
    let succeed = |world: &mut World, number: usize| {
        world.containerfile(&format!("FROM configs\nRUN {number}\n"));
        world.settle();
        world.succeed(&format!("registry.example.com/os/image@sha256:{number}"));
        world.annotation(names::CURRENT_BUILD_ANNOTATION).unwrap().to_owned()
    };
    let first = succeed(&mut world, 0);
    world.images_in_use.insert("registry.example.com/os/image@sha256:0".to_owned());
    let second = succeed(&mut world, 1);
    for number in 2..retire::HISTORY + 3 {
        succeed(&mut world, number);
    }
    assert_eq!(world.builds.len(), retire::HISTORY + 2, "the limit, the one that a node runs, and the newest");
    assert!(world.builds.contains_key(&first) && !world.builds.contains_key(&second));
    assert_eq!(world.told("BuildRepeated"), 0);
}
