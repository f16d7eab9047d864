//! From a pool's configuration to an image: whether a new one is needed, what it is made of, and the states of a build.
//!
//! [`machine::decide`] is the controller's decision; [`assemble`], [`layer`], [`accounts`], [`var`], [`check`] and [`failure`]
//! are what the builder in the Job decides by; [`spec`] is what the two say to each other, [`progress`] what the log says
//! meanwhile, and [`figures`] what it says in the end; [`trust`] is which authorities it trusts. A build has a [`part`] for each
//! architecture. [`deadline`] says when it has to be over.

pub mod accounts;
pub mod assemble;
pub mod base;
pub mod cache;
pub mod check;
pub mod containerfile;
pub mod deadline;
pub mod extras;
pub mod failure;
pub mod figures;
pub mod inputs;
pub mod job;
pub mod layer;
pub mod machine;
pub mod packages;
pub mod part;
pub mod progress;
pub mod pull_secret;
pub mod spec;
pub mod trust;
pub mod var;

/// Settings that builds depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Namespace of build objects and of the secrets that a MachineOSConfig names.
    pub namespace: String,
    /// Namespace of the secrets that are derived for nodes.
    pub node_secrets_namespace: String,
    /// Image of the builder.
    pub builder_image: String,
    /// ConfigMap in the namespace that holds more authorities for registries.
    pub registry_ca: Option<String>,
}
