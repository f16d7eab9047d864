//! A registry that misbehaves: what a build says of it, and that the image is there once it behaves again.
//!
//! Before the lab's registry stands one whose answers are spoiled on demand, and which a build knows by its own address: base
//! image and push are named there, with a Secret for it, as people name a second registry. Its authority is the lab's, which
//! the ConfigMap of registry authorities holds already. Faults are about one kind of request: the controller asks for the base
//! image's manifest and configuration, and only the build fetches its layers and pushes.

use crate::architectures::inspect;
use crate::build_faults::{Gate, begin_as, succeeds};
use crate::builds::{POOL, cluster, nothing_leaks, policy, state};
use crate::cluster::{BUILD, Cluster, NAMESPACE, SOON, digest_of, layered, machine_config};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use onlay_api::MachineOSBuild;
use onlay_testkit::spoiled_registry::{Fault, Method, Wrong};
use onlay_testkit::{SpoiledRegistry, Validity, base_image, registry, wait};
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;

/// The Secret for the registry that misbehaves.
const SECRET: &str = "second-registry";
/// The MachineConfig that names the base image there.
const CONFIG: &str = "60-test-base";
/// What skopeo is asked of an image in the registry behind.
const INSPECT: [&str; 2] = ["inspect", "--no-tags"];
/// More requests than any build sends.
const ALL: usize = 1000;
const TEXT: &str = "FROM configs AS final\nRUN echo one > /usr/share/one\n";
/// What the registry asks for once: a moment's patience.
const BUSY: Wrong = Wrong::Status(429, &[("retry-after", "1")]);

/// Which requests a fault is about.
#[derive(Debug, Clone, Copy)]
enum At {
    /// For the manifest of the base image: the controller asks first.
    BaseManifest,
    /// For a layer of the base image.
    BaseLayer,
    /// That begin to push a layer.
    Upload,
    /// That push a layer.
    Layer,
    /// That push the manifest.
    Manifest,
}

/// The registry that misbehaves, and the base image there.
struct Second {
    registry: SpoiledRegistry,
    base: String,
    layer: String,
}

impl Second {
    /// Sets it up as a person does: a Secret for it, and a MachineConfig that names the base image there.
    async fn set_up(cluster: &Cluster) -> Self {
        let registry = cluster.lab.spoiled_registry().unwrap();
        let image = inspect(cluster, &INSPECT, base_image::IMAGE).await;
        let base = format!("{}/os/base@{}", registry.address(), image["Digest"].as_str().unwrap());
        let layer = image["Layers"][0].as_str().unwrap().to_owned();
        cluster
            .apply(json!({
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
                "metadata": {"name": SECRET, "namespace": NAMESPACE},
                "stringData": {".dockerconfigjson": registry.docker_config()},
            }))
            .await;
        cluster.apply(machine_config(CONFIG, POOL, json!({"osImageURL": base}))).await;
        cluster.renders(POOL, CONFIG).await;
        Self { registry, base, layer }
    }

    async fn take_away(self, cluster: &Cluster) {
        cluster.kubectl(&["delete", "machineosconfig", POOL]).await;
        cluster.kubectl(&["delete", "mc", CONFIG]).await;
        cluster.kubectl(&["delete", "secret", "-n", NAMESPACE, SECRET]).await;
    }

    /// A MachineOSConfig that pulls and pushes there.
    fn layered(&self, containerfile: &str) -> Value {
        let mut object = layered(POOL, containerfile);
        for secret in ["baseImagePullSecret", "renderedImagePushSecret"] {
            object["spec"][secret]["name"] = json!(SECRET);
        }
        object["spec"]["renderedImagePushSpec"] = json!(format!("{}/os/{POOL}:latest", self.registry.address()));
        object
    }

    fn spoil(&self, at: At, times: usize, wrong: &Wrong) {
        let (method, path) = match at {
            At::BaseManifest => (Method::GET, "/os/base/manifests/".to_owned()),
            At::BaseLayer => (Method::GET, format!("/os/base/blobs/{}", self.layer)),
            At::Upload => (Method::POST, format!("/os/{POOL}/blobs/uploads/")),
            At::Layer => (Method::PATCH, format!("/os/{POOL}/blobs/uploads/")),
            At::Manifest => (Method::PUT, format!("/os/{POOL}/manifests/")),
        };
        self.registry.spoil(Some(Fault { method, path: path.into(), times, wrong: wrong.clone() }));
    }

