use onlay_api::machine_os_build::{MachineOSBuildSpec, OSConfigReference, RenderedConfigReference};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::build::extras::{Entitlement, Entitlements, Extras, Provided};
use crate::build::packages::Packages;
use crate::build::pull_secret::Hidden;

const BUILD: &str = "worker-automount-5d5651f25efcbf89dd1d2874ad05c8c1";

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

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

fn part(build: &MachineOSBuild) -> Part {
    Part::of(build).remove(0)
}

fn spec() -> Spec {
    Spec {
        build: BUILD.to_owned(),
        rendered: "rendered-worker-automount-31fc".to_owned(),
        origins: BTreeMap::new(),
        base: "registry.example.com/os/base@sha256:aa".to_owned(),
        target: format!("registry.example.com/os/image:{BUILD}"),
        architecture: "amd64".to_owned(),
        containerfile: Some("FROM configs\n".to_owned()),
        pull_secret: "pull".to_owned(),
        push_secret: "push".to_owned(),
        rebuilt: None,
        cache_limit: Some(1 << 30),
        extras: Extras::default(),
        packages: Packages::default(),
    }
}

fn policy() -> BuildPolicy {
    serde_json::from_value(json!({
        "cache": {"type": "Volume", "persistentVolumeClaim": {"claimName": "build-cache"}},
        "resources": {"limits": {"cpu": 2}, "requests": {"memory": "1Gi"}},
        "nodeSelector": {"example.com/builds": "yes", "kubernetes.io/arch": "of no effect"},
        "tolerations": [{"key": "example.com/builds", "operator": "Exists"}],
        "priorityClassName": "builds",
        "timeoutSeconds": 600,
        "retries": 0,
    }))
    .unwrap()
}

fn settings() -> Settings {
    Settings {
        namespace: "openshift-machine-config-operator".to_owned(),
        node_secrets_namespace: "onlay-node-secrets".to_owned(),
        builder_image: "registry.example.com/onlay/builder:1".to_owned(),
        registry_ca: Some("registry-ca".to_owned()),
    }
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// The Job of a build with this policy, the builds before it having run on `node-1`.
fn job_with(policy: &BuildPolicy) -> Job {
    let (build, spec, settings) = (build(), spec(), settings());
    let (pool, part, warm) = ("worker-automount", &part(&build), Some("node-1"));
    job(&Parts { build: &build, spec: &spec, pool, part, policy, warm, settings: &settings, now: now() })
}

fn pod_with(policy: &BuildPolicy) -> PodSpec {
    job_with(policy).spec.unwrap().template.spec.unwrap()
}

#[test]
fn the_objects_of_a_build() {
    let (build, spec, settings, policy) = (build(), spec(), settings(), BuildPolicy::default());
    let (pool, part) = ("worker-automount", &part(&build));
    let parts =
        Parts { build: &build, spec: &spec, pool, part, policy: &policy, warm: None, settings: &settings, now: now() };
    insta::assert_json_snapshot!("job", job(&parts));
    insta::assert_json_snapshot!("config-map", config_map(&parts, vec![1, 2, 3]).unwrap());
}

#[test]
fn the_job_is_as_the_policy_says() {
    insta::assert_json_snapshot!("job-with-policy", job_with(&policy()));
}

#[test]
fn the_job_mounts_what_is_given() {
    let contents = Some(Hidden([("a".to_owned(), b"1".to_vec())].into()));
    let provided = Provided {
        containerfile: contents.clone(),
        repositories: contents.clone(),
        keys: contents.clone(),
        proxy: None,
        trusted_ca: Some(Hidden([("ca-bundle.crt".to_owned(), CERTIFICATE.into())].into())),
        secrets: BTreeMap::new(),
        entitlements: Entitlements { of_cluster: contents, ..Entitlements::default() },
    };
    let policy: BuildPolicy = serde_json::from_value(json!({
        "containerfile": {"configMapKeyRef": {"name": "worker-image"}},
        "buildArgs": [{"name": "VERSION", "value": "1.2"}],
        "secrets": [{"id": "token", "secretKeyRef": {"name": "mirror", "key": "password"}}],
        "contexts": [{"name": "tools", "image": "registry.example.com/tools/all:1"}],
    }))
    .unwrap();
    let spec = Spec { extras: Extras::of(&policy, &provided, "worker-automount"), ..spec() };
    let (build, settings) = (build(), settings());
    let (pool, part) = ("worker-automount", &part(&build));
    let parts =
        Parts { build: &build, spec: &spec, pool, part, policy: &policy, warm: None, settings: &settings, now: now() };
    insta::assert_json_snapshot!("job-with-extras", job(&parts));
    let Some(Entitlement::Copied(name, contents)) = provided.entitlements.choose(pool) else { panic!("{provided:?}") };
    insta::assert_json_snapshot!("entitlement", entitlement(&parts, name, contents).0);
}

#[test]
fn a_build_goes_where_the_one_before_has_left_something() {
    let affinity = pod_with(&BuildPolicy::default()).affinity.unwrap().node_affinity.unwrap();
    assert_eq!(affinity.required_during_scheduling_ignored_during_execution, None);
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.unwrap();
    let fields = preferred[0].preference.match_fields.clone().unwrap();
    assert_eq!((fields[0].key.as_str(), fields[0].values.clone()), ("metadata.name", Some(vec!["node-1".to_owned()])));
    assert_eq!(pod_with(&policy()).affinity, None, "a volume goes with the pod");
}

#[test]
fn a_build_that_keeps_nothing_has_no_cache() {
    let policy: BuildPolicy = serde_json::from_value(json!({"cache": {"type": "None"}})).unwrap();
    let pod = pod_with(&policy);
    assert!(pod.volumes.unwrap().iter().all(|volume| volume.name != "cache"));
    assert_eq!(pod.affinity, None);
}

#[test]
fn the_pod_is_not_privileged_and_holds_no_token() {
    let pod = pod_with(&BuildPolicy::default());
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!((pod.host_network, pod.host_pid, pod.host_ipc), (None, None, None));
    let security = pod.containers[0].security_context.clone().unwrap();
    assert_eq!(security.privileged, None);
    let capabilities = security.capabilities.unwrap();
    assert_eq!(capabilities.drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(capabilities.add, Some(vec!["SETUID".to_owned(), "SETGID".to_owned()]));
    let volumes = pod.volumes.unwrap();
    let of_the_node: Vec<&str> =
        volumes.iter().filter_map(|volume| Some(volume.host_path.as_ref()?.path.as_str())).collect();
    assert_eq!(of_the_node, ["/var/lib/onlay/build-cache"]);
}

#[rstest]
#[case::short("worker", "worker")]
#[case::cut_at_the_front(&format!("rendered-{}-end", "a".repeat(60)), &format!("{}-end", "a".repeat(59)))]
#[case::that_begins_well(&format!("{}.{}", "a".repeat(20), "b".repeat(62)), &"b".repeat(62))]
fn a_name_fits_into_a_label(#[case] name: &str, #[case] expected: &str) {
    assert_eq!(label_value(name), expected);
}
