//! The drains that are under way: the pods of their nodes, and the evictions that were refused.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use kube::Api;
use kube::api::{DeleteParams, EvictParams, Preconditions};
use onlay_api::names::APP_LABEL;
use onlay_core::rollout::NodeDecision;
use onlay_core::rollout::drain::{DrainView, PodRef, Refusal};

use crate::context::{Context, watch_config};
use crate::mirror::Mirror;
use crate::report::chain;

/// All drains, by node.
///
/// Lost with the process: a new one watches again, and has the evictions refused once more.
#[derive(Debug, Default)]
pub struct Drains(BTreeMap<String, Drain>);

#[derive(Debug)]
struct Drain {
    pods: Mirror<Pod>,
    refused: BTreeMap<String, Refusal>,
}

impl Drains {
    /// What is known about the pods; nothing about a node before its first complete list.
    pub fn views(&self) -> BTreeMap<String, DrainView> {
        let known = self.0.iter().filter(|(_, drain)| drain.pods.is_ready());
        known
            .map(|(node, drain)| (node.clone(), DrainView { pods: drain.pods.all(), refused: drain.refused.clone() }))
            .collect()
    }

    /// Watches the pods of the nodes that are being drained, and of no others.
    pub fn follow(&mut self, ctx: &Context, nodes: &[NodeDecision]) {
        self.0.retain(|name, _| nodes.iter().any(|node| node.draining && node.name == *name));
        for node in nodes.iter().filter(|node| node.draining) {
            self.0.entry(node.name.clone()).or_insert_with(|| {
                let config = watch_config().fields(&format!("spec.nodeName={}", node.name));
                let pods = Mirror::watch(Api::all(ctx.client.clone()), config, trim, vec![ctx.wakes.rollout.clone()]);
                Drain { pods, refused: BTreeMap::new() }
            });
        }
    }

    /// Evicts the pods that were decided to go, all at once.
    ///
    /// A refusal is part of the next decision, which says it to people; so it wakes that decision.
    pub async fn evict(&mut self, ctx: &Context, nodes: &[NodeDecision], now: Timestamp) {
        for node in nodes {
            let Some(drain) = self.0.get_mut(&node.name) else { continue };
            let answers = join_all(node.evict.iter().map(|pod| evict(ctx, pod))).await;
            for (pod, answer) in node.evict.iter().zip(answers) {
                match answer {
                    Ok(()) => drain.refused.remove(&pod.uid).map_or((), drop),
                    Err(words) => {
                        drain.refused.insert(pod.uid.clone(), Refusal { at: now, words });
                        ctx.wakes.rollout.wake();
                    }
                }
            }
        }
    }
}

/// Evicts one pod, unless another one has its name by now; the error is why it may not go.
async fn evict(ctx: &Context, pod: &PodRef) -> Result<(), String> {
    let api: Api<Pod> = Api::namespaced(ctx.client.clone(), &pod.namespace);
    let preconditions = Preconditions { uid: Some(pod.uid.clone()), resource_version: None };
    let options = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let params = EvictParams { delete_options: Some(options), ..EvictParams::default() };
    match api.evict(&pod.name, &params).await {
        Ok(_) => Ok(()),
        // Gone already, or its successor.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(kube::Error::Api(status)) => {
            let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.message.as_str());
            let causes: Vec<&str> = causes.filter(|cause| !cause.is_empty()).collect();
            Err(if causes.is_empty() { status.message.clone() } else { causes.join("; ") })
        }
        Err(error) => Err(chain(&error)),
    }
}

/// Keeps what a drain looks at.
fn trim(pod: &mut Pod) {
    if let Some(labels) = &mut pod.metadata.labels {
        labels.retain(|label, _| label == APP_LABEL);
    }
    let spec = pod.spec.take().unwrap_or_default();
    pod.spec = Some(PodSpec {
        node_selector: spec.node_selector,
        tolerations: spec.tolerations,
        node_name: spec.node_name,
        ..PodSpec::default()
    });
    let phase = pod.status.take().and_then(|status| status.phase);
    pod.status = Some(PodStatus { phase, ..PodStatus::default() });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_drain_looks_at_is_kept() {
        let mut pod = Pod {
            spec: Some(PodSpec {
                node_name: Some("a".to_owned()),
                hostname: Some("b".to_owned()),
                ..PodSpec::default()
            }),
            status: Some(PodStatus { phase: Some("Running".to_owned()), ..PodStatus::default() }),
            ..Pod::default()
        };
        trim(&mut pod);
        let spec = pod.spec.unwrap();
        assert_eq!((spec.node_name.as_deref(), spec.hostname), (Some("a"), None));
        assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Running"));
    }
}
