use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use onlay_api::conditions::{self, BuildConditionType};
use onlay_api::machine_os_build::{MachineOSBuildSpec, MachineOSBuildStatus};
use rstest::rstest;

use super::*;

const A: &str = "registry.example.com/os@sha256:aa";
const A_ELSEWHERE: &str = "mirror.example.com/os@sha256:aa";
const B: &str = "registry.example.com/os@sha256:bb";

fn choice(url: Option<&str>, keys: Option<&[(&str, &str)]>, adopted: &[&str]) -> Result<String, BaseError> {
    let spec = MachineConfigSpec { os_image_url: url.map(str::to_owned), ..MachineConfigSpec::default() };
    let config_map = keys.map(|keys| ConfigMap {
        data: Some(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
        ..ConfigMap::default()
    });
    choose(None, &spec, config_map.as_ref(), &adopted.iter().map(|image| (*image).to_owned()).collect())
}

#[rstest]
#[case::the_configuration_first(Some(A), Some(&[("osImageURL", B)][..]), &[B], A)]
#[case::then_the_config_map(None, Some(&[("osImageURL", B)][..]), &[A], B)]
#[case::of_which_the_newer_key_counts(None, Some(&[("osImageURL", A), ("baseOSContainerImage", B)][..]), &[], B)]
#[case::an_empty_key_says_nothing(None, Some(&[("baseOSContainerImage", " "), ("osImageURL", A)][..]), &[], A)]
#[case::then_what_nodes_had(None, Some(&[][..]), &[A], A)]
#[case::one_image_in_two_places(None, None, &[A, A_ELSEWHERE], A)]
#[case::an_empty_url_says_nothing(Some(""), None, &[A], A)]
fn the_base_image_is(
    #[case] url: Option<&str>,
    #[case] keys: Option<&[(&str, &str)]>,
    #[case] adopted: &[&str],
    #[case] expected: &str,
) {
    assert_eq!(choice(url, keys, adopted).as_deref(), Ok(expected));
}

fn config_that_keeps(text: &str) -> MachineOSConfig {
    let mut config = MachineOSConfig::new("a", Default::default());
    config.metadata.annotations = Some([(names::KEPT_V1ALPHA1_ANNOTATION.to_owned(), text.to_owned())].into());
    config
}

#[rstest]
#[case::that_names_one(r#"{"baseOSImagePullspec": "registry.example.com/os@sha256:bb"}"#, Ok(B.to_owned()))]
#[case::that_names_none(r#"{"releaseVersion": "4.16"}"#, Ok(A.to_owned()))]
#[case::that_nobody_can_read("x", Err(BaseError::Annotation))]
fn a_config_of_the_older_version(#[case] kept: &str, #[case] expected: Result<String, BaseError>) {
    let spec = MachineConfigSpec { os_image_url: Some(A.to_owned()), ..MachineConfigSpec::default() };
    assert_eq!(choose(Some(&config_that_keeps(kept)), &spec, None, &BTreeSet::new()), expected);
}

#[test]
fn without_any_source_it_is_unknown() {
    assert_eq!(choice(None, None, &[]), Err(BaseError::Unknown));
}

#[test]
fn nodes_with_different_images_say_nothing() {
    let error = choice(None, None, &[B, A]).unwrap_err();
    assert_eq!(error, BaseError::Differ(vec![A.to_owned(), B.to_owned()]));
}

fn build(second: i64, asked: &str, resolved: &str, failed: bool) -> MachineOSBuild {
    let mut build = MachineOSBuild::new(&format!("a-{second}"), MachineOSBuildSpec::default());
    build.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
    let annotations =
        [(ASKED_ANNOTATION, asked), (RESOLVED_ANNOTATION, resolved), (names::ARCHITECTURES_ANNOTATION, "amd64,arm64")];
    build.metadata.annotations = Some(annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    let mut status = MachineOSBuildStatus::default();
    let now = Timestamp::UNIX_EPOCH;
    conditions::set(&mut status.conditions, BuildConditionType::Failed, failed, "A", "", now, None);
    build.status = Some(status);
    build
}

fn noted(asked: &str, resolved: &str) -> MachineOSConfig {
    let mut config = MachineOSConfig::new("a", Default::default());
    let mut annotations = build(0, asked, resolved, false).metadata.annotations.unwrap();
    annotations.insert(LOOKED_UP_ANNOTATION.to_owned(), "amd64".to_owned());
    config.metadata.annotations = Some(annotations);
    config
}

#[rstest]
#[case::nothing_before(None, &[], None)]
#[case::what_is_noted(Some(noted("t:1", A)), &[build(1, "t:1", B, false)], Some(A))]
#[case::else_the_newest_build(None, &[build(2, "t:1", B, false), build(1, "t:1", A, false)], Some(B))]
#[case::of_the_same_tag(Some(noted("t:2", B)), &[build(1, "t:1", A, false), build(2, "t:2", B, false)], Some(A))]
#[case::not_of_one_that_failed(None, &[build(1, "t:1", A, true)], None)]
fn a_tag_is_remembered(
    #[case] config: Option<MachineOSConfig>,
    #[case] builds: &[MachineOSBuild],
    #[case] expected: Option<&str>,
) {
    let found = |image: &str| Found { image: image.to_owned(), fault: None };
    assert_eq!(remembered(config.as_ref(), builds, "t:1", &["amd64".to_owned()].into()), expected.map(found));
}

#[rstest]
#[case::for_the_same_ones(&["amd64", "arm64"], Some(B))]
#[case::for_fewer(&["arm64"], Some(B))]
#[case::not_for_another_one(&["amd64", "s390x"], None)]
fn an_image_is_remembered_for_the_architectures_that_it_was_looked_up_for(
    #[case] architectures: &[&str],
    #[case] expected: Option<&str>,
) {
    let architectures = architectures.iter().map(|each| (*each).to_owned()).collect();
    let found = remembered(None, [&build(1, "t:1", B, false)], "t:1", &architectures);
    assert_eq!(found.as_ref().map(|found| found.image.as_str()), expected);
}

#[test]
fn a_fault_is_remembered_with_the_image() {
    let mut build = build(1, "t:1", A, false);
    build.metadata.annotations.as_mut().unwrap().insert(FAULT_ANNOTATION.to_owned(), "no label".to_owned());
    assert_eq!(remembered(None, [&build], "t:1", &BTreeSet::new()).unwrap().fault.as_deref(), Some("no label"));
}

fn pool(name: &str) -> MachineConfigPool {
    let mut pool = MachineConfigPool::new(name, Default::default());
    let label = format!("node-role.kubernetes.io/{name}");
    pool.spec.node_selector = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
        match_labels: Some([(label, String::new())].into()),
        ..Default::default()
    });
    pool
}

