//! The whole way from MachineConfigs that people write to what their nodes go through.

use onlay_api::{MachineConfig, MachineConfigSpec};
use serde_json::{Value, json};

use super::host;
use crate::change::diff::{State, between};
use crate::change::disruption::{Rebuild, assess, in_force};
use crate::change::refusal;
use crate::render::{desired, render};

fn rendered(mut config: Value) -> MachineConfigSpec {
    config["ignition"] = json!({"version": "3.4.0"});
    let spec = MachineConfigSpec { config, ..MachineConfigSpec::default() };
    render("worker", &[MachineConfig::new("50-worker", spec)]).unwrap().spec
}

/// What changes, with what each of it costs, and the sum.
fn foreseen(old: &MachineConfigSpec, new: &MachineConfigSpec) -> (Vec<String>, String) {
    let (before, after) = (desired::of(old).unwrap(), desired::of(new).unwrap());
    let diff =
        between(State { spec: old, desired: &before, image: None }, State { spec: new, desired: &after, image: None });
    let assessment = assess(&diff, &in_force(None, &host()), &host(), Rebuild::NotLayered);
    let costs = assessment.costs.iter().map(|cost| format!("{}: {}", cost.change.subject(), cost.disruption));
    (costs.collect(), assessment.total.to_string())
}

#[test]
fn another_way_to_write_the_same_contents_is_no_change() {
    let with = |contents: Value| rendered(json!({"storage": {"files": [{"path": "/etc/motd", "contents": contents}]}}));
    let plain = with(json!({"source": "data:,hello%0A"}));
    let base64 = with(json!({"source": "data:;base64,aGVsbG8K"}));
    assert_ne!(plain, base64);
    assert_eq!(foreseen(&plain, &base64), (vec![], "nothing to do on the node".to_owned()));
}

#[test]
fn what_people_write_is_what_their_nodes_go_through() {
    let old = rendered(json!({}));
    let new = rendered(json!({
        "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 AAAA one"]}]},
        "storage": {"files": [{"path": "/etc/containers/policy.json", "contents": {"source": "data:,%7B%7D"}}]},
    }));
    let (costs, total) = foreseen(&old, &new);
    assert_eq!(
        costs,
        ["file /etc/containers/policy.json: reload crio.service", "SSH keys of core: nothing to do on the node",]
    );
    assert_eq!(total, "reload crio.service");
    assert_eq!(refusal::check(&old, &new), Ok(()));
}

#[test]
fn arguments_of_ignition_are_refused_and_those_of_the_machine_config_are_not() {
    let old = rendered(json!({}));
    let of_ignition = rendered(json!({"kernelArguments": {"shouldExist": ["quiet"]}}));
    let refused = refusal::check(&old, &of_ignition).unwrap_err();
    assert_eq!(refused.refusals[0].field, "kernelArguments.shouldExist");
    let mut own = old.clone();
    own.kernel_arguments = vec!["quiet".into()];
    assert_eq!(refusal::check(&old, &own), Ok(()));
    assert_eq!(foreseen(&old, &own), (vec!["kernel arguments: drain, reboot".into()], "drain, reboot".into()));
}
