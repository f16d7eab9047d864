//! Commands on a sysroot that is not booted, with images from a directory.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::base::Workshop;
use crate::tool::{onlay_ostree, refused};

/// The layers of the image in an OCI directory; its history says when it was made, which differs each time.
fn layers(image: &str) -> Value {
    let directory = Path::new(image.strip_prefix("oci:").unwrap());
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(directory.join(path)).unwrap()).unwrap() };
    let index = read(Path::new("index.json"));
    let digest = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
    read(&Path::new("blobs").join(digest))["layers"].take()
}

#[test]
fn the_same_commit_makes_the_same_layers() {
    let workshop = Workshop::new();
    let first = layers(&workshop.image("hello"));
    let again = workshop.encapsulate("hello", "again");
    assert!(!first.as_array().unwrap().is_empty());
    assert_eq!(layers(again["image"].as_str().unwrap()), first);
    assert_ne!(layers(&workshop.image("bye")), first);
}

#[test]
fn a_first_deployment_is_listed_with_everything_that_names_it() {
    let workshop = Workshop::new();
    let image = workshop.image("hello");
    let deployed = workshop.deploy(&image, &["--karg", "rw", "--karg", r#"dyndbg="file a +p""#]);
    let status = workshop.status();
    let entry = &status["deployments"][0];

    assert!(status["booted"].is_null());
    assert_eq!(entry["id"], deployed["id"]);
    assert_eq!(entry["digest"], deployed["digest"]);
    assert_eq!(entry["kargs"], serde_json::json!(["rw", r#"dyndbg="file a +p""#]));
    for flag in ["booted", "staged", "locked", "pinned"] {
        assert_eq!(entry[flag], false, "{flag}");
    }
    let root = format!("{}/{}", workshop.path("sys"), entry["path"].as_str().unwrap());
    assert_eq!(fs::read_to_string(format!("{root}/etc/greeting")).unwrap(), "hello");
}

#[test]
fn other_kernel_arguments_for_the_same_image_are_a_deployment_of_their_own() {
    let workshop = Workshop::new();
    let image = workshop.image("hello");
    let first = workshop.deploy(&image, &["--karg", "a"]);
    let second = workshop.deploy(&image, &["--karg", "b"]);
    let status = workshop.status();

    assert_ne!(first["id"], second["id"]);
    assert_eq!(status["deployments"][0]["id"], second["id"]);
    assert_eq!(status["deployments"][0]["serial"], 1);
    assert_eq!(status["deployments"][0]["checksum"], status["deployments"][1]["checksum"]);
}

#[test]
fn going_back_reorders_and_pruning_keeps_what_is_named() {
    let workshop = Workshop::new();
    let sysroot = workshop.path("sys");
    let old = workshop.deploy(&workshop.image("old"), &["--karg", "rw"]);
    let new = workshop.deploy(&workshop.image("new"), &["--karg", "rw"]);
    let old_id = old["id"].as_str().unwrap();

    onlay_ostree(&["rollback", "--sysroot", &sysroot, "--to", old_id]);
    assert_eq!(workshop.status()["deployments"][0]["id"], old["id"]);
    assert_eq!(workshop.status()["deployments"][1]["id"], new["id"]);

    let pruned = onlay_ostree(&["prune", "--sysroot", &sysroot, "--keep", old_id]);
    assert_eq!(pruned["removed"], serde_json::json!([new["id"]]));
    assert_eq!(pruned["images"], 1);
    assert_eq!(workshop.status()["deployments"].as_array().unwrap().len(), 1);
}

#[test]
fn an_unknown_deployment_is_answered_with_the_known_ones() {
    let workshop = Workshop::new();
    let deployed = workshop.deploy(&workshop.image("hello"), &[]);
    let error = refused(&["rollback", "--sysroot", &workshop.path("sys"), "--to", "debian/0.0"]);
    assert!(error.starts_with("error: failed to find deployment debian/0.0; this system has "), "{error}");
    assert!(error.contains(deployed["id"].as_str().unwrap()), "{error}");
}

#[test]
fn commands_for_the_booted_system_say_so_elsewhere() {
    for command in ["unlock", "discard"] {
        let error = refused(&[command]);
        assert!(error.contains(command) && error.contains("booted"), "{error}");
    }
}
