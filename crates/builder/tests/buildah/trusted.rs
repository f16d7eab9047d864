//! Authorities that builds trust besides the machine's. The registry is the server: its authority is nobody's but its own.

use std::fs;

use onlay_core::build::spec::{Cause, EXIT_TRANSIENT};
use onlay_testkit::RegistryServer;
use serde_json::Value;

use crate::base;
use crate::extras::{holding, kubelet_mounts};
use crate::images::{list, newest};
use crate::world::{OSTREE, World, configuration};

/// A program that looks for authorities where commands are told. (apt needs dpkg's tables, which the tests' base image has not.)
const PROGRAMS: [&str; 1] = ["/usr/bin/openssl"];

fn nothing() -> Value {
    configuration(&[], &[], &[])
}

/// Gives builds a ConfigMap with this bundle.
fn trust(world: &mut World, bundle: &str) {
    kubelet_mounts(world, "trusted-ca", &[("ca-bundle.crt", bundle)]);
    world.extras.trusted_ca = Some("corporate-ca".to_owned());
}

/// Nobody tells builds of the registry's authority any more, but the bundle.
fn trust_nothing_else(world: &mut World) {
    fs::remove_dir_all(world.path("ca")).unwrap();
    let authority = world.registry.authority().to_owned();
    trust(world, &format!("# Corporate CA\n{authority}"));
}

/// The address of a document that the registry has, for those who know its user.
fn document(world: &World) -> String {
    format!("https://{}:{}@{}/v2/", RegistryServer::USER, RegistryServer::PASSWORD, world.registry.address())
}

/// A Containerfile whose command meets the registry.
fn fetching(world: &World) -> String {
    format!(
        "FROM configs AS final\nRUN true\n\
         RUN openssl s_client -connect {} -verify_return_error -brief < /dev/null && \\\n  echo met > /usr/share/seen\n",
        world.registry.address()
    )
}

#[test]
fn commands_meet_a_server_that_only_the_bundle_knows_and_nothing_of_it_is_in_the_image() {
    let mut world = World::on(&base::image_with(OSTREE, &PROGRAMS));
    let text = fetching(&world);
    let built = world.build(nothing(), Some(&text));
    let (failure, _) = built.failure();
    let step = failure.step.clone().unwrap();
    assert_eq!((failure.cause, step.line), (Cause::InstructionFailed, 3), "{failure:?}");
    assert!(failure.output.iter().any(|line| line.contains("certificate")), "{failure:?}");

    trust_nothing_else(&mut world);
    let built = world.build(nothing(), Some(&text));
    let image = built.image().to_owned();
    let layers = world.layers(&image);
    assert_eq!(newest(&layers, "usr/share/seen").as_deref(), Some("met\n"));
    let environment = world.environment(&image);
    assert!(!environment.to_string().contains("onlay-ca"), "{environment}");
    let line = world.registry.authority().lines().nth(1).unwrap().to_owned();
    assert_eq!(holding(&layers, &line), Vec::<String>::new());
    // Where something is bound, buildah leaves an empty directory.
    let names = layers.iter().flat_map(|(_, layer)| list(layer).into_keys());
    let left: Vec<_> = names.filter(|name| name.contains("onlay-ca") && name != "run/onlay-ca/").collect();
    assert_eq!(left, ["run/.wh.onlay-ca"], "the last layer takes it away");
}

#[test]
fn add_fetches_from_a_server_that_only_the_bundle_knows() {
    let mut world = World::new(OSTREE);
    trust_nothing_else(&mut world);
    let text =
        format!("FROM configs AS final\nADD {} /usr/share/seen\nRUN test -z \"$SSL_CERT_DIR\"\n", document(&world));
    let built = world.build(nothing(), Some(&text));
    let layers = world.layers(built.image());
    assert_eq!(newest(&layers, "usr/share/seen").as_deref(), Some("{}"));
}

#[test]
fn a_registry_that_only_the_bundle_knows_is_pulled_from_and_pushed_to_without_any_command() {
    let mut world = World::new(OSTREE);
    fs::remove_dir_all(world.path("ca")).unwrap();
    assert_eq!(world.build(nothing(), None).failure().0.cause, Cause::CertificateNotTrusted);
    let authority = world.registry.authority().to_owned();
    trust(&mut world, &authority);
    let built = world.build(configuration(&[("/etc/new", "x\n")], &[], &[]), None);
    assert!(built.image().starts_with(world.registry.address()));
}

