use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;

use super::{Objects, Source};

fn object(version: u64, text: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some("a".to_owned()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("text".to_owned(), text.to_owned())])),
        ..ConfigMap::default()
    }
}

fn empty() -> Objects<ConfigMap> {
    Objects { by_key: BTreeMap::new(), latest: 0 }
}

fn text(objects: &Objects<ConfigMap>) -> Option<&str> {
    Some(objects.by_key.get("a")?.data.as_ref()?.get("text")?.as_str())
}

#[test]
fn a_write_is_seen_at_once_and_an_older_event_does_not_undo_it() {
    let mut objects = empty();
    assert!(objects.put(object(1, "old"), Source::Watch));
    assert!(objects.put(object(3, "ours"), Source::Write));
    assert!(!objects.put(object(2, "theirs"), Source::Watch));
    assert_eq!(text(&objects), Some("ours"));
}

#[test]
fn the_event_of_our_own_write_wakes_nobody() {
    let mut objects = empty();
    objects.put(object(1, "a"), Source::Write);
    assert!(!objects.put(object(1, "a"), Source::Watch));
    assert!(!objects.put(object(2, "a"), Source::Watch), "only the resource version differs");
}

#[test]
fn the_answer_to_a_write_does_not_bring_back_what_was_deleted_since() {
    let mut objects = empty();
    objects.put(object(1, "a"), Source::Watch);
    assert!(objects.remove(&object(3, "a")));
    assert!(!objects.put(object(2, "b"), Source::Write));
    assert_eq!(text(&objects), None);
}

#[test]
fn the_end_of_an_older_object_does_not_remove_its_successor() {
    let mut objects = empty();
    objects.put(object(5, "new"), Source::Write);
    assert!(!objects.remove(&object(4, "old")));
    assert_eq!(text(&objects), Some("new"));
}

#[test]
fn a_new_list_drops_what_is_gone_and_keeps_newer_copies() {
    let mut objects = empty();
    objects.put(object(5, "newer"), Source::Write);
    objects.replace(vec![object(4, "listed")]);
    assert_eq!(text(&objects), Some("newer"));
    objects.replace(Vec::new());
    assert_eq!(text(&objects), None);
}
