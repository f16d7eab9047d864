use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{Patch, PatchParams};
use onlay_api::MachineConfigNode;
use onlay_api::machine_config_node::Permit;
use onlay_testkit::objects;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn pods_are_evicted_and_a_budget_that_refuses_is_named() {
    let world = World::new().await;
    world.pool("drain", json!({})).await;
    world.rendered("drain", |_| true).await;
    world.node("drain-0", "drain").await;
    for (name, labels, owner) in [
        ("drain-free", json!({}), json!([])),
        ("drain-cart", json!({"app": "cart"}), json!([])),
        (
            "drain-daemon",
            json!({}),
            json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "1", "controller": true}]),
        ),
    ] {
        let spec = json!({
            "nodeName": "drain-0",
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "i"}],
        });
        let metadata = json!({"labels": labels, "ownerReferences": owner});
        objects::apply(&world.pods, name, json!({"metadata": metadata, "spec": spec})).await.unwrap();
        // A budget only protects pods that run.
        let ready = json!({"type": "Ready", "status": "True"});
        let status = Patch::Merge(json!({"status": {"phase": "Running", "conditions": [ready]}}));
        world.pods.patch_status(name, &PatchParams::default(), &status).await.unwrap();
    }
    // Nobody computes the budget's status here, so the API server lets nothing go.
    let budgets: Api<PodDisruptionBudget> = Api::default_namespaced(world.client.clone());
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "cart"}}});
    objects::apply(&budgets, "cart", json!({"spec": spec})).await.unwrap();

    world.see(&world.states, "drain-0", "made", |_| true).await;
    world.agent("drain-0", "", None).await;
    let stages = |state: &MachineConfigNode| state.spec.onlay.permit == Permit::Stage;
    world.see(&world.states, "drain-0", "permit to stage", stages).await;
    world.agent("drain-0", "", Some("Staged")).await;

    let is_refused = |state: &MachineConfigNode| {
        let conditions = state.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|each| {
            each.type_ == "Drained"
                && each.message.contains("pod default/drain-cart may not be evicted")
                && each.message.contains("disruption budget cart")
        })
    };
    let state = world.see(&world.states, "drain-0", "says which budget refuses", is_refused).await;
    assert_eq!(state.spec.onlay.permit, Permit::Stage);
    assert!(world.pods.get_opt("drain-free").await.unwrap().is_none(), "evicted");
    assert!(world.pods.get_opt("drain-daemon").await.unwrap().is_some(), "its DaemonSet would only make it again");

    let generation = budgets.get("cart").await.unwrap().metadata.generation;
    let status = json!({"status": {
        "observedGeneration": generation,
        "disruptionsAllowed": 1,
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }});
    budgets.patch_status("cart", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let disrupts = |state: &MachineConfigNode| state.spec.onlay.permit == Permit::Disrupt;
    world.see(&world.states, "drain-0", "permit to disrupt", disrupts).await;
    assert!(world.pods.get_opt("drain-cart").await.unwrap().is_none());
}
