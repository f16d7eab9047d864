//! `onlay build`: the same on a workstation, from files.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use camino::Utf8PathBuf;
use onlay_cli::{Exit, Streams};
use onlay_testkit::RegistryServer;
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{OSTREE, World, family, run};

/// The files of a directory: a MachineConfig, a pool's MachineOSConfig, and a policy whose Containerfile lies in a ConfigMap.
fn files(world: &World, last: &str) -> Utf8PathBuf {
    let directory = world.path("files");
    fs::create_dir_all(&directory).unwrap();
    let group = "machineconfiguration.openshift.io/v1";
    let motd = json!({"path": "/etc/motd", "contents": {"source": "data:,ours%0A"}});
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": group, "kind": "MachineConfig",
            "metadata": {"name": "50-motd", "labels": {"machineconfiguration.openshift.io/role": "worker"}},
            "spec": {
                "osImageURL": format!("{}/os/base:1", world.registry.address()),
                "config": {"ignition": {"version": "3.4.0"}, "storage": {"files": [motd]}},
            },
        },
        {
            "apiVersion": group, "kind": "MachineOSConfig", "metadata": {"name": "worker"},
            "spec": {
                "machineConfigPool": {"name": "worker"}, "imageBuilder": {"imageBuilderType": "Job"},
                "renderedImagePushSecret": {"name": "push"},
                "renderedImagePushSpec": format!("{}/os/worker:latest", world.registry.address()),
            },
        },
        {
            "apiVersion": "onlay.dev/v1alpha1", "kind": "LayeringPolicy", "metadata": {"name": "worker"},
            "spec": {"build": {
                "containerfile": {"configMapKeyRef": {"name": "image"}},
                "secrets": [{"id": "token", "secretKeyRef": {"name": "mirror", "key": "password"}}],
            }},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mirror"}, "stringData": {"password": "horse"}},
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "image"},
            "data": {
                "Containerfile": format!(
                    "FROM configs AS final\nCOPY tool.conf /usr/share/tool.conf\n\
                     RUN --mount=type=secret,id=token cat /etc/motd /run/secrets/token > /usr/share/seen\nRUN {last}\n"
                ),
                "tool.conf": "beside\n",
            },
        },
    ]});
    fs::write(directory.join("all.json"), objects.to_string()).unwrap();
    fs::write(world.path("auth.json"), world.registry.docker_config(RegistryServer::PASSWORD)).unwrap();
    directory
}

/// Runs `onlay build` with these arguments behind what every one of the tests needs.
fn onlay_build(world: &World, arguments: &[String]) -> (Exit, String) {
    let authority = world.path("ca/ca.crt").to_string();
    let with_authority = [&words(&["--registry-ca", &authority])[..], arguments].concat();
    onlay_build_alone(world, &with_authority)
}

/// The same, and nobody says which authorities the registry has.
fn onlay_build_alone(world: &World, arguments: &[String]) -> (Exit, String) {
    let own = |name: &str| world.path(name).to_string();
    let (auth, cache) = (own("auth.json"), own("user-cache"));
    let words = ["onlay", "build", "--authfile", &auth, "--cache-dir", &cache];
    let line = words.into_iter().map(OsString::from).chain(arguments.iter().map(OsString::from));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut streams = Streams { input: &mut std::io::empty(), out: &mut out, err: &mut err, width: 500 };
    let exit = onlay_cli::run(line, &mut streams);
    (exit, String::from_utf8(err).unwrap())
}

/// Tells a test process that it is `onlay`, with these arguments, one a line.
const ARGUMENTS: &str = "ONLAY_TEST_ARGUMENTS";

/// `onlay` in a process of its own, for [`begun`].
#[test]
#[ignore = "run by other tests"]
fn a_process_that_is_onlay() {
    if let Ok(arguments) = std::env::var(ARGUMENTS) {
        let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
        let mut streams = Streams { input: &mut std::io::empty(), out: &mut out, err: &mut err, width: 500 };
        std::process::exit(onlay_cli::run(arguments.lines().map(OsString::from), &mut streams).code().into());
    }
}

