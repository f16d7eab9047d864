use rstest::rstest;

use super::*;

fn contents(key: &str, value: &str) -> Option<Contents> {
    Some(Hidden([(key.to_owned(), value.as_bytes().to_vec())].into()))
}

fn places(extras: &Extras) -> Vec<(&'static str, &str)> {
    extras.mounts.iter().map(|mount| (mount.place.path(), mount.name.as_str())).collect()
}

#[test]
fn where_nothing_is_provided_nothing_is_given() {
    let extras = Extras::of(&BuildPolicy::default(), &Provided::default(), "worker");
    assert_eq!((extras.mark(), extras), (None, Extras::default()));
}

#[test]
fn a_containerfile_is_known_by_everything_beside_it() {
    let key = r#"{"containerfile": {"secretKeyRef": {"name": "image", "key": "Main"}}}"#;
    let policy: BuildPolicy = serde_json::from_str(key).unwrap();
    let provided = Provided { containerfile: contents("Main", "FROM configs"), ..Provided::default() };
    let extras = Extras::of(&policy, &provided, "worker");
    assert_eq!(extras.outside().files, ["Main"].into());
    let source = extras.source.unwrap();
    assert_eq!((source.kind, source.name.as_str(), source.key.as_str()), (Kind::Secret, "image", "Main"));
    assert_eq!(Extras::of(&policy, &Provided::default(), "worker"), Extras::NONE);
    assert_eq!(Extras::of(&BuildPolicy::default(), &provided, "worker"), Extras::NONE);
}

#[test]
fn everything_is_seen_where_package_managers_look() {
    let provided = Provided {
        repositories: contents("a.repo", "[a]"),
        keys: contents("RPM-GPG-KEY-a", "key"),
        entitlements: Entitlements { own: true, ..Entitlements::default() },
        ..Provided::default()
    };
    let expected = [
        ("/etc/yum.repos.d", "etc-yum-repos-d"),
        ("/etc/pki/rpm-gpg", "etc-pki-rpm-gpg"),
        ("/etc/pki/entitlement", "etc-pki-entitlement"),
    ];
    assert_eq!(places(&Extras::of(&BuildPolicy::default(), &provided, "worker")), expected);
}

const NOBODYS: Entitlements = Entitlements { of_pool: None, own: false, of_cluster: None };

#[rstest]
#[case::none(NOBODYS, None)]
#[case::of_a_person_for_all_pools(Entitlements { own: true, of_cluster: contents("a", "b"), ..NOBODYS }, Some("there etc-pki-entitlement"))]
#[case::of_a_person_for_the_pool(Entitlements { own: true, of_pool: Some(OfPool::Person), ..NOBODYS }, Some("there etc-pki-entitlement-worker"))]
#[case::of_the_cluster(Entitlements { of_cluster: contents("a", "b"), ..NOBODYS }, Some("copied etc-pki-entitlement-worker"))]
#[case::copied_before(Entitlements { of_pool: Some(OfPool::Build), of_cluster: contents("a", "b"), ..NOBODYS }, Some("copied etc-pki-entitlement-worker"))]
#[case::copied_before_a_person_came(Entitlements { of_pool: Some(OfPool::Build), own: true, ..NOBODYS }, Some("there etc-pki-entitlement"))]
#[case::gone_from_the_cluster(Entitlements { of_pool: Some(OfPool::Build), ..NOBODYS }, None)]
fn entitlements_come_from(#[case] entitlements: Entitlements, #[case] expected: Option<&str>) {
    let chosen = entitlements.choose("worker").map(|chosen| match chosen {
        Entitlement::There(name) => format!("there {name}"),
        Entitlement::Copied(name, _) => format!("copied {name}"),
    });
    assert_eq!(chosen.as_deref(), expected);
}

#[test]
fn what_decides_which_packages_come_is_part_of_what_commands_stand_on() {
    let mark = |provided: Provided| Extras::of(&BuildPolicy::default(), &provided, "worker").mark();
    let repository = |text: &str| mark(Provided { repositories: contents("a.repo", text), ..Provided::default() });
    let key = |text: &str| mark(Provided { keys: contents("a.repo", text), ..Provided::default() });
    assert_eq!(repository("[a]"), repository("[a]"));
    assert_ne!(repository("[a]"), repository("[b]"));
    assert_ne!(repository("[a]"), key("[a]"));
    let entitlements = Entitlements { own: true, ..NOBODYS };
    assert_eq!(mark(Provided { entitlements, ..Provided::default() }), None);
}

#[test]
fn no_message_shows_what_is_provided() {
    let provided = Provided { keys: contents("a", "secret"), ..Provided::default() };
    assert!(!format!("{provided:?}").contains("115"), "{provided:?}");
}

#[test]
fn only_arguments_that_are_declared_count() {
    let given = r#"{"buildArgs": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}"#;
    let policy: BuildPolicy = serde_json::from_str(given).unwrap();
    let file = crate::build::containerfile::parse("FROM configs\nARG B\n").unwrap().unwrap();
    let extras = Extras::of(&policy, &Provided::default(), "worker").settled(true, &[&file]);
    assert_eq!(extras.arguments, [("B".to_owned(), "2".to_owned())].into());
}

#[rstest]
#[case::of_the_cluster("{}", Some("http://cluster:1"), &[("HTTPS_PROXY", "http://cluster:1"), ("https_proxy", "http://cluster:1")])]
#[case::of_the_policy(
    r#"{"proxy": {"httpProxy": "http://a:1", "noProxy": ".svc"}}"#,
    Some("http://cluster:1"),
    &[("HTTP_PROXY", "http://a:1"), ("NO_PROXY", ".svc"), ("http_proxy", "http://a:1"), ("no_proxy", ".svc")]
)]
#[case::switched_off(r#"{"proxy": {}}"#, Some("http://cluster:1"), &[])]
#[case::none("{}", None, &[])]
fn proxies(#[case] policy: &str, #[case] of_cluster: Option<&str>, #[case] expected: &[(&str, &str)]) {
    let policy: BuildPolicy = serde_json::from_str(policy).unwrap();
    let proxy = of_cluster.map(|address| Proxy { https_proxy: Some(address.to_owned()), ..Proxy::default() });
    let extras = Extras::of(&policy, &Provided { proxy, ..Provided::default() }, "worker");
    let found: Vec<_> = extras.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
}
