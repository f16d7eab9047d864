use super::*;
use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::machine_config_pool::MachineConfigPoolSpec;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

fn labels(text: &str) -> Labels {
    let pair = |label: &str| label.split_once('=').map_or((label.into(), String::new()), |(k, v)| (k.into(), v.into()));
    text.split_whitespace().map(pair).collect()
}

fn selector(value: Value) -> Option<LabelSelector> {
    serde_json::from_value(value).unwrap()
}

fn pool(name: &str, node_selector: Value) -> MachineConfigPool {
    let roles = json!({"matchExpressions": [{"key": "role", "operator": "In", "values": ["worker", name]}]});
    let spec = MachineConfigPoolSpec {
        node_selector: selector(node_selector),
        machine_config_selector: selector(roles),
        ..MachineConfigPoolSpec::default()
    };
    MachineConfigPool::new(name, spec)
}

/// The two default pools, and three custom ones.
fn pools() -> Vec<MachineConfigPool> {
    vec![
        pool("worker", json!({"matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]})),
        pool("infra", json!({"matchLabels": {"infra": ""}})),
        pool("master", json!({"matchExpressions": [{"key": "control-plane", "operator": "Exists"}]})),
        pool("automount", json!({"matchLabels": {"automount": ""}})),
        pool("empty", json!({})),
    ]
}

#[rstest]
#[case::a_plain_node_is_a_worker("", Some("worker"))]
#[case::control_plane("control-plane", Some("master"))]
#[case::custom_role_beside_worker("worker automount", Some("automount"))]
#[case::custom_role_instead_of_worker("automount", Some("automount"))]
#[case::control_plane_wins_over_a_custom_role("control-plane automount", Some("master"))]
#[case::control_plane_wins_over_two_custom_roles("control-plane automount infra", Some("master"))]
fn membership(#[case] node: &str, #[case] expected: Option<&str>) {
    let pools = pools();
    let found = pool_of(&labels(node), &pools).unwrap();
    assert_eq!(found.and_then(|pool| pool.metadata.name.as_deref()), expected);
}

#[test]
fn two_custom_pools_are_both_named() {
    let error = pool_of(&labels("infra automount"), &pools()).unwrap_err();
    assert_eq!(error, PoolError::Conflict { pools: vec!["automount".into(), "infra".into()] });
    assert_eq!(
        error.to_string(),
        "failed to choose a pool: automount and infra select the node, and a node belongs to at most one custom pool; \
         take the labels of all but one of them from the node"
    );
}

#[test]
fn no_pool_matches_without_pools() {
    assert!(pool_of(&labels("a"), &[]).unwrap().is_none());
}

#[rstest]
#[case::no_selector(json!(null), "a=1", false)]
#[case::empty_selector(json!({}), "a=1", false)]
#[case::empty_lists(json!({"matchLabels": {}, "matchExpressions": []}), "a=1", false)]
#[case::label_with_its_value(json!({"matchLabels": {"a": "1"}}), "a=1 b", true)]
#[case::label_with_another_value(json!({"matchLabels": {"a": "1"}}), "a=2", false)]
#[case::all_labels_are_needed(json!({"matchLabels": {"a": "1", "b": ""}}), "a=1", false)]
#[case::one_of_the_values(json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}), "a=2", true)]
#[case::in_needs_the_key(json!({"matchExpressions": [{"key": "a", "operator": "In", "values": [""]}]}), "b", false)]
#[case::none_of_the_values(json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}), "a=1", false)]
#[case::not_in_without_the_key(json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}), "b", true)]
#[case::exists(json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}), "a=x", true)]
#[case::exists_without_the_key(json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}), "b", false)]
#[case::does_not_exist(json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}), "b", true)]
#[case::labels_and_expressions_together(
    json!({"matchLabels": {"a": ""}, "matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}), "a b", false
)]
fn selection(#[case] given: Value, #[case] object: &str, #[case] expected: bool) {
    assert_eq!(selects(selector(given).as_ref(), &labels(object)), Ok(expected));
}

#[rstest]
#[case::unknown_operator(json!({"key": "a", "operator": "Gt", "values": ["1"]}), "write In, NotIn, Exists or DoesNotExist")]
#[case::in_without_values(json!({"key": "a", "operator": "In"}), "In of key a has no values")]
#[case::exists_with_values(json!({"key": "a", "operator": "Exists", "values": ["1"]}), "Exists of key a takes no values")]
fn unreadable_selectors(#[case] requirement: Value, #[case] says: &str) {
    let broken = pool("broken", json!({"matchLabels": {"x": "1"}, "matchExpressions": [requirement]}));
    let text = check_selectors(&broken).unwrap_err().to_string();
    assert!(text.starts_with("failed to read spec.nodeSelector of MachineConfigPool broken: "), "{text}");
    assert!(text.contains(says), "{text}");
    assert!(pool_of(&labels("a=1 x=1"), [&broken]).unwrap().is_none());
}

#[test]
fn a_custom_pool_inherits_worker_and_never_takes_rendered_ones() {
    let machine_config = |name: &str, role: &str| {
        let mut made = MachineConfig::new(name, MachineConfigSpec::default());
        made.metadata.labels = Some(labels(&format!("role={role}")));
        made
    };
    let all = [
        machine_config("00-worker", "worker"),
        machine_config("50-infra", "infra"),
        machine_config("99-automount", "automount"),
        machine_config("rendered-worker-0123", "worker"),
        MachineConfig::new("unlabelled", MachineConfigSpec::default()),
    ];
    let selected = machine_configs_of(&pools()[3], &all).unwrap();
    let names: Vec<_> = selected.iter().filter_map(|each| each.metadata.name.as_deref()).collect();
    assert_eq!(names, ["00-worker", "99-automount"]);
    assert!(machine_configs_of(&pool("none", json!({})), &[]).unwrap().is_empty());
}

proptest! {
    #[test]
    fn the_order_of_pools_does_not_matter(node in "((control-plane|infra|automount|worker) ){0,4}", seed in any::<u64>()) {
        let ordered = pools();
        let mut shuffled = pools();
        let turn = usize::try_from(seed % 5).unwrap();
        shuffled.rotate_left(turn);
        let name = |found: Result<Option<&MachineConfigPool>, PoolError>| {
            found.map(|pool| pool.and_then(|pool| pool.metadata.name.clone()))
        };
        prop_assert_eq!(name(pool_of(&labels(&node), &ordered)), name(pool_of(&labels(&node), &shuffled)));
    }
}

#[rstest]
#[case::workers("worker", &["worker"])]
#[case::the_control_plane_inherits_nothing("master", &["master"])]
#[case::a_custom_pool_inherits_from_worker("automount", &["worker", "automount"])]
fn a_default_pool_selects_by_role(#[case] name: &str, #[case] expected: &[&str]) {
    let of_role = |role: &str| {
        let labels = json!({"machineconfiguration.openshift.io/role": role});
        serde_json::from_value::<MachineConfig>(json!({"metadata": {"name": role, "labels": labels}})).unwrap()
    };
    let all = ["master", "worker", "automount", "infra"].map(of_role);
    let selected = machine_configs_of(&default_pool(name), &all).unwrap();
    let names: Vec<&str> = selected.iter().filter_map(|each| each.metadata.name.as_deref()).collect();
    assert_eq!(names, expected);
}
