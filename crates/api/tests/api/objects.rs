//! One object of each kind with every field set, and changes to them by path.

use serde_json::{Value, json};

use crate::structure::{group, version};

/// A digest that is well formed.
pub const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// An object of a kind, complete and valid.
pub fn full(kind: &str, name: &str) -> Value {
    let (spec, status) = match kind {
        "MachineConfigPool" => pool(),
        "MachineOSConfig" => os_config(name),
        "MachineOSBuild" => os_build(),
        "MachineConfigNode" => node(name),
        "MachineConfiguration" => configuration(),
        "LayeringPolicy" => (policy(), Value::Null),
        "MachineConfig" => (json!({"config": {"ignition": {"version": "3.5.0"}}}), Value::Null),
        other => panic!("no object of kind {other} is known: add one here"),
    };
    let mut object = json!({
        "apiVersion": format!("{}/{}", group(kind), version(kind)),
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
        "status": status,
    });
    if status.is_null() {
        object.as_object_mut().unwrap().remove("status");
    }
    object
}

fn policy() -> Value {
    json!({"build": {
        "baseImageTag": "Pin",
        "pollIntervalSeconds": 60,
        "cache": {"type": "Volume", "persistentVolumeClaim": {"claimName": "build-cache"}, "sizeLimit": "20Gi"},
        "resources": {"limits": {"cpu": 2, "memory": "4Gi"}, "requests": {"cpu": "500m", "ephemeral-storage": "10Gi"}},
        "nodeSelector": {"example.com/builds": "yes"},
        "tolerations": [
            {"key": "example.com/builds", "operator": "Equal", "value": "only", "effect": "NoExecute", "tolerationSeconds": 60},
        ],
        "priorityClassName": "builds",
        "timeoutSeconds": 3600,
        "retries": 1,
        "containerfile": {"configMapKeyRef": {"name": "worker-image", "key": "Containerfile"}},
        "buildArgs": [{"name": "VERSION", "value": "1.2"}],
        "secrets": [{"id": "token", "secretKeyRef": {"name": "mirror", "key": "token"}}],
        "proxy": {"httpProxy": "http://proxy:3128", "httpsProxy": "http://proxy:3128", "noProxy": ".svc,10.0.0.0/8"},
        "trustedCA": {"name": "corporate-ca"},
        "contexts": [{"name": "tools", "image": format!("registry.example.com:5000/tools/all:1@{DIGEST}")}],
    }})
}

fn condition(type_: &str, status: &str) -> Value {
    let time = "2025-01-01T00:00:00Z";
    json!({"type": type_, "status": status, "reason": "Test", "message": "", "lastTransitionTime": time})
}

fn pool() -> (Value, Value) {
    let spec = json!({"osImageStream": {"name": "stable"}});
    let status = json!({
        "configuration": {"name": "rendered-worker-1"},
        "machineCount": 3, "readyMachineCount": 2, "updatedMachineCount": 1, "degradedMachineCount": 0,
        "conditions": [condition("Updated", "False"), condition("Updating", "True"), condition("Degraded", "False")],
        "osImageStream": {"name": "stable"},
        "poolSynchronizersStatus": [{
            "poolSynchronizerType": "PinnedImageSets",
            "machineCount": 3, "updatedMachineCount": 3, "availableMachineCount": 3,
            "unavailableMachineCount": 3, "readyMachineCount": 3, "observedGeneration": 5,
        }],
    });
    (spec, status)
}

fn os_config(name: &str) -> (Value, Value) {
    let spec = json!({
        "machineConfigPool": {"name": name},
        "imageBuilder": {"imageBuilderType": "Job"},
        "baseImagePullSecret": {"name": "pull"},
        "renderedImagePushSecret": {"name": "push"},
        "renderedImagePushSpec": "registry.example.com/os/node:latest",
        "containerFile": [{"content": "FROM configs AS final"}],
    });
    let status = json!({
        "observedGeneration": 5,
        "conditions": [condition("ImageReady", "True")],
        "currentImagePullSpec": format!("registry.example.com/os/node@{DIGEST}"),
        "machineOSBuild": reference("machineosbuilds"),
    });
    (spec, status)
}

