//! What `-o json` writes, held against the schemas that are written for it.

use std::fs;
use std::path::Path;

use onlay_cli::examples::VERBS;
use rstest::rstest;
use serde_json::{Value, json};

use crate::foresee::{CLUSTER, machine_config, site};
use crate::session::{checkout, directory, transcript};

/// The schema of what a verb writes. A rendered configuration is a MachineConfig.
fn schema(verb: &str, written: &Value) -> Value {
    let read = |path: &str| fs::read_to_string(checkout().join(path)).unwrap();
    if verb == "render" && written.get("findings").is_none() {
        let crd: Value = serde_saphyr::from_str(&read("deploy/crds/machineconfigs.yaml")).unwrap();
        return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    }
    serde_json::from_str(&read(&format!("docs/schemas/{verb}.json"))).unwrap()
}

/// Runs a line and holds its result against the schema of its verb.
fn check(directory: &Path, verb: &str, line: &str) -> Value {
    let text = transcript(directory, line, b"");
    let result: String = text.lines().skip(1).filter(|line| !line.starts_with(['!', '$'])).collect();
    let result = result.rsplit_once("exit ").unwrap().0;
    let value: Value = serde_json::from_str(result).unwrap_or_else(|error| panic!("{error}: {text}"));
    let validator = jsonschema::validator_for(&schema(verb, &value)).unwrap();
    let wrong: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert_eq!(wrong, [""; 0], "{line}\n{text}");
    value
}

#[test]
fn every_example_that_writes_json_keeps_to_its_schema() {
    let mut verbs = Vec::new();
    for verb in VERBS {
        for example in verb.examples.iter().filter(|example| example.line.ends_with("-o json")) {
            check(&checkout().join("examples/offline"), verb.name, example.line);
            verbs.push(verb.name);
        }
    }
    verbs.dedup();
    assert_eq!(verbs, ["diff", "plan", "render", "show"]);
}

#[rstest]
#[case::validate_with_errors("validate", "onlay validate -o json wanted.yaml missing.yaml")]
#[case::validate_what_is_right("validate", "onlay validate -o json wanted.yaml")]
#[case::diff_that_cannot_be_read("diff", "onlay diff -o json wanted.yaml missing.yaml")]
#[case::diff_with_a_refusal("diff", "onlay diff -o json now wanted.yaml --pool worker")]
#[case::diff_of_everything("diff", "onlay diff -o json now everything.yaml --pool worker")]
#[case::plan_that_cannot_be_made("plan", "onlay plan -o json missing.yaml --against now")]
#[case::plan_with_a_refusal("plan", "onlay plan -o json wanted.yaml --against now")]
#[case::plan_of_everything("plan", "onlay plan -o json everything.yaml --against now")]
#[case::plan_of_nothing("plan", "onlay plan -o json now --against now")]
#[case::render_that_cannot_be_made("render", "onlay render -o json missing.yaml --pool worker")]
#[case::show_that_cannot_be_read("show", "onlay show -o json missing.yaml --pool worker --path /etc/motd")]
#[case::a_path_that_is_not_there("show", "onlay show -o json everything.yaml --pool worker --path /etc/nothing")]
#[case::an_argument("show", "onlay show -o json everything.yaml --pool worker --argument audit")]
#[case::a_unit_of_the_image(
    "show",
    "onlay show -o json everything.yaml --pool worker --path /etc/systemd/system/c.service"
)]
#[case::a_directory("show", "onlay show -o json everything.yaml --pool worker --path /etc/auto.d")]
#[case::a_link("show", "onlay show -o json everything.yaml --pool worker --path /etc/localtime")]
#[case::a_unit("show", "onlay show -o json everything.yaml --pool worker --path /etc/systemd/system/a.service")]
fn every_kind_of_result_keeps_to_its_schema(#[case] verb: &str, #[case] line: &str) {
    let refused = machine_config("60-refused", "ignition: {version: 3.4.0}", "fips: true");
    let everything = machine_config("70-everything", EVERYTHING, "kernelArguments: [audit=0]\nkernelType: realtime");
    let site = site(&[("now/all.yaml", CLUSTER), ("wanted.yaml", &refused), ("everything.yaml", &everything)]);
    let written = check(site.path(), verb, line);
    // A script sees that something is wrong in what is written, and not the result of nothing.
    let is_error = transcript(site.path(), line, b"").ends_with("exit 1\n");
    let reports = written["findings"].as_array().into_iter().flatten();
    assert_eq!(reports.filter(|finding| finding["severity"] == "error").count() > 0, is_error, "{written}");
    let is_nothing = line.contains("missing.yaml") && matches!(verb, "diff" | "show");
    let answers = ["from", "disruption", "cost", "kind", "rendered"];
    assert!(!is_nothing || answers.iter().all(|field| written[field].is_null()), "{written}");
}

#[rstest]
#[case("diff")]
#[case("plan")]
#[case("show")]
#[case("validate")]
fn a_schema_refuses_what_no_verb_writes(#[case] verb: &str) {
    let validator = jsonschema::validator_for(&schema(verb, &Value::Null)).unwrap();
    assert!(!validator.is_valid(&json!({})) && !validator.is_valid(&json!([])));
    let directory = directory(&[("now.yaml", CLUSTER)]);
    let line = match verb {
        "plan" => "onlay plan -o json now.yaml --against now.yaml",
        "diff" => "onlay diff -o json now.yaml now.yaml --pool worker",
        "show" => "onlay show -o json now.yaml --pool worker --path /etc/motd",
        _ => "onlay validate -o json now.yaml",
    };
    let mut written = check(directory.path(), verb, line);
    written["findings"] = json!(1);
    assert!(!validator.is_valid(&written));
}

/// One of everything that an Ignition configuration puts on a node.
const EVERYTHING: &str = "\
ignition: {version: 3.4.0}
passwd:
  users: [{name: core, sshAuthorizedKeys: [ssh-ed25519 AAAA one]}]
storage:
  directories: [{path: /etc/auto.d}]
  files:
  - {path: /etc/motd, contents: {source: 'data:;base64,AAEC'}}
  - {path: /etc/containers/registries.conf, contents: {source: 'data:,unqualified-search-registries%3D%5B%22a.example.com%22%5D'}}
  - {path: /var/lib/kubelet/config.json, contents: {source: 'data:,%7B%7D'}}
  links: [{path: /etc/localtime, target: /usr/share/zoneinfo/UTC}]
systemd:
  units:
  - {name: c.service, mask: true}
  - {name: a.service, enabled: true, contents: \"[Service]\\nExecStart=/bin/true\\n\", dropins: [{name: b.conf, contents: \"[Unit]\\n\"}]}";
