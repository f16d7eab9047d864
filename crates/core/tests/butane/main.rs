//! Butane files and what the real tool made of them: the output, or the findings and their places.
//!
//! `cases/` holds the files, `recorded/` what the real tool answered; its version is in each recording. To record anew:
//! `BUTANE=path/to/butane cargo test -p onlay-core --test butane -- --ignored record`.

#![cfg(test)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the cases lie in files, and recording runs a tool"
)]

mod answer;
mod cases;
mod files;
mod laws;
mod record;

use answer::{Answer, Finding};
use cases::Case;
use onlay_core::butane::{LocalFiles, Options, Severity, translate};
use rstest::rstest;

#[rstest]
#[case::every_field_in_every_version("fields")]
#[case::contents_and_their_sources("contents")]
#[case::files_disks_and_filesystems("storage")]
#[case::sugar_and_what_a_machine_config_cannot_have("sugar")]
#[case::yaml_in_all_its_forms("documents")]
fn answers_as_the_real_tool_does(#[case] topic: &str) {
    let recorded = record::read(topic);
    let cases = cases::of(topic);
    assert_eq!(cases.len(), recorded.len(), "record {topic} anew: its cases are others than those that were recorded");
    let differences: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let real = recorded.get(&case.name).unwrap_or_else(|| panic!("{} was not recorded", case.name));
            difference(case, real).map(|what| format!("{}: {what}\n{}", case.name, case.text))
        })
        .collect();
    let failed = differences.len();
    println!("{topic}: {} passed, {failed} failed", cases.len() - failed);
    assert!(differences.is_empty(), "{failed} differ:\n{}", differences.join("\n"));
}

/// How our answer differs from that of the real tool.
fn difference(case: &Case, real: &Answer) -> Option<String> {
    let files = files::Folder::of_the_cases();
    let files = case.files.then_some(&files as &dyn LocalFiles);
    let options = Options { raw: case.raw, strict: case.strict };
    let (findings, output) = match translate(&case.text, &options, files) {
        Ok(translated) => (translated.warnings, Some(translated.output)),
        Err(refusal) => (refusal.findings, None),
    };
    match (&output, real.exit) {
        (None, 0) => return Some(format!("refused: {findings:?}")),
        (Some(_), 1) => return Some(format!("accepted, but the real tool says {}", real.stderr)),
        (Some(output), _) => {
            let ours = output.value();
            if answer::unpacked(&ours) != answer::unpacked(&real.value()) {
                return Some(format!("gives {ours:#}\ninstead of {}", real.stdout));
            }
            if answer::parsed(&output.text(false)) != ours || answer::parsed(&output.text(true)) != ours {
                return Some(format!("its text does not say what it is: {}", output.text(false)));
            }
        }
        (None, _) => {}
    }
    let mut ours: Vec<Finding> = findings.iter().map(Finding::from).collect();
    let mut theirs = real.findings();
    if theirs.is_empty() && real.exit != 0 {
        // What the real tool cannot read it names by line alone, and by a wrong line if it is no YAML.
        let is_error = findings.iter().any(|finding| finding.severity == Severity::Error);
        return (!is_error).then(|| format!("finds no error, but the real tool says {}", real.stderr));
    }
    ours.sort();
    theirs.sort();
    (ours != theirs).then(|| format!("finds {findings:#?}\nbut the real tool says {}", real.stderr))
}

/// What only we refuse.
#[rstest]
#[case::a_link_out_of_the_directory("local: outside")]
#[case::a_folder("local: tree")]
fn refuses_more_than_the_real_tool(#[case] contents: &str) {
    let text = format!(
        "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: /etc/a\n      contents:\n        {contents}\n"
    );
    let refusal =
        translate(&text, &Options::default(), Some(&files::Folder::of_the_cases())).expect_err("must be refused");
    assert_eq!(refusal.findings.len(), 1);
    assert_eq!(refusal.findings[0].path, "$.storage.files.0.contents.local");
    assert_eq!(refusal.findings[0].place.map(|place| (place.line, place.column)), Some((7, 16)));
}

#[rstest]
#[case::flatcar("flatcar", "1.0.0")]
#[case::r4e("r4e", "1.1.0")]
#[case::fiot("fiot", "1.0.0")]
#[case::rhcos("rhcos", "0.1.0")]
#[case::experimental_fcos("fcos", "1.8.0-experimental")]
#[case::experimental_openshift("openshift", "4.23.0-experimental")]
fn other_variants_and_versions_are_refused_with_those_that_are_not(#[case] variant: &str, #[case] version: &str) {
    let text = format!("variant: {variant}\nversion: {version}\n");
    let refusal = translate(&text, &Options::default(), None).expect_err("must be refused");
    let message = refusal.to_string();
    assert!(message.contains("4.22.0") || message.contains("1.7.0"), "{message}");
}

#[test]
fn recordings_say_which_tool_wrote_them_and_cover_enough() {
    let all: Vec<Answer> = cases::TOPICS.iter().flat_map(|topic| record::read(topic).into_values()).collect();
    let refused = all.iter().filter(|answer| answer.exit != 0).count();
    println!("{} recorded, {refused} of them refused", all.len());
    assert!(all.len() >= 900 && refused * 10 >= all.len() * 4, "{} recorded, {refused} refused", all.len());
}