/// A build in a process of its own, whose last instruction has begun and does not end; and everything that it has started.
fn begun(world: &World) -> (Child, Vec<u32>) {
    let files = files(world, "mkfifo /run/pipe && printf 'be%s\\n' gun && exec cat /run/pipe");
    let own = |name: &str| world.path(name).to_string();
    let (auth, cache, authority) = (own("auth.json"), own("user-cache"), own("ca/ca.crt"));
    let words =
        ["onlay", "build", files.as_str(), "--authfile", &auth, "--cache-dir", &cache, "--registry-ca", &authority];
    let mut onlay = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "workstation::a_process_that_is_onlay", "--ignored", "--nocapture"])
        .env(ARGUMENTS, words.join("\n"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(onlay.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "begun"), "the last instruction has never begun");
    let family = family(onlay.id());
    assert!(family.len() > 2, "{family:?}");
    (onlay, family)
}

fn kill(signal: &str, pid: u32) {
    run(&["kill", signal, &pid.to_string()]);
}

/// Whether a process exists, and has not ended.
fn runs(pid: &u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// What lies in the cache of the user.
fn kept(world: &World) -> Vec<String> {
    let cache = world.path("user-cache");
    cache.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect()
}

#[rstest]
#[case::by_a_terminal("-INT", 130)]
#[case::by_a_machine_that_goes_down("-TERM", 143)]
fn a_build_that_is_interrupted_leaves_nothing_and_nothing_runs(#[case] signal: &str, #[case] code: i32) {
    let world = World::new(OSTREE);
    let (mut onlay, family) = begun(&world);
    kill(signal, onlay.id());
    let output = drain(&mut onlay);
    assert_eq!(onlay.wait().unwrap().code(), Some(code), "{output}");
    let running: Vec<_> = family.iter().filter(|pid| runs(pid)).collect();
    assert_eq!(running, [] as [&u32; 0]);
    assert_eq!(kept(&world), ["layers"]);
    assert!(!output.contains("will be emptied"), "a cache that is not to blame is thrown away: {output}");
}

#[test]
fn what_a_build_has_left_that_was_killed_is_removed_by_the_next_one() {
    let world = World::new(OSTREE);
    let (mut onlay, family) = begun(&world);
    for pid in &family {
        // One that has ended meanwhile is no concern.
        let _ended = Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    }
    onlay.wait().unwrap();
    let left = kept(&world).into_iter().find(|name| name.starts_with("onlay-build-")).expect("nothing is left");
    assert!(world.path("user-cache").join(left).join("push/.dockerconfigjson").exists());
    // Nor does what is mounted in the cache hold up those that empty it.
    let suspect = world.path("user-cache/layers/suspect");
    fs::write(&suspect, "").unwrap();
    let files = files(&world, "echo done");
    assert_eq!(onlay_build(&world, &words(&[files.as_str()])), (Exit::Well, String::new()));
    assert_eq!(kept(&world), ["layers"]);
    assert!(!suspect.exists(), "the cache was not emptied");
}

/// What a process still prints.
fn drain(child: &mut Child) -> String {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn tags(world: &World) -> Vec<Value> {
    let (certificates, credentials) = (world.registry.cert_dir(), world.registry.auth_file());
    let access = ["--cert-dir", certificates.as_str(), "--authfile", credentials.as_str()];
    let repository = format!("docker://{}/os/worker", world.registry.address());
    let output = std::process::Command::new("skopeo").arg("list-tags").args(access).arg(repository).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    answer["Tags"].as_array().cloned().unwrap_or_default()
}

/// The command lines of the page for users that build on a workstation, without the name of the program and comments.
fn lines_of_the_page() -> Vec<Vec<&'static str>> {
    let page = include_str!("../../../../docs/user/build.md");
    let lines = page.lines().filter_map(|line| line.strip_prefix("onlay build "));
    lines.map(|line| line.split(" #").next().unwrap_or(line).split_whitespace().collect()).collect()
}

#[test]
fn the_page_builds_and_checks_writes_to_a_file_and_pushes() {
    let world = World::new(OSTREE);
    let files = files(&world, "echo done");
    let archive = world.path("image.tar");
    let arguments = |line: &[&'static str]| -> Vec<String> {
        let place = |word: &&str| match *word {
            "machineconfigs/" => files.to_string(),
            "worker-os.yaml" => String::new(),
            "image.tar" => archive.to_string(),
            word => word.to_owned(),
        };
        line.iter().map(place).filter(|word| !word.is_empty()).collect()
    };
    let lines = lines_of_the_page();
    let [check, keep, push] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(onlay_build(&world, &arguments(check)), (Exit::Well, String::new()));
    assert_eq!(tags(&world), [] as [Value; 0], "nothing was to be pushed");

    assert_eq!(onlay_build(&world, &arguments(keep)), (Exit::Well, String::new()));
    let text = run(&["skopeo", "inspect", &format!("oci-archive:{archive}")]);
    let image: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(image["Labels"]["dev.onlay.machineosconfig"], "worker", "{image}");
    let (exit, said) = onlay_build(&world, &arguments(keep));
    assert_eq!(exit, Exit::Error);
    assert!(said.contains("image.tar: is there already; remove it"), "{said}");

    assert_eq!(onlay_build(&world, &arguments(push)), (Exit::Well, String::new()));
    let tags = tags(&world);
    let tag = tags[0].as_str().unwrap();
    assert!(tags.len() == 1 && tag.starts_with("worker-"), "{tags:?}");
    let layers = world.layers(&format!("{}/os/worker:{tag}", world.registry.address()));
    assert_eq!(crate::images::newest(&layers, "usr/share/seen").as_deref(), Some("ours\nhorse"));
    assert_eq!(crate::images::newest(&layers, "usr/share/tool.conf").as_deref(), Some("beside\n"));
    let left: Vec<_> =
        world.path("user-cache").read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path()).collect();
    assert_eq!(left, [world.path("user-cache").join("layers")], "nothing is left but layers");
}

