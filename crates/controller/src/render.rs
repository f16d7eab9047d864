//! Renders the MachineConfigs of every pool into one configuration, and makes it the pool's target.
//!
//! A configuration that cannot be rendered leaves the target as it is; why is written to an annotation of the pool,
//! from which rollout, the only writer of the pool's status, makes a condition.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};
use onlay_api::names::{GENERATED_BY_ANNOTATION, RENDER_ERROR_ANNOTATION, RENDER_MANAGER};
use onlay_api::{MachineConfig, MachineConfigPool};
use onlay_core::change::refusal;
use onlay_core::pools::machine_configs_of;
use onlay_core::render::{Rendered, Warning, render};
use serde_json::{Value, json};

use crate::apply;
use crate::context::Context;
use crate::report::{Category, Notice, Reportable, chain};
use crate::wake::{earliest, repeat};

/// Why the outcome of rendering could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A write failed.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// The configuration is no JSON.
    #[error("failed to write MachineConfig {name} as JSON")]
    Json {
        /// Name of the rendered configuration.
        name: String,
        /// What the serializer says.
        source: serde_json::Error,
    },
}

impl Reportable for Error {
    fn category(&self) -> Category {
        match self {
            Self::Apply(error) => error.category(),
            Self::Json { .. } => Category::Internal,
        }
    }
}

/// What a pool was rendered from: name, UID and generation of each MachineConfig.
type Inputs = Vec<(String, Option<String>, Option<i64>)>;

/// What is remembered of each pool.
type Known = BTreeMap<String, Memory>;

/// What is remembered of one pool.
#[derive(Debug, Default)]
struct Memory {
    /// The newest rendering, so that only a change of its inputs makes the pool be rendered again.
    newest: Option<(Inputs, Outcome)>,
    /// The warnings of the newest rendering, which people have been told; none before the first one.
    told: Option<BTreeSet<Warning>>,
}

/// What rendering gave.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// Name and sources of the configuration.
    Rendered { name: String, sources: Vec<String> },
    /// Why there is none.
    Failed(String),
}

/// Renders all pools, whenever a pool or a MachineConfig changes.
pub async fn run(ctx: Arc<Context>) -> Infallible {
    let mut known = Known::new();
    repeat(&ctx.wakes.render, async |now| pass(&ctx, &mut known, now).await).await
}

async fn pass(ctx: &Context, known: &mut Known, now: Timestamp) -> Option<Timestamp> {
    let (pools, configs) = (ctx.pools.all(), ctx.configs.all());
    known.retain(|name, _| pools.iter().any(|pool| pool.name_any() == *name));
    let mut again = None;
    for pool in pools.iter().filter(|pool| pool.metadata.deletion_timestamp.is_none()) {
        let outcome = reconcile(ctx, pool, &configs, known, now).await;
        again = earliest(again, ctx.reporter.outcome(&pool.object_ref(&()), outcome.map(|()| None), now).await);
    }
    again
}

async fn reconcile(
    ctx: &Context,
    pool: &MachineConfigPool,
    configs: &[Arc<MachineConfig>],
    known: &mut Known,
    now: Timestamp,
) -> Result<(), Error> {
    let name = pool.name_any();
    let selected = match machine_configs_of(pool, configs.iter().map(|config| &**config)) {
        Ok(selected) => selected,
        Err(error) => return target(ctx, pool, &Outcome::Failed(chain(&error))).await,
    };
    let inputs: Inputs = selected.iter().map(|each| (each.name_any(), each.uid(), each.metadata.generation)).collect();
    let memory = known.entry(name.clone()).or_default();
    if let Some((_, outcome)) = memory.newest.as_ref().filter(|(before, it)| *before == inputs && exists(ctx, it)) {
        return target(ctx, pool, &possible(ctx, pool, outcome.clone())).await;
    }
    let outcome = match render(&name, selected) {
        Ok(rendered) => {
            warn(ctx, pool, &rendered, &mut memory.told, now).await;
            write(ctx, pool, &rendered).await?;
            Outcome::Rendered { name: rendered.name, sources: rendered.sources }
        }
        Err(error) => Outcome::Failed(chain(&error)),
    };
    target(ctx, pool, &possible(ctx, pool, outcome.clone())).await?;
    memory.newest = Some((inputs, outcome));
    Ok(())
}

/// The same outcome, unless the pool's nodes cannot get there from what all of them run.
fn possible(ctx: &Context, pool: &MachineConfigPool, outcome: Outcome) -> Outcome {
    let Outcome::Rendered { name, .. } = &outcome else { return outcome };
    let status = pool.status.as_ref().filter(|status| status.machine_count > 0);
    let running = status.and_then(|status| ctx.configs.get(&status.configuration.as_ref()?.name));
    let (Some(running), Some(wanted)) = (running, ctx.configs.get(name)) else { return outcome };
    match refusal::check(&running.spec, &wanted.spec) {
        Ok(()) => outcome,
        Err(refused) => Outcome::Failed(chain(&refused)),
    }
}

fn exists(ctx: &Context, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Rendered { name, .. } => ctx.configs.get(name).is_some(),
        Outcome::Failed(_) => true,
    }
}

