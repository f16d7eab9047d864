use rstest::rstest;

use super::*;
use crate::build::containerfile::parse;
use crate::build::extras::{Mount, Place};

const BASE: &str = "registry.example.com/os/base@sha256:aa";
static NO_LABELS: BTreeMap<&'static str, String> = BTreeMap::new();

fn configs() -> Configs<'static> {
    let labels = &NO_LABELS;
    Configs {
        base: BASE,
        layer: true,
        dpkg: false,
        rebuilt: None,
        mounted: None,
        trusted: false,
        install: None,
        labels,
    }
}

fn assembled(text: &str) -> Assembled {
    assemble(configs(), None, parse(text).unwrap().as_ref())
}

#[test]
fn without_a_containerfile_configs_is_the_image() {
    let assembled = assemble(configs(), None, None);
    assert_eq!(assembled.text, format!("FROM {BASE} AS configs\nADD [\".onlay/configuration.tar\", \"/\"]\n"));
}

#[test]
fn an_empty_configuration_adds_nothing() {
    let assembled = assemble(Configs { layer: false, ..configs() }, None, None);
    assert_eq!(assembled.text, format!("FROM {BASE} AS configs\n"));
}

#[test]
fn what_the_user_wrote_follows_as_it_is() {
    let text = "# escape=\\\nARG A=b\nFROM debian:$A AS tool\nFROM configs AS final\nRUN a \\\n  # why\n  && b\n";
    let expected = format!(
        "# escape=\\\nARG A=b\nFROM {BASE} AS configs\nADD [\".onlay/configuration.tar\", \"/\"]\n\
         FROM debian:$A AS tool\nFROM configs AS final\nRUN a \\\n  # why\n  && b\n"
    );
    assert_eq!(assembled(text).text, expected);
}

#[test]
fn an_image_of_the_stage_stands_in_for_it() {
    let file = parse("# escape=\\\nARG A=b\nFROM configs\nRUN true").unwrap();
    let text = assemble(configs(), Some("localhost/x:1"), file.as_ref()).text;
    assert_eq!(text, "# escape=\\\nARG A=b\nFROM localhost/x:1 AS configs\nFROM configs\nRUN true\n");
    let text = super::configs(Configs { dpkg: true, ..configs() });
    assert_eq!(text, format!("FROM {BASE} AS configs\nADD [\".onlay/configuration.tar\", \"/\"]\n{DPKG}"));
}

#[test]
fn the_image_of_the_stage_is_named_by_what_it_is_made_of() {
    let name = configs_image("FROM a\n", b"layer");
    assert!(name.starts_with("localhost/onlay-configs:") && name == configs_image("FROM a\n", b"layer"), "{name}");
    assert!([("FROM b\n", "layer"), ("FROM a\n", "other")].iter().all(|(a, b)| configs_image(a, b.as_bytes()) != name));
}

#[test]
fn dpkg_is_told_that_nobody_answers() {
    let file = parse("FROM configs\nRUN true").unwrap();
    let text = assemble(Configs { dpkg: true, ..configs() }, None, file.as_ref()).text;
    assert!(text.contains("ENV DEBIAN_FRONTEND=noninteractive DPKG_FORCE=confold\nFROM configs\n"), "{text}");
}

fn spec() -> Spec {
    Spec {
        build: "worker-a-0123456789abcdef0123456789abcdef".to_owned(),
        rendered: "rendered-worker-a-31fc".to_owned(),
        origins: BTreeMap::new(),
        base: BASE.to_owned(),
        architecture: "amd64".to_owned(),
        target: String::new(),
        pull_secret: String::new(),
        push_secret: String::new(),
        containerfile: None,
        rebuilt: None,
        cache_limit: None,
        extras: crate::build::extras::Extras::default(),
        packages: crate::build::packages::Packages::default(),
    }
}

#[test]
fn an_image_says_where_it_comes_from_in_its_last_instruction() {
    let labels = labels(&spec(), "0.1.0");
    let line = "LABEL dev.onlay.machineosbuild=\"worker-a-0123456789abcdef0123456789abcdef\" \
                dev.onlay.machineosconfig=\"worker-a\" dev.onlay.rendered=\"rendered-worker-a-31fc\" \
                dev.onlay.version=\"0.1.0\" org.opencontainers.image.base.digest=\"sha256:aa\" \
                org.opencontainers.image.base.name=\"registry.example.com/os/base\"\n";
    let file = parse("FROM configs\nRUN b").unwrap();
    for (file, before) in [(None, "\"/\"]\n"), (file.as_ref(), "RUN b\n")] {
        let text = assemble(Configs { labels: &labels, ..configs() }, None, file).text;
        assert!(text.ends_with(&format!("{before}{line}")), "{text}");
    }
}

