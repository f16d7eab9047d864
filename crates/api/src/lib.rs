//! Shapes and names of the API: one file per kind.

#![warn(missing_docs)]

pub mod conditions;
mod crds;
pub mod image_name;
pub mod layering_policy;
pub mod machine_config;
pub mod machine_config_node;
pub mod machine_config_pool;
pub mod machine_configuration;
pub mod machine_os_build;
pub mod machine_os_config;
pub mod names;
pub mod reference;
mod schema;
pub mod v1alpha1;

pub use conditions::{Condition, ConditionStatus, PoolCondition};
pub use crds::{SchemaError, crds};
pub use layering_policy::{BuildPolicy, LayeringPolicy, LayeringPolicySpec};
pub use machine_config::{MachineConfig, MachineConfigSpec};
pub use machine_config_node::{
    MachineConfigNode, MachineConfigNodeSpec, MachineConfigNodeStatus, Needs, Permit, UpdatePhase,
};
pub use machine_config_pool::{MachineConfigPool, MachineConfigPoolSpec, MachineConfigPoolStatus};
pub use machine_configuration::{MachineConfiguration, MachineConfigurationSpec, MachineConfigurationStatus};
pub use machine_os_build::{MachineOSBuild, MachineOSBuildSpec, MachineOSBuildStatus};
pub use machine_os_config::{MachineOSConfig, MachineOSConfigSpec, MachineOSConfigStatus};
