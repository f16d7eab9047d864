use rstest::rstest;

use super::*;
use crate::build::containerfile::parse;

const BASE: &str = "registry.example.com/os/base@sha256:aa";
const CLEAN: &str = "RUN [\"/bin/sh\", \"-c\", \"find /var/cache /var/log /var/lib/apt/lists /var/tmp /tmp /run -xdev \
                     -mindepth 1 ! -type d -delete 2>/dev/null || :\"]\n";

fn configs() -> Configs<'static> {
    Configs { base: BASE, layer: true, dpkg: false }
}

fn assembled(text: &str) -> Assembled {
    assemble(configs(), parse(text).unwrap().as_ref())
}

#[test]
fn without_a_containerfile_configs_is_the_image() {
    let assembled = assemble(configs(), None);
    assert_eq!(assembled.text, format!("FROM {BASE} AS configs\nADD [\".onlay/configuration.tar\", \"/\"]\n"));
}

#[test]
fn an_empty_configuration_adds_nothing() {
    let assembled = assemble(Configs { layer: false, ..configs() }, None);
    assert_eq!(assembled.text, format!("FROM {BASE} AS configs\n"));
}

#[test]
fn what_the_user_wrote_follows_as_it_is() {
    let text = "# escape=\\\nARG A=b\nFROM debian:$A AS tool\nFROM configs AS final\nRUN a \\\n  # why\n  && b\n";
    let expected = format!(
        "# escape=\\\nARG A=b\nFROM {BASE} AS configs\nADD [\".onlay/configuration.tar\", \"/\"]\n\
         FROM debian:$A AS tool\nFROM configs AS final\nRUN a \\\n  # why\n  && b\n{CLEAN}"
    );
    assert_eq!(assembled(text).text, expected);
}

#[test]
fn dpkg_is_told_that_nobody_answers() {
    let file = parse("FROM configs\nRUN true").unwrap();
    let text = assemble(Configs { dpkg: true, ..configs() }, file.as_ref()).text;
    assert!(text.contains("ENV DEBIAN_FRONTEND=noninteractive DPKG_FORCE=confold\nFROM configs\n"), "{text}");
}

#[test]
fn the_stage_is_emptied_as_root() {
    let text = assembled("FROM configs\nRUN true\nUSER nobody").text;
    assert!(text.ends_with(&format!("USER nobody\nUSER 0\n{CLEAN}")), "{text}");
}

#[test]
fn a_stage_without_commands_is_left_alone() {
    assert!(assembled("FROM configs\nENV A=b").text.ends_with("FROM configs\nENV A=b\n"));
}

#[rstest]
#[case::a_script(
    "RUN <<EOF\nset -e\ntrue\nEOF",
    "RUN --mount=type=bind,source=.onlay/heredoc-1/EOF,target=/run/onlay-heredoc-1 . /run/onlay-heredoc-1\n"
)]
#[case::a_script_with_an_interpreter(
    "RUN --network=none <<EOF\n#!/usr/bin/python3\nEOF",
    "RUN --mount=type=bind,source=.onlay/heredoc-1/EOF,target=/run/onlay-heredoc-1 --network=none /run/onlay-heredoc-1\n"
)]
#[case::the_input_of_a_command(
    "RUN python3 <<PY > /etc/a\nprint(1)\nPY",
    "RUN --mount=type=bind,source=.onlay/heredoc-1/PY,target=/run/onlay-heredoc-1 python3 < /run/onlay-heredoc-1 > /etc/a\n"
)]
#[case::a_copied_file("COPY --chmod=600 <<a.conf /etc/\nx\na.conf", "COPY --chmod=600 .onlay/heredoc-1/a.conf /etc/\n")]
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
    let found = match origin(file.as_ref(), stage, step) {
        Origin::User(instruction) => Some(instruction.line),
        Origin::Added => None,
    };
    assert_eq!(found, line);
}
