use onlay_api::machine_config::MachineConfigSpec;
use rstest::rstest;

use super::*;
use crate::build::containerfile;
use crate::build::extras::{Kind, Mount, Place, SecretFile, Source};
use crate::build::packages::Packages;
use crate::render::desired::{DesiredFile, DesiredLink, DesiredUnit};

const TEXT: &str =
    "FROM configs AS final\nRUN apt-get install -y autofs && cat /etc/issue.d/* && systemctl enable mine.timer\n";

/// Everything that a name is made from, owned.
#[derive(Clone)]
struct World {
    config: &'static str,
    base: &'static str,
    push: &'static str,
    text: Option<String>,
    spec: MachineConfigSpec,
    desired: Desired,
    extras: Extras,
    packages: Packages,
}

fn world() -> World {
    World {
        config: "worker",
        base: "registry.example.com/os/base@sha256:aa",
        push: "registry.example.com/os/image:latest",
        text: Some(TEXT.to_owned()),
        spec: MachineConfigSpec::default(),
        desired: Desired { files: vec![file("/etc/foo")], ..Desired::default() },
        extras: Extras::default(),
        packages: Packages::default(),
    }
}

fn file(path: &str) -> DesiredFile {
    DesiredFile { path: path.to_owned(), mode: 0o644, user: Owner::Id(0), group: Owner::Id(0), contents: vec![1] }
}

fn unit(name: &str) -> DesiredUnit {
    DesiredUnit { name: name.to_owned(), contents: Some("[Unit]\n".to_owned()), ..DesiredUnit::default() }
}

fn mount(place: Place, digests: Option<&[(&str, &str)]>) -> Mount {
    let digests =
        digests.map(|all| all.iter().map(|(key, digest)| ((*key).to_owned(), (*digest).to_owned())).collect());
    Mount { place, name: "any".to_owned(), digests }
}

fn source(digests: &[(&str, &str)]) -> Source {
    let digests = digests.iter().map(|(key, digest)| ((*key).to_owned(), (*digest).to_owned())).collect();
    Source { kind: Kind::ConfigMap, name: "any".to_owned(), key: "Containerfile".to_owned(), digests }
}

fn parsed(world: &World) -> Option<Containerfile> {
    world.text.as_deref().and_then(|text| containerfile::parse(text).unwrap())
}

fn text<'a>(world: &'a World, parsed: Option<&'a Containerfile>) -> Text<'a> {
    Text { architecture: "amd64", containerfile: world.text.as_deref(), parsed }
}

fn inputs<'a>(world: &'a World, texts: &'a [Text<'a>]) -> Inputs<'a> {
    Inputs {
        machine_os_config: world.config,
        base: world.base,
        push_spec: world.push,
        texts,
        spec: &world.spec,
        desired: &world.desired,
        extras: &world.extras,
        packages: &world.packages,
    }
}

fn name(world: &World) -> String {
    build_name(&inputs(world, &[text(world, parsed(world).as_ref())]))
}

/// Why the second one gets another image than the first one, in words.
fn reasons(old: &World, new: &World) -> Vec<String> {
    let (before, after) = (parsed(old), parsed(new));
    let (before, after) = ([text(old, before.as_ref())], [text(new, after.as_ref())]);
    why(&inputs(old, &before), &inputs(new, &after)).iter().map(ToString::to_string).collect()
}

