//! What people want of a build's pod: where it runs, what it may use, what it leaves for later ones.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, HostPathVolumeSource, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm,
    PersistentVolumeClaimVolumeSource, PreferredSchedulingTerm, ResourceRequirements, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use onlay_api::layering_policy::{BuildPolicy, Cache, CacheType};
use onlay_api::names;

/// What a build requests where a policy does not say.
const REQUESTS: [(&str, &str); 2] = [("cpu", "100m"), ("memory", "256Mi")];
/// How much a node counts more than others on which an earlier build has left something: all that there is to give.
const WEIGHT: i32 = 100;

fn cache_type(policy: &BuildPolicy) -> CacheType {
    policy.cache.as_ref().map(|cache| cache.type_).unwrap_or_default()
}

/// The volume with what builds leave; none if they leave nothing.
///
/// The directory of the node is the agent's to make. Where no agent has been, the kubelet makes one that the builder cannot
/// write, and the builder does without.
pub fn cache_volume(policy: &BuildPolicy) -> Option<Volume> {
    let volume = Volume { name: "cache".to_owned(), ..Volume::default() };
    match (cache_type(policy), &policy.cache) {
        (CacheType::None, _) | (CacheType::Volume, None | Some(Cache { persistent_volume_claim: None, .. })) => None,
        (CacheType::Volume, Some(Cache { persistent_volume_claim: Some(claim), .. })) => {
            let source = PersistentVolumeClaimVolumeSource { claim_name: claim.claim_name.clone(), read_only: None };
            Some(Volume { persistent_volume_claim: Some(source), ..volume })
        }
        (CacheType::Node, _) => {
            let path = names::BUILD_CACHE_DIRECTORY.to_owned();
            let source = HostPathVolumeSource { path, type_: Some("DirectoryOrCreate".to_owned()) };
            Some(Volume { host_path: Some(source), ..volume })
        }
    }
}

/// Prefers the node where the last build left what this one can use.
pub fn affinity(policy: &BuildPolicy, warm: Option<&str>) -> Option<Affinity> {
    let node = warm.filter(|_| cache_type(policy) == CacheType::Node)?;
    let named = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let preference = NodeSelectorTerm { match_fields: Some(vec![named]), match_expressions: None };
    let node_affinity = NodeAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![PreferredSchedulingTerm {
            weight: WEIGHT,
            preference,
        }]),
        ..NodeAffinity::default()
    };
    Some(Affinity { node_affinity: Some(node_affinity), ..Affinity::default() })
}

/// Labels of the nodes that a build may run on.
pub fn node_selector(policy: &BuildPolicy, architecture: &str) -> BTreeMap<String, String> {
    let own = [("kubernetes.io/os", "linux"), ("kubernetes.io/arch", architecture)];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    policy.node_selector.clone().into_iter().chain(own).collect()
}

/// What a build requests and may use: what the policy says, and nothing else if it says anything.
pub fn resources(policy: &BuildPolicy) -> ResourceRequirements {
    let quantities = |wanted: &BTreeMap<String, IntOrString>| {
        let all: BTreeMap<_, _> = wanted.iter().map(|(name, value)| (name.clone(), quantity(value))).collect();
        Some(all).filter(|all| !all.is_empty())
    };
    match &policy.resources {
        Some(wanted) => ResourceRequirements {
            limits: quantities(&wanted.limits),
            requests: quantities(&wanted.requests),
            ..ResourceRequirements::default()
        },
        None => {
            let requests = REQUESTS.map(|(name, value)| (name.to_owned(), Quantity(value.to_owned())));
            ResourceRequirements { requests: Some(requests.into()), ..ResourceRequirements::default() }
        }
    }
}

fn quantity(value: &IntOrString) -> Quantity {
    Quantity(match value {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    })
}
