use super::*;
use serde_json::json;

#[test]
fn the_address_is_read_when_its_line_is_complete() {
    let line = r#"time="2026-01-01T00:00:00Z" level=info msg="listening on 127.0.0.1:38817, tls" version=2.8.2"#;
    assert_eq!(listening(line), Some("127.0.0.1:38817"));
    assert_eq!(listening(r#"level=info msg="listening on [::]:5000" version=2.8.2"#), Some("[::]:5000"));
    assert_eq!(listening(r#"level=info msg="listening on 127.0.0.1:388"#), None);
    assert_eq!(listening(r#"level=warning msg="No HTTP secret provided""#), None);
}

#[tokio::test]
async fn it_takes_images_from_its_user_alone_and_leaves_nothing_behind() {
    let mut server = RegistryServer::start().await.unwrap();
    let image = server.push_empty("os/base:1", &json!({"a": "b"})).await.unwrap();
    assert!(image.starts_with(&format!("{}/os/base@sha256:", server.address())), "{image}");
    let certificates = server.cert_dir();
    let access = ["--cert-dir", certificates.as_str(), "--creds"];
    let inspect = async |credentials, name: &str| {
        let name = format!("docker://{name}");
        command::run(&[&["skopeo", "inspect", "--config"], &access[..], &[credentials, &name]].concat()).await
    };
    let config: Value = serde_json::from_str(&inspect("tiny:secret", &image).await.unwrap()).unwrap();
    assert_eq!(config["config"]["Labels"], json!({"a": "b"}));
    let tagged = format!("{}/os/base:1", server.address());
    assert!(inspect("tiny:secret", &tagged).await.is_ok());
    let refused = inspect("tiny:guess", &image).await.unwrap_err().to_string();
    assert!(refused.contains("authentication required"), "{refused}");

    let directory = server.directory.clone();
    assert!(directory.exists());
    server.stop();
    assert!(!directory.exists());
    let gone = tokio::net::TcpStream::connect(server.address()).await.unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused);
    server.stop();
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named() {
    let server = RegistryServer::start().await.unwrap();
    let error = server.push("oci:/nowhere/at-all", "os/base:1").await.unwrap_err();
    assert_eq!(error.to_string(), "failed to push oci:/nowhere/at-all as os/base:1");
}