fn reference(resource: &str) -> Value {
    json!({"group": "example.com", "resource": resource, "namespace": "somewhere", "name": "one"})
}

fn os_build() -> (Value, Value) {
    let spec = json!({
        "machineConfig": {"name": "rendered-worker-1"},
        "machineOSConfig": {"name": "worker"},
        "renderedImagePushSpec": "registry.example.com/os/node:latest",
    });
    let status = json!({
        "buildStart": "2025-01-01T00:00:00Z",
        "buildEnd": "2025-01-01T00:01:00Z",
        "builder": {"imageBuilderType": "Job", "job": reference("jobs")},
        "conditions": [condition("Building", "True")],
        "digestedImagePushSpec": format!("registry.example.com/os/node@{DIGEST}"),
        "relatedObjects": [reference("configmaps")],
    });
    (spec, status)
}

fn node(name: &str) -> (Value, Value) {
    let image = format!("registry.example.com/a/b/c/node@{DIGEST}");
    let spec = json!({
        "node": {"name": name},
        "pool": {"name": "worker"},
        "configVersion": {"desired": "rendered-worker-1"},
        "configImage": {"desiredImage": image},
        "onlay": {"permit": "Hold", "pullSecret": "pull"},
    });
    let status = json!({
        "observedGeneration": 5,
        "conditions": [condition("Updated", "True"), condition("AppliedFilesAndOS", "False")],
        "configVersion": {"current": "rendered-worker-0", "desired": "rendered-worker-1"},
        "configImage": {"currentImage": image, "desiredImage": image},
        "onlay": {
            "bootId": "01234567-89ab-cdef-0123-456789abcdef",
            "adoptedImage": image,
            "deployments": [
                {"id": "os/1.0", "image": image, "digest": DIGEST, "booted": true, "staged": false, "confirmed": true},
            ],
            "update": {
                "config": "rendered-worker-1", "image": image, "phase": "Staged", "needs": "Reboot",
                "step": "stage", "message": "waits",
            },
        },
        "irreconcilableChanges": [{"fieldPath": "spec.fips", "diff": "on"}],
        "pinnedImageSets": [{
            "name": "set", "currentGeneration": 3, "desiredGeneration": 4, "lastFailedGeneration": 2,
            "lastFailedGenerationError": "no space",
        }],
        "internalReleaseImage": {"releases": [{
            "name": "ocp-release-bundle-4.20.1-x86_64",
            "image": format!("registry.example.com/os/release@{DIGEST}"),
            "conditions": [condition("Available", "True")],
        }]},
    });
    (spec, status)
}

fn configuration() -> (Value, Value) {
    let actions = json!([
        {"type": "Drain"},
        {"type": "Reload", "reload": {"serviceName": "crio.service"}},
        {"type": "Restart", "restart": {"serviceName": "chronyd.service"}},
        {"type": "DaemonReload"},
    ]);
    let policies = json!({
        "files": [{"path": "/etc/chrony.conf", "actions": actions}],
        "sshkey": {"actions": [{"type": "None"}]},
        "units": [{"name": "chronyd.service", "actions": [{"type": "Reboot"}]}],
    });
    let mut in_force = policies.clone();
    in_force["files"][0]["actions"] = json!([{"type": "Special"}]);
    let spec = json!({
        "logLevel": "Normal", "managementState": "Managed", "operatorLogLevel": "Normal",
        "nodeDisruptionPolicy": policies,
    });
    let status = json!({"observedGeneration": 5, "nodeDisruptionPolicyStatus": {"clusterPolicies": in_force}});
    (spec, status)
}

/// Changes the value at a path such as `status.relatedObjects[*].name`; `[*]` is the first item, null removes.
pub fn set(object: &mut Value, path: &str, value: Value) {
    let pointer = format!("/{}", path.replace("[*]", ".0").replace('.', "/"));
    if value.is_null() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
    } else {
        *object.pointer_mut(&pointer).unwrap_or_else(|| panic!("{path} is not set in the full object: set it")) = value;
    }
}

/// Changes an object by several paths.
pub fn with(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (path, value) in changes {
        set(&mut object, path, value.clone());
    }
    object
}
