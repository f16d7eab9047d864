use k8s_openapi::ByteString;
use onlay_core::build::machine::MaterialState;
use rstest::rstest;

use super::*;

fn secret(key: &str, text: &str) -> Secret {
    Secret { data: Some([(key.to_owned(), ByteString(text.as_bytes().to_vec()))].into()), ..Secret::default() }
}

fn entry(host: &str) -> String {
    format!(r#"{{"auths": {{"{host}": {{"auth": "bGFiOnNlY3JldA=="}}}}}}"#)
}

fn materials(pull: Option<&str>, push: &str) -> Materials {
    let of = |host: &str| credential("a", Some(&secret(DOCKER_CONFIG_KEY, &entry(host))));
    Materials { push: of(push), pull: pull.map(of), nodes: None, authorities: None, pem: None }
}

#[rstest]
#[case::with_the_newer_key(&secret(".dockerconfigjson", &entry("quay.io")), None)]
#[case::with_the_older_key(&secret(".dockercfg", r#"{"quay.io": {"auth": "bGFiOnNlY3JldA=="}}"#), None)]
#[case::of_another_kind(&secret("password", "x"), Some("has neither the key"))]
#[case::broken(&secret(".dockerconfigjson", "x"), Some("is of no use: failed to read credentials"))]
fn a_secret(#[case] secret: &Secret, #[case] words: Option<&str>) {
    let credential = credential("push-secret", Some(secret));
    match (&credential.material.state, words) {
        (MaterialState::Usable { .. }, None) => assert!(credential.config.is_some()),
        (MaterialState::Unusable { why }, Some(words)) => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_that_does_not_exist_is_missing() {
    assert_eq!(credential("a", None).material.state, MaterialState::Missing);
}

#[test]
fn contents_make_the_digest() {
    let digest = |text: &str| credential("a", Some(&secret(DOCKER_CONFIG_KEY, text))).material;
    assert_eq!(digest(&entry("a")), digest(&entry("a")));
    assert_ne!(digest(&entry("a")), digest(&entry("b")));
}

#[rstest]
#[case::that_can_only_pull(materials(Some("quay.io/os"), "quay.io"), Some("quay.io/os"))]
#[case::that_can_push_where_no_other_fits(materials(Some("other.io"), "quay.io"), Some("quay.io"))]
#[case::that_can_push_where_there_is_no_other(materials(None, "quay.io"), Some("quay.io"))]
#[case::that_is_named_for_them(
    Materials { nodes: materials(None, "quay.io/os").push.into(), ..materials(Some("quay.io"), "quay.io") }, Some("quay.io/os")
)]
#[case::of_nobody(materials(None, "other.io"), None)]
fn nodes_are_given_the_entry(#[case] materials: Materials, #[case] expected: Option<&str>) {
    let entry = materials.node_entry("quay.io/os/image");
    assert_eq!(entry.map(|entry| entry.key).as_deref(), expected);
}

#[rstest]
#[case::missing(None, MaterialState::Missing)]
#[case::without_the_key(Some(None), MaterialState::Unusable { why: "has no key ca.crt".to_owned() })]
fn authorities_that_cannot_be_read(#[case] data: Option<Option<&Data>>, #[case] state: MaterialState) {
    assert_eq!(authorities("registry-ca", data).0.state, state);
}
