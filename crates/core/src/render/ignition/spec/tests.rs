//! Laws of merging, and writing.

use proptest::prelude::*;

use super::fields::{CONFIG, Minor};
use super::json;
use super::merge::merge;
use super::tree::Record;

/// Configurations that name nothing twice.
fn any_config() -> impl Strategy<Value = String> {
    let file = (prop::option::of(0..8_i64), prop::option::of("[a-c]{0,2}"));
    let unit = (prop::option::of(any::<bool>()), prop::option::of("[a-c]{0,2}"));
    let files = prop::collection::btree_map(0..4_u8, file, 0..4);
    let units = prop::collection::btree_map(0..3_u8, unit, 0..3);
    let arguments = prop::collection::btree_set("[a-d]", 0..4);
    (files, units, arguments, 0..3_u8).prop_map(|(files, units, arguments, list)| {
        let files: Vec<_> = files
            .into_iter()
            .map(|(path, (mode, source))| {
                serde_json::json!({
                    "path": format!("/f{path}"), "mode": mode,
                    "contents": {"source": source.map(|source| format!("data:,{source}"))},
                })
            })
            .collect();
        let units: Vec<_> = units
            .into_iter()
            .map(|(name, (enabled, contents))| {
                serde_json::json!({"name": format!("u{name}.service"), "enabled": enabled, "contents": contents})
            })
            .collect();
        let list = ["files", "directories", "links"][usize::from(list)];
        serde_json::json!({
            "ignition": {"version": "3.6.0"}, "storage": {list: files}, "systemd": {"units": units},
            "kernelArguments": {"shouldExist": arguments},
        })
        .to_string()
    })
}

const MINOR: Minor = 6;

fn read(text: &str) -> Record {
    json::from_text(&CONFIG, MINOR, text.as_bytes()).expect("is a configuration").record
}

fn written(record: &Record) -> String {
    json::to_text(&CONFIG, MINOR, record, false)
}

proptest! {
    #[test]
    fn merging_over_nothing_changes_nothing(config in any_config()) {
        let config = read(&config);
        prop_assert_eq!(written(&merge(&CONFIG, MINOR, Record::default(), config.clone())), written(&config));
    }

    #[test]
    fn the_childs_fields_win(parent in any_config(), child in any_config()) {
        let (parent, child) = (read(&parent), read(&child));
        let merged = merge(&CONFIG, MINOR, parent, child.clone());
        prop_assert_eq!(written(&merge(&CONFIG, MINOR, merged.clone(), child)), written(&merged));
    }

    #[test]
    fn what_is_written_is_read_again(config in any_config(), pretty: bool) {
        let config = read(&config);
        let text = json::to_text(&CONFIG, MINOR, &config, pretty);
        prop_assert_eq!(written(&read(&text)), written(&config));
    }
}
