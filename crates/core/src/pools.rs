//! Which pool a node belongs to, and which MachineConfigs a pool selects.
//!
//! Source of the rules: the compatible API. The pool `master` wins where it matches; a node belongs to at most one
//! custom pool, which is any pool but `master` and `worker`; `worker` takes the nodes that it matches and no custom pool
//! does. Label selectors are those of Kubernetes, except that an empty one selects nothing: a pool never takes
//! everything by mistake.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use onlay_api::machine_config::MachineConfig;
use onlay_api::machine_config_pool::{MachineConfigPool, MachineConfigPoolSpec};
use onlay_api::names::{MASTER_POOL, ROLE_LABEL, WORKER_POOL};

use crate::render;

#[cfg(test)]
mod tests;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Why it cannot be said which pool a node belongs to, or what a pool selects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// More than one custom pool matches a node.
    #[error(
        "failed to choose a pool: {} select the node, and a node belongs to at most one custom pool; take the labels of \
         all but one of them from the node",
        pools.join(" and ")
    )]
    Conflict {
        /// Names of the custom pools that match, sorted.
        pools: Vec<String>,
    },
    /// A selector that Kubernetes does not have.
    #[error("failed to read {field} of MachineConfigPool {pool}: {reason}")]
    Selector {
        /// Name of the pool.
        pool: String,
        /// `spec.nodeSelector` or `spec.machineConfigSelector`.
        field: &'static str,
        /// What is wrong, and what to write.
        reason: SelectorError,
    },
}

/// What is wrong with a requirement of a label selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// An unknown operator.
    #[error("{operator:?} of key {key} is no operator; write In, NotIn, Exists or DoesNotExist")]
    Operator {
        /// Key of the requirement.
        key: String,
        /// The operator as given.
        operator: String,
    },
    /// In or NotIn without values.
    #[error("{operator} of key {key} has no values; write at least one")]
    NoValues {
        /// Key of the requirement.
        key: String,
        /// The operator.
        operator: String,
    },
    /// Exists or DoesNotExist with values.
    #[error("{operator} of key {key} takes no values; remove them")]
    Values {
        /// Key of the requirement.
        key: String,
        /// The operator.
        operator: String,
    },
}

/// Whether a selector selects an object with these labels. No selector and an empty one select nothing.
pub fn selects(selector: Option<&LabelSelector>, labels: &Labels) -> Result<bool, SelectorError> {
    let Some(selector) = selector else { return Ok(false) };
    let wanted = selector.match_labels.iter().flatten();
    let expressions = selector.match_expressions.as_deref().unwrap_or_default();
    let empty = expressions.is_empty() && selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty);
    let mut selected = !empty;
    for (key, value) in wanted {
        selected &= labels.get(key) == Some(value);
    }
    for requirement in expressions {
        selected &= meets(labels, requirement)?;
    }
    Ok(selected)
}

fn meets(labels: &Labels, requirement: &LabelSelectorRequirement) -> Result<bool, SelectorError> {
    let value = labels.get(&requirement.key);
    let values = requirement.values.as_deref().unwrap_or_default();
    let (key, operator) = (requirement.key.clone(), requirement.operator.clone());
    match (operator.as_str(), values.is_empty()) {
        ("In", false) => Ok(value.is_some_and(|value| values.contains(value))),
        ("NotIn", false) => Ok(value.is_none_or(|value| !values.contains(value))),
        ("Exists", true) => Ok(value.is_some()),
        ("DoesNotExist", true) => Ok(value.is_none()),
        ("In" | "NotIn", true) => Err(SelectorError::NoValues { key, operator }),
        ("Exists" | "DoesNotExist", false) => Err(SelectorError::Values { key, operator }),
        _ => Err(SelectorError::Operator { key, operator }),
    }
}

/// The pool that a node with these labels belongs to; none if no pool matches.
///
/// A custom pool with a selector that cannot be read takes part in no choice; its own error is found by
/// [`check_selectors`].
pub fn pool_of<'a>(
    node_labels: &Labels,
    pools: impl IntoIterator<Item = &'a MachineConfigPool>,
) -> Result<Option<&'a MachineConfigPool>, PoolError> {
    let (mut master, mut worker, mut custom) = (None, None, Vec::new());
    for pool in pools.into_iter().filter(|pool| takes(pool, node_labels)) {
        match name(pool) {
            MASTER_POOL => master = Some(pool),
            WORKER_POOL => worker = Some(pool),
            _ => custom.push(pool),
        }
    }
    match (master, custom.as_slice()) {
        (Some(master), _) => Ok(Some(master)),
        (None, []) => Ok(worker),
        (None, [pool]) => Ok(Some(*pool)),
        (None, several) => {
            let mut pools: Vec<String> = several.iter().map(|pool| name(pool).to_owned()).collect();
            pools.sort();
            Err(PoolError::Conflict { pools })
        }
    }
}

fn takes(pool: &MachineConfigPool, node_labels: &Labels) -> bool {
    selects(pool.spec.node_selector.as_ref(), node_labels) == Ok(true)
}

fn name(pool: &MachineConfigPool) -> &str {
    pool.metadata.name.as_deref().unwrap_or_default()
}

/// Checks both selectors of a pool.
pub fn check_selectors(pool: &MachineConfigPool) -> Result<(), PoolError> {
    let nothing = Labels::new();
    let fields = [
        ("spec.nodeSelector", &pool.spec.node_selector),
        ("spec.machineConfigSelector", &pool.spec.machine_config_selector),
    ];
    for (field, selector) in fields {
        let checked = selects(selector.as_ref(), &nothing);
        checked.map_err(|reason| PoolError::Selector { pool: name(pool).to_owned(), field, reason })?;
    }
    Ok(())
}

/// The MachineConfigs that a pool selects, without rendered ones, in the order given.
pub fn machine_configs_of<'a>(
    pool: &MachineConfigPool,
    machine_configs: impl IntoIterator<Item = &'a MachineConfig>,
) -> Result<Vec<&'a MachineConfig>, PoolError> {
    check_selectors(pool)?;
    let none = Labels::new();
    let selector = pool.spec.machine_config_selector.as_ref();
    let selected = machine_configs.into_iter().filter(|each| {
        let labels = each.metadata.labels.as_ref().unwrap_or(&none);
        !render::is_rendered(each) && selects(selector, labels) == Ok(true)
    });
    Ok(selected.collect())
}

/// The pool of a name as it is where nobody made another one: `master` selects MachineConfigs of its role, every other
/// one those of the role `worker` and of its own.
pub fn default_pool(name: &str) -> MachineConfigPool {
    let mut roles = vec![name.to_owned()];
    if name != MASTER_POOL && name != WORKER_POOL {
        roles.insert(0, WORKER_POOL.to_owned());
    }
    let requirement =
        LabelSelectorRequirement { key: ROLE_LABEL.to_owned(), operator: "In".to_owned(), values: Some(roles) };
    let selector = LabelSelector { match_expressions: Some(vec![requirement]), match_labels: None };
    let spec = MachineConfigPoolSpec { machine_config_selector: Some(selector), ..MachineConfigPoolSpec::default() };
    MachineConfigPool::new(name, spec)
}
