//! The examples that people read, rendered as they stand.

use super::*;
use crate::render::desired::DesiredFile;

const PAGE: &str = include_str!("../../../../../docs/user/machineconfig.md");
const AUTOFS: &str = include_str!("../../../../../examples/autofs/machineconfigs.yaml");

/// YAML documents as kubectl reads them, where a number that starts with 0 is octal.
fn machine_configs(yaml: &str) -> Vec<MachineConfig> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_multiple_with_options(yaml, options).unwrap()
}

/// The fenced blocks of the page, each with its language.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = PAGE.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

#[test]
fn every_example_of_the_page_renders_or_fails_as_it_says() {
    let blocks = blocks();
    let mut errors = 0;
    for (index, (_, yaml)) in blocks.iter().enumerate().filter(|(_, (language, _))| *language == "yaml") {
        let rendered = render("worker-automount", &machine_configs(yaml));
        match blocks.get(index + 1) {
            Some(("error", text)) => {
                assert_eq!(rendered.unwrap_err().to_string(), text.trim_end());
                errors += 1;
            }
            _ => assert_eq!(rendered.unwrap().warnings, []),
        }
    }
    assert_eq!(errors, 3);
}

#[test]
fn the_page_tells_the_truth_about_which_one_wins() {
    let (_, yaml) = blocks().into_iter().find(|(_, yaml)| yaml.contains("10-automount-motd")).unwrap();
    let rendered = render("worker-automount", &machine_configs(yaml)).unwrap();
    assert_eq!(rendered.sources, ["99-worker-motd", "10-automount-motd"]);
    let DesiredFile { mode, contents, .. } = desired::of(&rendered.spec).unwrap().files.remove(0);
    assert_eq!((mode, contents.as_slice()), (0o600, b"Hello.\n".as_slice()));
}

#[test]
fn the_page_tells_the_truth_about_origins() {
    let yaml: Vec<&str> =
        blocks().into_iter().filter(|(language, _)| *language == "yaml").map(|(_, yaml)| yaml).collect();
    let rendered = render("worker-automount", &[machine_configs(yaml[0]), machine_configs(yaml[1])].concat()).unwrap();
    let (_, json) = blocks().into_iter().find(|(language, _)| *language == "json").unwrap();
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(rendered.annotations[names::ORIGINS_ANNOTATION], canonical_json(&json));
}

#[test]
fn the_autofs_example_renders_without_a_warning() {
    let rendered = render("worker-automount", &machine_configs(AUTOFS)).unwrap();
    assert_eq!(rendered.warnings, []);
    let desired = desired::of(&rendered.spec).unwrap();
    assert!(desired.files.iter().any(|file| file.mode == 0o644));
    assert!(desired.units.iter().any(|unit| unit.name == "autofs.service" && unit.enabled == Some(true)));
}