#[test]
fn another_bundle_runs_no_command_again() {
    let mut world = World::new(OSTREE).with_cache();
    let authority = world.registry.authority().to_owned();
    let mut build = |bundle: &str| {
        trust(&mut world, bundle);
        let text = "FROM configs AS final\nRUN cat /proc/sys/kernel/random/uuid > /usr/share/seen\n";
        let built = world.build(nothing(), Some(text));
        newest(&world.layers(built.image()), "usr/share/seen").unwrap()
    };
    assert_eq!(build(&authority), build(&authority.repeat(2)));
}

#[test]
fn commands_trust_what_the_base_image_does_and_can_renew_its_bundle() {
    let base =
        format!("{OSTREE}\nRUN mkdir -p /etc/ssl/certs && echo of-the-base > /etc/ssl/certs/ca-certificates.crt\n");
    let mut world = World::new(&base);
    trust_nothing_else(&mut world);
    let text = "FROM configs AS final\n\
        RUN cat $SSL_CERT_FILE > /usr/share/seen; cat $APT_CONFIG > /usr/share/apt; ! echo x >> $SSL_CERT_FILE\n\
        RUN cd /etc/ssl/certs && echo renewed > new && rm ca-certificates.crt && ln new ca-certificates.crt\n\
        RUN exit 42\n";
    let failed = world.build(nothing(), Some(text));
    let step = failed.failure().0.step.clone().unwrap();
    assert_eq!((step.line, step.exit_code), (4, Some(42)), "lines are counted behind what is added");
    let built = world.build(nothing(), Some(text.trim_end_matches("RUN exit 42\n")));
    let layers = world.layers(built.image());
    let seen = newest(&layers, "usr/share/seen").unwrap();
    assert_eq!(seen, format!("of-the-base\n\n{}", world.registry.authority()));
    let apt = newest(&layers, "usr/share/apt").unwrap();
    assert_eq!(apt, "Acquire::https::CAInfo \"/run/onlay-ca/ca-bundle.crt\";\n");
    assert_eq!(newest(&layers, "etc/ssl/certs/ca-certificates.crt").as_deref(), Some("renewed\n"));
}

/// As Fedora's images have it; dnf is a stand-in, of which only the name counts.
const OF_DNF: &str = "RUN mkdir -p /etc/pki/tls/certs /etc/pki/ca-trust/extracted/pem && \
    echo of-the-base > /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem && \
    ln -s /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /etc/pki/tls/certs/ca-bundle.crt && \
    cp /usr/bin/id /usr/bin/dnf\n";

#[test]
fn what_downloads_for_dnf_finds_the_authorities_in_the_base_images_own_bundle() {
    let mut world = World::new(&format!("{OSTREE}\n{OF_DNF}"));
    trust_nothing_else(&mut world);
    let text = "FROM configs AS final\nRUN cat /etc/pki/tls/certs/ca-bundle.crt > /usr/share/seen\n";
    let built = world.build(nothing(), Some(text));
    let layers = world.layers(built.image());
    let merged = format!("of-the-base\n\n{}", world.registry.authority());
    assert_eq!(newest(&layers, "usr/share/seen").as_deref(), Some(merged.as_str()));
    let bundle = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
    assert_eq!(newest(&layers, bundle).as_deref(), Some("of-the-base\n"));
    let touched = layers[1..].iter().any(|(_, layer)| list(layer).contains_key(bundle));
    assert!(!touched, "nothing of it is in a layer");

    let text =
        "FROM configs AS final\nRUN cat /etc/pki/tls/certs/ca-bundle.crt > /usr/share/seen && echo update-ca-trust\n";
    let built = world.build(nothing(), Some(text));
    let layers = world.layers(built.image());
    assert_eq!(newest(&layers, "usr/share/seen").as_deref(), Some("of-the-base\n"), "a new one takes its place");
}

#[test]
fn a_bundle_that_was_emptied_since_the_build_was_made_is_told() {
    let mut world = World::new(OSTREE);
    trust(&mut world, "\n");
    let built = world.build(nothing(), None);
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::InputChanged, EXIT_TRANSIENT));
    assert!(failure.message.contains("ConfigMap corporate-ca: its key ca-bundle.crt"), "{}", failure.message);
}
