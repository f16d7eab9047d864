//! The client against Debian's docker-registry with TLS and a password.
//!
//! Needs the programs docker-registry and skopeo; a missing one fails the test.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use onlay_registry::{DockerConfig, Registry, RegistryError};
use onlay_testkit::spoiled_registry::{Fault, Method, Wrong};
use onlay_testkit::{RegistryServer, Validity};
use rstest::rstest;
use serde_json::{Value, json};

/// A server, and the name of an image there that has the labels of an ostree system.
async fn ostree_image() -> (RegistryServer, String) {
    image_with(&json!({"ostree.final-diffid": "sha256:aa", "ostree.bootable": "1"})).await
}

async fn image_with(labels: &Value) -> (RegistryServer, String) {
    let server = RegistryServer::start().await.unwrap();
    server.push_empty("os/base:1", labels).await.unwrap();
    let image = format!("{}/os/base:1", server.address());
    (server, image)
}

fn credentials(server: &RegistryServer, password: &str) -> DockerConfig {
    DockerConfig::parse(server.docker_config(password).as_bytes()).unwrap()
}

fn amd64() -> BTreeSet<String> {
    ["amd64".to_owned()].into()
}

fn registry(server: &RegistryServer) -> Registry {
    Registry::new(Some(server.authority())).unwrap()
}

#[tokio::test]
async fn a_tag_is_resolved_to_a_digest_with_labels() {
    let (server, image) = ostree_image().await;
    let credentials = credentials(&server, RegistryServer::PASSWORD);
    let resolved = registry(&server).resolve(&image, &amd64(), &credentials).await.unwrap();
    assert_eq!(resolved.reference, format!("{}/os/base@{}", server.address(), resolved.digest));
    assert!(resolved.digest.starts_with("sha256:"));
    assert_eq!((&resolved.architectures, resolved.labels["amd64"].len()), (&amd64(), 2));
    assert_eq!(resolved.fault(&amd64()), None);
    let again = registry(&server).resolve(&resolved.reference, &amd64(), &credentials).await.unwrap();
    assert_eq!(again, resolved);
    assert_eq!(registry(&server).find(&image, &credentials).await.unwrap(), Some(resolved.reference));
}

#[tokio::test]
async fn an_image_without_ostree_says_what_is_missing() {
    let (server, image) = image_with(&Value::Null).await;
    let resolved =
        registry(&server).resolve(&image, &amd64(), &credentials(&server, RegistryServer::PASSWORD)).await.unwrap();
    let fault = resolved.fault(&amd64()).unwrap();
    assert!(fault.contains("no label ostree.final-diffid") && fault.contains("ostree.bootable"), "{fault}");
}

#[rstest]
#[case::a_wrong_password(Some("guess"))]
#[case::no_password(None)]
#[tokio::test]
async fn a_registry_that_refuses_is_quoted(#[case] password: Option<&str>) {
    let (server, image) = ostree_image().await;
    let credentials = password.map(|password| credentials(&server, password)).unwrap_or_default();
    let error = registry(&server).resolve(&image, &amd64(), &credentials).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RegistryError::Refused { .. }), "{error:?}");
    assert!(text.contains(&image) && text.contains("401") && text.contains("check the credentials"), "{text}");
}

#[tokio::test]
async fn a_tag_that_does_not_exist_is_not_found() {
    let (server, _) = ostree_image().await;
    let image = format!("{}/os/base:2", server.address());
    let credentials = credentials(&server, RegistryServer::PASSWORD);
    let error = registry(&server).resolve(&image, &amd64(), &credentials).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("404 Not Found"), "{error}");
    assert_eq!(registry(&server).find(&image, &credentials).await.unwrap(), None);
}

