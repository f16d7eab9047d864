use k8s_openapi::api::core::v1::Node;
use onlay_api::{MachineConfigNode, MachineConfigPool, MachineConfigSpec, MachineOSBuild, MachineOSConfig};
use rstest::rstest;
use serde_json::{Value, json};

use crate::build::extras::{Extras, Given};
use crate::build::inputs::{Inputs, Text, build_name};
use crate::build::packages::Packages;
use crate::change::disruption::Rebuild;
use crate::change::foresee::{Configuration, Forecast, Member, PoolSide, Side, pool};
use crate::change::plan::Past;

/// Nothing but the MachineOSConfig.
static NOTHING_GIVEN: Given = Given { extras: Extras::NONE, containerfile: None };
const OLD: &str =
    "registry.example.com/os/base@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str =
    "registry.example.com/os/base@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn configuration(name: &str, spec: Value) -> Configuration {
    let mut spec: MachineConfigSpec = serde_json::from_value(spec).unwrap();
    if spec.config.is_null() {
        spec.config = json!({"ignition": {"version": "3.5.0"}});
    }
    Configuration::new(name, spec).unwrap()
}

/// A configuration with one file.
fn with_file(name: &str, path: &str) -> Configuration {
    let files = json!([{"path": path, "contents": {"source": "data:,a"}}]);
    configuration(name, json!({"config": {"ignition": {"version": "3.5.0"}, "storage": {"files": files}}}))
}

fn a_pool(spec: Value) -> MachineConfigPool {
    serde_json::from_value(json!({"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool",
        "metadata": {"name": "worker"}, "spec": spec}))
    .unwrap()
}

fn os_config(containerfile: &str) -> MachineOSConfig {
    serde_json::from_value(json!({"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineOSConfig",
        "metadata": {"name": "worker"},
        "spec": {
            "machineConfigPool": {"name": "worker"},
            "imageBuilder": {"imageBuilderType": "Job"},
            "renderedImagePushSecret": {"name": "push"},
            "renderedImagePushSpec": "registry.example.com/os/worker:latest",
            "containerFile": [{"content": containerfile}],
        },
        "status": {"currentImagePullSpec": NEW}}))
    .unwrap()
}

fn node(name: &str, runtime: &str) -> Node {
    serde_json::from_value(json!({"metadata": {"name": name}, "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"architecture": "amd64", "bootID": "", "containerRuntimeVersion": runtime, "kernelVersion": "",
            "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "",
            "systemUUID": ""},
    }}))
    .unwrap()
}

/// What a node's agent says: the image that it runs, and the one that it had at first.
fn state(image: &str, adopted: &str) -> MachineConfigNode {
    serde_json::from_value(json!({"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigNode",
        "metadata": {"name": "a"},
        "spec": {"node": {"name": "a"}, "pool": {"name": "worker"}, "configVersion": {"desired": "x"}},
        "status": {"configImage": {"currentImage": image}, "onlay": {"adoptedImage": adopted}}}))
    .unwrap()
}

fn member<'a>(node: &'a Node, running: &'a Configuration) -> Member<'a> {
    Member { node, state: None, running, is_new: false, runs_controller: false }
}

fn side<'a>(pool: &'a MachineConfigPool, configuration: &'a Configuration) -> PoolSide<'a> {
    PoolSide { pool, side: Side { configuration, os_config: None, base: None, builds: &[], given: &NOTHING_GIVEN } }
}

fn layered<'a>(
    pool: &'a MachineConfigPool,
    configuration: &'a Configuration,
    os_config: &'a MachineOSConfig,
) -> PoolSide<'a> {
    PoolSide {
        pool,
        side: Side { configuration, os_config: Some(os_config), base: None, builds: &[], given: &NOTHING_GIVEN },
    }
}

/// `FROM (NODES): COST` for each group of nodes.
fn moves(forecast: &Forecast) -> Vec<String> {
    let one = |each: &crate::change::foresee::Move| {
        format!("{} ({}): {}", each.from, each.nodes.join(" "), each.comparison.cost)
    };
    forecast.moves.iter().map(one).collect()
}

