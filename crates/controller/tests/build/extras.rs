use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Volume};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use onlay_api::conditions::{BuildConditionType, OSConfigConditionType, find};
use onlay_api::{LayeringPolicy, MachineOSBuild, MachineOSConfig};
use onlay_core::build::spec::{Outcome, Spec};
use onlay_testkit::{RegistryServer, objects, wait};
use serde_json::{Value, json};

use crate::world::World;

const COPY: &str = "etc-pki-entitlement-worker";

fn policy() -> Value {
    json!({"spec": {"build": {
        "containerfile": {"configMapKeyRef": {"name": "worker-image"}},
        "buildArgs": [{"name": "VERSION", "value": "1.2"}, {"name": "UNUSED", "value": "x"}],
        "secrets": [{"id": "token", "secretKeyRef": {"name": "mirror", "key": "password"}}],
        "contexts": [{"name": "tools", "image": "registry.example.com/tools/all:1"}],
    }}})
}

fn valid(config: &MachineOSConfig, reason: &str) -> bool {
    let conditions = config.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    find(conditions, OSConfigConditionType::Valid).is_some_and(|valid| valid.reason == reason)
}

/// The ConfigMaps and Secrets that a pod mounts besides those of every build, by name of the volume.
fn mounted(volumes: &[Volume]) -> Vec<(&str, &str)> {
    volumes
        .iter()
        .filter_map(|volume| {
            let config_map = volume.config_map.as_ref().map(|source| source.name.as_str());
            let secret = volume.secret.as_ref().and_then(|source| source.secret_name.as_deref());
            let projected =
                volume.projected.as_ref().and_then(|source| source.sources.as_ref()?.first()?.secret.as_ref());
            let name = config_map.or(secret).or(projected.map(|source| source.name.as_str()))?;
            Some((volume.name.as_str(), name))
        })
        .filter(|(volume, _)| !["spec", "pull", "push", "registry-ca"].contains(volume))
        .collect()
}

#[tokio::test]
async fn a_build_is_given_what_the_policy_and_the_namespace_have() {
    let world = World::new().await;
    objects::apply(&world.all::<LayeringPolicy>(), "worker", policy()).await.unwrap();
    world.config("").await;
    world.sees("the ConfigMap to be missed", |config| valid(config, "ContainerfileUnusable")).await;
    let text = "FROM configs AS final\nARG VERSION\nCOPY a.conf /etc/\nRUN --mount=type=secret,id=token true\n";
    let files = json!({"data": {"Containerfile": text, "a.conf": "x"}});
    objects::apply(&world.own::<ConfigMap>(), "worker-image", files).await.unwrap();
    world.sees("the Secret to be missed", |config| valid(config, "SecretMissing")).await;
    objects::apply(&world.own::<ConfigMap>(), "etc-yum-repos-d", json!({"data": {"a.repo": "x"}})).await.unwrap();
    let of_cluster = "openshift-config-managed";
    objects::apply(&Api::<Namespace>::all(world.client.clone()), of_cluster, json!({})).await.unwrap();
    let cluster: Api<Secret> = Api::namespaced(world.client.clone(), of_cluster);
    let entitlement = json!({"stringData": {"entitlement.pem": "x"}});
    objects::apply(&cluster, "etc-pki-entitlement", entitlement).await.unwrap();
    objects::apply(&world.own::<Secret>(), "mirror", json!({"stringData": {"password": "x"}})).await.unwrap();

    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    let volumes = job.spec.clone().unwrap().template.spec.unwrap().volumes.unwrap();
    let expected =
        [("yum-repos-d", "etc-yum-repos-d"), ("entitlement", COPY), ("context", "worker-image"), ("secrets", "mirror")];
    assert_eq!(mounted(&volumes), expected);
    let asked: Spec = serde_json::from_str(&world.asked(&job).await.unwrap()).unwrap();
    assert_eq!(asked.extras.arguments, [("VERSION".to_owned(), "1.2".to_owned())].into());
    let copy = world.own::<Secret>().get(COPY).await.unwrap();
    assert_eq!(copy.owner_references()[0].uid, build.uid().unwrap());

    world.pod_runs(&job).await;
    let image = format!("{}/os/image@sha256:{}", world.registry.address(), "1".repeat(64));
    world.ends(&job, &Outcome::Pushed { image }).await;
    world.build(BuildConditionType::Succeeded).await;
    wait::until("the copy to be gone", std::time::Duration::from_secs(30), async || {
        let left = world.own::<Secret>().get_opt(COPY).await.map_err(|error| error.to_string())?;
        if left.is_none() { Ok(Some(())) } else { Err("it is there") }.map_err(str::to_owned)
    })
    .await
    .unwrap();

    let files = json!({"data": {"Containerfile": text, "a.conf": "y"}});
    objects::apply(&world.own::<ConfigMap>(), "worker-image", files).await.unwrap();
    let next: MachineOSBuild = world.build(BuildConditionType::Prepared).await;
    assert_ne!(next.name_any(), build.name_any());
}

#[tokio::test]
async fn a_base_image_is_looked_up_in_a_registry_that_only_the_pools_bundle_knows() {
    let world = World::new().await;
    let other = RegistryServer::start().await.unwrap();
    let labels = json!({"ostree.final-diffid": "sha256:aa", "ostree.bootable": "1"});
    let base = other.push_empty("os/base:1", &labels).await.unwrap();
    world.secret("pull-secret", &other.docker_config(RegistryServer::PASSWORD)).await;
    world.machine_config("10-base", json!({"osImageURL": format!("{}/os/base:1", other.address())})).await;
    world.policy(json!({"trustedCA": {"name": "corporate-ca"}})).await;
    world.config("FROM configs AS final\nRUN true\n").await;
    let pull = Patch::Merge(json!({"spec": {"baseImagePullSecret": {"name": "pull-secret"}}}));
    world.all::<MachineOSConfig>().patch("worker", &PatchParams::default(), &pull).await.unwrap();
    world.sees("the ConfigMap to be missed", |config| valid(config, "TrustedCAUnusable")).await;

    let bundle = |text: &str| json!({"data": {"ca-bundle.crt": text}});
    let config_maps = world.own::<ConfigMap>();
    objects::apply(&config_maps, "corporate-ca", bundle(world.registry.authority())).await.unwrap();
    world.sees("the registry not to be trusted", |config| valid(config, "BaseImageUnknown")).await;
    objects::apply(&config_maps, "corporate-ca", bundle(other.authority())).await.unwrap();
    let build = world.build(BuildConditionType::Prepared).await;
    let job = world.job(&build).await;
    let volumes = job.spec.clone().unwrap().template.spec.unwrap().volumes.unwrap();
    assert_eq!(mounted(&volumes), [("trusted-ca", "corporate-ca")]);
    let asked: Spec = serde_json::from_str(&world.asked(&job).await.unwrap()).unwrap();
    assert_eq!((asked.base, asked.extras.trusted_ca.as_deref()), (base, Some("corporate-ca")));
}
