use onlay_api::machine_configuration::NodeDisruptionPolicy;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::change::disruption::in_force;

fn user(policy: Value) -> NodeDisruptionPolicy {
    serde_json::from_value(policy).unwrap()
}

#[rstest]
#[case::containerd(Some("containerd://1.7.2"), "containerd.service")]
#[case::cri_o(Some("cri-o://1.31.0"), "crio.service")]
#[case::another_runtime(Some("mine://1"), "the container runtime")]
#[case::not_the_shape_of_a_version(Some("containerd"), "the container runtime")]
#[case::no_node_is_known(None, "the container runtime")]
fn the_runtime_has_its_own_unit_on_each_host(#[case] version: Option<&str>, #[case] expected: &str) {
    assert_eq!(HostUnits::of(version).runtime, expected);
}

#[test]
fn the_defaults_are_those_of_the_compatible_api() {
    let crio = HostUnits { runtime: "crio.service".into(), trust: "coreos-update-ca-trust.service".into() };
    let reload = json!([{"type": "Reload", "reload": {"serviceName": "crio.service"}}]);
    assert_eq!(
        serde_json::to_value(in_force(None, &crio)).unwrap(),
        json!({
            "files": [
                {"path": "/var/lib/kubelet/config.json", "actions": [{"type": "None"}]},
                {"path": "/etc/containers/policy.json", "actions": reload},
                {"path": "/etc/containers/registries.conf", "actions": [{"type": "Special"}]},
                {"path": "/etc/containers/registries.d", "actions": reload},
                {"path": "/etc/nmstate/openshift", "actions": [{"type": "None"}]},
                {
                    "path": "/etc/pki/ca-trust/source/anchors/openshift-config-user-ca-bundle.crt",
                    "actions": [
                        {"type": "Restart", "restart": {"serviceName": "coreos-update-ca-trust.service"}},
                        {"type": "Restart", "restart": {"serviceName": "crio.service"}},
                    ],
                },
            ],
            "sshkey": {"actions": [{"type": "None"}]},
        })
    );
}

#[rstest]
#[case::nothing(json!({}), "/files/0/path", json!("/var/lib/kubelet/config.json"))]
#[case::a_file_of_their_own(json!({"files": [{"path": "/etc/a", "actions": [{"type": "Drain"}]}]}),
    "/files/6", json!({"path": "/etc/a", "actions": [{"type": "Drain"}]}))]
#[case::a_default_is_replaced(json!({"files": [{"path": "/etc/containers/registries.conf", "actions": [{"type": "None"}]}]}),
    "/files/5", json!({"path": "/etc/containers/registries.conf", "actions": [{"type": "None"}]}))]
#[case::a_default_written_in_another_way(
    json!({"files": [{"path": "/etc//containers/registries.d/", "actions": [{"type": "Reboot"}]}]}),
    "/files/5", json!({"path": "/etc//containers/registries.d/", "actions": [{"type": "Reboot"}]}))]
#[case::ssh_keys(json!({"sshkey": {"actions": [{"type": "Reboot"}]}}),
    "/sshkey", json!({"actions": [{"type": "Reboot"}]}))]
#[case::units(json!({"units": [{"name": "b.service", "actions": []}, {"name": "a.service", "actions": []}]}),
    "/units", json!([{"name": "a.service", "actions": []}, {"name": "b.service", "actions": []}]))]
fn people_take_precedence(#[case] policy: Value, #[case] at: &str, #[case] expected: Value) {
    let merged = serde_json::to_value(in_force(Some(&user(policy)), &host())).unwrap();
    assert_eq!(merged.pointer(at), Some(&expected), "{merged}");
}

proptest! {
    #[test]
    fn the_order_of_entries_does_not_matter(
        files in prop::collection::btree_set("/etc/(containers/registries.d|[a-c])", 0..4),
        units in prop::collection::btree_set("[a-c].service", 0..3),
    ) {
        let entry = |key: &str, name: &String| json!({key: name, "actions": [{"type": "DaemonReload"}]});
        let mut policy = user(json!({
            "files": files.iter().map(|path| entry("path", path)).collect::<Vec<_>>(),
            "units": units.iter().map(|name| entry("name", name)).collect::<Vec<_>>(),
        }));
        let forward = in_force(Some(&policy), &host());
        policy.files.reverse();
        policy.units.reverse();
        prop_assert_eq!(&in_force(Some(&policy), &host()), &forward);
        let kept = policy.files.iter().all(|own| forward.files.iter().filter(|entry| entry.path == own.path).count() == 1);
        prop_assert!(kept, "{forward:?}");
    }
}