#[test]
fn a_pool_of_which_nothing_differs_goes_through_nothing() {
    let (worker, old, a) = (a_pool(json!({})), with_file("x", "/etc/a"), node("a", "containerd://1"));
    let unchanged = side(&worker, &old);
    assert_eq!(pool(Some(unchanged), unchanged, &[member(&a, &old)], None, &Past::default()), None);
}

#[test]
fn nodes_go_from_what_they_run_and_by_the_units_of_their_host() {
    let (old, new) = (with_file("x", "/etc/a"), with_file("y", "/etc/containers/policy.json"));
    let (worker, behind) = (a_pool(json!({})), with_file("w", "/etc/containers/policy.json"));
    let [a, b, c, d] = [("a", "containerd://1"), ("b", "cri-o://1"), ("c", "containerd://1"), ("d", "containerd://1")]
        .map(|(name, runtime)| node(name, runtime));
    let empty = configuration("v", json!({}));
    let members = [member(&a, &empty), member(&b, &empty), member(&c, &behind), member(&d, &old)];
    let forecast = pool(Some(side(&worker, &old)), side(&worker, &new), &members, None, &Past::default()).unwrap();
    let expected = [
        "v (a): restart containerd.service",
        "v (b): reload crio.service",
        "w (c): nothing to do on the node",
        "x (d): drain, reboot",
    ];
    assert_eq!(moves(&forecast), expected);
    let plan = forecast.plan.unwrap();
    let turns: Vec<String> = plan.turns.iter().map(|turn| format!("{} {}", turn.node, turn.disruption)).collect();
    assert_eq!(turns, ["a restart containerd.service", "b reload crio.service", "d drain, reboot"]);
    assert_eq!(plan.at_once, ["c"]);
}

#[test]
fn a_pool_without_nodes_goes_from_what_it_was_told() {
    let (worker, old, new) = (a_pool(json!({})), with_file("x", "/etc/a"), with_file("y", "/etc/b"));
    let forecast = pool(Some(side(&worker, &old)), side(&worker, &new), &[], None, &Past::default()).unwrap();
    assert_eq!(moves(&forecast), ["x (): drain, reboot"]);
}

#[rstest]
#[case::paused(json!({"paused": true}), json!({}), "spec.paused true false")]
#[case::at_once(json!({}), json!({"maxUnavailable": "50%"}), "spec.maxUnavailable 1 50%")]
#[case::other_nodes(json!({"nodeSelector": {"matchLabels": {"a": "b"}}}), json!({}),
    r#"spec.nodeSelector {"matchLabels":{"a":"b"}} null"#)]
fn settings_alone_are_a_change(#[case] before: Value, #[case] after: Value, #[case] expected: &str) {
    let (before, after, same) = (a_pool(before), a_pool(after), with_file("x", "/etc/a"));
    let forecast = pool(Some(side(&before, &same)), side(&after, &same), &[], None, &Past::default()).unwrap();
    let [setting] = forecast.settings.as_slice() else { panic!("{:?}", forecast.settings) };
    assert_eq!(format!("{} {} {}", setting.field, setting.old, setting.new), expected);
}

#[test]
fn a_node_of_another_pool_is_a_change_of_the_one_that_it_comes_to() {
    let (worker, same, a) = (a_pool(json!({})), with_file("x", "/etc/a"), node("a", "containerd://1"));
    let other = with_file("other", "/etc/b");
    let comes = Member { is_new: true, ..member(&a, &other) };
    let unchanged = side(&worker, &same);
    let forecast = pool(Some(unchanged), unchanged, &[comes], None, &Past::default()).unwrap();
    assert_eq!(moves(&forecast), ["other (a): drain, reboot"]);
    assert_eq!(pool(None, unchanged, &[comes], None, &Past::default()).unwrap().from, None);
}

#[test]
fn what_cannot_change_has_no_plan() {
    let old = configuration("x", json!({}));
    let (worker, new, a) = (a_pool(json!({})), configuration("y", json!({"fips": true})), node("a", "containerd://1"));
    let forecast =
        pool(Some(side(&worker, &old)), side(&worker, &new), &[member(&a, &old)], None, &Past::default()).unwrap();
    assert_eq!(forecast.moves[0].comparison.refusals[0].field, "spec.fips");
    assert_eq!(forecast.plan, None);
}

