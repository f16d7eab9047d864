mod laws;
mod merging;
mod node;
mod page;
mod refusals;

use super::*;
use serde_json::json;

/// A MachineConfig of a role, with a spec as in YAML.
fn machine_config(name: &str, role: &str, spec: Value) -> MachineConfig {
    let labels = json!({names::ROLE_LABEL: role});
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "spec": spec})).unwrap()
}

/// A MachineConfig of the role `worker` with an Ignition configuration, whose version is added.
fn ignition(name: &str, mut config: Value) -> MachineConfig {
    config["ignition"]["version"] = json!("3.4.0");
    machine_config(name, "worker", json!({"config": config}))
}

/// The Ignition configurations `first` and `second`, merged in this order.
fn merged(first: Value, second: Value) -> Result<Rendered, RenderError> {
    render("worker", &[ignition("50-first", first), ignition("60-second", second)])
}

fn file(path: &str, contents: &str) -> Value {
    json!({"path": path, "contents": {"source": format!("data:,{contents}")}})
}

fn files(entries: &[Value]) -> Value {
    json!({"storage": {"files": entries}})
}

fn units(entries: &[Value]) -> Value {
    json!({"systemd": {"units": entries}})
}

/// The automounter of the first users of image layering: a compressed map, and a unit that only the image has.
fn autofs() -> MachineConfig {
    let map = "H4sIAAAAAAACA9MvSyzSL85ILEpNUdBPLUnWTywtydeDCujqlmTmpuaXltgaG3ABAAAioe4qAAAA";
    machine_config(
        "99-worker-automount-autofs",
        "worker-automount",
        json!({"config": {
            "ignition": {"version": "3.4.0"},
            "storage": {"files": [{
                "contents": {"compression": "gzip", "source": format!("data:;base64,{map}")},
                "mode": 384,
                "path": "/etc/auto.master.d/shared.autofs",
                "user": {"name": "root"},
            }]},
            "systemd": {"units": [{"enabled": true, "name": "autofs.service"}]},
        }}),
    )
}
