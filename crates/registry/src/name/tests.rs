use oci_client::Reference;
use proptest::prelude::*;
use rstest::rstest;

use super::parse;

const DIGEST: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

#[rstest]
#[case::by_tag("registry.example.com:5000/os/image:1.2", "registry.example.com:5000/os/image:1.2")]
#[case::by_nothing("localhost/os", "localhost/os:latest")]
#[case::without_a_registry("os/image:1", "docker.io/os/image:1")]
#[case::without_an_owner("debian", "docker.io/library/debian:latest")]
#[case::of_the_old_name("index.docker.io/debian:12", "docker.io/library/debian:12")]
fn a_name_is_read(#[case] text: &str, #[case] whole: &str) {
    assert_eq!(parse(text).unwrap().whole(), whole);
    let by_digest = format!("{text}@{DIGEST}");
    assert_eq!(parse(&by_digest).unwrap().digest(), Some(DIGEST));
    assert_eq!(parse(&by_digest).ok(), by_digest.parse::<Reference>().ok());
}

#[rstest]
#[case::nothing("", "empty")]
#[case::in_capitals("registry.example.com/OS/image:1", "\"OS\" in its path")]
#[case::with_an_empty_part("registry.example.com//image", "empty")]
#[case::of_a_url("https://registry.example.com/os", "leave out \"https://\"")]
#[case::with_a_broken_tag("registry.example.com/os:a b", "\"a b\" is no tag")]
#[case::with_a_short_digest("registry.example.com/os@sha256:aa", "is no digest")]
#[case::with_a_broken_host("-a.example.com/os", "\"-a.example.com\" is no HOST")]
fn what_is_no_name_is_told(#[case] text: &str, #[case] words: &str) {
    let reason = parse(text).unwrap_err();
    assert!(reason.contains(words), "{reason}");
}

/// Pieces of names, so that many texts are names and many are nearly some.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9]{1,3}",
        "[._-]{1,3}",
        "[A-Z/:@]",
        Just("localhost".to_owned()),
        Just("index.docker.io/".to_owned()),
        Just(":5000/".to_owned()),
        Just(format!("@{DIGEST}")),
        Just("@sha512:ff".to_owned()),
        "[ -~é]",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn names_are_read_as_oci_client_reads_them(text in pieces()) {
        // It knows no IPv6 addresses, takes any letter for one of a tag, capitals in a path whose first part could be a host, and parts of a path for a
        // host, such as `a_b.c`; no registry has such names.
        prop_assume!(text.is_ascii() && !text.starts_with('['));
        let is_usual = |name: &Reference| {
            let is_path = !name.repository().bytes().any(|byte| byte.is_ascii_uppercase());
            is_path && parse(&format!("{}/a", name.registry())).is_ok()
        };
        let theirs = text.parse::<Reference>().ok().filter(is_usual);
        prop_assert_eq!(parse(&text).ok(), theirs);
    }
}
