use rstest::rstest;

use super::*;

fn basic(user: &str, password: &str) -> Option<Credentials> {
    Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() })
}

/// `base64` of `lab:secret`, `lab:` and `a:b:c`.
const LAB: &str = "bGFiOnNlY3JldA==";

#[rstest]
#[case::joined(r#"{"auth": "bGFiOnNlY3JldA=="}"#, basic("lab", "secret"))]
#[case::joined_with_a_colon_in_the_password(r#"{"auth": "YTpiOmM="}"#, basic("a", "b:c"))]
#[case::apart(r#"{"username": "lab", "password": "secret"}"#, basic("lab", "secret"))]
#[case::joined_counts_more(r#"{"username": "x", "password": "y", "auth": "bGFiOnNlY3JldA=="}"#, basic("lab", "secret"))]
#[case::a_token(r#"{"registrytoken": "t"}"#, Some(Credentials::Bearer("t".to_owned())))]
#[case::nothing("{}", None)]
fn an_entry_is_read(#[case] entry: &str, #[case] expected: Option<Credentials>) {
    let config = DockerConfig::parse(format!(r#"{{"auths": {{"host:5000": {entry}}}}}"#).as_bytes()).unwrap();
    assert_eq!(config.credentials("host:5000/a/b").unwrap(), expected);
}

#[rstest]
#[case::no_base64(r#"{"auth": "???"}"#, "base64")]
#[case::no_colon(r#"{"auth": "YWJj"}"#, "user:password")]
#[case::half(r#"{"username": "lab"}"#, "only one of")]
#[case::an_identity_token(r#"{"auth": "YTo=", "identitytoken": "t"}"#, "identity token")]
#[case::numbers(r#"{"auth": 1}"#, "no texts")]
fn an_entry_that_says_nothing_is_refused(#[case] entry: &str, #[case] words: &str) {
    let config = DockerConfig::parse(format!(r#"{{"auths": {{"host": {entry}}}}}"#).as_bytes()).unwrap();
    let error = config.credentials("host/a").unwrap_err().to_string();
    assert!(error.starts_with("failed to read the credentials for host:") && error.contains(words), "{error}");
}

#[rstest]
#[case::the_host("quay.io/other/a", Some("quay.io"))]
#[case::a_path("quay.io/team/z", Some("quay.io/team"))]
#[case::the_longest_path("quay.io/team/a/b", Some("quay.io/team/a"))]
#[case::no_part_of_a_name("quay.io/teammates/a", Some("quay.io"))]
#[case::another_port("quay.io:5000/team/a", None)]
#[case::an_old_key("registry.example.com/a", Some("registry.example.com"))]
#[case::the_hub_by_its_other_name("docker.io/library/debian", Some("docker.io"))]
#[case::nobody("ghcr.io/a", None)]
fn the_longest_key_wins(#[case] repository: &str, #[case] expected: Option<&str>) {
    let keys = [
        "quay.io",
        "quay.io/team",
        "quay.io/team/a",
        "https://registry.example.com/v2/",
        "https://index.docker.io/v1/",
    ];
    let auths: BTreeMap<_, _> = keys.map(|key| (key, json!({"auth": LAB}))).into();
    let config = DockerConfig::parse(json!({"auths": auths}).to_string().as_bytes()).unwrap();
    assert_eq!(config.entry(repository).map(|(key, _)| key), expected);
}

#[test]
fn the_older_format_is_read_too() {
    let config = DockerConfig::parse(br#"{"host": {"auth": "bGFiOnNlY3JldA=="}}"#).unwrap();
    assert_eq!(config.credentials("host/a").unwrap(), basic("lab", "secret"));
    assert_eq!(config.to_json(), r#"{"auths":{"host":{"auth":"bGFiOnNlY3JldA=="}}}"#);
}

#[rstest]
#[case::no_json("a: b")]
#[case::a_list("[]")]
#[case::something_else(r#"{"auths": "x"}"#)]
#[case::another_document(r#"{"kind": "Secret"}"#)]
fn what_is_no_configuration_is_refused(#[case] text: &str) {
    DockerConfig::parse(text.as_bytes()).unwrap_err();
}

#[test]
fn secrets_are_not_printed() {
    let config = DockerConfig::parse(br#"{"auths": {"host": {"auth": "bGFiOnNlY3JldA=="}}}"#).unwrap();
    let printed = format!("{config:?} {:?}", config.credentials("host"));
    assert!(!printed.contains("secret") && !printed.contains(LAB), "{printed}");
}