    /// Behaves again; something has gone wrong till then.
    fn heal(&self) {
        assert!(self.registry.left() < ALL, "nothing was spoiled");
        self.registry.spoil(None);
    }

    /// Shows that the registry behind has the image of a build, under the digest that nodes are given.
    async fn has_image_of(&self, cluster: &Cluster, build: &MachineOSBuild) {
        let image = build.status.clone().unwrap().digested_image_push_spec.unwrap();
        assert!(image.starts_with(&format!("{}/os/{POOL}@sha256:", self.registry.address())), "{image}");
        let behind = image.replace(self.registry.address(), registry::ADDRESS);
        assert_eq!(inspect(cluster, &INSPECT, &behind).await["Digest"], digest_of(&image));
    }
}

/// Each try meets another fault.
#[rstest]
#[case::at_the_pull([
    (At::BaseLayer, Wrong::Truncated, ["failed to pull ", "unexpected EOF"]),
    (At::BaseLayer, Wrong::Changed, ["failed to pull ", "Digest did not match"]),
])]
#[case::at_the_push([
    (At::Layer, Wrong::Dropped, ["failed to push to ", "blobs/uploads"]),
    (At::Manifest, Wrong::Status(500, &[]), ["failed to push to ", "500 Internal Server Error"]),
])]
#[tokio::test]
async fn a_registry_that_breaks_is_told_and_the_same_build_succeeds_when_it_is_repaired(
    #[case] faults: [(At, Wrong, [&str; 2]); 2],
) {
    let cluster = cluster().await;
    let second = Second::set_up(&cluster).await;
    let mut builds = Vec::new();
    for (index, (at, wrong, words)) in faults.iter().enumerate() {
        // The Job waits for ten seconds at least between two tries.
        second.spoil(*at, ALL, wrong);
        if index == 0 {
            cluster.apply(second.layered(TEXT)).await;
        }
        let next = format!("try {} of 4", index + 2);
        builds.push(says(&cluster, &[&[next.as_str(), second.registry.address(), SECRET], &words[..]].concat()).await);
        second.heal();
    }
    succeeds(&cluster, &builds[0]).await;
    second.has_image_of(&cluster, &cluster.build_is(POOL, "Succeeded", SOON).await).await;
    second.take_away(&cluster).await;
}

/// Waits for a build whose status has all these words.
async fn says(cluster: &Cluster, words: &[&str]) -> MachineOSBuild {
    let builds = Api::<MachineOSBuild>::all(cluster.client.clone());
    wait::until(&format!("a build that says {words:?}"), BUILD, async || {
        let all = builds.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let said = |build: &MachineOSBuild| serde_json::to_string(&build.status).unwrap();
        let found = all.iter().find(|build| words.iter().all(|word| said(build).contains(word)));
        found.cloned().map(Some).ok_or_else(|| all.iter().map(said).collect::<String>())
    })
    .await
    .unwrap()
}

/// No clock of the lab can be set: a certificate of another hour is what one that is wrong by an hour sees.
#[tokio::test]
async fn a_certificate_of_another_hour_names_the_clocks_and_the_same_build_succeeds_when_it_is_valid() {
    let cluster = cluster().await;
    let second = Second::set_up(&cluster).await;
    let gate = Gate::closed();
    let (build, _) = begin_as(&cluster, second.layered(&gate.containerfile())).await;
    second.registry.renew(cluster.lab.pki(), Some(Validity::hours(1, 2))).unwrap();
    let _open = gate.open();
    let words = ["try 2 of 4", "failed to push to ", "not yet valid", "check the clocks of the build's node"];
    let said = says(&cluster, &[&words[..], &[second.registry.address()]].concat()).await;
    assert_eq!(state(&said), "Building", "it is tried again");
    second.registry.renew(cluster.lab.pki(), None).unwrap();
    succeeds(&cluster, &build).await;
    second.has_image_of(&cluster, &cluster.build_is(POOL, "Succeeded", SOON).await).await;
    second.take_away(&cluster).await;
}

