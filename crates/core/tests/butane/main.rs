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
mod ask;
mod cases;
mod compare;
mod files;
mod laws;
mod record;

use answer::Answer;
use onlay_core::butane::{Options, translate};
use rstest::rstest;

#[rstest]
#[case::every_field_in_every_version("fields")]
#[case::contents_and_their_sources("contents")]
#[case::files_disks_and_filesystems("storage")]
#[case::sugar_and_what_a_machine_config_cannot_have("sugar")]
#[case::yaml_in_all_its_forms("documents")]
fn answers_as_the_real_tool_does(#[case] topic: &str) {
    let recorded = record::read(topic);
    let cases = cases::of(topic, cases::RECORDED);
    assert_eq!(cases.len(), recorded.len(), "record {topic} anew: its cases are others than those that were recorded");
    let differences: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let real = recorded.get(&case.name).unwrap_or_else(|| panic!("{} was not recorded", case.name));
            compare::answers(case, real).map(|what| format!("{}: {what}\n{}", case.name, case.text))
        })
        .collect();
    let failed = differences.len();
    println!("{topic}: {} passed, {failed} failed", cases.len() - failed);
    assert!(differences.is_empty(), "{failed} differ:\n{}", differences.join("\n"));
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
    for topic in cases::TOPICS {
        assert!(record::recorded_from(topic).starts_with("Butane v"), "{topic} does not say what recorded it");
    }
    let all: Vec<Answer> = cases::TOPICS.iter().flat_map(|topic| record::read(topic).into_values()).collect();
    let refused = all.iter().filter(|answer| answer.exit != 0).count();
    println!("{} recorded, {refused} of them refused", all.len());
    assert!(all.len() >= 900 && refused * 10 >= all.len() * 4, "{} recorded, {refused} refused", all.len());
}
