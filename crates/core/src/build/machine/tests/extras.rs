use onlay_api::conditions::{ConditionStatus, OSConfigConditionType};
use rstest::rstest;
use serde_json::json;

use super::policies::with_policy;
use super::world::{IMAGE, World};
use crate::build::extras::{Contents, OfPool};
use crate::build::pull_secret::Hidden;

fn contents(key: &str, value: &str) -> Option<Contents> {
    Some(Hidden([(key.to_owned(), value.as_bytes().to_vec())].into()))
}

fn build_name(world: &mut World) -> String {
    world.settle();
    world.asked().build
}

#[test]
fn a_repository_for_all_builds_makes_a_new_build() {
    let mut world = World::new();
    let before = build_name(&mut world);
    world.provided.repositories = contents("a.repo", "[a]");
    world.settle();
    assert_eq!(World::state(&world.builds[&before]).0, "Interrupted");
    assert_eq!(world.asked().extras.mounts[0].name, "etc-yum-repos-d");
}

#[test]
fn what_commands_see_is_nothing_to_a_build_without_commands() {
    let mut world = World::new();
    world.containerfile("");
    let before = build_name(&mut world);
    world.provided.repositories = contents("a.repo", "[a]");
    assert_eq!(build_name(&mut world), before);
}

#[test]
fn a_renewed_entitlement_makes_no_build() {
    let mut world = World::new();
    world.provided.entitlements.of_cluster = contents("entitlement.pem", "old");
    let before = build_name(&mut world);
    world.succeed(IMAGE);
    world.provided.entitlements.of_cluster = contents("entitlement.pem", "new");
    world.settle();
    assert_eq!(world.only_build().metadata.name, Some(before));
}

#[test]
fn the_clusters_entitlement_is_copied_for_a_build_and_removed_with_it() {
    let mut world = World::new();
    world.provided.entitlements.of_cluster = contents("entitlement.pem", "x");
    world.settle();
    let copy = world.copied.clone().unwrap();
    let owner = &copy.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(Some(&owner.uid), world.only_build().metadata.uid.as_ref());
    assert_eq!(copy.data.unwrap()["entitlement.pem"].0, b"x");
    world.run_pod();
    world.settle();
    assert!(world.copied.is_some());
    world.succeed(IMAGE);
    assert_eq!(world.copied, None);
}

#[test]
fn a_copy_goes_with_a_build_that_is_given_up_and_comes_with_the_next() {
    let mut world = World::new();
    world.provided.entitlements.of_cluster = contents("entitlement.pem", "x");
    world.settle();
    world.containerfile("FROM configs\nRUN other\n");
    world.settle();
    let owner = world.copied.clone().unwrap().metadata.owner_references.unwrap()[0].uid.clone();
    let going: Vec<_> = world.builds.values().filter(|build| World::state(build).0 == "Prepared").collect();
    assert_eq!(going.iter().map(|build| build.metadata.uid.clone()).collect::<Vec<_>>(), [Some(owner)]);
}

#[test]
fn what_a_person_has_put_there_is_left_alone() {
    let mut world = World::new();
    world.provided.entitlements.of_cluster = contents("entitlement.pem", "x");
    world.provided.entitlements.of_pool = Some(OfPool::Person);
    world.settle();
    assert_eq!(world.copied, None);
    assert_eq!(world.asked().extras.mounts[0].name, "etc-pki-entitlement-worker");
    world.succeed(IMAGE);
}

/// A world whose Containerfile lies in this ConfigMap.
fn in_config_map(files: &[(&str, &str)]) -> World {
    let mut world = with_policy(json!({"containerfile": {"configMapKeyRef": {"name": "worker-image"}}}));
    world.containerfile("");
    provide(&mut world, files);
    world
}

fn provide(world: &mut World, files: &[(&str, &str)]) {
    let files = files.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
    world.provided.containerfile = Some(Hidden(files.collect()));
}

const TEXT: (&str, &str) = ("Containerfile", "FROM configs\nCOPY a.conf /etc/\n");

#[test]
fn a_containerfile_in_a_config_map_is_built_with_the_files_beside_it() {
    let mut world = in_config_map(&[TEXT, ("a.conf", "1")]);
    world.settle();
    let asked = world.asked();
    assert_eq!(asked.containerfile, None, "the builder has it from the ConfigMap");
    assert_eq!(asked.extras.outside().files, ["Containerfile", "a.conf"].into());
    provide(&mut world, &[TEXT, ("a.conf", "2")]);
    world.settle();
    assert_eq!(World::state(&world.builds[&asked.build]).0, "Interrupted");
}