#[test]
fn a_person_who_asks_for_another_build_changes_what_every_instruction_stands_on() {
    let file = parse("FROM debian AS tool\nRUN a\nFROM configs\nRUN b").unwrap();
    let at = "2026-01-01T00:00:00Z";
    let text = assemble(Configs { rebuilt: Some(at), ..configs() }, None, file.as_ref()).text;
    let label = format!("LABEL dev.onlay.rebuilt=\"{at}\"\n");
    assert!(text.ends_with(&format!("FROM debian AS tool\n{label}RUN a\nFROM configs\n{label}RUN b\n")), "{text}");
}

#[test]
fn packages_of_the_configuration_come_before_what_the_user_wrote() {
    let packages = crate::build::packages::Packages {
        extensions: vec!["usbguard".to_owned()],
        image: Some("example.com/e@sha256:1".to_owned()),
        ..Default::default()
    };
    let install = Install::of(&packages, Manager::Dnf).unwrap();
    let file = parse("FROM configs\nRUN a").unwrap();
    let assembled = assemble(
        Configs { install: Some(&install), rebuilt: Some("now"), ..configs() },
        Some("localhost/c"),
        file.as_ref(),
    );
    let script = &assembled.files[0];
    assert!(script.executable && script.contents.contains("usbguard"), "{script:?}");
    let run = format!(
        "RUN --mount=type=bind,from=example.com/e@sha256:1,source=/usr/share/rpm-ostree/extensions,target=/run/onlay-extensions \
         --mount=type=bind,source={},target=/run/onlay-packages /run/onlay-packages\n",
        script.path
    );
    let label = "LABEL dev.onlay.rebuilt=\"now\"\n";
    let expected = format!("FROM localhost/c AS configs\n{label}{run}FROM configs\n{label}RUN a\n");
    assert_eq!(assembled.text, expected);
    let alone = assemble(Configs { install: Some(&install), ..configs() }, Some("localhost/c"), None);
    assert_eq!(alone.text, format!("FROM localhost/c AS configs\n{run}"));
}

#[test]
fn what_commands_see_in_mounted_directories_is_part_of_what_they_stand_on() {
    let file = parse("FROM configs\nRUN a").unwrap();
    let text = assemble(Configs { rebuilt: Some("now"), mounted: Some("aa"), ..configs() }, None, file.as_ref()).text;
    assert!(
        text.ends_with("FROM configs\nLABEL dev.onlay.rebuilt=\"now\" dev.onlay.mounted=\"aa\"\nRUN a\n"),
        "{text}"
    );
}

#[test]
fn commands_are_told_where_authorities_are_behind_every_from() {
    let file = parse("FROM debian AS tool\nRUN a\nFROM configs\nRUN b").unwrap();
    let trusted = Configs { trusted: true, ..configs() };
    let told = trust::instruction();
    let text = assemble(trusted, Some("localhost/c"), file.as_ref()).text;
    assert_eq!(
        text,
        format!("FROM localhost/c AS configs\nFROM debian AS tool\n{told}RUN a\nFROM configs\n{told}RUN b\n")
    );
    let marked = Configs { rebuilt: Some("now"), ..trusted };
    let text = assemble(marked, Some("localhost/c"), file.as_ref()).text;
    assert!(text.ends_with(&format!("FROM configs\nLABEL dev.onlay.rebuilt=\"now\"\n{told}RUN b\n")), "{text}");
    let alone = assemble(trusted, Some("localhost/c"), None);
    assert_eq!(alone.text, "FROM localhost/c AS configs\n", "nothing runs");
}

#[rstest]
fn as_many_steps_are_added_as_are_counted(
    #[values(None, Some("now"))] rebuilt: Option<&str>,
    #[values(false, true)] is_mounted: bool,
    #[values(false, true)] trusted: bool,
) {
    let mut spec = Spec { rebuilt: rebuilt.map(str::to_owned), ..spec() };
    if is_mounted {
        let (place, name, digests) = (Place::Keys, "keys".to_owned(), Some([("a".to_owned(), "b".to_owned())].into()));
        spec.extras.mounts = vec![Mount { place, name, digests }];
    }
    spec.extras.trusted_ca = trusted.then(|| "onlay-trusted-ca".to_owned());
    let mounted = spec.extras.mark();
    let configs = Configs { rebuilt, mounted: mounted.as_deref(), trusted, ..configs() };
    let text = assemble(configs, Some("localhost/c"), parse("FROM configs\nRUN b").unwrap().as_ref()).text;
    let (_, behind) = text.split_once("FROM configs\n").unwrap();
    assert_eq!(behind.lines().position(|line| line == "RUN b"), Some(spec.added_steps()), "{text}");
}