#[tokio::test]
async fn a_strange_certificate_is_not_trusted() {
    let (server, image) = ostree_image().await;
    let other = RegistryServer::start().await.unwrap();
    let error =
        registry(&other).resolve(&image, &amd64(), &credentials(&server, RegistryServer::PASSWORD)).await.unwrap_err();
    assert!(matches!(error, RegistryError::Untrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("ConfigMap of registry authorities"), "{error}");
}

#[rstest]
#[case::is_over(Validity::hours(-2, -1), "certificate expired")]
#[case::is_yet_to_come(Validity::hours(1, 2), "certificate not valid yet")]
#[tokio::test]
async fn a_certificate_whose_time(#[case] validity: Validity, #[case] reason: &str) {
    let (server, _) = ostree_image().await;
    let asked = async |validity| {
        let front = server.spoiled(validity).unwrap();
        let credentials = DockerConfig::parse(front.docker_config().as_bytes()).unwrap();
        let image = format!("{}/os/base:1", front.address());
        (registry(&server).resolve(&image, &amd64(), &credentials).await, image)
    };
    let (answer, image) = asked(Some(validity)).await;
    let error = answer.unwrap_err();
    assert!(matches!(error, RegistryError::NotValidNow { .. }), "{error:?}");
    let text = error.to_string();
    for words in [&*image, reason, "check the clock of the machine that asks"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("ConfigMap"), "{text}");
    asked(None).await.0.unwrap();
}

#[rstest]
#[case::forbids(403, "answered 403; check the credentials in the secret")]
#[case::is_busy(429, "answered 429; it is tried again")]
#[case::breaks(500, "answered 500; it is tried again")]
#[tokio::test]
async fn a_registry_without_a_word_that(#[case] status: u16, #[case] words: &str) {
    let (server, _) = ostree_image().await;
    let front = server.spoiled(None).unwrap();
    let credentials = DockerConfig::parse(front.docker_config().as_bytes()).unwrap();
    let image = format!("{}/os/base:1", front.address());
    let wrong = Wrong::Status(status, &[]);
    front.spoil(Some(Fault { method: Method::GET, path: "/manifests/".into(), times: 100, wrong }));
    let error = registry(&server).resolve(&image, &amd64(), &credentials).await.unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
    front.spoil(None);
    registry(&server).resolve(&image, &amd64(), &credentials).await.unwrap();
}

/// A 404 that has no word of a registry, as a proxy answers whose registry is away.
#[rstest]
#[case::of_everything("/", false)]
#[case::of_the_repository("/os/", false)]
#[case::of_a_registry_that_says_no_more("/manifests/", true)]
#[tokio::test]
async fn a_404_counts_if_it_is_a_registrys(#[case] path: &'static str, #[case] is_believed: bool) {
    let (server, _) = ostree_image().await;
    let front = server.spoiled(None).unwrap();
    let credentials = DockerConfig::parse(front.docker_config().as_bytes()).unwrap();
    let image = format!("{}/os/base:2", front.address());
    let wrong = Wrong::Status(404, &[]);
    front.spoil(Some(Fault { method: Method::GET, path: path.into(), times: 100, wrong }));
    match registry(&server).find(&image, &credentials).await {
        Ok(found) => assert!(found.is_none() && is_believed, "{found:?}"),
        Err(error) => {
            assert!(!is_believed && error.to_string().contains("that it is the registry that answers"), "{error}")
        }
    }
    front.spoil(None);
    assert_eq!(registry(&server).find(&image, &credentials).await.unwrap(), None, "the registry's own word");
}

#[tokio::test]
async fn a_repository_that_does_not_exist_has_no_images() {
    let (server, _) = ostree_image().await;
    let credentials = credentials(&server, RegistryServer::PASSWORD);
    let by_digest = format!("{}/os/base@sha256:{}", server.address(), "0".repeat(64));
    for image in [format!("{}/other/base:1", server.address()), by_digest] {
        assert_eq!(registry(&server).find(&image, &credentials).await.unwrap(), None, "{image}");
    }
}

#[tokio::test]
async fn a_bundle_of_a_whole_system_may_hold_what_tls_cannot_use() {
    let (server, image) = ostree_image().await;
    let system = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap();
    let odd = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    let bundle = format!("# everything\n{odd}{system}{}\n# the end\n", server.authority());
    let registry = Registry::new(Some(&bundle)).unwrap();
    registry.resolve(&image, &amd64(), &credentials(&server, RegistryServer::PASSWORD)).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_is_away_is_named() {
    let (mut server, image) = ostree_image().await;
    let credentials = credentials(&server, RegistryServer::PASSWORD);
    let registry = registry(&server);
    server.stop();
    let error = registry.resolve(&image, &amd64(), &credentials).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("registry {} does not answer", server.address())), "{error}");
}

