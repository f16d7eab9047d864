use std::fs;
use std::os::unix::fs::symlink;

use camino::Utf8PathBuf;
use onlay_core::build::extras::{Kind, Mount, Place, SecretFile, Source, digests};
use onlay_core::build::spec::{Cause, EXIT_TRANSIENT};
use onlay_testkit::RegistryServer;
use serde_json::Value;

use crate::images::{list, newest};
use crate::world::{OSTREE, World, configuration, run};

fn nothing() -> Value {
    configuration(&[], &[], &[])
}

/// Mounts an object as the kubelet does: each key is a link into a directory that can be exchanged.
pub fn kubelet_mounts(world: &World, directory: &str, files: &[(&str, &str)]) {
    let mounted = world.path(directory);
    if mounted.exists() {
        fs::remove_dir_all(&mounted).unwrap();
    }
    fs::create_dir_all(mounted.join("..2026")).unwrap();
    symlink("..2026", mounted.join("..data")).unwrap();
    for (key, value) in files {
        fs::write(mounted.join("..2026").join(key), value).unwrap();
        symlink(format!("..data/{key}"), mounted.join(key)).unwrap();
    }
}

/// The files of a fetched image (layers, manifest, configuration) that hold these words, unpacked.
pub fn holding(layers: &[(String, Utf8PathBuf)], words: &str) -> Vec<String> {
    let files = layers[0].1.parent().unwrap().read_dir_utf8().unwrap().map(|file| file.unwrap().into_path());
    let look = "if zcat -f \"$0\" | grep -aqF -e \"$1\"; then echo found; fi";
    files.map(Utf8PathBuf::into_string).filter(|file| !run(&["sh", "-c", look, file, words]).is_empty()).collect()
}

fn mount(world: &World, place: Place, files: &[(&str, &str)]) -> Mount {
    kubelet_mounts(world, &format!("mounts/{}", place.volume()), files);
    let contents = files.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    let digests = (place != Place::Entitlement).then(|| digests(&contents));
    Mount { place, name: format!("of-{}", place.volume()), digests }
}

#[test]
fn commands_see_mounted_directories_and_no_layer_has_what_lies_there() {
    let mut world = World::new(OSTREE);
    world.extras.mounts = vec![
        mount(&world, Place::Repositories, &[("corp.repo", "[corp]\n")]),
        mount(&world, Place::Keys, &[("RPM-GPG-KEY-corp", "key\n")]),
        mount(&world, Place::Entitlement, &[("entitlement-key.pem", "private\n")]),
    ];
    let text = "FROM configs AS final\n\
        RUN cat /etc/yum.repos.d/corp.repo /etc/pki/rpm-gpg/RPM-GPG-KEY-corp > /usr/share/seen && \
          test $(cat /etc/pki/entitlement/entitlement-key.pem) = private && echo x > /etc/yum.repos.d/written\n";
    let built = world.build(nothing(), Some(text));
    let layers = world.layers(built.image());
    assert_eq!(newest(&layers, "usr/share/seen").as_deref(), Some("[corp]\nkey\n"));
    for (_, layer) in &layers {
        let names = list(layer);
        let below = |place: &str| names.keys().any(|name| name.starts_with(place) && !name.ends_with('/'));
        assert!(!below("etc/yum.repos.d") && !below("etc/pki"), "{names:?}");
    }
}

#[test]
fn a_containerfile_of_an_object_copies_the_files_beside_it() {
    let mut world = World::new(OSTREE).with_cache();
    let mut build = |file: &str| {
        let text = "FROM configs AS final\nCOPY tool.conf /usr/share/seen\n\
            RUN --mount=type=bind,source=tool.conf,target=/mnt/tool cat /mnt/tool > /usr/share/bound\n";
        let files = [("Main", text), ("tool.conf", file)];
        kubelet_mounts(&world, "context", &files);
        let contents = files.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        let (name, key) = ("worker-image".to_owned(), "Main".to_owned());
        world.extras.source = Some(Source { kind: Kind::ConfigMap, name, key, digests: digests(&contents) });
        let built = world.build(nothing(), None);
        let layers = world.layers(built.image());
        ["usr/share/seen", "usr/share/bound"].map(|name| newest(&layers, name).unwrap())
    };
    assert_eq!(build("a\n"), ["a\n", "a\n"]);
    assert_eq!(build("b\n"), ["b\n", "b\n"]);
}

#[test]
fn a_containerfile_of_an_object_may_be_as_large_as_the_object() {
    let mut world = World::new(OSTREE);
    let many = |line: &str, bytes: usize| line.repeat(bytes / line.len());
    let text = [
        many("# a comment of some length, and not the only one\n", 200_000),
        "FROM configs AS final\n".to_owned(),
        format!("RUN true{} && echo end > /usr/share/end\n", many(" \\\n  && : of /etc/motd", 100_000)),
        format!(
            "COPY <<'EOF' /usr/share/large\n{}EOF\n",
            many("a line of /a/file that $is long, <<EOF not the last\n", 400_000)
        ),
        format!("RUN <<EOF\n{}echo script > /usr/share/script\nEOF\n", many("A=1 # and <<EOT some more\n", 250_000)),
    ]
    .concat();
    assert!((900_000..1 << 20).contains(&text.len()), "{}", text.len());
    kubelet_mounts(&world, "context", &[("Containerfile", &text)]);
    let contents = [("Containerfile".to_owned(), text.into_bytes())].into();
    let (name, key) = ("worker-image".to_owned(), "Containerfile".to_owned());
    world.extras.source = Some(Source { kind: Kind::ConfigMap, name, key, digests: digests(&contents) });
    let built = world.build(nothing(), None);
    let layers = world.layers(built.image());
    assert_eq!(
        ["end", "script"].map(|name| newest(&layers, &format!("usr/share/{name}")).unwrap()),
        ["end\n", "script\n"]
    );
    assert!(newest(&layers, "usr/share/large").unwrap().len() > 390_000);
}

