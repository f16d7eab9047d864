use onlay_api::MachineConfigSpec;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use crate::change::refusal::check;

fn spec(config: Value) -> MachineConfigSpec {
    MachineConfigSpec { config, ..MachineConfigSpec::default() }
}

fn fields(old: &MachineConfigSpec, new: &MachineConfigSpec) -> Vec<String> {
    let refused = check(old, new).err().map(|refused| refused.refusals).unwrap_or_default();
    refused.into_iter().map(|refusal| refusal.field).collect()
}

#[test]
fn arguments_of_the_first_boot_cannot_change() {
    let with = |arguments: &[&str]| spec(json!({"kernelArguments": {"shouldExist": arguments}}));
    assert_eq!(fields(&with(&["a"]), &with(&["b"])), ["kernelArguments.shouldExist"]);
    assert_eq!(fields(&with(&["a"]), &with(&[])), ["kernelArguments.shouldExist"], "the way back is closed as well");
}

#[test]
fn what_another_tool_made_at_the_first_boot_stands_in_nobodys_way() {
    let old = json!({
        "ignition": {"version": "3.4.0", "timeouts": {"httpTotal": 30}},
        "passwd": {"groups": [{"name": "ops"}], "users": [{"name": "core", "passwordHash": "x"}, {"name": "ann", "uid": 7}]},
        "storage": {"disks": [{"device": "/dev/sda"}], "luks": [{"name": "root"}], "filesystems": [{"device": "/dev/sda1"}]},
    });
    assert_eq!(check(&spec(old), &spec(json!({"ignition": {"version": "3.5.0"}}))), Ok(()));
}

#[rstest]
#[case::nothing_and_empty(json!({"ignition": {"version": "3.5.0", "timeouts": {}},
    "kernelArguments": {"shouldExist": []}, "passwd": {"users": [{"name": "core"}]}, "storage": {"disks": []}}))]
#[case::nothing(Value::Null)]
fn an_empty_value_says_what_an_absent_one_says(#[case] config: Value) {
    assert_eq!(check(&spec(json!({})), &spec(config.clone())), Ok(()));
    assert_eq!(check(&spec(config), &spec(json!({}))), Ok(()));
}

#[test]
fn fips_stays_as_it_is() {
    let with = |fips| MachineConfigSpec { fips, ..MachineConfigSpec::default() };
    assert_eq!(check(&with(None), &with(Some(false))), Ok(()));
    let refused = check(&with(Some(true)), &with(None)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "failed to change the configuration: spec.fips cannot change on nodes that run: FIPS mode is chosen when a node is \
         installed; take it back, or install nodes for another pool"
    );
}

#[test]
fn arguments_of_the_machine_config_can_change() {
    let new = MachineConfigSpec { kernel_arguments: vec!["quiet".into()], ..MachineConfigSpec::default() };
    assert_eq!(check(&MachineConfigSpec::default(), &new), Ok(()));
}

#[test]
fn every_field_is_named() {
    let mut new = spec(json!({"kernelArguments": {"shouldExist": ["a"]}}));
    new.fips = Some(true);
    assert_eq!(fields(&spec(json!({})), &new), ["kernelArguments.shouldExist", "spec.fips"]);
}

/// Any JSON of the shape that a hostile or hasty hand may write.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "ignition",
        "kernelArguments",
        "shouldExist",
        "passwd",
        "users",
        "name",
        "storage",
        "disks",
        "device",
    ]);
    let leaf = prop_oneof![Just(Value::Null), Just(json!(1)), Just(json!("core")), Just(json!(""))];
    leaf.prop_recursive(5, 30, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_is_refused_to_stay_as_it_is(config in any_json()) {
        prop_assert_eq!(check(&spec(config.clone()), &spec(config)), Ok(()));
    }

    #[test]
    fn both_directions_are_refused_for_the_same_fields(old in any_json(), new in any_json()) {
        prop_assert_eq!(fields(&spec(old.clone()), &spec(new.clone())), fields(&spec(new), &spec(old)));
    }
}