#[rstest]
#[case::the_same_text(
    "FROM configs AS final",
    "FROM configs AS final",
    "/etc/a",
    "no: the build can see nothing of what changes"
)]
#[case::another_text(
    "FROM configs AS final",
    "FROM configs AS final\nRUN true",
    "/etc/a",
    "yes: the Containerfile differs"
)]
#[case::a_file_that_builds_read(
    "FROM configs AS final",
    "FROM configs AS final",
    "/etc/apt/a",
    "yes: /etc/apt/a differs, and is read by package managers or what they start"
)]
fn an_image_is_built_where_the_build_sees_the_change(
    #[case] before: &str,
    #[case] after: &str,
    #[case] path: &str,
    #[case] expected: &str,
) {
    let (before, after, worker) = (os_config(before), os_config(after), a_pool(json!({})));
    let (old, new) = (with_file("x", "/etc/b"), with_file("y", path));
    let (old, new) = (layered(&worker, &old, &before), layered(&worker, &new, &after));
    assert_eq!(pool(Some(old), new, &[], None, &Past::default()).unwrap().rebuild_why, expected);
}

#[rstest]
#[case::named_on_both_sides(Some(OLD), Some(NEW), "yes: the base image differs".into())]
#[case::the_same(Some(OLD), Some(OLD), "no: the build can see nothing of what changes".into())]
#[case::named_by_nothing(None, None, "no: the build can see nothing of what changes".into())]
#[case::named_from_now_on(None, Some(NEW), format!("yes: the base image becomes {NEW}, and nothing says what it is now"))]
#[case::not_named_any_more(Some(OLD), None, format!("yes: nothing says what the base image becomes, and it is {OLD} now"))]
fn a_base_image_that_is_known_on_one_side_only_is_another_one(
    #[case] before: Option<&str>,
    #[case] after: Option<&str>,
    #[case] expected: String,
) {
    let (built, worker) = (os_config("FROM configs AS final"), a_pool(json!({})));
    let (old, new) = (with_file("x", "/etc/a"), with_file("y", "/etc/a"));
    let with = |configuration, base| {
        let PoolSide { pool, side } = layered(&worker, configuration, &built);
        PoolSide { pool, side: Side { base, ..side } }
    };
    let forecast = pool(Some(with(&old, before)), with(&new, after), &[], None, &Past::default()).unwrap();
    assert_eq!(forecast.rebuild_why, expected);
    // The build is part of the time.
    assert_eq!(forecast.plan.unwrap().before.as_mins(), if expected.starts_with("yes") { 10 } else { 0 });
}

#[rstest]
#[case::succeeded("Succeeded", true, "no: MachineOSBuild")]
#[case::failed("Failed", true, "yes: the Containerfile differs")]
#[case::of_something_else("Succeeded", false, "yes: the Containerfile differs")]
fn an_image_that_a_build_of_before_has_made_is_not_built_again(
    #[case] ended_as: &str,
    #[case] is_of_target: bool,
    #[case] expected: &str,
) {
    let (before, after) = (os_config("FROM configs AS final"), os_config("FROM configs AS final\nRUN true"));
    let (worker, same, a) = (a_pool(json!({})), with_file("x", "/etc/b"), node("a", "containerd://1"));
    let name = build_name(&Inputs {
        machine_os_config: "worker",
        base: OLD,
        push_spec: "registry.example.com/os/worker:latest",
        texts: &[Text { architecture: "amd64", containerfile: Some("FROM configs AS final\nRUN true"), parsed: None }],
        spec: &same.spec,
        desired: &same.desired,
        extras: &Extras::default(),
        packages: &Packages::default(),
    });
    let name = if is_of_target { name } else { format!("{name}0") };
    let builds = [a_build(&name, ended_as)];
    let at = |os_config| PoolSide {
        pool: &worker,
        side: Side {
            configuration: &same,
            os_config: Some(os_config),
            base: Some(OLD),
            builds: &builds,
            given: &NOTHING_GIVEN,
        },
    };
    let state = state(OLD, OLD);
    let members = [Member { state: Some(&state), ..member(&a, &same) }];
    let forecast = pool(Some(at(&before)), at(&after), &members, None, &Past::default()).unwrap();
    assert!(forecast.rebuild_why.starts_with(expected), "{}", forecast.rebuild_why);
    // Nodes reboot into it either way; only what is built has to be waited for, and has no name yet.
    assert_eq!(moves(&forecast), ["x (a): drain, reboot"]);
    let is_built = matches!(forecast.rebuild, Rebuild::Built { .. });
    assert_eq!(forecast.moves[0].comparison.changes.len(), usize::from(is_built));
    assert_eq!(forecast.plan.unwrap().before.as_mins(), if is_built { 2 } else { 12 });
}

