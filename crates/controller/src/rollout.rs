//! Brings every node to the target of its pool: the only writer of pool status, of MachineConfigNode specs, of cordons.
//!
//! [`onlay_core::rollout::decide`] says what shall be; here it is observed and written. Of the pods, only those of nodes
//! that are being drained are watched.

mod drains;
mod nodes;

use std::convert::Infallible;
use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Resource};
use onlay_api::names::ROLLOUT_MANAGER;
use onlay_api::{MachineConfigNode, MachineConfigPool};
use onlay_core::rollout::{Controller, Decision, Note, Observed, Orphan, PoolDecision, decide};
use serde_json::json;

use self::drains::Drains;
use crate::apply;
use crate::context::Context;
use crate::report::{Category, Notice, Reportable};
use crate::wake::{earliest, repeat};

/// Why a decision could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A write failed.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// Scheduling of a node could not be changed.
    #[error("failed to {verb} Node {node}")]
    Cordon {
        /// `cordon` or `uncordon`.
        verb: &'static str,
        /// Name of the node.
        node: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// A MachineConfigNode whose node is gone could not be deleted.
    #[error("failed to delete MachineConfigNode {name}, whose node is gone")]
    Delete {
        /// Name of the object.
        name: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// What shall be written is no JSON.
    #[error("failed to write {kind} {name} as JSON")]
    Json {
        /// Kind of the object.
        kind: &'static str,
        /// Name of the object.
        name: String,
        /// What the serializer says.
        source: serde_json::Error,
    },
}

impl Reportable for Error {
    fn category(&self) -> Category {
        match self {
            Self::Apply(error) => error.category(),
            Self::Cordon { source, .. } | Self::Delete { source, .. } => Category::of(source),
            Self::Json { .. } => Category::Internal,
        }
    }
}

/// Rolls out, whenever a node, a pool or what they shall run changes.
pub async fn run(ctx: Arc<Context>) -> Infallible {
    let controller =
        Controller { node: ctx.config.node.clone(), pod: format!("{}/{}", ctx.config.namespace, ctx.config.identity) };
    let mut drains = Drains::default();
    repeat(&ctx.wakes.rollout, async |now| pass(&ctx, &controller, &mut drains, now).await).await
}

async fn pass(ctx: &Context, controller: &Controller, drains: &mut Drains, now: Timestamp) -> Option<Timestamp> {
    let decision = decide(
        &Observed {
            pools: &ctx.pools.all(),
            nodes: &ctx.nodes.all(),
            node_states: &ctx.node_states.all(),
            configs: &ctx.configs.all(),
            os_configs: &ctx.os_configs.all(),
            os_builds: &ctx.os_builds.all(),
            drains: &drains.views(),
            controller,
            drain_deadline: SignedDuration::try_from(ctx.config.drain_deadline).unwrap_or(SignedDuration::MAX),
        },
        now,
    );
    apply(ctx, decision, drains, now).await
}

/// Writes what differs; what fails on one object keeps none of the others from being written.
async fn apply(ctx: &Context, decision: Decision, drains: &mut Drains, now: Timestamp) -> Option<Timestamp> {
    drains.follow(ctx, &decision.nodes);
    let orphans = join_all(decision.orphans.iter().map(|orphan| remove(ctx, orphan, now))).await;
    let nodes = join_all(decision.nodes.iter().map(|node| nodes::apply(ctx, node, now))).await;
    let pools = join_all(decision.pools.iter().map(|pool| write_pool(ctx, pool, now))).await;
    drains.evict(ctx, &decision.nodes, now).await;
    [orphans, nodes, pools].into_iter().flatten().fold(decision.again, earliest)
}

async fn remove(ctx: &Context, orphan: &Orphan, now: Timestamp) -> Option<Timestamp> {
    let state = ctx.node_states.get(&orphan.name)?;
    let api: Api<MachineConfigNode> = Api::all(ctx.client.clone());
    let preconditions = Preconditions { uid: orphan.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let outcome = match api.delete(&orphan.name, &params).await {
        Ok(_) => Ok(None),
        Err(error) if Category::of(&error) == Category::Conflict => Ok(None),
        Err(error) => Err(Error::Delete { name: orphan.name.clone(), source: Box::new(error) }),
    };
    ctx.reporter.outcome(&state.object_ref(&()), outcome, now).await
}

async fn write_pool(ctx: &Context, decision: &PoolDecision, now: Timestamp) -> Option<Timestamp> {
    let pool = ctx.pools.get(&decision.name)?;
    let outcome = write_status(ctx, &pool, decision).await;
    if let Ok(true) = outcome {
        note(ctx, &pool.object_ref(&()), &decision.notes, now).await;
    }
    ctx.reporter.outcome(&pool.object_ref(&()), outcome.map(|_| None), now).await
}

async fn write_status(ctx: &Context, pool: &MachineConfigPool, decision: &PoolDecision) -> Result<bool, Error> {
    let Some(status) = &decision.status else { return Ok(false) };
    let json = |source| Error::Json { kind: "MachineConfigPool", name: decision.name.clone(), source };
    let desired = json!({"status": serde_json::to_value(status).map_err(json)?});
    let api: Api<MachineConfigPool> = Api::all(ctx.client.clone());
    let written = apply::apply_status(&api, ROLLOUT_MANAGER, &decision.name, Some(pool), desired).await?;
    Ok(written.map(|pool| ctx.pools.put(pool)).is_some())
}

/// Tells what a decision found worth telling.
async fn note(ctx: &Context, object: &k8s_openapi::api::core::v1::ObjectReference, notes: &[Note], now: Timestamp) {
    for note in notes {
        let notice = Notice { warning: note.warning, reason: note.reason, action: "Rollout", note: note.text.clone() };
        ctx.reporter.notice(object, &notice, now).await;
    }
}
