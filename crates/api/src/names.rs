//! Names that other tools and the parts of onlay agree on: groups, namespaces, labels, annotations, field managers.
//!
//! Names below `machineconfiguration.openshift.io` are those of the compatible API; names below `onlay.dev` are ours.

/// API group of all kinds in this crate but MachineConfiguration and LayeringPolicy.
pub const GROUP: &str = "machineconfiguration.openshift.io";
/// API group of MachineConfiguration.
pub const OPERATOR_GROUP: &str = "operator.openshift.io";
/// API group of LayeringPolicy.
pub const OWN_GROUP: &str = "onlay.dev";
/// API version of all kinds in this crate but LayeringPolicy.
pub const VERSION: &str = "v1";
/// Default namespace of onlay's own objects; users' commands name it, a flag changes it.
pub const NAMESPACE: &str = "openshift-machine-config-operator";
/// Namespace of the pull-only secrets that are derived for nodes; agents read no other one.
pub const NODE_SECRETS_NAMESPACE: &str = "onlay-node-secrets";

/// Service account of the controller.
pub const CONTROLLER_ACCOUNT: &str = "onlay-controller";
/// Service account of the agent on every node.
pub const AGENT_ACCOUNT: &str = "onlay-agent";
/// Service account of the webhook.
pub const WEBHOOK_ACCOUNT: &str = "onlay-webhook";
/// Service account of build pods; it has no rights and no token.
pub const BUILDER_ACCOUNT: &str = "onlay-builder";

/// Field manager that writes rendered configurations and the target of a pool.
pub const RENDER_MANAGER: &str = "onlay-render";
/// Field manager that writes builds, their jobs and the status of build objects.
pub const BUILD_MANAGER: &str = "onlay-build";
/// Field manager that writes pool status, the spec of MachineConfigNodes and the conditions Cordoned, Drained, Uncordoned.
pub const ROLLOUT_MANAGER: &str = "onlay-rollout";
/// Field manager that writes the rest of a MachineConfigNode's status.
pub const AGENT_MANAGER: &str = "onlay-agent";
/// Field manager of the status of MachineConfiguration.
pub const POLICY_MANAGER: &str = "onlay-policy";
/// Field manager of the webhook: its certificates, and where they are trusted.
pub const WEBHOOK_MANAGER: &str = "onlay-webhook";

/// Service of the webhook, in [`NAMESPACE`].
pub const WEBHOOK_SERVICE: &str = "onlay-webhook";
/// Where the webhook converts between versions.
pub const CONVERSION_PATH: &str = "/convert";
/// Where the webhook says whether an object is right.
pub const ADMISSION_PATH: &str = "/validate";
/// Secret with the certificates of the webhook.
pub const WEBHOOK_SECRET: &str = "onlay-webhook-tls";
/// The ValidatingWebhookConfiguration of the webhook.
pub const WEBHOOK_CONFIGURATION: &str = "onlay-webhook";

/// Annotation on an object of version v1: what version v1alpha1 says and v1 has no field for, as JSON.
pub const KEPT_V1ALPHA1_ANNOTATION: &str = "onlay.dev/v1alpha1";
/// Annotation on an object of version v1alpha1: what version v1 says and v1alpha1 has no field for, as JSON.
pub const KEPT_V1_ANNOTATION: &str = "onlay.dev/v1";

/// Label on onlay's own pods: which part of it they are, by the name of its service account.
pub const APP_LABEL: &str = "app.kubernetes.io/name";

/// Label on a MachineConfig: the role whose pools select it.
pub const ROLE_LABEL: &str = "machineconfiguration.openshift.io/role";
/// Prefix of the label on a Node that puts it into a role; the role's name follows, the value is empty.
pub const NODE_ROLE_PREFIX: &str = "node-role.kubernetes.io/";
/// Label on a Node of the control plane.
pub const CONTROL_PLANE_LABEL: &str = "node-role.kubernetes.io/control-plane";
/// Pool of the nodes of the control plane.
pub const MASTER_POOL: &str = "master";
/// Pool of all other nodes; custom pools inherit its MachineConfigs.
pub const WORKER_POOL: &str = "worker";