#[test]
fn what_the_files_trust_is_trusted() {
    let world = World::new(OSTREE);
    let files = files(&world, "test -s $SSL_CERT_FILE");
    let push = words(&[files.as_str(), "--push"]);
    let (exit, said) = onlay_build_alone(&world, &push);
    assert_eq!(exit, Exit::Error);
    assert!(said.contains("is not trusted"), "{said}");
    let config_map = |bundle: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "onlay-trusted-ca"},
            "data": {"ca-bundle.crt": bundle},
        })
    };
    fs::write(files.join("trusted.json"), config_map("nothing").to_string()).unwrap();
    let (exit, said) = onlay_build_alone(&world, &push);
    assert_eq!(exit, Exit::Error);
    assert!(said.contains("onlay-trusted-ca has no certificate in key ca-bundle.crt"), "{said}");
    fs::write(files.join("trusted.json"), config_map(world.registry.authority()).to_string()).unwrap();
    assert_eq!(onlay_build_alone(&world, &push), (Exit::Well, String::new()));
    assert_eq!(tags(&world).len(), 1);
}

#[test]
fn what_cannot_be_built_is_told_before_anything_is_pulled() {
    let world = World::new(OSTREE);
    let files = files(&world, "exit 3");
    let (exit, said) = onlay_build(&world, &words(&[files.as_str(), "--pool", "infra"]));
    assert_eq!(exit, Exit::Error);
    assert!(said.contains("MachineOSConfig: the files have none of the pool infra"), "{said}");
    let nowhere = format!("{}/os/nosuch:1", world.registry.address());
    let (exit, said) = onlay_build(&world, &words(&[files.as_str(), "--base", &nowhere]));
    assert_eq!(exit, Exit::Error);
    assert!(said.contains("MachineOSConfig worker: ") && said.contains("os/nosuch:1"), "{said}");
    let without = world.path("without");
    fs::create_dir_all(&without).unwrap();
    let text = fs::read_to_string(files.join("all.json")).unwrap();
    let mut objects: Value = serde_json::from_str(&text).unwrap();
    objects["items"].as_array_mut().unwrap().retain(|object| object["kind"] != "Secret");
    fs::write(without.join("all.json"), objects.to_string()).unwrap();
    let (exit, said) = onlay_build(&world, &words(&[without.as_str()]));
    assert_eq!(exit, Exit::Error);
    assert!(said.contains("Secret openshift-machine-config-operator/mirror"), "{said}");
    assert!(!world.path("user-cache").exists(), "a build has begun");

    assert_eq!(onlay_build(&world, &words(&[files.as_str(), "--push"])).0, Exit::Error, "an instruction fails");
    assert_eq!(tags(&world), [] as [Value; 0]);
}
