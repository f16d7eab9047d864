//! The client against Debian's docker-registry with TLS and a password. The program missing fails the test.
#![cfg(test)]

mod server;

use oci_client::client::{Config, ImageLayer};
use oci_client::manifest::OciImageManifest;
use onlay_registry::{DockerConfig, Registry, RegistryError};
use rstest::rstest;
use server::Server;

const LABELS: &str = r#"{"ostree.final-diffid":"sha256:aa","ostree.bootable":"1"}"#;

fn credentials(server: &Server, password: &str) -> DockerConfig {
    let text = format!(r#"{{"auths":{{"{}":{{"username":"tiny","password":"{password}"}}}}}}"#, server.address);
    DockerConfig::parse(text.as_bytes()).unwrap()
}

async fn push(server: &Server, labels: &str) -> String {
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Labels":{labels}}},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    let layer = ImageLayer::oci_v1(b"not really a layer".to_vec(), None);
    let config = Config::oci_v1(config.into_bytes(), None);
    let manifest = OciImageManifest::build(std::slice::from_ref(&layer), &config, None);
    let image = format!("{}/os/base:1", server.address);
    let reference = image.parse().unwrap();
    server.client().push(&reference, &[layer], config, &server.login(), Some(manifest)).await.unwrap();
    image
}

fn registry(server: &Server) -> Registry {
    Registry::new(Some(&server.authority), "amd64").unwrap()
}

#[tokio::test]
async fn a_tag_is_resolved_to_a_digest_with_labels() {
    let server = Server::start();
    let image = push(&server, LABELS).await;
    let credentials = credentials(&server, "secret");
    let resolved = registry(&server).resolve(&image, &credentials).await.unwrap();
    assert_eq!(resolved.reference, format!("{}/os/base@{}", server.address, resolved.digest));
    assert!(resolved.digest.starts_with("sha256:"));
    assert_eq!((resolved.architecture.as_str(), resolved.labels.len()), ("amd64", 2));
    assert_eq!(resolved.ostree_fault(), None);
    let again = registry(&server).resolve(&resolved.reference, &credentials).await.unwrap();
    assert_eq!(again, resolved);
    assert_eq!(registry(&server).find(&image, &credentials).await.unwrap(), Some(resolved.reference));
}

#[tokio::test]
async fn an_image_without_ostree_says_what_is_missing() {
    let server = Server::start();
    let image = push(&server, "null").await;
    let resolved = registry(&server).resolve(&image, &credentials(&server, "secret")).await.unwrap();
    let fault = resolved.ostree_fault().unwrap();
    assert!(fault.contains("no label ostree.final-diffid") && fault.contains("ostree.bootable"), "{fault}");
}

#[rstest]
#[case::a_wrong_password(Some("guess"))]
#[case::no_password(None)]
#[tokio::test]
async fn a_registry_that_refuses_is_quoted(#[case] password: Option<&str>) {
    let server = Server::start();
    let image = push(&server, LABELS).await;
    let credentials = password.map(|password| credentials(&server, password)).unwrap_or_default();
    let error = registry(&server).resolve(&image, &credentials).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RegistryError::Refused { .. }), "{error:?}");
    assert!(text.contains(&image) && text.contains("401") && text.contains("check the credentials"), "{text}");
}

#[tokio::test]
async fn a_tag_that_does_not_exist_is_not_found() {
    let server = Server::start();
    push(&server, LABELS).await;
    let image = format!("{}/os/base:2", server.address);
    let credentials = credentials(&server, "secret");
    let error = registry(&server).resolve(&image, &credentials).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("404 Not Found"), "{error}");
    assert_eq!(registry(&server).find(&image, &credentials).await.unwrap(), None);
}

#[tokio::test]
async fn a_strange_certificate_is_not_trusted() {
    let server = Server::start();
    let image = push(&server, LABELS).await;
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let registry = Registry::new(Some(&other), "amd64").unwrap();
    let error = registry.resolve(&image, &credentials(&server, "secret")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Untrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("ConfigMap of registry authorities"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_away_is_named() {
    let server = Server::start();
    let image = push(&server, LABELS).await;
    let credentials = credentials(&server, "secret");
    let registry = registry(&server);
    let address = server.address.clone();
    drop(server);
    let error = registry.resolve(&image, &credentials).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("registry {address} does not answer")), "{error}");
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