/// Label on everything that belongs to image builds; the value is empty.
pub const ON_CLUSTER_LAYERING_LABEL: &str = "machineconfiguration.openshift.io/on-cluster-layering";
/// Label on objects that live only as long as one build; the value is empty.
pub const EPHEMERAL_BUILD_OBJECT_LABEL: &str = "machineconfiguration.openshift.io/ephemeral-build-object";
/// Label on build objects: name of the rendered configuration that is built.
pub const RENDERED_MACHINE_CONFIG_LABEL: &str = "machineconfiguration.openshift.io/rendered-machine-config";
/// Label on build objects: name of the pool that is built for.
pub const TARGET_POOL_LABEL: &str = "machineconfiguration.openshift.io/target-machine-config-pool";
/// Annotation on build objects: name of the MachineOSBuild.
pub const MACHINE_OS_BUILD_ANNOTATION: &str = "machineconfiguration.openshift.io/machine-os-build";
/// Annotation on build objects: name of the MachineOSConfig.
pub const MACHINE_OS_CONFIG_ANNOTATION: &str = "machineconfiguration.openshift.io/machine-os-config";
/// Annotation on a MachineOSConfig: name of its newest MachineOSBuild.
pub const CURRENT_BUILD_ANNOTATION: &str = "machineconfiguration.openshift.io/current-machine-os-build";
/// Annotation on a MachineOSConfig: a person asks to build once more.
pub const REBUILD_ANNOTATION: &str = "machineconfiguration.openshift.io/rebuild";

/// Annotation on a rendered MachineConfig: version of the controller that rendered it.
pub const GENERATED_BY_ANNOTATION: &str = "machineconfiguration.openshift.io/generated-by-controller-version";
/// Annotation on a rendered MachineConfig: JSON list of the MachineConfigs it was merged from, in merge order.
pub const SOURCES_ANNOTATION: &str = "onlay.dev/sources";
/// Annotation on a rendered MachineConfig: which of its sources says what, as JSON; see `onlay_core::render::origin`.
pub const ORIGINS_ANNOTATION: &str = "onlay.dev/origins";
/// Annotation on a MachineConfigPool: why its MachineConfigs cannot be rendered; gone when they can.
pub const RENDER_ERROR_ANNOTATION: &str = "onlay.dev/render-error";
/// Annotation on a MachineOSConfig: when a person's last wish to build once more was granted; builds from then on use no layer of an
/// instruction from before. On a MachineOSBuild: the wish that it was made for.
pub const REBUILT_ANNOTATION: &str = "onlay.dev/rebuilt";
/// Annotation on a MachineOSBuild: why it was made, where more is known than that its inputs differ.
pub const REASON_FOR_BUILD_ANNOTATION: &str = "onlay.dev/reason";
/// Annotation on a MachineOSBuild: the architectures of the nodes that it is for, with commas between them, as Kubernetes names
/// them. On a MachineOSConfig: those that `status.currentImagePullSpec` is for.
pub const ARCHITECTURES_ANNOTATION: &str = "onlay.dev/architectures";
/// Annotation on a MachineOSBuild: what its image is made from, as JSON; see `onlay_core::build::inputs::record`.
pub const INPUTS_ANNOTATION: &str = "onlay.dev/inputs";
/// Annotation on a MachineOSConfig: the rendered configuration that `status.currentImagePullSpec` serves.
///
/// Written after the status, so a reader that finds the name of its target here may use the image.
pub const SERVES_ANNOTATION: &str = "onlay.dev/serves";

/// Annotation on a Node: rendered configuration it runs. Mirror of its MachineConfigNode.
pub const CURRENT_CONFIG_ANNOTATION: &str = "machineconfiguration.openshift.io/currentConfig";
/// Annotation on a Node: rendered configuration it shall run. Mirror of its MachineConfigNode.
pub const DESIRED_CONFIG_ANNOTATION: &str = "machineconfiguration.openshift.io/desiredConfig";
/// Annotation on a Node: image it runs. Mirror of its MachineConfigNode.
pub const CURRENT_IMAGE_ANNOTATION: &str = "machineconfiguration.openshift.io/currentImage";
/// Annotation on a Node: image it shall run. Mirror of its MachineConfigNode.
pub const DESIRED_IMAGE_ANNOTATION: &str = "machineconfiguration.openshift.io/desiredImage";
/// Annotation on a Node: one of the states of [`NodeState`]. Mirror of its MachineConfigNode.
pub const STATE_ANNOTATION: &str = "machineconfiguration.openshift.io/state";
/// Annotation on a Node: why it is in its state. Mirror of its MachineConfigNode.
pub const REASON_ANNOTATION: &str = "machineconfiguration.openshift.io/reason";
/// Annotation on a Node: drain that is asked for, `drain-<config>` or `uncordon-<config>`.
pub const DESIRED_DRAIN_ANNOTATION: &str = "machineconfiguration.openshift.io/desiredDrain";
/// Annotation on a Node: the last `desiredDrain` that was carried out.
pub const LAST_APPLIED_DRAIN_ANNOTATION: &str = "machineconfiguration.openshift.io/lastAppliedDrain";
/// Annotation on a Node: set in the patch that cordons it; a node without it is never uncordoned by onlay.
pub const CORDONED_ANNOTATION: &str = "onlay.dev/cordoned";

