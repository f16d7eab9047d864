//! The client against Debian's docker-registry with TLS and a password.
//!
//! Needs the programs docker-registry and skopeo; a missing one fails the test.
#![cfg(test)]

use onlay_registry::{DockerConfig, Registry, RegistryError};
use onlay_testkit::RegistryServer;
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

fn registry(server: &RegistryServer) -> Registry {
    Registry::new(Some(server.authority()), "amd64").unwrap()
}

#[tokio::test]
async fn a_tag_is_resolved_to_a_digest_with_labels() {
    let (server, image) = ostree_image().await;
    let credentials = credentials(&server, RegistryServer::PASSWORD);
    let resolved = registry(&server).resolve(&image, &credentials).await.unwrap();
    assert_eq!(resolved.reference, format!("{}/os/base@{}", server.address(), resolved.digest));
    assert!(resolved.digest.starts_with("sha256:"));
    assert_eq!((resolved.architecture.as_str(), resolved.labels.len()), ("amd64", 2));
    assert_eq!(resolved.ostree_fault(), None);
    let again = registry(&server).resolve(&resolved.reference, &credentials).await.unwrap();
    assert_eq!(again, resolved);
    assert_eq!(registry(&server).find(&image, &credentials).await.unwrap(), Some(resolved.reference));
}

#[tokio::test]
async fn an_image_without_ostree_says_what_is_missing() {
    let (server, image) = image_with(&Value::Null).await;
    let resolved = registry(&server).resolve(&image, &credentials(&server, RegistryServer::PASSWORD)).await.unwrap();
    let fault = resolved.ostree_fault().unwrap();
    assert!(fault.contains("no label ostree.final-diffid") && fault.contains("ostree.bootable"), "{fault}");
}

#[rstest]
#[case::a_wrong_password(Some("guess"))]
#[case::no_password(None)]
#[tokio::test]
async fn a_registry_that_refuses_is_quoted(#[case] password: Option<&str>) {
    let (server, image) = ostree_image().await;
    let credentials = password.map(|password| credentials(&server, password)).unwrap_or_default();
    let error = registry(&server).resolve(&image, &credentials).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RegistryError::Refused { .. }), "{error:?}");
    assert!(text.contains(&image) && text.contains("401") && text.contains("check the credentials"), "{text}");
}

#[tokio::test]
async fn a_tag_that_does_not_exist_is_not_found() {
    let (server, _) = ostree_image().await;
    let image = format!("{}/os/base:2", server.address());
    let credentials = credentials(&server, RegistryServer::PASSWORD);
    let error = registry(&server).resolve(&image, &credentials).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("404 Not Found"), "{error}");
    assert_eq!(registry(&server).find(&image, &credentials).await.unwrap(), None);
}

#[tokio::test]
async fn a_strange_certificate_is_not_trusted() {
    let (server, image) = ostree_image().await;
    let other = RegistryServer::start().await.unwrap();
    let error = registry(&other).resolve(&image, &credentials(&server, RegistryServer::PASSWORD)).await.unwrap_err();
    assert!(matches!(error, RegistryError::Untrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("ConfigMap of registry authorities"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_away_is_named() {
    let (mut server, image) = ostree_image().await;
    let credentials = credentials(&server, RegistryServer::PASSWORD);
    let registry = registry(&server);
    server.stop();
    let error = registry.resolve(&image, &credentials).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("registry {} does not answer", server.address())), "{error}");
}

#[rstest]
#[case::an_empty_name("")]
#[case::capitals("registry.example.com/OS")]
#[tokio::test]
async fn a_name_that_is_none_is_refused(#[case] image: &str) {
    let registry = Registry::new(None, "amd64").unwrap();
    let error = registry.resolve(image, &DockerConfig::default()).await.unwrap_err();
    assert!(matches!(error, RegistryError::Name { .. }), "{error:?}");
}

#[test]
fn authorities_that_are_none_are_refused() {
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let error = Registry::new(Some(text), "amd64").err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("in PEM")));
}