fn a_build(name: &str, ended_as: &str) -> MachineOSBuild {
    serde_json::from_value(json!({"apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineOSBuild",
        "metadata": {"name": name},
        "spec": {"machineConfig": {"name": "x"}, "machineOSConfig": {"name": "worker"}, "renderedImagePushSpec": "r"},
        "status": {"digestedImagePushSpec": NEW, "conditions": [{"type": ended_as, "status": "True", "reason": "Test",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
    .unwrap()
}

#[test]
fn a_pool_can_get_and_lose_images_of_its_own() {
    let (worker, same, a) = (a_pool(json!({})), with_file("x", "/etc/a"), node("a", "containerd://1"));
    let built = os_config("FROM configs AS final");
    let (with, without) = (layered(&worker, &same, &built), side(&worker, &same));
    let members = [member(&a, &same)];
    let gets = pool(Some(without), with, &members, None, &Past::default()).unwrap();
    assert_eq!(gets.rebuild_why, "yes: the pool gets images of its own");
    let loses = pool(Some(with), without, &members, None, &Past::default()).unwrap();
    assert_eq!(loses.rebuild_why, "no: the pool has no images of its own any more, and its nodes leave them");
    assert_eq!(
        (moves(&gets), moves(&loses)),
        (vec!["x (a): drain, reboot".into()], vec!["x (a): drain, reboot".into()])
    );
}

#[rstest]
#[case::of_the_pool(true, json!({}), OLD, OLD, &["image"])]
#[case::that_is_there_already(true, json!({}), NEW, OLD, &[])]
#[case::by_name(false, json!({"osImageURL": NEW}), OLD, OLD, &["image", "osImageURL"])]
#[case::by_a_tag_is_not_compared(false, json!({"osImageURL": "registry.example.com/os/base:9"}), OLD, OLD, &["osImageURL"])]
#[case::that_the_node_had_at_first(false, json!({}), NEW, OLD, &["image"])]
fn a_node_goes_to_the_image(
    #[case] is_layered: bool,
    #[case] spec: Value,
    #[case] runs: &str,
    #[case] adopted: &str,
    #[case] expected: &[&str],
) {
    let (worker, old, new) = (a_pool(json!({})), configuration("x", json!({})), configuration("y", spec));
    let (a, state, built) = (node("a", "containerd://1"), state(runs, adopted), os_config("FROM configs AS final"));
    let of = |configuration| match is_layered {
        true => layered(&worker, configuration, &built),
        false => side(&worker, configuration),
    };
    let members = [Member { state: Some(&state), ..member(&a, &old) }];
    let forecast = pool(Some(of(&old)), of(&new), &members, None, &Past::default()).unwrap();
    let changes = &forecast.moves[0].comparison.changes;
    let subjects: Vec<&str> = changes.iter().map(|change| change.description.subject.as_str()).collect();
    assert_eq!(subjects, expected);
}

#[test]
fn an_image_by_tag_keeps_every_node_waiting() {
    let (worker, old, a) = (a_pool(json!({})), configuration("x", json!({})), node("a", "containerd://1"));
    let new = configuration("y", json!({"osImageURL": "registry.example.com/os/base:9"}));
    let members = [member(&a, &old)];
    let forecast = pool(Some(side(&worker, &old)), side(&worker, &new), &members, None, &Past::default()).unwrap();
    let waiting = &forecast.plan.unwrap().waiting[0];
    assert!(waiting.reason.contains("is not given by digest"), "{}", waiting.reason);
}
