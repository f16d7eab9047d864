use super::*;
use crate::render::{RenderError, render};
use onlay_api::machine_config::MachineConfig;
use onlay_api::names::{ORIGINS_ANNOTATION, ROLE_LABEL};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

fn sources(number: usize) -> Vec<String> {
    (0..number).map(|at| format!("{at:02}-source")).collect()
}

fn machine_config(name: &str, spec: &Value) -> MachineConfig {
    let labels = json!({ROLE_LABEL: "worker"});
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "spec": spec})).unwrap()
}

#[test]
fn the_annotation_is_short_sorted_and_readable() {
    let config = |config: Value| json!({"ignition": {"version": "3.4.0"}, "storage": config});
    let motd = |contents: &str| json!({"path": "/etc/motd", "contents": {"source": contents}});
    let given = [
        machine_config("50-a", &json!({"config": config(json!({"files": [motd("data:,a"), {"path": "/etc/empty"}]}))})),
        machine_config(
            "60-b",
            &json!({"kernelArguments": ["quiet"], "extensions": ["usbguard"], "config":
            config(json!({"files": [motd("data:,b")], "links": [{"path": "/etc/empty", "target": "motd"}]}))}),
        ),
    ];
    let rendered = render("worker", &given).unwrap();
    assert_eq!(
        rendered.annotations[ORIGINS_ANNOTATION],
        concat!(
            r#"{"extensions":{"usbguard":[1]},"kernelArguments":[["quiet",1]],"#,
            r#""paths":{"/etc/empty":{"replaced":[0],"target":[1]},"/etc/motd":{"contents":[0,1]}}}"#
        )
    );
    assert_eq!(decode(&rendered.annotations[ORIGINS_ANNOTATION], &rendered.sources), Some(rendered.origins()));
}

#[test]
fn who_says_it_does_not_change_the_name() {
    let given = |name: &str| machine_config(name, &json!({"kernelArguments": ["quiet"]}));
    let [a, b] = ["50-a", "60-b"].map(|name| render("worker", [&given(name)]).unwrap());
    assert_eq!(a.name, b.name);
    assert_ne!(a.annotations, b.annotations);
}

#[test]
fn what_there_is_no_room_for_is_left_out_from_the_end() -> Result<(), RenderError> {
    let path = |number: usize| format!("/etc/{number:05}/{}", "x".repeat(200));
    let files: Vec<Value> =
        (0..1200).map(|number| json!({"path": path(number), "contents": {"source": "data:,"}})).collect();
    let config = json!({"ignition": {"version": "3.4.0"}, "storage": {"files": files},
        "systemd": {"units": [{"name": "a.service", "enabled": true}]}});
    let rendered = render("worker", &[machine_config("50-a", &json!({"config": config}))])?;
    let (text, all) = (&rendered.annotations[ORIGINS_ANNOTATION], rendered.origins());
    assert!(text.len() <= MAX_INDEX && text.len() > MAX_INDEX - 4000 && text.contains(r#","truncated":true,"#));
    let origins = decode(text, &rendered.sources).unwrap();
    assert!(origins.truncated && !all.truncated);
    assert_eq!(origins.units, all.units);
    let kept = origins.places.len();
    assert!(origins.places.iter().eq(all.places.iter().take(kept)), "{kept} paths from the first one on");
    Ok(())
}

#[rstest]
#[case::a_long_list_leaves_less_for_the_index(700, None)]
#[case::a_longer_one_is_refused(1000, Some("the names of its 1000 MachineConfigs have 251"))]
fn sources_and_index_share_the_room(#[case] number: usize, #[case] says: Option<&str>) {
    let given: Vec<MachineConfig> = (0..number)
        .map(|at| {
            let files = json!([{"path": format!("/etc/{}/{at}", "x".repeat(200))}]);
            let config = json!({"ignition": {"version": "3.4.0"}, "storage": {"files": files}});
            machine_config(&format!("50-{at:04}-{}", "x".repeat(240)), &json!({"config": config}))
        })
        .collect();
    match (render("worker", &given), says) {
        (Ok(rendered), None) => {
            let bytes: usize = rendered.annotations.values().map(String::len).sum();
            assert!(bytes <= MAX_TOGETHER && bytes > MAX_TOGETHER - 4000, "{bytes}");
        }
        (Err(error), Some(says)) => assert!(error.to_string().contains(says), "{error}"),
        (outcome, _) => panic!("{outcome:?}"),
    }
}

#[rstest]
#[case::no_json("paths")]
#[case::another_shape(r#"{"paths":[]}"#)]
#[case::a_source_that_is_not_there(r#"{"paths":{"/etc/a":{"mode":[2]}}}"#)]
#[case::an_argument_from_nowhere(r#"{"kernelArguments":[["quiet",9]]}"#)]
fn what_is_no_index_says_nothing(#[case] text: &str) {
    assert_eq!(decode(text, &sources(2)), None);
}

fn any_numbers() -> impl Strategy<Value = Numbers> {
    prop::collection::btree_set(0usize..6, 1..4).prop_map(Vec::from_iter)
}

prop_compose! {
    fn any_part()(
        fields in prop::collection::btree_map("contents|mode|append|10-[a-c]\\.conf", any_numbers(), 0..4),
        more in prop::option::of(any_numbers()),
        replaced in prop::option::of(any_numbers()),
    ) -> Part {
        let all = union(fields.values().chain(&more));
        let fields = fields.into_iter().map(|(field, numbers)| (field.into(), numbers)).collect();
        Part { fields, all, replaced: replaced.unwrap_or_default() }
    }
}

prop_compose! {
    fn any_index()(
        paths in prop::collection::btree_map("/etc/[a-e\"]", any_part(), 0..5),
        units in prop::collection::btree_map("[a-e]\\.service", any_part(), 0..5),
        kernel_arguments in prop::collection::vec((any::<String>(), 0usize..6), 0..4),
        extensions in prop::collection::btree_map("[a-c]", any_numbers(), 0..3),
        truncated in any::<bool>(),
    ) -> Index {
        Index { extensions, kernel_arguments, paths, truncated, units }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(index in any_index()) {
        let text = index.encode(MAX_INDEX).unwrap();
        let origins = index.named(&sources(6));
        prop_assert!(origins.is_some());
        prop_assert_eq!(decode(&text, &sources(6)), origins);
    }

    #[test]
    fn no_text_breaks_the_decoder(text in any::<String>()) {
        let _ = decode(&text, &sources(1));
    }
}
