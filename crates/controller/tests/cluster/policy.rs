use kube::Api;
use kube::api::PostParams;
use onlay_api::machine_configuration::{EffectiveActionType, NAME};
use onlay_api::{MachineConfiguration, MachineConfigurationSpec};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_policy_in_force_is_shown_and_follows_the_object() {
    let world = World::new().await;
    world.node("of-the-policy", "nobody").await;
    world.runtime("of-the-policy", "cri-o://1.32.1").await;
    let all: Api<MachineConfiguration> = Api::all(world.client.clone());
    let policy = json!({"files": [{"path": "/etc/example", "actions": [{"type": "None"}]}]});
    let spec = MachineConfigurationSpec {
        node_disruption_policy: Some(serde_json::from_value(policy).unwrap()),
        ..MachineConfigurationSpec::default()
    };
    all.create(&PostParams::default(), &MachineConfiguration::new(NAME, spec)).await.unwrap();
    let is_shown = |object: &MachineConfiguration| {
        object.status.as_ref().is_some_and(|status| status.observed_generation == Some(1))
    };
    let shown = world.see(&all, NAME, "shown", is_shown).await;
    let policies = shown.status.unwrap().node_disruption_policy_status.unwrap().cluster_policies.unwrap();
    let paths: Vec<_> = policies.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!((paths.first(), paths.last()), (Some(&"/var/lib/kubelet/config.json"), Some(&"/etc/example")));
    let json = policies.files.iter().find(|file| file.path == "/etc/containers/policy.json").unwrap();
    assert_eq!(json.actions[0].type_, EffectiveActionType::Reload);
    assert_eq!(json.actions[0].reload.as_ref().unwrap().service_name, "crio.service");
}
