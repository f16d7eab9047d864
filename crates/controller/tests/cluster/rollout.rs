use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, Patch, PatchParams};
use onlay_api::MachineConfigNode;
use onlay_api::conditions::{NodeConditionType, is_true};
use onlay_api::machine_config_node::Permit;
use onlay_api::names::{CORDONED_ANNOTATION, CURRENT_CONFIG_ANNOTATION, DESIRED_CONFIG_ANNOTATION, STATE_ANNOTATION};
use serde_json::json;

use crate::world::{BASE, World};

fn permits(permit: Permit) -> impl Fn(&MachineConfigNode) -> bool {
    move |state| state.spec.onlay.permit == permit
}

fn asks_for(config: &str, permit: Permit) -> impl Fn(&MachineConfigNode) -> bool {
    move |state| state.spec.config_version.desired == config && state.spec.onlay.permit == permit
}

fn is_cordoned(node: &Node) -> bool {
    let annotations = node.metadata.annotations.as_ref();
    let is_ours = annotations.is_some_and(|all| all.contains_key(CORDONED_ANNOTATION));
    node.spec.as_ref().unwrap().unschedulable == Some(true) && is_ours
}

fn annotation<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Plays the agent from the permit to stage until the node is updated.
async fn update(world: &World, node: &str, from: &str, to: &str) {
    world.see(&world.states, node, "permit to stage", asks_for(to, Permit::Stage)).await;
    world.agent(node, from, Some("Preparing")).await;
    world.agent(node, from, Some("Staged")).await;
    world.see(&world.states, node, "permit to disrupt", asks_for(to, Permit::Disrupt)).await;
    world.agent(node, from, Some("Rebooting")).await;
    world.agent(node, to, Some("Done")).await;
    world.see(&world.states, node, "permit taken back", permits(Permit::Hold)).await;
}

#[tokio::test]
async fn a_node_is_met_and_taken_through_an_update() {
    let world = World::new().await;
    world.pool("flow", json!({})).await;
    let first = world.rendered("flow", |_| true).await;
    world.node("flow-0", "flow").await;
    let state = world.see(&world.states, "flow-0", "made", |_| true).await;
    assert_eq!((state.spec.onlay.permit, state.spec.config_image), (Permit::Hold, None));
    assert_eq!(state.metadata.owner_references.unwrap()[0].kind, "Node");

    world.agent("flow-0", "", None).await;
    let state = world.see(&world.states, "flow-0", "permit to stage", permits(Permit::Stage)).await;
    assert_eq!(state.spec.config_image.unwrap().desired_image, BASE);
    world.agent("flow-0", &first, Some("Done")).await;
    let pool = world.columns("flow", "True False False 1 1 1 0").await;
    assert_eq!(pool.status.unwrap().configuration.unwrap().name, first);

    world.file("50-flow", "flow", "/etc/flow", "1").await;
    let second = world.rendered("flow", |sources| sources == ["50-flow"]).await;
    world.see(&world.states, "flow-0", "permit to stage", asks_for(&second, Permit::Stage)).await;
    world.agent("flow-0", &first, Some("Staged")).await;
    let node = world.see(&world.nodes, "flow-0", "cordoned", is_cordoned).await;
    assert_eq!(annotation(&node, CURRENT_CONFIG_ANNOTATION), Some(first.as_str()));
    assert_eq!(annotation(&node, DESIRED_CONFIG_ANNOTATION), Some(second.as_str()));
    let state = world.see(&world.states, "flow-0", "permit to disrupt", permits(Permit::Disrupt)).await;
    let conditions = state.status.unwrap().conditions;
    assert!(is_true(&conditions, NodeConditionType::Cordoned) && is_true(&conditions, NodeConditionType::Drained));
    let pool = world.columns("flow", "False True False 1 0 0 0").await;
    assert_eq!(pool.status.unwrap().configuration.unwrap().name, first, "the last that all nodes had");

    world.agent("flow-0", &second, Some("Done")).await;
    let node = world.see(&world.nodes, "flow-0", "uncordoned", |node| !is_cordoned(node)).await;
    assert_eq!(node.spec.unwrap().unschedulable, None);
    world.columns("flow", "True False False 1 1 1 0").await;
    let node =
        world.see(&world.nodes, "flow-0", "Done", |node| annotation(node, STATE_ANNOTATION) == Some("Done")).await;
    assert_eq!(annotation(&node, CURRENT_CONFIG_ANNOTATION), Some(second.as_str()));
    let state = world.states.get("flow-0").await.unwrap();
    assert!(is_true(&state.status.unwrap().conditions, NodeConditionType::Uncordoned));
}

#[tokio::test]
async fn a_paused_pool_holds_its_node_and_shows_nothing_but_false() {
    let world = World::new().await;
    world.pool("paused", json!({"paused": true})).await;
    world.rendered("paused", |_| true).await;
    world.columns("paused", "True False False 0 0 0 0").await;
    world.node("paused-0", "paused").await;
    world.see(&world.states, "paused-0", "made", |_| true).await;
    world.agent("paused-0", "", None).await;
    let pool = world.columns("paused", "False False False 1 0 0 0").await;
    assert!(pool.status.unwrap().configuration.is_some(), "as in the seeds, the column CONFIG stays");
    assert_eq!(world.states.get("paused-0").await.unwrap().spec.onlay.permit, Permit::Hold);

    let unpause = Patch::Merge(json!({"spec": {"paused": false}}));
    world.pools.patch("paused", &PatchParams::default(), &unpause).await.unwrap();
    world.see(&world.states, "paused-0", "permit to stage", permits(Permit::Stage)).await;
    world.columns("paused", "False True False 1 0 0 0").await;
}