#[rstest]
#[case::missing(
    None,
    "ConfigMap onlay/worker-image (spec.build.containerfile of LayeringPolicy worker) does not exist; create it: `kubectl create configmap worker-image -n onlay --from-file=Containerfile=…`"
)]
#[case::without_the_key(Some(&[("a", b"b" as &[u8])] as &[_]), "has no key Containerfile; it has: a")]
#[case::in_utf_16_of_little_ends(
    Some(&[("Containerfile", b"\xff\xfeF\0R\0" as &[u8])] as &[_]),
    "has no text in key Containerfile: it is in UTF-16, as its first two bytes say; write it in UTF-8: `iconv -f UTF-16 -t UTF-8 FILE`"
)]
#[case::in_utf_16_of_big_ends(Some(&[("Containerfile", b"\xfe\xff\0F\0R" as &[u8])] as &[_]), "it is in UTF-16")]
#[case::in_another_encoding(
    Some(&[("Containerfile", b"FROM configs\n# gr\xfcn\nRUN true\n" as &[u8])] as &[_]),
    "has no text in key Containerfile: line 2 is not in UTF-8; write it in UTF-8, or remove what is no text"
)]
#[case::with_a_name_of_the_builder(Some(&[("Containerfile", b"" as &[u8]), (".dockerignore", b"")] as &[_]), "has the key .dockerignore, which means something to the builder; remove it")]
fn a_containerfile_that_cannot_be_read_is_told_and_waited_for(
    #[case] files: Option<&[(&str, &[u8])]>,
    #[case] words: &str,
) {
    let mut world = in_config_map(&[]);
    let files = files.map(|files| files.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect());
    world.provided.containerfile = files.map(Hidden);
    world.settle();
    let (status, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!((status, reason.as_str()), (ConditionStatus::False, "ContainerfileUnusable"));
    assert!(message.contains(words), "{message}");
    assert!(world.builds.is_empty());
    provide(&mut world, &[("Containerfile", "FROM configs\n")]);
    world.settle();
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn two_containerfiles_are_one_too_many() {
    let mut world = in_config_map(&[("Containerfile", "FROM configs\n")]);
    world.containerfile("FROM configs\nRUN true\n");
    world.settle();
    let (_, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!(reason, "TwoContainerfiles");
    assert_eq!(
        message,
        "MachineOSConfig worker has a Containerfile (spec.containerFile), and ConfigMap onlay/worker-image \
         (spec.build.containerfile of LayeringPolicy worker) is another one; remove one of them"
    );
    world.containerfile("");
    world.settle();
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn a_containerfile_that_cannot_be_built_names_its_place() {
    let mut world = in_config_map(&[TEXT]);
    world.settle();
    let (state, message) = World::state(world.only_build());
    assert_eq!(state, "Failed");
    assert!(message.contains("line 2: `COPY a.conf /etc/`: there is no file `a.conf`"), "{message}");
    assert!(message.ends_with("it lies in ConfigMap worker-image, key Containerfile"), "{message}");
}

#[test]
fn a_build_argument_that_is_declared_makes_a_new_build() {
    let name = |containerfile: &str, value: &str| {
        let mut world = with_policy(json!({"buildArgs": [{"name": "VERSION", "value": value}]}));
        world.containerfile(containerfile);
        build_name(&mut world)
    };
    let declared = "FROM configs\nARG VERSION\nRUN true\n";
    assert_ne!(name(declared, "1"), name(declared, "2"));
    let undeclared = "FROM configs\nRUN true\n";
    assert_eq!(name(undeclared, "1"), name(undeclared, "2"));
}

#[test]
fn an_image_by_another_name_makes_a_new_build() {
    let name = |image: &str| build_name(&mut with_policy(json!({"contexts": [{"name": "tools", "image": image}]})));
    assert_ne!(name("registry.example.com/a:1"), name("registry.example.com/a:2"));
}

fn with_secret() -> World {
    let secret = json!({"id": "token", "secretKeyRef": {"name": "mirror", "key": "password"}});
    let mut world = with_policy(json!({"secrets": [secret]}));
    world.containerfile("FROM configs\nRUN --mount=type=secret,id=token true\n");
    world
}

#[rstest]
#[case::missing(
    None,
    "SecretMissing",
    "Secret onlay/mirror (spec.build.secrets, id token, of LayeringPolicy worker) does not exist; create it: `kubectl create secret generic mirror -n onlay --from-file=password=…`"
)]
#[case::without_the_key(Some("other"), "SecretMissing", "has no key password; it has: other")]
fn a_secret_that_is_not_there_is_told_and_waited_for(
    #[case] key: Option<&str>,
    #[case] reason: &str,
    #[case] words: &str,
) {
    let mut world = with_secret();
    let secret = key.map(|key| ("mirror".to_owned(), [key.to_owned()].into()));
    world.provided.secrets = secret.into_iter().collect();
    world.settle();
    let (_, told, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!(told, reason);
    assert!(message.contains(words), "{message}");
    assert!(world.builds.is_empty());
    world.provided.secrets = [("mirror".to_owned(), ["password".to_owned()].into())].into();
    world.settle();
    assert_eq!(world.asked().extras.secrets[0].id, "token");
}

#[test]
fn a_secret_that_the_policy_does_not_name_is_told_by_its_line() {
    let mut world = World::new();
    world.containerfile("FROM configs\nRUN --mount=type=secret,id=token true\n");
    world.settle();
    let (_, reason, message) = world.config_condition(OSConfigConditionType::Valid);
    assert_eq!(reason, "SecretNotNamed");
    assert!(
        message.starts_with("line 2 of the Containerfile: `RUN --mount=type=secret,id=token true`: LayeringPolicy"),
        "{message}"
    );
    assert!(world.builds.is_empty());
    let policy = json!({"metadata": {"name": "worker"}, "spec": {"build": {"secrets": [
        {"id": "token", "secretKeyRef": {"name": "mirror", "key": "password"}},
    ]}}});
    world.policy = Some(serde_json::from_value(policy).unwrap());
    world.provided.secrets = [("mirror".to_owned(), ["password".to_owned()].into())].into();
    world.settle();
    assert_eq!(world.jobs.len(), 1);
}
