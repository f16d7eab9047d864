//! The objects of one build: its ConfigMap and its Job.
//!
//! Source of the pod's shape: buildah builds without privileges when it may map users (SETUID and SETGID, no seccomp or
//! AppArmor profile that forbids mounts in a user namespace) and when its storage is no overlay itself (a directory of the
//! node, a volume, an emptyDir).

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, ConfigMap, ConfigMapVolumeSource, Container, EmptyDirVolumeSource, EnvVar,
    KeyToPath, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, SecretVolumeSource, SecurityContext,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use onlay_api::layering_policy::BuildPolicy;
use onlay_api::machine_os_build::MachineOSBuild;
use onlay_api::names;

use super::Settings;
use super::deadline::Deadline;
use super::part::Part;
use super::spec::{CONFIGURATION_KEY, EXIT_DEFINITIVE, SPEC_KEY, Spec};

mod extras;
mod wishes;

pub use extras::entitlement;

/// How often a build is tried again after a failure that may not happen again, where a policy does not say.
pub const RETRIES: i32 = 3;
/// Seconds after which a build is given up, where a policy does not say.
const DEADLINE_SECONDS: i64 = 2 * 60 * 60;
/// Seconds for which the Job of a build that ended is kept, for its log.
pub(crate) const KEPT_SECONDS: i32 = 24 * 60 * 60;
/// User and group of the builder.
const BUILDER_USER: i64 = names::BUILDER_USER as i64;
/// Longest value of a label.
const MAX_LABEL: usize = 63;

/// Where the builder finds the build's ConfigMap.
pub const SPEC_DIRECTORY: &str = "/run/onlay/build";
/// Where the builder finds the secret to pull images with.
pub const PULL_DIRECTORY: &str = "/run/onlay/pull";
/// Where the builder finds the secret to push the image with.
pub const PUSH_DIRECTORY: &str = "/run/onlay/push";
/// Where the builder finds more authorities for registries.
pub const CA_DIRECTORY: &str = "/run/onlay/registry-ca";
/// Where the builder finds authorities that it and commands trust.
pub const TRUSTED_DIRECTORY: &str = "/run/onlay/trusted-ca";
/// Where the builder finds what earlier builds have left.
pub const CACHE_DIRECTORY: &str = "/run/onlay/cache";
/// Where the builder finds the Containerfile and the files beside it, if it does not lie in the MachineOSConfig.
pub const CONTEXT_DIRECTORY: &str = "/run/onlay/context";
/// Where the builder finds the directories that commands see, each by its own name.
pub const MOUNTS_DIRECTORY: &str = "/run/onlay/mounts";
/// Where the builder finds secrets for commands, each by what the Containerfile calls it.
pub const SECRETS_DIRECTORY: &str = "/run/onlay/secrets";
/// Where the builder may write.
pub const WORK_DIRECTORY: &str = "/build";

/// What the objects of a build are made from.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The build, with its uid.
    pub build: &'a MachineOSBuild,
    /// What it is asked to do.
    pub spec: &'a Spec,
    /// Name of the pool.
    pub pool: &'a str,
    /// The part of the build.
    pub part: &'a Part,
    /// What people want of the pool's builds.
    pub policy: &'a BuildPolicy,
    /// The node where the last build of the pool ran for the architecture, and left what the next one can use.
    pub warm: Option<&'a str>,
    /// Settings of the controller.
    pub settings: &'a Settings,
    /// The time.
    pub now: Timestamp,
}

/// The ConfigMap that tells the builder what to do; `configuration` is the packed rendered configuration.
pub fn config_map(parts: &Parts<'_>, configuration: Vec<u8>) -> Result<ConfigMap, serde_json::Error> {
    let spec = serde_json::to_string(parts.spec)?;
    Ok(ConfigMap {
        metadata: ObjectMeta { name: Some(parts.part.config_map.clone()), ..metadata(parts) },
        data: Some(BTreeMap::from([(SPEC_KEY.to_owned(), spec)])),
        binary_data: Some(BTreeMap::from([(CONFIGURATION_KEY.to_owned(), ByteString(configuration))])),
        immutable: Some(true),
    })
}

/// Seconds after which a build is given up.
pub fn deadline(policy: Option<&BuildPolicy>) -> i64 {
    policy.and_then(|policy| policy.timeout_seconds).unwrap_or(DEADLINE_SECONDS)
}

/// The Job that runs the builder.
pub fn job(parts: &Parts<'_>) -> Job {
    let metadata = metadata(parts);
    let pod =
        ObjectMeta { labels: metadata.labels.clone(), annotations: metadata.annotations.clone(), ..Default::default() };
    let spec = JobSpec {
        active_deadline_seconds: Some(deadline(Some(parts.policy))),
        backoff_limit: parts.policy.retries.or(Some(RETRIES)),
        pod_failure_policy: Some(failure_policy()),
        template: PodTemplateSpec { metadata: Some(pod), spec: Some(pod_spec(parts)) },
        ttl_seconds_after_finished: Some(KEPT_SECONDS),
        ..JobSpec::default()
    };
    Job { metadata, spec: Some(spec), status: None }
}