#[rstest]
#[case::at_the_pull(At::BaseLayer, 401, "failed to pull ")]
#[case::at_the_push(At::Upload, 403, "failed to push to ")]
#[tokio::test]
async fn a_registry_that_refuses_ends_the_build_until_a_person_asks_for_another_one(
    #[case] at: At,
    #[case] status: u16,
    #[case] tried: &str,
) {
    let cluster = cluster().await;
    let second = Second::set_up(&cluster).await;
    let timeline = cluster.timeline().await;
    second.spoil(at, ALL, &Wrong::Status(status, &[]));
    cluster.apply(second.layered(TEXT)).await;
    let refused = cluster.build_is(POOL, "Failed", BUILD).await;
    let conditions = refused.status.clone().unwrap().conditions;
    let failed = conditions.iter().find(|known| known.type_ == "Failed").unwrap();
    assert_eq!(failed.reason, "AccessDenied", "{}", failed.message);
    let way_out = "check the credentials in the secret, and what they are allowed to do there";
    for words in [tried, second.registry.address(), &format!("with Secret {SECRET}"), way_out] {
        assert!(failed.message.contains(words), "{words:?} is missing in: {}", failed.message);
    }
    cluster.event("MachineOSConfig", POOL, way_out).await;
    nothing_leaks(&cluster, POOL).await;
    second.heal();
    cluster.kubectl(&["annotate", "machineosconfig", POOL, "machineconfiguration.openshift.io/rebuild="]).await;
    let done = cluster.build_is(POOL, "Succeeded", BUILD).await;
    assert_ne!(done.uid(), refused.uid(), "another build");
    second.has_image_of(&cluster, &done).await;
    nothing_leaks(&cluster, POOL).await;
    assert_eq!(timeline.moments(), [], "no node is touched");
    second.take_away(&cluster).await;
}

/// The controller asks before anything is built, and again by itself.
#[tokio::test]
async fn a_registry_that_refuses_to_say_what_the_base_is_is_asked_again_until_it_does() {
    let cluster = cluster().await;
    let second = Second::set_up(&cluster).await;
    second.spoil(At::BaseManifest, ALL, &Wrong::Status(403, &[]));
    cluster.apply(second.layered(TEXT)).await;
    let refused = format!("registry {} answered 403", second.registry.address());
    cluster.event("MachineOSConfig", POOL, &refused).await;
    let status = "jsonpath={.status.conditions[?(@.type==\"BaseImageResolved\")]}";
    let said = cluster.kubectl(&["get", "machineosconfig", POOL, "-o", status]).await;
    for words in
        [r#""status":"False""#, "BaseImageUnknown", &second.base, &refused, "check the credentials in the secret"]
    {
        assert!(said.contains(words), "{words:?} is missing in: {said}");
    }
    let builds = Api::<MachineOSBuild>::all(cluster.client.clone());
    let made = builds.list(&ListParams::default()).await.unwrap();
    assert_eq!(made.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), [""; 0], "nothing is built");
    second.heal();
    let done = cluster.build_is(POOL, "Succeeded", BUILD).await;
    second.has_image_of(&cluster, &done).await;
    nothing_leaks(&cluster, POOL).await;
    second.take_away(&cluster).await;
}

/// A layer that no compression makes small: sent slowly, it takes longer than a registry may say nothing, which is an eighth of
/// the time that the build has.
const LARGE: &str = "FROM configs AS final\nRUN head -c 16M /dev/urandom > /usr/share/large\n";
const SLOW: Wrong = Wrong::Slow { piece: 256 << 10, pause: Duration::from_millis(600) };
const SECONDS: u32 = 240;

/// None of these costs a try: there is only one.
#[rstest]
#[case::slow_at_a_layer(LARGE, At::Layer, ALL, SLOW)]
#[case::busy_at_the_upload(TEXT, At::Upload, 1, BUSY)]
#[case::wrong_about_the_digest(TEXT, At::Manifest, ALL, Wrong::OtherDigest)]
#[tokio::test]
async fn a_registry_that_is(#[case] containerfile: &str, #[case] at: At, #[case] times: usize, #[case] wrong: Wrong) {
    let cluster = cluster().await;
    let second = Second::set_up(&cluster).await;
    cluster.apply(policy(&json!({"retries": 0, "timeoutSeconds": SECONDS, "cache": {"sizeLimit": "4Gi"}}))).await;
    second.spoil(at, times, &wrong);
    cluster.apply(second.layered(containerfile)).await;
    let done = cluster.build_is(POOL, "Succeeded", BUILD).await;
    assert!(second.registry.left() < times, "nothing was spoiled");
    second.has_image_of(&cluster, &done).await;
    nothing_leaks(&cluster, POOL).await;
    second.take_away(&cluster).await;
}