#[rstest]
#[case::an_empty_name("")]
#[case::capitals("registry.example.com/OS")]
#[tokio::test]
async fn a_name_that_is_none_is_refused(#[case] image: &str) {
    let registry = Registry::new(None).unwrap();
    let error = registry.resolve(image, &amd64(), &DockerConfig::default()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Name { .. }), "{error:?}");
}

#[test]
fn authorities_that_are_none_are_refused() {
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = Registry::new(Some(text)).err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("in PEM")));
}

/// A server with an image for each of these architectures, by digest.
async fn images_for<const N: usize>(architectures: [&str; N]) -> (RegistryServer, BTreeMap<String, String>) {
    let server = RegistryServer::start().await.unwrap();
    let mut images = BTreeMap::new();
    for architecture in architectures {
        let labels = json!({"ostree.final-diffid": "sha256:aa", "ostree.bootable": "1", "for": architecture});
        let image = server.push_empty_for(architecture, &format!("os/base:{architecture}"), &labels).await.unwrap();
        images.insert(architecture.to_owned(), image);
    }
    (server, images)
}

#[tokio::test]
async fn images_for_several_architectures_are_joined_by_an_index_that_each_finds_its_own_in() {
    let (server, images) = images_for(["amd64", "arm64"]).await;
    let (registry, credentials) = (registry(&server), credentials(&server, RegistryServer::PASSWORD));
    let target = format!("{}/os/base:all", server.address());
    let joined = registry.join(&target, &images, &credentials).await.unwrap();
    assert_eq!(registry.join(&target, &images, &credentials).await.unwrap(), joined, "equal images, an equal index");
    assert!(!images.values().any(|image| *image == joined), "{joined}");

    // The judge from outside: what skopeo makes of it on machines of both architectures.
    for (architecture, image) in &images {
        let config = server.config_of(&target, architecture).await.unwrap();
        assert_eq!(config, server.config_of(image, architecture).await.unwrap());
        assert_eq!(config["config"]["Labels"]["for"], architecture.as_str());
    }

    let both: BTreeSet<String> = images.keys().cloned().collect();
    let resolved = registry.resolve(&target, &both, &credentials).await.unwrap();
    assert_eq!((&resolved.reference, &resolved.architectures), (&joined, &both));
    assert_eq!(resolved.labels["arm64"]["for"], "arm64");
    assert_eq!(resolved.fault(&both), None);
    let more = ["amd64", "s390x"].map(str::to_owned).into();
    let fault = registry.resolve(&target, &more, &credentials).await.unwrap().fault(&more).unwrap();
    assert!(fault.contains("is for amd64, arm64, and nodes of the pool are s390x"), "{fault}");
    assert_eq!(registry.layers(&target, "arm64", &credentials).await.unwrap(), []);
    let error = registry.layers(&target, "s390x", &credentials).await.unwrap_err();
    assert!(error.to_string().contains("no image for s390x"), "{error}");
}

#[tokio::test]
async fn an_image_for_another_architecture_is_not_joined() {
    let (server, mut images) = images_for(["amd64"]).await;
    let image = images.remove("amd64").unwrap();
    let (registry, credentials) = (registry(&server), credentials(&server, RegistryServer::PASSWORD));
    let target = format!("{}/os/base:all", server.address());
    let images = [("arm64".to_owned(), image)].into();
    let error = registry.join(&target, &images, &credentials).await.unwrap_err();
    assert!(error.to_string().contains("it is for amd64, and was built for arm64"), "{error}");
    assert_eq!(registry.find(&target, &credentials).await.unwrap(), None);
}

#[tokio::test]
async fn a_registry_that_takes_no_index_is_quoted() {
    let (server, images) = images_for(["amd64", "arm64"]).await;
    let (registry, wrong) = (registry(&server), credentials(&server, "guess"));
    let error = registry.join(&format!("{}/os/base:all", server.address()), &images, &wrong).await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
}
