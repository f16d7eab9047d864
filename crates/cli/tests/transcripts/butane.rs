//! What people see of `onlay butane`.

use crate::session::{directory, transcript};

const GOOD: &str =
    "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n  - path: /etc/motd\n    contents: {inline: hello}\n";
const WARNS: &str = "variant: fcos\nversion: 1.5.0\nnobody: knows\n";
const BROKEN: &str = "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n  - path: etc/motd\n";

macro_rules! seen {
    ($name:literal, $line:expr, $input:expr) => {
        let files = [("good.bu", GOOD), ("warns.bu", WARNS), ("broken.bu", BROKEN)];
        insta::assert_snapshot!($name, transcript(directory(&files).path(), $line, $input.as_bytes()))
    };
}

#[test]
fn standard_input() {
    seen!("stdin", "onlay butane", GOOD);
    seen!("stdin_broken", "onlay butane -", BROKEN);
    seen!("stdin_no_yaml", "onlay butane", "variant: [\n");
    seen!("stdin_empty", "onlay butane", "");
}

#[test]
fn warnings_are_told_and_refused_if_asked_for() {
    seen!("warnings", "onlay butane warns.bu", "");
    seen!("warnings_strict", "onlay butane --strict warns.bu", "");
}

#[test]
fn a_check_writes_nothing_but_what_is_wrong() {
    seen!("check_good", "onlay butane --check good.bu", "");
    seen!("check_broken", "onlay butane --check broken.bu", "");
}

#[test]
fn a_result_goes_into_a_file() {
    seen!("output", "onlay butane --output out good.bu && cat out", "");
    seen!("output_broken", "onlay butane --output out broken.bu || ls", "");
    seen!("output_nowhere", "onlay butane --output nowhere/out good.bu", "");
}

#[test]
fn errors_one_a_line() {
    seen!("raw_errors", "onlay butane --raw-errors broken.bu; onlay butane --raw-errors warns.bu", "");
}

#[test]
fn plain_ignition_says_what_it_leaves_out() {
    let text = "variant: openshift\nversion: 4.20.0\nmetadata:\n  name: 50-a\n  labels:\n    \
                machineconfiguration.openshift.io/role: worker\nopenshift:\n  kernel_arguments: [audit=0]\n";
    seen!("raw", "onlay butane --raw", text);
}

#[test]
fn arguments_that_are_wrong() {
    seen!("unknown_flag", "onlay butane --unknown good.bu", "");
    seen!("missing_file", "onlay butane nowhere.bu", "");
}

#[test]
fn local_files_need_a_directory() {
    let text = GOOD.replace("inline: hello", "local: motd");
    seen!("no_files_dir", "onlay butane", text);
    seen!("absent_local", "mkdir files; onlay butane -d files", text);
}

#[test]
fn a_variant_of_other_systems() {
    seen!("flatcar", "onlay butane", "variant: flatcar\nversion: 1.0.0\n");
}