#[tokio::test]
async fn one_node_goes_at_a_time() {
    let world = World::new().await;
    world.pool("pair", json!({})).await;
    world.file("50-pair", "pair", "/etc/pair", "1").await;
    let target = world.rendered("pair", |sources| sources == ["50-pair"]).await;
    for node in ["pair-0", "pair-1"] {
        world.node(node, "pair").await;
        world.see(&world.states, node, "made", |_| true).await;
        world.agent(node, "", None).await;
        world.see(&world.states, node, "permit to stage", permits(Permit::Stage)).await;
    }
    world.agent("pair-0", "", Some("Staged")).await;
    world.see(&world.states, "pair-0", "permit to disrupt", permits(Permit::Disrupt)).await;
    world.agent("pair-1", "", Some("Staged")).await;
    let waits = |state: &MachineConfigNode| {
        let conditions = state.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|each| {
            each.type_ == "Cordoned"
                && each.message == "waiting for pair-0: at most 1 of the pool may be out of service"
        })
    };
    let state = world.see(&world.states, "pair-1", "waits for the slot", waits).await;
    assert_eq!(state.spec.onlay.permit, Permit::Stage);
    world.agent("pair-0", &target, Some("Done")).await;
    world.see(&world.states, "pair-1", "permit to disrupt", permits(Permit::Disrupt)).await;
    world.agent("pair-1", &target, Some("Done")).await;
    world.columns("pair", "True False False 2 2 2 0").await;
}

#[tokio::test]
async fn a_node_that_went_back_degrades_its_pool_and_returns_to_service() {
    let world = World::new().await;
    world.pool("back", json!({})).await;
    let first = world.rendered("back", |_| true).await;
    world.node("back-0", "back").await;
    world.see(&world.states, "back-0", "made", |_| true).await;
    world.agent("back-0", "", None).await;
    update(&world, "back-0", "", &first).await;
    world.file("50-back", "back", "/etc/back", "1").await;
    let second = world.rendered("back", |sources| sources == ["50-back"]).await;
    world.see(&world.states, "back-0", "permit to stage", asks_for(&second, Permit::Stage)).await;
    world.agent("back-0", &first, Some("Staged")).await;
    world.see(&world.states, "back-0", "permit to disrupt", permits(Permit::Disrupt)).await;
    world.agent("back-0", &first, Some("RolledBack")).await;
    let pool = world.columns("back", "False False True 1 0 0 1").await;
    let conditions = pool.status.unwrap().conditions;
    let degraded = conditions.iter().find(|each| each.type_ == "NodeDegraded").unwrap();
    assert_eq!(degraded.message, "back-0: went back to the system it had before: said by the agent");
    world.see(&world.nodes, "back-0", "in service", |node| !is_cordoned(node)).await;

    world.file("50-back", "back", "/etc/back", "2").await;
    let third = world.rendered_anew("back", &second).await;
    update(&world, "back-0", &first, &third).await;
    world.columns("back", "True False False 1 1 1 0").await;
}

#[tokio::test]
async fn a_node_made_anew_is_met_anew() {
    let world = World::new().await;
    world.pool("anew", json!({})).await;
    world.rendered("anew", |_| true).await;
    world.node("anew-0", "anew").await;
    let first = world.see(&world.states, "anew-0", "made", |_| true).await;
    world.nodes.delete("anew-0", &DeleteParams::default()).await.unwrap();
    world.node("anew-0", "anew").await;
    let is_new = |state: &MachineConfigNode| state.metadata.uid != first.metadata.uid;
    let second = world.see(&world.states, "anew-0", "another one", is_new).await;
    let owner = second.metadata.owner_references.unwrap().remove(0);
    assert_eq!(Some(owner.uid), world.nodes.get("anew-0").await.unwrap().metadata.uid);
}

#[tokio::test]
async fn nothing_is_written_when_nothing_differs() {
    let world = World::new().await;
    world.pool("still", json!({})).await;
    let target = world.rendered("still", |_| true).await;
    world.node("still-0", "still").await;
    world.see(&world.states, "still-0", "made", |_| true).await;
    world.agent("still-0", "", None).await;
    update(&world, "still-0", "", &target).await;
    world.columns("still", "True False False 1 1 1 0").await;
    world.see(&world.nodes, "still-0", "Done", |node| annotation(node, STATE_ANNOTATION) == Some("Done")).await;
    let version = async || {
        (
            world.pools.get("still").await.unwrap().metadata.resource_version,
            world.states.get("still-0").await.unwrap().metadata.resource_version,
            world.nodes.get("still-0").await.unwrap().metadata.resource_version,
        )
    };
    let before = version().await;
    // A new pool makes render and rollout look at everything once more.
    world.pool("other", json!({})).await;
    world.columns("other", "True False False 0 0 0 0").await;
    assert_eq!(version().await, before);
}