#[rstest]
#[case::ordinary("RUN a --mount=type=bind,from=tool", true)]
#[case::with_a_mount_of_its_own("RUN --mount=type=tmpfs,target=/from=x a", true)]
#[case::with_a_text("RUN <<E\n--mount=from=a\nE", true)]
#[case::a_copy("COPY --from=tool /a /a", true)]
#[case::that_mounts_a_file("RUN --mount=type=bind,source=a,target=/x a", false)]
#[case::that_mounts_a_secret("RUN --mount=type=secret,id=a a", true)]
#[case::that_mounts_a_stage("RUN --mount=type=bind,from=tool,target=/x a", false)]
#[case::that_mounts_a_stage_last("RUN --network=none --mount=target=/x,from=tool a", false)]
#[case::on_several_lines("RUN --network=none \\\n  --mount=from=tool,target=/x \\\n  a", false)]
fn an_instruction_that_sees_more_than_its_text_says_is_never_taken(#[case] instruction: &str, #[case] expected: bool) {
    let file = parse(&format!("FROM debian AS tool\nFROM configs\nENV A=b\n{instruction}\n")).unwrap().unwrap();
    assert_eq!(is_cacheable(&file), expected);
}

#[rstest]
#[case::a_script(
    "RUN <<EOF\nset -e\ntrue\nEOF",
    "RUN --mount=type=bind,source=.onlay/text-d55cc1d7d40829aa51427d85f4aa3ccc/EOF,target=/run/onlay-heredoc-1 . /run/onlay-heredoc-1\n"
)]
#[case::a_script_with_an_interpreter(
    "RUN --network=none <<EOF\n#!/usr/bin/python3\nEOF",
    "RUN --mount=type=bind,source=.onlay/program-aee50b3d023b039c7116109895cdbe61/EOF,target=/run/onlay-heredoc-1 --network=none /run/onlay-heredoc-1\n"
)]
#[case::the_input_of_a_command(
    "RUN python3 <<PY > /etc/a\nprint(1)\nPY",
    "RUN --mount=type=bind,source=.onlay/text-cc42155088fca5730758db72b2a5bca3/PY,target=/run/onlay-heredoc-1 python3 < /run/onlay-heredoc-1 > /etc/a\n"
)]
#[case::a_copied_file(
    "COPY --chmod=600 <<a.conf /etc/\nx\na.conf",
    "COPY --chmod=600 .onlay/text-73cb3858a687a8494ca3323053016282/a.conf /etc/\n"
)]
#[case::a_stage_by_number("COPY --from=0 /a /b", "COPY --from=1 /a /b\n")]
#[case::a_mount_of_a_stage_by_number(
    "RUN --mount=type=bind,from=0,target=/x true",
    "RUN --mount=type=bind,from=1,target=/x true\n"
)]
#[case::a_stage_by_name("COPY --from=tool2 /a /b", "COPY --from=tool2 /a /b\n")]
fn instructions_are_put_into_the_builders_words(#[case] instruction: &str, #[case] expected: &str) {
    let text = assembled(&format!("FROM debian AS tool2\nFROM configs\n{instruction}\n")).text;
    assert!(text.contains(&format!("FROM configs\n{expected}")), "{text}");
}

#[test]
fn heredocs_become_files_of_the_context() {
    let files = assembled("FROM configs\nRUN cat <<A - <<B\n1\nA\n2\nB\nRUN <<C\n#!/bin/sh\nC\n").files;
    let of = |name: &str| files.iter().find(|file| file.path.ends_with(name)).unwrap();
    assert_eq!((of("/A").contents.as_str(), of("/B").contents.as_str()), ("1\n", "2\n"));
    assert!(of("/C").executable && !of("/A").executable);
    let paths: std::collections::BTreeSet<_> = files.iter().map(|file| &file.path).collect();
    assert_eq!(paths.len(), 3);
}

#[rstest]
#[case::of_configs(1, 2, None)]
#[case::of_a_helper_stage(2, 2, Some(2))]
#[case::of_the_last_stage(3, 1, Some(3))]
#[case::further_down(3, 3, Some(6))]
#[case::that_was_added(3, 4, None)]
#[case::of_a_stage_that_does_not_exist(4, 1, None)]
fn steps_have_a_line(#[case] stage: usize, #[case] step: usize, #[case] line: Option<usize>) {
    let file = parse("FROM debian AS tool\nRUN a\nFROM configs\nRUN <<E\nE\nENV A=b").unwrap();
    let found = |step: usize, added: usize| match origin(file.as_ref(), stage, step, added) {
        Origin::User(instruction) => Some(instruction.line),
        Origin::Added => None,
    };
    assert_eq!(found(step, 0), line);
    for added in 1..=3 {
        assert_eq!(found(if step == 1 { 1 } else { step + added }, added), line);
        assert!((2..2 + added).all(|ours| found(ours, added).is_none()), "what is added is nobody's");
    }
}