/// The same, by what is noted on the build of the first one.
fn recorded(old: &World, new: &World) -> Vec<String> {
    let record = |world: &World| record(&inputs(world, &[text(world, parsed(world).as_ref())]));
    since(&record(old), &record(new)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_record_of_very_many_paths_says_less_and_fits() {
    let mut many = world();
    many.desired.files = (0..5000).map(|number| file(&format!("/usr/share/{number}"))).collect();
    let record = record(&inputs(&many, &[text(&many, parsed(&many).as_ref())]));
    assert!(record.len() < 2000, "{}", record.len());
    let mut other = many.clone();
    other.base = "registry.example.com/os/base@sha256:bb";
    assert_eq!(recorded(&many, &other), ["the base image differs"]);
    assert_eq!(since("{", &record), []);
}

#[test]
fn a_name_is_the_configs_name_and_32_digits() {
    let name = name(&world());
    let hash = name.strip_prefix("worker-").unwrap();
    assert!(hash.len() == 32 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
}

#[rstest]
#[case::the_tag_to_push_to(|world: &mut World| world.push = "registry.example.com/os/image:other")]
#[case::the_repository_of_the_same_base(|world: &mut World| world.base = "mirror.example.com/base@sha256:aa")]
#[case::kernel_arguments(|world: &mut World| world.desired.kernel_arguments = vec!["a".to_owned()])]
#[case::ssh_keys(|world: &mut World| world.desired.ssh_authorized_keys = vec!["a".to_owned()])]
#[case::the_image_in_the_configuration(|world: &mut World| world.spec.os_image_url = Some("x".to_owned()))]
#[case::a_file_that_nothing_reads(|world: &mut World| world.desired.files.push(file("/etc/autofs.conf")))]
#[case::a_file_next_to_a_sensitive_one(|world: &mut World| world.desired.files.push(file("/etc/apt-listchanges")))]
#[case::a_file_of_the_node_alone(|world: &mut World| world.desired.files.push(file("/var/lib/a")))]
#[case::the_place_of_the_containerfile(|world: &mut World| world.extras.source = Some(source(&[("Containerfile", "1")])))]
#[case::a_secret(|world: &mut World| world.extras.secrets.push(SecretFile { id: "a".to_owned(), name: "b".to_owned(), key: "c".to_owned() }))]
#[case::a_proxy(|world: &mut World| { world.extras.environment.insert("HTTP_PROXY".to_owned(), "http://a".to_owned()); })]
#[case::an_entitlement(|world: &mut World| world.extras.mounts.push(mount(Place::Entitlement, None)))]
#[case::a_unit_that_nothing_names(|world: &mut World| world.desired.units.push(unit("other.service")))]
fn no_new_image_for(#[case] change: fn(&mut World)) {
    let mut changed = world();
    change(&mut changed);
    assert_eq!(name(&changed), name(&world()));
    assert_eq!(reasons(&world(), &changed), Vec::<String>::new());
    assert_eq!(recorded(&world(), &changed), Vec::<String>::new());
}

#[rstest]
#[case::another_config(|world: &mut World| world.config = "infra", "the images belong to another MachineOSConfig")]
#[case::another_base(|world: &mut World| world.base = "registry.example.com/os/base@sha256:bb", "the base image differs")]
#[case::another_repository(|world: &mut World| world.push = "registry.example.com/os/other:latest", "images are pushed to another repository")]
#[case::another_containerfile(|world: &mut World| world.text = Some(TEXT.replace("autofs", "tree")), "the Containerfile differs")]
#[case::no_containerfile(|world: &mut World| world.text = None, "the Containerfile differs")]
#[case::extensions(|world: &mut World| world.spec.extensions = vec!["usbguard".to_owned()], "the extensions differ")]
#[case::a_kernel_type(|world: &mut World| world.spec.kernel_type = Some("realtime".to_owned()), "the kernel type differs")]
#[case::a_package_source(|world: &mut World| world.desired.files.push(file("/etc/apt/sources.list.d/a.list")), "/etc/apt/sources.list.d/a.list differs, and is read by package managers or what they start")]
#[case::an_authority(|world: &mut World| world.desired.files.push(file("/etc/pki/ca-trust/source/anchors/a.crt")), "/etc/pki/ca-trust/source/anchors/a.crt differs, and is read by package managers or what they start")]
#[case::a_file_in_usr(|world: &mut World| world.desired.files.push(file("/usr/share/a")), "/usr/share/a differs, and is part of the image")]
#[case::a_file_below_a_literal_path(|world: &mut World| world.desired.files.push(file("/etc/issue.d/a.issue")), "/etc/issue.d/a.issue differs, and the Containerfile names it")]
#[case::a_file_beside_the_containerfile(|world: &mut World| world.extras.source = Some(source(&[("Containerfile", "1"), ("a.conf", "2")])), "the file a.conf beside the Containerfile differs")]
#[case::a_build_argument(|world: &mut World| { world.extras.arguments.insert("A".to_owned(), "1".to_owned()); }, "the build argument A differs")]
#[case::an_image_with_extensions(|world: &mut World| world.packages.image = Some("a@sha256:1".to_owned()), "the image with the extensions differs")]
#[case::another_image(|world: &mut World| { world.extras.images.insert("a".to_owned(), "b".to_owned()); }, "the image that is called a differs")]
#[case::a_repository_for_all_builds(|world: &mut World| world.extras.mounts.push(mount(Place::Repositories, Some(&[("a.repo", "1")]))), "/etc/yum.repos.d/a.repo is read by the package manager, and its ConfigMap or Secret differs")]
#[case::a_key_for_all_builds(|world: &mut World| world.extras.mounts.push(mount(Place::Keys, Some(&[("a", "1")]))), "/etc/pki/rpm-gpg/a is read by the package manager, and its ConfigMap or Secret differs")]
#[case::a_unit_that_the_text_names(|world: &mut World| world.desired.units.push(unit("mine.timer")), "the unit mine.timer differs, and the Containerfile names it")]
fn a_new_image_for(#[case] change: fn(&mut World), #[case] reason: &str) {
    let mut changed = world();
    change(&mut changed);
    assert_ne!(name(&changed), name(&world()));
    assert_eq!(reasons(&world(), &changed), [reason]);
    assert_eq!(recorded(&world(), &changed), [reason]);
}

#[rstest]
#[case::its_contents(|file: &mut DesiredFile| file.contents = vec![2])]
#[case::its_mode(|file: &mut DesiredFile| file.mode = 0o600)]
#[case::its_owner(|file: &mut DesiredFile| file.user = Owner::Name("autofs".to_owned()))]
#[case::its_group(|file: &mut DesiredFile| file.group = Owner::Id(7))]
fn everything_about_a_file_that_counts_counts(#[case] change: fn(&mut DesiredFile)) {
    let mut one = world();
    one.desired.files.push(file("/etc/apt/a"));
    let mut other = one.clone();
    change(other.desired.files.last_mut().unwrap());
    assert_ne!(name(&one), name(&other));
}

/// The name of the build of a world for nodes with these architectures and Containerfiles.
fn name_for(texts: &[(&str, Option<&str>)]) -> String {
    let text = |(architecture, containerfile)| Text { architecture, containerfile, parsed: None };
    build_name(&inputs(&world(), &texts.iter().copied().map(text).collect::<Vec<_>>()))
}

#[test]
fn architectures_and_the_text_for_each_count() {
    let names = [
        name_for(&[("amd64", Some("a"))]),
        name_for(&[("arm64", Some("a"))]),
        name_for(&[("amd64", Some("a")), ("arm64", Some("a"))]),
        name_for(&[("amd64", Some("a")), ("arm64", Some("b"))]),
        name_for(&[("amd64", Some("b")), ("arm64", Some("a"))]),
        name_for(&[("amd64", Some("a")), ("arm64", None)]),
    ];
    let different: BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "{names:?}");
    let [before, after] =
        ["amd64", "arm64"].map(|architecture| [Text { architecture, containerfile: None, parsed: None }]);
    let world = world();
    assert_eq!(why(&inputs(&world, &before), &inputs(&world, &after)), [Reason::Architectures]);
}

#[test]
fn a_link_that_counts_counts() {
    let mut one = world();
    let (user, group) = (Owner::Id(0), Owner::Id(0));
    one.desired.links.push(DesiredLink { path: "/etc/ssl/a".to_owned(), target: "b".to_owned(), user, group });
    assert_ne!(name(&one), name(&world()));
}

#[rstest]
#[case::tag("host:5000/a/b:tag", "host:5000/a/b")]
#[case::digest("host:5000/a/b@sha256:aa", "host:5000/a/b")]
#[case::both("host/a:tag@sha256:aa", "host/a")]
#[case::port_only("host:5000/a", "host:5000/a")]
fn a_repository_has_neither_tag_nor_digest(#[case] image: &str, #[case] expected: &str) {
    assert_eq!(repository(image), expected);
}

#[rstest]
#[case::for_all("arm64", &[(ContainerfileArch::NoArch, "a")], Ok(Some("a")))]
#[case::its_own_first("arm64", &[(ContainerfileArch::NoArch, "a"), (ContainerfileArch::Arm64, "b")], Ok(Some("b")))]
#[case::only_of_others("arm64", &[(ContainerfileArch::Amd64, "a")], Err(NoContainerfile { architecture: "arm64".to_owned() }))]
#[case::of_none("arm64", &[], Ok(None))]
#[case::of_an_unknown_architecture("riscv64", &[(ContainerfileArch::NoArch, "a")], Ok(Some("a")))]
#[case::blank("amd64", &[(ContainerfileArch::NoArch, " \n")], Ok(None))]
fn the_containerfile_is_chosen_by_architecture(
    #[case] architecture: &str,
    #[case] entries: &[(ContainerfileArch, &str)],
    #[case] expected: Result<Option<&str>, NoContainerfile>,
) {
    let entries: Vec<_> = entries
        .iter()
        .map(|(arch, content)| ContainerfileEntry { containerfile_arch: *arch, content: (*content).to_owned() })
        .collect();
    assert_eq!(containerfile_for(&entries, architecture), expected);
}

#[test]
fn every_reason_for_a_new_image_is_named_once() {
    let old = world();
    let mut new = world();
    new.base = "registry.example.com/os/base@sha256:bb";
    new.spec.extensions = vec!["usbguard".to_owned()];
    new.desired.files = vec![file("/etc/apt/a"), file("/etc/unseen")];
    let (user, group) = (Owner::Id(0), Owner::Id(0));
    new.desired.links.push(DesiredLink { path: "/etc/ssl/a".to_owned(), target: "b".to_owned(), user, group });
    assert_eq!(
        reasons(&old, &new),
        [
            "the base image differs",
            "the extensions differ",
            "/etc/apt/a differs, and is read by package managers or what they start",
            "/etc/ssl/a differs, and is read by package managers or what they start",
        ]
    );
}