/// ConfigMap in the onlay namespace that names the base image of pools without `osImageURL`.
pub const BASE_IMAGE_CONFIG_MAP: &str = "machine-config-osimageurl";
/// Keys of [`BASE_IMAGE_CONFIG_MAP`] that may hold the base image; the first one that is present counts.
pub const BASE_IMAGE_KEYS: [&str; 2] = ["baseOSContainerImage", "osImageURL"];
/// Key of [`BASE_IMAGE_CONFIG_MAP`] that may hold the image with the base image's extensions.
pub const EXTENSIONS_IMAGE_KEY: &str = "baseOSExtensionsContainerImage";
/// Key of the ConfigMap with extra registry authorities.
pub const REGISTRY_CA_KEY: &str = "ca.crt";

/// ConfigMap in the onlay namespace with authorities that builds trust, of pools whose policy names no other.
pub const TRUSTED_CA_CONFIG_MAP: &str = "onlay-trusted-ca";
/// Key of a ConfigMap with authorities that builds trust, as clusters that fill such ConfigMaps name it.
pub const TRUSTED_CA_KEY: &str = "ca-bundle.crt";

/// ConfigMap in the onlay namespace with the files that commands of builds see in `/etc/yum.repos.d`.
pub const REPOSITORIES_CONFIG_MAP: &str = "etc-yum-repos-d";
/// Secret in the onlay namespace with the files that commands of builds see in `/etc/pki/rpm-gpg`.
pub const PACKAGE_KEYS_SECRET: &str = "etc-pki-rpm-gpg";
/// Secret with the files that commands of builds see in `/etc/pki/entitlement`: in the onlay namespace, else in
/// [`CLUSTER_NAMESPACE`].
pub const ENTITLEMENT_SECRET: &str = "etc-pki-entitlement";
/// Namespace in which a cluster keeps what its own parts share, entitlements among it.
pub const CLUSTER_NAMESPACE: &str = "openshift-config-managed";

/// Directory of a node in which builds leave things for later ones; the agent makes it.
pub const BUILD_CACHE_DIRECTORY: &str = "/var/lib/onlay/build-cache";
/// User and group of the builder.
pub const BUILDER_USER: u32 = 1000;

/// State of a node as other tools read it from [`STATE_ANNOTATION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// An update is under way.
    Working,
    /// The node runs what it shall run.
    Done,
    /// The update failed and is tried again.
    Degraded,
    /// The node is on its way through a reboot.
    Rebooting,
    /// The target cannot be reached from where the node is.
    Unreconcilable,
}

impl NodeState {
    /// The text that the annotation holds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Working => "Working",
            Self::Done => "Done",
            Self::Degraded => "Degraded",
            Self::Rebooting => "Rebooting",
            Self::Unreconcilable => "Unreconcilable",
        }
    }
}

/// Name of a pool's rendered configuration: `rendered-<pool>-<hash>`.
pub fn rendered(pool: &str, hash: &str) -> String {
    format!("rendered-{pool}-{hash}")
}

/// Name of a MachineOSBuild: `<machineosconfig>-<hash>`.
pub fn build(machine_os_config: &str, hash: &str) -> String {
    format!("{machine_os_config}-{hash}")
}

/// Name of a pool's own Secret with entitlements: `etc-pki-entitlement-<pool>`.
pub fn entitlement_of(pool: &str) -> String {
    format!("{ENTITLEMENT_SECRET}-{pool}")
}

/// Name of the Job of a MachineOSBuild: `build-<machineosbuild>`.
pub fn build_job(machine_os_build: &str) -> String {
    format!("build-{machine_os_build}")
}
