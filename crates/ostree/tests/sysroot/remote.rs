//! Images from a registry: by digest, with credentials, and without asking again for what is already here.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use onlay_testkit::Validity;
use rstest::rstest;

use crate::base::Workshop;
use crate::registry::Registry;
use crate::tool::refused;

fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn an_image_is_known_by_its_digest_and_deployed_again_without_the_registry() {
    let workshop = Workshop::new();
    let registry = Registry::start(&workshop).await;
    let image = registry.push(&workshop.image("hello"), "os/base").await;
    let access = registry.access("auth.json", "certs");
    fs::set_permissions(&access[1], fs::Permissions::from_mode(0o600)).unwrap();

    let first = workshop.deploy(&image, &refs(&access));
    assert_eq!(image.split_once('@').unwrap().1, first["digest"]);
    assert_eq!(workshop.status()["deployments"][0]["image"], image.as_str());

    let moved = image.replace("os/base", "os/moved");
    drop(registry);
    for (image, serial) in [(&image, 1), (&moved, 2)] {
        workshop.deploy(image, &["--karg", "quiet"]);
        let newest = workshop.status()["deployments"][0].clone();
        assert_eq!((&newest["serial"], &newest["image"]), (&serial.into(), &image.as_str().into()));
        assert_eq!(newest["kargs"], serde_json::json!(["quiet"]));
    }
}

#[rstest]
#[case::a_missing_authfile_is_named("none.json", "certs", "hello", &["none.json", "No such file", "--authfile"])]
#[case::a_wrong_password_names_the_file("wrong.json", "certs", "hello", &["wrong.json", "unauthorized", "may pull"])]
#[case::an_unknown_ca_names_the_place_for_it("auth.json", "no-certs", "hello", &["x509", "certs.d", "--cert-dir"])]
#[case::a_missing_certificate_directory_is_named("auth.json", "none", "hello", &["/none", "No such file", ".crt"])]
#[case::an_image_without_ostree_says_from("auth.json", "certs", "plain", &["ostree.bootable", "FROM an ostree base"])]
#[tokio::test]
async fn a_refused_pull_says_what_was_tried_and_the_way_out(
    #[case] authfile: &str,
    #[case] certs: &str,
    #[case] image: &str,
    #[case] expected: &[&str],
) {
    let workshop = Workshop::new();
    let registry = Registry::start(&workshop).await;
    let pushed = match image {
        "plain" => registry.push_plain("os/base").await,
        commit => registry.push(&workshop.image(commit), "os/base").await,
    };
    let access = registry.access(authfile, certs);
    let sysroot = workshop.path("sys");
    let deploy = ["deploy", "--sysroot", &sysroot, "--stateroot", "debian", "--image", &pushed];
    let error = refused(&[&deploy[..], &refs(&access)].concat());
    for part in expected {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
}

#[rstest]
#[case::is_over(Validity::hours(-2, -1))]
#[case::is_yet_to_come(Validity::hours(1, 2))]
#[tokio::test]
async fn a_certificate_whose_time(#[case] validity: Validity) {
    let workshop = Workshop::new();
    let registry = Registry::start(&workshop).await;
    let pushed = registry.push(&workshop.image("hello"), "os/base").await;
    let at = |address: &str| format!("{address}/{}", pushed.split_once('/').unwrap().1);
    let access = registry.access("front.json", "certs");
    let sysroot = workshop.path("sys");
    let front = registry.front(Some(validity));
    let image = at(front.address());
    let deploy = ["deploy", "--sysroot", &sysroot, "--stateroot", "debian", "--image", &image];
    let error = refused(&[&deploy[..], &refs(&access)].concat());
    assert!(error.contains(&image) && error.contains("check the clock of this node"), "{error}");
    assert!(!error.contains("certs.d"), "{error}");

    let front = registry.front(None);
    workshop.deploy(&at(front.address()), &refs(&access));
}

#[tokio::test]
async fn a_digest_that_the_registry_lost_asks_for_another_push() {
    let workshop = Workshop::new();
    let registry = Registry::start(&workshop).await;
    let pushed = registry.push(&workshop.image("hello"), "os/base").await;
    let lost = format!("{}@sha256:{}", pushed.split_once('@').unwrap().0, "0".repeat(64));
    let access = registry.access("auth.json", "certs");
    let sysroot = workshop.path("sys");
    let deploy = ["deploy", "--sysroot", &sysroot, "--stateroot", "debian", "--image", &lost];
    let error = refused(&[&deploy[..], &refs(&access)].concat());
    assert!(error.contains(&lost) && error.contains("push it again"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_gone_is_not_the_fault_of_the_credentials() {
    let workshop = Workshop::new();
    let registry = Registry::start(&workshop).await;
    let image = registry.push(&workshop.image("hello"), "os/base").await;
    let access = registry.access("auth.json", "certs");
    drop(registry);
    let sysroot = workshop.path("sys");
    let deploy = ["deploy", "--sysroot", &sysroot, "--stateroot", "debian", "--image", &image];
    let error = refused(&[&deploy[..], &refs(&access)].concat());
    assert!(error.contains(&image) && error.contains("reaches the registry"), "{error}");
}
