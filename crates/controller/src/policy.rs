//! Shows people the node disruption policy in force: the only writer of the status of MachineConfiguration `cluster`.
//!
//! Agents merge the same policy over the same defaults, each with the unit names of its own host. The status shows the
//! names of the runtime that most nodes have.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Resource};
use onlay_api::MachineConfiguration;
use onlay_api::machine_configuration::NAME;
use onlay_api::names::POLICY_MANAGER;
use onlay_core::change::disruption::policy::runtime_unit;
use onlay_core::change::disruption::{HostUnits, in_force};
use serde_json::json;

use crate::apply;
use crate::context::Context;
use crate::wake::repeat;

/// Shows the policy, whenever it or the nodes change.
pub async fn run(ctx: Arc<Context>) -> Infallible {
    repeat(&ctx.wakes.policy, async |now| pass(&ctx, now).await).await
}

async fn pass(ctx: &Context, now: Timestamp) -> Option<Timestamp> {
    let observed = ctx.configurations.get(NAME)?;
    let outcome = show(ctx, &observed).await;
    ctx.reporter.outcome(&observed.object_ref(&()), outcome.map(|()| None), now).await
}

async fn show(ctx: &Context, observed: &MachineConfiguration) -> Result<(), apply::Error> {
    let Some(host) = common(&ctx.nodes.all()) else { return Ok(()) };
    let policies = in_force(observed.spec.node_disruption_policy.as_ref(), &host);
    let desired = json!({"status": {
        "observedGeneration": observed.metadata.generation,
        "nodeDisruptionPolicyStatus": {"clusterPolicies": policies},
    }});
    let api = Api::all(ctx.client.clone());
    if let Some(written) = apply::apply_status(&api, POLICY_MANAGER, NAME, Some(observed), desired).await? {
        ctx.configurations.put(written);
    }
    Ok(())
}

/// The units of the hosts with the runtime that most nodes have; none while no node has told its runtime.
fn common(nodes: &[Arc<Node>]) -> Option<HostUnits> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for info in nodes.iter().filter_map(|node| node.status.as_ref()?.node_info.as_ref()) {
        if let Some(unit) = runtime_unit(&info.container_runtime_version) {
            *counts.entry(unit).or_default() += 1;
        }
    }
    let (unit, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some(HostUnits::with_runtime(unit))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{NodeStatus, NodeSystemInfo};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::as_most_nodes_have(&["containerd://1.6.20", "cri-o://1.32.1", "cri-o://1.32.2"], Some("crio.service"))]
    #[case::as_all_nodes_have(&["containerd://1.6.20"], Some("containerd.service"))]
    #[case::as_nobody_knows(&["", "docker://20.10.1"], None)]
    fn the_runtimes_unit_is_named(#[case] versions: &[&str], #[case] expected: Option<&str>) {
        let node = |version: &&str| {
            let info = NodeSystemInfo { container_runtime_version: (*version).to_owned(), ..NodeSystemInfo::default() };
            Arc::new(Node {
                status: Some(NodeStatus { node_info: Some(info), ..NodeStatus::default() }),
                ..Node::default()
            })
        };
        let units = common(&versions.iter().map(node).collect::<Vec<_>>());
        assert_eq!(units.as_ref().map(|units| units.runtime.as_str()), expected);
    }
}
