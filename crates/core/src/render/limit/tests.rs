use super::*;
use crate::render::render;
use onlay_api::names;
use rstest::rstest;
use serde_json::{Value, json};

fn machine_config(name: &str, mut config: Value) -> MachineConfig {
    config["ignition"]["version"] = json!("3.4.0");
    let labels = json!({names::ROLE_LABEL: "worker"});
    let object = json!({"metadata": {"name": name, "labels": labels}, "spec": {"config": config}});
    serde_json::from_value(object).unwrap()
}

fn file(path: &str, bytes: usize) -> Value {
    json!({"storage": {"files": [{"path": path, "contents": {"source": format!("data:,{}", "x".repeat(bytes))}}]}})
}

fn refused(given: &[MachineConfig]) -> (usize, Vec<(String, usize)>) {
    match render("worker", given) {
        Err(RenderError::TooLarge { bytes, limit: MAX_STORED, contributors }) => (bytes, contributors),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::plain(r#"{"a":"b"}"#, 9)]
#[case::what_go_escapes(r#""a<b>&c""#, 8 + 3 * 5)]
#[case::bytes_not_characters("\"ü\"", 4)]
fn bytes_in_the_store(#[case] json: &str, #[case] bytes: usize) {
    assert_eq!(stored(json), bytes);
}

#[test]
fn the_limit_is_met_to_the_byte() {
    let sized = |bytes| [machine_config("50-a", file("/etc/a", bytes))];
    let (bytes, _) = refused(&sized(MAX_STORED));
    let largest = MAX_STORED - (bytes - MAX_STORED);
    assert!(render("worker", &sized(largest)).is_ok());
    assert_eq!(refused(&sized(largest + 1)).0, MAX_STORED + 1);
}

#[test]
fn what_go_escapes_counts_as_it_is_stored() {
    let unit = |text: &str| {
        let comments = format!("# {}\n", text.repeat(1_000)).repeat(MAX_STORED / 4_000);
        let contents = format!("[Service]\nExecStart=/bin/true\n{comments}");
        [machine_config("50-a", json!({"systemd": {"units": [{"name": "a.service", "contents": contents}]}}))]
    };
    assert!(render("worker", &unit("x")).is_ok());
    assert!(refused(&unit("&")).0 > MAX_STORED);
}

#[test]
fn the_largest_three_are_named_largest_first() {
    let given: Vec<MachineConfig> = [("50-a", 300_000), ("51-b", 1000), ("52-c", 700_000), ("53-d", 600_000)]
        .iter()
        .map(|(name, bytes)| machine_config(name, file(&format!("/etc/{name}"), *bytes)))
        .collect();
    let (_, contributors) = refused(&given);
    let names: Vec<&str> = contributors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["52-c", "53-d", "50-a"]);
    assert!(
        contributors.iter().zip([700_000, 600_000, 300_000]).all(|((_, bytes), own)| (own..own + 300).contains(bytes))
    );
    let text = render("worker", &given).unwrap_err().to_string();
    assert!(
        text.contains("the largest parts: MachineConfig 52-c (700") && text.contains("with a Containerfile"),
        "{text}"
    );
}

#[test]
fn one_of_many_small_ones_is_named() {
    let given: Vec<MachineConfig> =
        (0..200).map(|at| machine_config(&format!("{at:03}"), file(&format!("/etc/{at}"), 10_000))).collect();
    assert_eq!(refused(&given).1.len(), 1);
}

/// Who is named would have to be changed for the configuration to become smaller.
#[rstest]
#[case::contents_that_are_overridden("/etc/a", file("/etc/b", 1_000_000))]
#[case::a_file_that_gave_way_to_a_link("/etc/link", json!({"storage": {"links": [{"path": "/etc/link", "target": "a"}]}}))]
fn what_is_overridden_does_not_count(#[case] path: &str, #[case] late: Value) {
    let given = [
        machine_config("50-overridden", file(path, 1_500_000)),
        machine_config("60-late", file("/etc/a", 600_000)),
        machine_config("61-late", late),
        machine_config("62-late", file("/etc/c", 1_000_000)),
    ];
    let (_, contributors) = refused(&given);
    assert!(contributors.iter().all(|(name, _)| name != "50-overridden"), "{contributors:?}");
}
