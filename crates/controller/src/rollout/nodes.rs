//! Writes what was decided for one node, in an order that is safe to be killed in: first the cordon, then what is said
//! about it, and the permit only after both.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use onlay_api::MachineConfigNode;
use onlay_api::names::{CORDONED_ANNOTATION, ROLLOUT_MANAGER};
use onlay_core::rollout::{Cordon, NodeDecision};
use serde_json::{Value, json};

use super::Error;
use crate::apply;
use crate::context::Context;

/// Writes what differs for one node, and answers when to try again if that fails.
pub async fn apply(ctx: &Context, decision: &NodeDecision, now: Timestamp) -> Option<Timestamp> {
    let node = ctx.nodes.get(&decision.name)?;
    let outcome = write(ctx, &node, decision).await;
    if outcome.is_ok() {
        super::note(ctx, &node.object_ref(&()), &decision.notes, now).await;
    }
    ctx.reporter.outcome(&node.object_ref(&()), outcome.map(|()| None), now).await
}

async fn write(ctx: &Context, node: &Node, decision: &NodeDecision) -> Result<(), Error> {
    if let Some(change) = &decision.cordon {
        cordon(ctx, node, decision, change).await?;
    }
    let states: Api<MachineConfigNode> = Api::all(ctx.client.clone());
    let observed = ctx.node_states.get(&decision.name);
    if let (Some(conditions), Some(observed)) = (&decision.conditions, &observed) {
        let desired = json!({"status": {"conditions": conditions}});
        let written = apply::apply_status(&states, ROLLOUT_MANAGER, &decision.name, Some(observed), desired).await?;
        written.into_iter().for_each(|state| ctx.node_states.put(state));
    }
    if let Some(spec) = &decision.spec {
        let desired = spec_json(decision, spec)?;
        let written = apply::apply(&states, ROLLOUT_MANAGER, &decision.name, observed.as_deref(), desired).await?;
        written.into_iter().for_each(|state| ctx.node_states.put(state));
    }
    let api: Api<Node> = Api::all(ctx.client.clone());
    let desired = json!({"metadata": {"annotations": decision.mirror}});
    // The cordon has just changed the node, but none of these annotations.
    let written = apply::apply(&api, ROLLOUT_MANAGER, &decision.name, Some(node), desired).await?;
    written.into_iter().for_each(|node| ctx.nodes.put(node));
    Ok(())
}

/// The whole spec, with a null for each field that may have been there before.
fn spec_json(
    decision: &NodeDecision,
    spec: &onlay_api::machine_config_node::MachineConfigNodeSpec,
) -> Result<Value, Error> {
    let json = |source| Error::Json { kind: "MachineConfigNode", name: decision.name.clone(), source };
    let mut value = serde_json::to_value(spec).map_err(json)?;
    if let Some(fields) = value.as_object_mut() {
        fields.entry("configImage").or_insert(Value::Null);
        if let Some(onlay) = fields.get_mut("onlay").and_then(Value::as_object_mut) {
            onlay.entry("pullSecret").or_insert(Value::Null);
        }
    }
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": decision.name, "uid": decision.uid});
    Ok(json!({"metadata": {"ownerReferences": [owner]}, "spec": value}))
}

/// Changes scheduling and its mark in one write, which fails if somebody else wrote the node since it was observed.
async fn cordon(ctx: &Context, node: &Node, decision: &NodeDecision, change: &Cordon) -> Result<(), Error> {
    let (verb, mark, unschedulable) = match change {
        Cordon::Cordon { mark } => ("cordon", Some(mark), Some(true)),
        Cordon::Uncordon => ("uncordon", None, None::<bool>),
    };
    let patch = json!({
        "metadata": {
            "resourceVersion": node.metadata.resource_version,
            "annotations": {CORDONED_ANNOTATION: mark},
        },
        "spec": {"unschedulable": unschedulable},
    });
    let api: Api<Node> = Api::all(ctx.client.clone());
    let params = PatchParams { field_manager: Some(ROLLOUT_MANAGER.to_owned()), ..PatchParams::default() };
    let written = api.patch(&decision.name, &params, &Patch::Merge(patch)).await;
    let written =
        written.map_err(|source| Error::Cordon { verb, node: decision.name.clone(), source: Box::new(source) })?;
    ctx.nodes.put(written);
    Ok(())
}