fn metadata(parts: &Parts<'_>) -> ObjectMeta {
    let build = parts.build.metadata.name.clone().unwrap_or_default();
    let labels = [
        (names::ON_CLUSTER_LAYERING_LABEL, String::new()),
        (names::EPHEMERAL_BUILD_OBJECT_LABEL, String::new()),
        (names::RENDERED_MACHINE_CONFIG_LABEL, label_value(&parts.spec.rendered)),
        (names::TARGET_POOL_LABEL, label_value(parts.pool)),
    ];
    let annotations = [
        (names::MACHINE_OS_BUILD_ANNOTATION, build.clone()),
        (names::MACHINE_OS_CONFIG_ANNOTATION, parts.build.spec.machine_os_config.name.clone()),
    ];
    let owned = |pairs: Vec<(&str, String)>| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ObjectMeta {
        name: Some(parts.part.job.clone()),
        namespace: Some(parts.settings.namespace.clone()),
        labels: Some(owned(labels.to_vec())),
        annotations: Some(owned(annotations.to_vec())),
        owner_references: Some(vec![owner(parts.build)]),
        ..ObjectMeta::default()
    }
}

/// A reference from what a build needs to the build.
fn owner(build: &MachineOSBuild) -> OwnerReference {
    OwnerReference {
        api_version: format!("{}/{}", names::GROUP, names::VERSION),
        kind: "MachineOSBuild".to_owned(),
        name: build.metadata.name.clone().unwrap_or_default(),
        uid: build.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// A name as the value of a label: the end of it, where it is too long, since the end tells names apart.
pub fn label_value(name: &str) -> String {
    let start = name.len().saturating_sub(MAX_LABEL);
    let start = (start..=name.len()).find(|at| name.is_char_boundary(*at)).unwrap_or(name.len());
    name.get(start..).unwrap_or_default().trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// Ends the Job at a failure that would happen again, and does not count a pod that was evicted.
fn failure_policy() -> PodFailurePolicy {
    let definitive = PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(CONTAINER.to_owned()),
            operator: "In".to_owned(),
            values: vec![EXIT_DEFINITIVE],
        }),
        on_pod_conditions: None,
    };
    let evicted = PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".to_owned(),
            status: Some("True".to_owned()),
        }]),
    };
    PodFailurePolicy { rules: vec![definitive, evicted] }
}

/// Name of the pod's container.
pub const CONTAINER: &str = "build";

fn pod_spec(parts: &Parts<'_>) -> PodSpec {
    let mut volumes = vec![
        Volume { name: "work".to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() },
        config_map_volume("spec", &parts.part.config_map, None),
        secret_volume("pull", &parts.spec.pull_secret),
        secret_volume("push", &parts.spec.push_secret),
    ];
    let mut mounts = vec![
        mount("work", WORK_DIRECTORY, false),
        mount("spec", SPEC_DIRECTORY, true),
        mount("pull", PULL_DIRECTORY, true),
        mount("push", PUSH_DIRECTORY, true),
    ];
    if let Some(name) = &parts.settings.registry_ca {
        volumes.push(config_map_volume("registry-ca", name, Some(names::REGISTRY_CA_KEY)));
        mounts.push(mount("registry-ca", CA_DIRECTORY, true));
    }
    if let Some(volume) = wishes::cache_volume(parts.policy) {
        mounts.push(mount(&volume.name, CACHE_DIRECTORY, false));
        volumes.push(volume);
    }
    for (volume, mount) in extras::volumes(&parts.spec.extras) {
        volumes.push(volume);
        mounts.push(mount);
    }
    PodSpec {
        affinity: wishes::affinity(parts.policy, parts.warm),
        node_selector: Some(wishes::node_selector(parts.policy, &parts.part.architecture)),
        tolerations: Some(parts.policy.tolerations.clone()).filter(|tolerations| !tolerations.is_empty()),
        priority_class_name: parts.policy.priority_class_name.clone(),
        automount_service_account_token: Some(false),
        service_account_name: Some(names::BUILDER_ACCOUNT.to_owned()),
        enable_service_links: Some(false),
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(1),
        security_context: Some(pod_security()),
        containers: vec![container(parts, mounts)],
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_user: Some(BUILDER_USER),
        run_as_group: Some(BUILDER_USER),
        run_as_non_root: Some(true),
        fs_group: Some(BUILDER_USER),
        // Else the kubelet would give every file in a volume of images another group and mode, each time.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "Unconfined".to_owned(), localhost_profile: None }),
        app_armor_profile: Some(AppArmorProfile { type_: "Unconfined".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

fn container(parts: &Parts<'_>, mounts: Vec<VolumeMount>) -> Container {
    let variable = |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(parts.settings.builder_image.clone()),
        command: Some(vec!["onlayd".to_owned(), "build".to_owned()]),
        args: Some(vec![format!("--deadline={}", Deadline::of_job(parts.now, deadline(Some(parts.policy))))]),
        env: Some(vec![variable("HOME", format!("{WORK_DIRECTORY}/home"))]),
        resources: Some(wishes::resources(parts.policy)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: Some(vec!["SETUID".to_owned(), "SETGID".to_owned()]),
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn config_map_volume(volume: &str, name: &str, key: Option<&str>) -> Volume {
    let items = key.map(|key| vec![KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None }]);
    let source = ConfigMapVolumeSource { name: name.to_owned(), items, ..ConfigMapVolumeSource::default() };
    Volume { name: volume.to_owned(), config_map: Some(source), ..Volume::default() }
}

fn secret_volume(volume: &str, name: &str) -> Volume {
    let source = SecretVolumeSource { secret_name: Some(name.to_owned()), ..SecretVolumeSource::default() };
    Volume { name: volume.to_owned(), secret: Some(source), ..Volume::default() }
}

fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

#[cfg(test)]
mod tests;
