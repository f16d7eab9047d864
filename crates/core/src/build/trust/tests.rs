use rstest::rstest;

use super::*;
use crate::build::pull_secret::Hidden;

/// The shape of a certificate: a sequence of ASN.1.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

fn named() -> BuildPolicy {
    serde_json::from_str(r#"{"trustedCA": {"name": "corporate-ca"}}"#).unwrap()
}

fn contents(key: &str, value: &str) -> Option<Contents> {
    Some(Hidden([(key.to_owned(), value.as_bytes().to_vec())].into()))
}

#[rstest]
#[case::nothing_is_there(None, Ok(None))]
#[case::nothing_is_in_it(Some(Hidden([].into())), Ok(None))]
#[case::it_has_something_else(contents("ca.crt", CERTIFICATE), Ok(None))]
#[case::it_is_not_filled_yet(contents("ca-bundle.crt", "\n"), Ok(None))]
#[case::it_is_filled(contents("ca-bundle.crt", CERTIFICATE), Ok(Some(CERTIFICATE)))]
#[case::it_is_filled_with_something_else(
    contents("ca-bundle.crt", "x"),
    Err("has no certificate in key ca-bundle.crt")
)]
fn the_usual_config_map_may_be_absent_or_empty(
    #[case] found: Option<Contents>,
    #[case] expected: Result<Option<&str>, &str>,
) {
    assert_eq!(config_map(&BuildPolicy::default()), "onlay-trusted-ca");
    check(&BuildPolicy::default(), found, expected);
}

#[rstest]
#[case::missing(None, Err("does not exist"))]
#[case::empty(Some(Hidden([].into())), Err("has no key ca-bundle.crt, and is empty; write certificates in PEM there"))]
#[case::with_another_key(contents("ca.crt", CERTIFICATE), Err("has no key ca-bundle.crt, and has ca.crt; write"))]
#[case::not_filled_yet(
    contents("ca-bundle.crt", ""),
    Err("has no certificate in key ca-bundle.crt; write certificates")
)]
#[case::filled(contents("ca-bundle.crt", CERTIFICATE), Ok(Some(CERTIFICATE)))]
fn one_that_the_policy_names_has_certificates(
    #[case] found: Option<Contents>,
    #[case] expected: Result<Option<&str>, &str>,
) {
    assert_eq!(config_map(&named()), "corporate-ca");
    check(&named(), found, expected);
}

fn check(policy: &BuildPolicy, found: Option<Contents>, expected: Result<Option<&str>, &str>) {
    match (authorities(policy, found.as_ref()), expected) {
        (Ok(pem), expected) => assert_eq!(Ok(pem.as_deref()), expected),
        (Err(why), Err(words)) => assert!(why.starts_with(words), "{why}"),
        (Err(why), expected) => panic!("{why}, not {expected:?}"),
    }
}

#[rstest]
#[case::one_below_the_other(&[CERTIFICATE, CERTIFICATE].concat(), 2)]
#[case::with_words_between_them(&["# Corporate CA\n", CERTIFICATE, "\n\u{fffd}\n", CERTIFICATE, "the end"].concat(), 2)]
#[case::in_lines_of_another_system(&CERTIFICATE.replace('\n', "\r\n"), 1)]
#[case::with_a_key_that_nobody_should_see(
    &[CERTIFICATE, "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n"].concat(), 1
)]
fn nothing_but_certificates_is_taken(#[case] text: &str, #[case] count: usize) {
    assert_eq!(certificates(text.as_bytes()), Ok(CERTIFICATE.repeat(count)));
}

#[test]
fn a_long_certificate_has_lines() {
    let body = STANDARD.encode([SEQUENCE; 90]);
    let text = format!("{BEGIN}\n{body}\n{END}\n");
    let pem = certificates(text.as_bytes()).unwrap();
    let lengths: Vec<usize> = pem.lines().map(str::len).collect();
    assert_eq!(lengths, [BEGIN.len(), 64, 56, END.len()]);
}

#[rstest]
#[case::cut_off("-----BEGIN CERTIFICATE-----\nMAMCAQE=\n")]
#[case::in_another_alphabet("-----BEGIN CERTIFICATE-----\nMAM_AQE=\n-----END CERTIFICATE-----")]
#[case::of_another_kind("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")]
fn a_broken_certificate_is_told_by_its_number(#[case] broken: &str) {
    let expected = "has a broken certificate in key ca-bundle.crt, number 2 of 2; correct it";
    assert_eq!(certificates([CERTIFICATE, broken].concat().as_bytes()), Err(expected.to_owned()));
}

#[test]
fn commands_are_told_where_the_authorities_are() {
    let file = "/run/onlay-ca/ca-bundle.crt";
    let expected = format!(
        "ARG SSL_CERT_FILE={file} CURL_CA_BUNDLE={file} REQUESTS_CA_BUNDLE={file} GIT_SSL_CAINFO={file} \
         NODE_EXTRA_CA_CERTS={file} APT_CONFIG=/run/onlay-ca/apt.conf\n"
    );
    assert_eq!(instruction(), expected);
    assert_eq!(apt(), format!("Acquire::https::CAInfo \"{file}\";\n"));
}
