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

/// A configuration with one of everything that a first boot makes.
fn full() -> Value {
    json!({
        "ignition": {"version": "3.4.0", "timeouts": {"httpTotal": 30}},
        "kernelArguments": {"shouldExist": ["a"], "shouldNotExist": ["b"]},
        "passwd": {
            "groups": [{"name": "ops"}],
            "users": [{"name": "core", "sshAuthorizedKeys": ["k"], "passwordHash": "x"}, {"name": "ann", "uid": 7}],
        },
        "storage": {
            "disks": [{"device": "/dev/sda", "wipeTable": true}],
            "raid": [{"name": "data", "level": "raid1"}],
            "luks": [{"name": "root", "device": "/dev/sdb"}],
            "filesystems": [{"device": "/dev/sda1", "format": "xfs"}],
            "files": [{"path": "/etc/motd"}],
            "directories": [{"path": "/etc/auto.d"}],
            "links": [{"path": "/etc/l", "target": "m"}],
        },
        "systemd": {"units": [{"name": "a.service"}]},
    })
}

#[rstest]
#[case::kernel_arguments("/kernelArguments/shouldExist/0", json!("c"), "kernelArguments.shouldExist")]
#[case::kernel_arguments_that_shall_go("/kernelArguments/shouldNotExist/0", json!("c"), "kernelArguments.shouldNotExist")]
#[case::all_kernel_arguments("/kernelArguments", json!({"shouldExist": ["a"]}), "kernelArguments.shouldNotExist")]
#[case::how_ignition_fetches("/ignition/timeouts/httpTotal", json!(60), "ignition.timeouts")]
#[case::a_disk("/storage/disks/0/wipeTable", json!(false), "storage.disks[/dev/sda]")]
#[case::raid("/storage/raid/0/level", json!("raid0"), "storage.raid[data]")]
#[case::luks("/storage/luks", json!([]), "storage.luks[root]")]
#[case::a_filesystem("/storage/filesystems/0/format", json!("ext4"), "storage.filesystems[/dev/sda1]")]
#[case::a_group("/passwd/groups/0/gid", json!(9), "passwd.groups[ops]")]
#[case::a_user("/passwd/users/1/uid", json!(8), "passwd.users[ann]")]
#[case::a_password("/passwd/users/0/passwordHash", json!("y"), "passwd.users[core].passwordHash")]
fn what_cannot_change(#[case] at: &str, #[case] value: Value, #[case] field: &str) {
    let mut new = full();
    match new.pointer_mut(at) {
        Some(place) => *place = value,
        None => {
            let (parent, key) = at.rsplit_once('/').unwrap();
            new.pointer_mut(parent).unwrap()[key] = value;
        }
    }
    assert_eq!(fields(&spec(full()), &spec(new.clone())), [field]);
    assert_eq!(fields(&spec(new), &spec(full())), [field], "the way back is closed as well");
}

#[rstest]
#[case::the_version("/ignition/version", json!("3.5.0"))]
#[case::ssh_keys("/passwd/users/0/sshAuthorizedKeys", json!(["k", "l"]))]
#[case::files("/storage/files", json!([]))]
#[case::directories("/storage/directories", json!([]))]
#[case::links("/storage/links", json!([]))]
#[case::units("/systemd", json!({}))]
fn what_can_change(#[case] at: &str, #[case] value: Value) {
    let mut new = full();
    *new.pointer_mut(at).unwrap() = value;
    assert_eq!(check(&spec(full()), &spec(new)), Ok(()));
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
    let mut new = spec(json!({}));
    new.fips = Some(true);
    assert_eq!(
        fields(&spec(full()), &new),
        [
            "ignition.timeouts",
            "kernelArguments.shouldExist",
            "kernelArguments.shouldNotExist",
            "passwd.groups[ops]",
            "passwd.users[ann]",
            "passwd.users[core].passwordHash",
            "spec.fips",
            "storage.disks[/dev/sda]",
            "storage.filesystems[/dev/sda1]",
            "storage.luks[root]",
            "storage.raid[data]",
        ]
    );
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
