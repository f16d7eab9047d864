use super::*;
use crate::render::{desired, render};
use onlay_api::machine_config::MachineConfig;
use onlay_api::names;
use serde_json::{Value, json};

fn machine_config(name: &str, role: &str, spec: &Value) -> MachineConfig {
    let labels = json!({names::ROLE_LABEL: role});
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "spec": spec})).unwrap()
}

fn ignition(name: &str, role: &str, mut config: Value) -> MachineConfig {
    config["ignition"]["version"] = json!("3.4.0");
    machine_config(name, role, &json!({"config": config}))
}

fn of(machine_configs: &[MachineConfig]) -> Origins {
    render("worker", machine_configs).unwrap().origins()
}

#[test]
fn the_last_word_counts_and_those_before_are_named() {
    let motd = |contents: Value| json!({"storage": {"files": [contents]}});
    let all = [
        ignition("10-automount", "automount", motd(json!({"path": "/etc/motd", "mode": 384}))),
        ignition("99-late", "worker", motd(json!({"path": "/etc/motd", "contents": {"source": "data:,b"}}))),
        ignition("50-early", "worker", motd(json!({"path": "/etc/motd", "contents": {"source": "data:,a"}}))),
    ];
    let origins = of(&all);
    let motd = &origins.places["/etc/motd"];
    assert_eq!(motd.of("contents"), Some("99-late"));
    assert_eq!(motd.overridden("contents"), ["50-early"]);
    assert_eq!((motd.of("mode"), motd.overridden("mode")), (Some("10-automount"), [].as_slice()));
    assert_eq!(motd.machine_configs, ["50-early", "99-late", "10-automount"]);
}

#[test]
fn a_thing_of_another_kind_replaces_what_was_there() {
    let all = [
        ignition("50-file", "worker", json!({"storage": {"files": [{"path": "/etc/a", "mode": 420}]}})),
        ignition("60-link", "worker", json!({"storage": {"links": [{"path": "/etc/a", "target": "b"}]}})),
    ];
    let origin = of(&all).places["/etc/a"].clone();
    assert_eq!(origin.replaced, ["50-file"]);
    assert_eq!((origin.of("mode"), origin.of("target")), (None, Some("60-link")));
}

#[test]
fn units_are_told_by_field_and_drop_in() {
    let unit = |unit: Value| json!({"systemd": {"units": [unit]}});
    let all = [
        ignition("50-a", "worker", unit(json!({"name": "a.service", "enabled": false, "contents": "[Service]\n"}))),
        ignition(
            "60-b",
            "worker",
            unit(json!({"name": "a.service", "enabled": true,
            "dropins": [{"name": "10-x.conf", "contents": "[Service]\n"}]})),
        ),
    ];
    let origin = of(&all).units["a.service"].clone();
    assert_eq!((origin.of("enabled"), origin.overridden("enabled")), (Some("60-b"), ["50-a".to_owned()].as_slice()));
    assert_eq!((origin.of("contents"), origin.of("10-x.conf")), (Some("50-a"), Some("60-b")));
}

#[test]
fn kernel_arguments_are_those_of_the_node_in_its_order() {
    let all = [
        machine_config(
            "50-a",
            "worker",
            &json!({"kernelArguments": ["x=1 quiet"], "extensions": ["usbguard"],
            "config": {"ignition": {"version": "3.4.0"}, "kernelArguments": {"shouldExist": ["late"]}}}),
        ),
        machine_config(
            "60-b",
            "worker",
            &json!({"kernelArguments": ["quiet"], "extensions": ["usbguard"],
            "config": {"ignition": {"version": "3.4.0"}, "kernelArguments": {"shouldExist": ["late", "later"]}}}),
        ),
    ];
    let rendered = render("worker", &all).unwrap();
    let origins = rendered.origins();
    let arguments: Vec<&str> = origins.kernel_arguments.iter().map(|(argument, _)| argument.as_str()).collect();
    assert_eq!(arguments, desired::of(&rendered.spec).unwrap().kernel_arguments);
    let names: Vec<&str> = origins.kernel_arguments.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["50-a", "50-a", "60-b", "50-a", "60-b"]);
    assert_eq!(origins.extensions["usbguard"], ["50-a", "60-b"]);
}

#[test]
fn whose_a_path_is_can_be_told_from_annotations() {
    let storage = json!({"files": [{"path": "/etc/motd", "mode": 420}]});
    let dropins = json!([{"name": "10-x.conf", "contents": "[Service]\n"}]);
    let units = json!({"units": [{"name": "a.service", "contents": "[Service]\n", "dropins": dropins}]});
    let all = [
        ignition("50-a", "worker", json!({"storage": storage})),
        ignition("60-b", "worker", json!({"systemd": units, "storage": storage})),
    ];
    let origins = Origins::of_annotations(&render("worker", &all).unwrap().annotations).unwrap();
    let both = ["50-a", "60-b"];
    for (path, names) in [
        ("/etc/motd", &both[..]),
        ("/etc/systemd/system/a.service", &both[1..]),
        ("/etc/systemd/system/a.service.d/10-x.conf", &both[1..]),
        ("/etc/systemd/system/b.service", &[]),
        ("/etc/systemd/system/a.service.wants/10-x.conf", &[]),
        ("/etc/other", &[]),
    ] {
        assert_eq!(origins.at(path), names, "{path}");
    }
    assert_eq!(Origins::of_annotations(&BTreeMap::new()), None);
}
