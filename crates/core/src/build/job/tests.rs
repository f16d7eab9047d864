use onlay_api::machine_os_build::{MachineOSBuildSpec, OSConfigReference, RenderedConfigReference};
use rstest::rstest;

use super::*;

const BUILD: &str = "worker-automount-5d5651f25efcbf89dd1d2874ad05c8c1";

fn build() -> MachineOSBuild {
    let spec = MachineOSBuildSpec {
        machine_config: RenderedConfigReference { name: "rendered-worker-automount-31fc".to_owned() },
        machine_os_config: OSConfigReference { name: "worker-automount".to_owned() },
        rendered_image_push_spec: format!("registry.example.com/os/image:{BUILD}"),
    };
    let mut build = MachineOSBuild::new(BUILD, spec);
    build.metadata.uid = Some("uid-of-the-build".to_owned());
    build
}

fn spec() -> Spec {
    Spec {
        build: BUILD.to_owned(),
        rendered: "rendered-worker-automount-31fc".to_owned(),
        base: "registry.example.com/os/base@sha256:aa".to_owned(),
        target: format!("registry.example.com/os/image:{BUILD}"),
        containerfile: Some("FROM configs\n".to_owned()),
        pull_secret: "pull".to_owned(),
        push_secret: "push".to_owned(),
        rebuilt: None,
        cache_limit: Some(1 << 30),
    }
}

fn settings() -> Settings {
    Settings {
        namespace: "openshift-machine-config-operator".to_owned(),
        node_secrets_namespace: "onlay-node-secrets".to_owned(),
        builder_image: "registry.example.com/onlay/builder:1".to_owned(),
        registry_ca: Some("registry-ca".to_owned()),
    }
}

#[test]
fn the_objects_of_a_build() {
    let (build, spec, settings) = (build(), spec(), settings());
    let parts =
        Parts { build: &build, spec: &spec, pool: "worker-automount", architecture: "amd64", settings: &settings };
    insta::assert_json_snapshot!("job", job(&parts));
    insta::assert_json_snapshot!("config-map", config_map(&parts, vec![1, 2, 3]).unwrap());
}

#[test]
fn the_pod_is_not_privileged_and_holds_no_token() {
    let (build, spec, settings) = (build(), spec(), Settings { registry_ca: None, ..settings() });
    let parts = Parts { build: &build, spec: &spec, pool: "a", architecture: "amd64", settings: &settings };
    let pod = job(&parts).spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!((pod.host_network, pod.host_pid, pod.host_ipc), (None, None, None));
    let security = pod.containers[0].security_context.clone().unwrap();
    assert_eq!(security.privileged, None);
    let capabilities = security.capabilities.unwrap();
    assert_eq!(capabilities.drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(capabilities.add, Some(vec!["SETUID".to_owned(), "SETGID".to_owned()]));
    assert!(pod.volumes.unwrap().iter().all(|volume| volume.host_path.is_none()));
}

#[rstest]
#[case::as_the_seeds_show(BUILD, "build-worker-automount-5d5651f25efcbf89dd1d2874ad05c8c1")]
#[case::shortened(
    "a-pool-with-a-name-that-is-too-long-5d5651f25efcbf89dd1d2874ad05c8c1",
    "build-a-pool-with-a-name-that-5d5651f25efcbf89dd1d2874ad05c8c1"
)]
#[case::shortened_at_a_dash(
    "pool-with-a-long-name-xx-is-too-long-5d5651f25efcbf89dd1d2874ad05c8c1",
    "build-pool-with-a-long-name-xx-5d5651f25efcbf89dd1d2874ad05c8c1"
)]
fn a_job_has_the_name_of_its_build(#[case] build: &str, #[case] expected: &str) {
    let name = job_name(build);
    assert!(name.len() <= 63, "{name}");
    assert_eq!(name, expected);
}

#[rstest]
#[case::short("worker", "worker")]
#[case::cut_at_the_front(&format!("rendered-{}-end", "a".repeat(60)), &format!("{}-end", "a".repeat(59)))]
#[case::that_begins_well(&format!("{}.{}", "a".repeat(20), "b".repeat(62)), &"b".repeat(62))]
fn a_name_fits_into_a_label(#[case] name: &str, #[case] expected: &str) {
    assert_eq!(label_value(name), expected);
}