#[test]
fn a_build_argument_is_seen_and_another_value_runs_the_command_again() {
    let mut world = World::new(OSTREE).with_cache();
    let mut build = |value: &str| {
        world.extras.arguments = [("VERSION".to_owned(), value.to_owned())].into();
        let text = "ARG VERSION\nFROM configs AS final\nARG VERSION=0\nRUN echo $VERSION > /usr/share/seen\n";
        let built = world.build(nothing(), Some(text));
        newest(&world.layers(built.image()), "usr/share/seen").unwrap()
    };
    assert_eq!(["1.2", "a b, c"].map(&mut build), ["1.2\n", "a b, c\n"]);
}

#[test]
fn a_secret_is_seen_by_the_command_that_asks_for_it_and_lies_in_no_layer() {
    const VALUE: &str = "correct-horse-battery";
    let mut world = World::new(OSTREE);
    kubelet_mounts(&world, "secrets", &[("token", VALUE)]);
    let [id, name, key] = ["token", "mirror", "password"].map(str::to_owned);
    world.extras.secrets = vec![SecretFile { id, name, key }];
    let text = "FROM configs AS final\n\
        RUN --mount=type=secret,id=token read -r it < /run/secrets/token; echo ${#it} > /usr/share/seen\n\
        RUN test ! -s /run/secrets/token\n";
    let built = world.build(nothing(), Some(text));
    let layers = world.layers(built.image());
    assert_eq!(newest(&layers, "usr/share/seen"), Some(format!("{}\n", VALUE.len())));
    assert_eq!(holding(&layers, VALUE), Vec::<String>::new());
}

#[test]
fn a_command_runs_again_when_a_mounted_file_has_changed() {
    let mut world = World::new(OSTREE).with_cache();
    let mut build = |repository: &str| {
        world.extras.mounts = vec![mount(&world, Place::Repositories, &[("corp.repo", repository)])];
        let text = "FROM configs AS final\nRUN cat /etc/yum.repos.d/corp.repo > /usr/share/seen\n";
        let built = world.build(nothing(), Some(text));
        newest(&world.layers(built.image()), "usr/share/seen").unwrap()
    };
    assert_eq!(["a\n", "b\n"].map(&mut build), ["a\n", "b\n"]);
}

#[test]
fn a_line_that_fails_is_named_behind_what_is_added_for_mounted_directories() {
    let mut world = World::new(OSTREE);
    world.extras.mounts = vec![mount(&world, Place::Keys, &[("a", "b")])];
    let built = world.build(nothing(), Some("FROM configs AS final\nRUN true\nRUN exit 42\n"));
    let step = built.failure().0.step.clone().unwrap();
    assert_eq!((step.line, step.exit_code), (3, Some(42)));
}

#[test]
fn a_file_that_has_changed_since_the_build_was_made_is_told() {
    let mut world = World::new(OSTREE);
    world.extras.mounts = vec![mount(&world, Place::Repositories, &[("corp.repo", "a")])];
    kubelet_mounts(&world, "mounts/yum-repos-d", &[("corp.repo", "b")]);
    let built = world.build(nothing(), Some("FROM configs AS final\nRUN true\n"));
    let (failure, exit_code) = built.failure();
    assert_eq!((failure.cause, exit_code), (Cause::InputChanged, EXIT_TRANSIENT));
    assert!(failure.message.contains("ConfigMap of-yum-repos-d: its key corp.repo has changed"), "{}", failure.message);
}

#[test]
fn another_image_is_known_by_its_name_and_pulled_with_the_pull_secret() {
    let mut world = World::new(OSTREE);
    // The registry answers nobody without a password, and the one to push with is not for this.
    world.write_secret("push", "guess");
    world.extras.images = [("tools".to_owned(), world.base.clone())].into();
    let text = "FROM tools AS stage\nRUN echo stage > /usr/share/made\n\
        FROM configs AS final\nCOPY --from=stage /usr/share/made /usr/share/made\n\
        COPY --from=tools /usr/share/kept /usr/share/seen\n";
    let built = world.build(nothing(), Some(text));
    let (failure, _) = built.failure();
    assert_eq!(failure.cause, Cause::AccessDenied);
    assert!(failure.message.starts_with("failed to push to "), "{}", failure.message);
    world.write_secret("push", RegistryServer::PASSWORD);
    let built = world.build(nothing(), Some(text));
    let layers = world.layers(built.image());
    assert_eq!(newest(&layers, "usr/share/seen").as_deref(), Some("base\n"));
    assert_eq!(newest(&layers, "usr/share/made").as_deref(), Some("stage\n"));
}

#[test]
fn commands_know_the_proxies_and_the_image_does_not() {
    const PROXY: &str = "http://proxy.example.com:3128";
    let mut world = World::new(OSTREE);
    world.extras.environment = [("HTTPS_PROXY".to_owned(), PROXY.to_owned())].into();
    let built = world.build(nothing(), Some("FROM configs AS final\nRUN echo ${#HTTPS_PROXY} > /usr/share/seen\n"));
    let layers = world.layers(built.image());
    assert_eq!(newest(&layers, "usr/share/seen"), Some(format!("{}\n", PROXY.len())));
    assert_eq!(holding(&layers, PROXY), Vec::<String>::new());
}