/// Tells people what was accepted but probably not meant, each thing once.
async fn warn(
    ctx: &Context,
    pool: &MachineConfigPool,
    rendered: &Rendered,
    told: &mut Option<BTreeSet<Warning>>,
    now: Timestamp,
) {
    let is_new = ctx.configs.get(&rendered.name).is_none();
    for warning in to_tell(&rendered.warnings, told.as_ref(), is_new) {
        let notice = Notice { warning: true, reason: "Suspicious", action: "Render", note: warning.to_string() };
        ctx.reporter.notice(&pool.object_ref(&()), &notice, now).await;
    }
    *told = Some(rendered.warnings.iter().cloned().collect());
}

/// The warnings that people have not been told. A controller that has just begun knows nothing of what was told: it takes
/// the warnings of a configuration that was there already for told.
fn to_tell<'a>(warnings: &'a [Warning], told: Option<&BTreeSet<Warning>>, is_new: bool) -> Vec<&'a Warning> {
    let is_told = |warning: &Warning| told.map_or(!is_new, |told| told.contains(warning));
    warnings.iter().filter(|warning| !is_told(warning)).collect()
}

/// Writes the rendered configuration.
async fn write(ctx: &Context, pool: &MachineConfigPool, rendered: &Rendered) -> Result<(), Error> {
    let json = |value| value_of(&rendered.name, value);
    let mut annotations = rendered.annotations.clone();
    annotations.insert(GENERATED_BY_ANNOTATION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let desired = json!({
        "metadata": {
            "annotations": annotations,
            "ownerReferences": [json(serde_json::to_value(pool.controller_owner_ref(&())))?],
        },
        "spec": json(serde_json::to_value(&rendered.spec))?,
    });
    let api = Api::all(ctx.client.clone());
    let observed = ctx.configs.get(&rendered.name);
    if let Some(written) = apply::apply(&api, RENDER_MANAGER, &rendered.name, observed.as_deref(), desired).await? {
        let (pool, name) = (pool.name_any(), &rendered.name);
        match observed {
            None => tracing::info!(pool, name, sources = ?rendered.sources, "rendered a configuration"),
            Some(_) => tracing::debug!(pool, name, "mended a rendered configuration"),
        }
        ctx.configs.put(written);
    }
    Ok(())
}

fn value_of(name: &str, value: Result<Value, serde_json::Error>) -> Result<Value, Error> {
    value.map_err(|source| Error::Json { name: name.to_owned(), source })
}

/// Makes a rendered configuration the target of its pool, or says why there is none.
async fn target(ctx: &Context, pool: &MachineConfigPool, outcome: &Outcome) -> Result<(), Error> {
    let (configuration, error) = match outcome {
        Outcome::Rendered { name, sources } => (reference(name, sources), None),
        Outcome::Failed(error) => {
            let kept = serde_json::to_value(&pool.spec.configuration);
            (value_of(&pool.name_any(), kept)?, Some(error))
        }
    };
    let desired = json!({
        "metadata": {"annotations": {RENDER_ERROR_ANNOTATION: error}},
        "spec": {"configuration": configuration},
    });
    let api = Api::all(ctx.client.clone());
    if let Some(written) = apply::apply(&api, RENDER_MANAGER, &pool.name_any(), Some(pool), desired).await? {
        tell_target(pool, outcome);
        ctx.pools.put(written);
    }
    Ok(())
}

/// Logs what was written to a pool: that its target moved, or why it cannot.
fn tell_target(pool: &MachineConfigPool, outcome: &Outcome) {
    let (name, before) = (pool.name_any(), pool.spec.configuration.as_ref().map(|before| before.name.as_str()));
    match outcome {
        Outcome::Failed(error) => {
            tracing::warn!(pool = name, error, "the pool cannot be rendered; it keeps its target")
        }
        Outcome::Rendered { name: target, .. } if before != Some(target) => {
            tracing::info!(pool = name, target, "the pool has another target");
        }
        Outcome::Rendered { name: target, .. } => tracing::debug!(pool = name, target, "the pool keeps its target"),
    }
}

fn reference(name: &str, sources: &[String]) -> Value {
    let reference = |name: &String| json!({"apiVersion": MachineConfig::api_version(&()), "kind": MachineConfig::kind(&()), "name": name});
    json!({"name": name, "source": sources.iter().map(reference).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Warning, to_tell};

    fn warnings(fields: &[&str]) -> Vec<Warning> {
        let one = |field: &&str| Warning { machine_config: "a".into(), field: (*field).into(), text: "is odd".into() };
        fields.iter().map(one).collect()
    }

    #[rstest]
    #[case::all_of_a_first_rendering(&["x", "y"], None, true, &["x", "y"])]
    #[case::none_of_what_was_there_when_the_controller_began(&["x", "y"], None, false, &[])]
    #[case::only_what_is_new(&["x", "y"], Some(&["x"][..]), true, &["y"])]
    #[case::what_is_new_though_the_rendering_is_not(&["x", "y"], Some(&["x"][..]), false, &["y"])]
    #[case::nothing_twice(&["x"], Some(&["x"][..]), true, &[])]
    #[case::what_comes_back(&["x"], Some(&[][..]), false, &["x"])]
    fn what_people_are_told(
        #[case] found: &[&str],
        #[case] told: Option<&[&str]>,
        #[case] is_new: bool,
        #[case] expected: &[&str],
    ) {
        let (found, told) = (warnings(found), told.map(|told| warnings(told).into_iter().collect()));
        let fields: Vec<_> = to_tell(&found, told.as_ref(), is_new).iter().map(|each| each.field.as_str()).collect();
        assert_eq!(fields, expected);
    }
}