fn node(role: &str, architecture: &str, adopted: Option<&str>) -> (Node, Option<MachineConfigNode>) {
    let mut node = Node::default();
    let labels = [(format!("node-role.kubernetes.io/{role}"), ""), (ARCHITECTURE_LABEL.to_owned(), architecture)];
    node.metadata.labels = Some(labels.map(|(key, value)| (key, value.to_owned())).into());
    let state = adopted.map(|image| {
        let mut state = MachineConfigNode::new("a", Default::default());
        let onlay = state.status.get_or_insert_default().onlay.get_or_insert_default();
        onlay.adopted_image = Some(image.to_owned());
        state
    });
    (node, state)
}

#[rstest]
#[case::its_own("worker", &[A], &["amd64"])]
#[case::those_of_all_but_master_where_it_has_none("empty", &[A, B], &["amd64", "arm64"])]
#[case::only_its_own_for_master("master", &[], &["s390x"])]
fn a_pool_knows_its_nodes(#[case] name: &str, #[case] adopted: &[&str], #[case] architectures: &[&str]) {
    let pools = ["master", "worker", "custom", "empty"].map(pool);
    let nodes = [
        node("master", "s390x", None),
        node("worker", "amd64", Some(A)),
        node("custom", "arm64", Some(B)),
        node("stranger", "riscv64", Some("x")),
    ];
    let found =
        nodes_of(name, &pools.iter().collect::<Vec<_>>(), nodes.iter().map(|(node, state)| (node, state.as_ref())));
    let strings = |all: &[&str]| all.iter().map(|each| (*each).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(found, Nodes { adopted: strings(adopted), architectures: strings(architectures) });
}
