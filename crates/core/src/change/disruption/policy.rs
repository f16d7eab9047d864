//! The node disruption policy in force: the defaults of the compatible API, with what people want merged over them.

use camino::Utf8Path;
use onlay_api::machine_configuration::{
    Action, ActionType, ClusterPolicies, EffectiveActionType, FilePolicy, NodeDisruptionPolicy, Service, SshKeyPolicy,
    UnitPolicy,
};

use super::Step;

type Effective = Action<EffectiveActionType>;

/// Credentials of the kubelet.
const PULL_SECRET: &str = "/var/lib/kubelet/config.json";
/// Network configuration that nmstate applies.
const NMSTATE: &str = "/etc/nmstate/openshift";
/// Which signatures images must have.
const POLICY_JSON: &str = "/etc/containers/policy.json";
/// Where signatures of images are.
const REGISTRIES_D: &str = "/etc/containers/registries.d";
/// Mirrors, blocked registries and search entries.
const REGISTRIES_CONF: &str = "/etc/containers/registries.conf";
/// Authorities that people trust.
const USER_CA_BUNDLE: &str = "/etc/pki/ca-trust/source/anchors/openshift-config-user-ca-bundle.crt";

/// Unit of CRI-O, which reads its configuration again when it is reloaded.
pub const CRIO: &str = "crio.service";
/// Unit of containerd, which has no reload; a restart leaves pods alone.
pub const CONTAINERD: &str = "containerd.service";
/// What makes a system trust the authorities in its source directory, where the compatible API runs.
const UPDATE_TRUST: &str = "coreos-update-ca-trust.service";

/// Units that have another name on each kind of host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostUnits {
    /// The container runtime: `crio.service`, `containerd.service`.
    pub runtime: String,
    /// What makes the system trust the authorities in its source directory: `coreos-update-ca-trust.service`.
    pub trust: String,
}

impl HostUnits {
    /// The units of a node, by `status.nodeInfo.containerRuntimeVersion`, such as `containerd://1.7.2`.
    ///
    /// Of a node that is not known, or has a runtime of another kind, the runtime is named in words instead.
    pub fn of(runtime_version: Option<&str>) -> Self {
        Self::with_runtime(runtime_version.and_then(runtime_unit).unwrap_or("the container runtime"))
    }

    /// The units of a host with this container runtime.
    pub fn with_runtime(unit: &str) -> Self {
        Self { runtime: unit.to_owned(), trust: UPDATE_TRUST.to_owned() }
    }

    /// What makes the container runtime read its configuration again.
    pub(super) fn runtime_step(&self) -> Step {
        let unit = self.runtime.clone();
        if self.reloads() { Step::Reload(unit) } else { Step::Restart(unit) }
    }

    fn reloads(&self) -> bool {
        self.runtime != CONTAINERD
    }
}

/// The unit of a container runtime, by `status.nodeInfo.containerRuntimeVersion`; none if it is another one.
pub fn runtime_unit(version: &str) -> Option<&'static str> {
    match version.split_once("://")?.0 {
        "containerd" => Some(CONTAINERD),
        "cri-o" => Some(CRIO),
        _ => None,
    }
}

/// An entry of a policy that covers something.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// The entry: `files /etc/containers`, `units chronyd.service`, `sshkey`.
    pub(super) entry: String,
    /// Its actions. More than one list if the same place is written in several ways.
    pub(super) lists: Vec<&'a [Effective]>,
}

/// The policy in force, as `status.nodeDisruptionPolicyStatus.clusterPolicies` shows it.
///
/// An entry of the user's takes the place of the default for the same path, and the user's SSH key entry that of the
/// default one. The defaults come first, then the user's entries sorted by path and name: their order does not matter.
pub fn in_force(user: Option<&NodeDisruptionPolicy>, host: &HostUnits) -> ClusterPolicies {
    let mut policies = defaults(host);
    let Some(user) = user else { return policies };
    let is_replaced = |path: &str| user.files.iter().any(|own| Utf8Path::new(&own.path) == Utf8Path::new(path));
    policies.files.retain(|default| !is_replaced(&default.path));
    let mut files: Vec<_> =
        user.files.iter().map(|own| FilePolicy { actions: effective(&own.actions), path: own.path.clone() }).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    policies.files.extend(files);
    policies.units =
        user.units.iter().map(|own| UnitPolicy { actions: effective(&own.actions), name: own.name.clone() }).collect();
    policies.units.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(own) = &user.sshkey {
        policies.sshkey = Some(SshKeyPolicy { actions: effective(&own.actions) });
    }
    policies
}

fn effective(actions: &[Action<ActionType>]) -> Vec<Effective> {
    let effective = |action: &Action<ActionType>| Action {
        reload: action.reload.clone(),
        restart: action.restart.clone(),
        type_: action.type_.into(),
    };
    actions.iter().map(effective).collect()
}

fn defaults(host: &HostUnits) -> ClusterPolicies {
    use EffectiveActionType::{None as Nothing, Reload, Restart, Special};
    let restart = |unit: &str| Action { restart: Some(Service::new(unit)), ..Action::plain(Restart) };
    let reload = |unit: &str| Action { reload: Some(Service::new(unit)), ..Action::plain(Reload) };
    let reread = || if host.reloads() { reload(&host.runtime) } else { restart(&host.runtime) };
    let files = [
        (PULL_SECRET, vec![Action::plain(Nothing)]),
        (POLICY_JSON, vec![reread()]),
        (REGISTRIES_CONF, vec![Action::plain(Special)]),
        (REGISTRIES_D, vec![reread()]),
        (NMSTATE, vec![Action::plain(Nothing)]),
        (USER_CA_BUNDLE, vec![restart(&host.trust), restart(&host.runtime)]),
    ];
    ClusterPolicies {
        files: files.into_iter().map(|(path, actions)| FilePolicy { actions, path: path.to_owned() }).collect(),
        sshkey: Some(SshKeyPolicy { actions: vec![Action::plain(Nothing)] }),
        units: Vec::new(),
    }
}

/// The entry that covers a path: the longest one that names it or a directory above it.
pub(super) fn of_path<'a>(policies: &'a ClusterPolicies, path: &str) -> Option<Found<'a>> {
    let depth = |entry: &FilePolicy<Effective>| Utf8Path::new(&entry.path).components().count();
    let covers =
        |entry: &&FilePolicy<Effective>| Utf8Path::new(path).starts_with(&entry.path) && !entry.path.is_empty();
    let longest = policies.files.iter().filter(covers).map(depth).max()?;
    let found: Vec<_> = policies.files.iter().filter(covers).filter(|entry| depth(entry) == longest).collect();
    let entry = format!("files {}", found.iter().map(|entry| entry.path.as_str()).min()?);
    Some(Found { entry, lists: found.iter().map(|entry| entry.actions.as_slice()).collect() })
}

/// The entry for a unit.
pub(super) fn of_unit<'a>(policies: &'a ClusterPolicies, name: &str) -> Option<Found<'a>> {
    let entry = policies.units.iter().find(|entry| entry.name == name)?;
    Some(Found { entry: format!("units {name}"), lists: vec![&entry.actions] })
}

/// The entry for the SSH keys.
pub(super) fn of_ssh_keys(policies: &ClusterPolicies) -> Option<Found<'_>> {
    let entry = policies.sshkey.as_ref()?;
    Some(Found { entry: "sshkey".to_owned(), lists: vec![&entry.actions] })
}
