use super::*;
use rstest::rstest;

/// What the merged configuration says at a place of its JSON.
fn at(rendered: &Rendered, pointer: &str) -> Value {
    rendered.spec.config.pointer(pointer).cloned().unwrap_or_default()
}

#[rstest]
#[case::mode_alone_keeps_contents_and_owner(
    json!({"path": "/etc/a", "contents": {"source": "data:,a"}, "user": {"name": "core"}}),
    json!({"path": "/etc/a", "mode": 256}),
    json!({"path": "/etc/a", "contents": {"source": "data:,a"}, "user": {"name": "core"}, "mode": 256, "overwrite": true})
)]
#[case::contents_alone_keep_mode(
    json!({"path": "/etc/a", "contents": {"source": "data:,a"}, "mode": 256}),
    json!({"path": "/etc/a", "contents": {"source": "data:,b"}}),
    json!({"path": "/etc/a", "contents": {"source": "data:,b"}, "mode": 256, "overwrite": true})
)]
#[case::new_contents_drop_compression_and_verification(
    json!({"path": "/etc/a", "contents": {
        "source": "data:;base64,H4sIAAAAAAACA8vI5AIAenpv7QMAAAA=", "compression": "gzip",
        "verification": {"hash": "sha256-98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"},
    }}),
    json!({"path": "/etc/a", "contents": {"source": "data:,b"}}),
    json!({"path": "/etc/a", "contents": {"source": "data:,b"}, "overwrite": true})
)]
#[case::an_owner_is_replaced_as_a_whole(
    json!({"path": "/etc/a", "user": {"id": 1000}, "group": {"id": 5}}),
    json!({"path": "/etc/a", "user": {"name": "core"}}),
    json!({"path": "/etc/a", "user": {"name": "core"}, "group": {"id": 5}})
)]
#[case::overwrite_that_was_said_stays(
    json!({"path": "/etc/a", "contents": {"source": "data:,a"}, "overwrite": false}),
    json!({"path": "/etc/a", "mode": 256}),
    json!({"path": "/etc/a", "contents": {"source": "data:,a"}, "overwrite": false, "mode": 256})
)]
#[case::appended_contents_add_up(
    json!({"path": "/etc/a", "contents": {"source": "data:,a"}, "append": [{"source": "data:,b"}]}),
    json!({"path": "/etc/a", "append": [{"source": "data:,c"}]}),
    json!({"path": "/etc/a", "contents": {"source": "data:,a"}, "append": [{"source": "data:,b"}, {"source": "data:,c"}],
           "overwrite": true})
)]
fn files_merge_field_by_field(#[case] first: Value, #[case] second: Value, #[case] expected: Value) {
    let rendered = merged(files(&[first]), files(&[second])).unwrap();
    assert_eq!(at(&rendered, "/storage/files"), json!([expected]));
}

#[rstest]
#[case::enabling_keeps_contents(
    json!({"name": "a.service", "contents": "[Service]\n"}),
    json!({"name": "a.service", "enabled": true}),
    json!({"name": "a.service", "contents": "[Service]\n", "enabled": true})
)]
#[case::disabling_wins_when_later(
    json!({"name": "a.service", "enabled": true}),
    json!({"name": "a.service", "enabled": false, "mask": true}),
    json!({"name": "a.service", "enabled": false, "mask": true})
)]
#[case::drop_ins_unite_by_name(
    json!({"name": "a.service", "dropins": [
        {"name": "20-b.conf", "contents": "[Unit]\n"}, {"name": "10-a.conf", "contents": "[Unit]\n"}]}),
    json!({"name": "a.service", "dropins": [{"name": "20-b.conf", "contents": "[Service]\n"}]}),
    json!({"name": "a.service", "dropins": [
        {"name": "10-a.conf", "contents": "[Unit]\n"}, {"name": "20-b.conf", "contents": "[Service]\n"}]})
)]
fn units_merge_field_by_field(#[case] first: Value, #[case] second: Value, #[case] expected: Value) {
    let rendered = merged(units(&[first]), units(&[second])).unwrap();
    assert_eq!(at(&rendered, "/systemd/units"), json!([expected]));
}

#[test]
fn a_link_replaces_a_file_at_its_path() {
    let link = json!({"path": "/etc/a", "target": "/usr/lib/a"});
    let rendered = merged(files(&[file("/etc/a", "a")]), json!({"storage": {"links": [link]}})).unwrap();
    assert_eq!(at(&rendered, "/storage"), json!({"links": [link]}));
}

#[test]
fn a_file_that_gives_way_makes_room_below_its_path() {
    let second = json!({"storage": {"directories": [{"path": "/etc/a"}], "files": [file("/etc/a/b", "b")]}});
    let rendered = merged(files(&[file("/etc/a", "a")]), second).unwrap();
    assert_eq!(at(&rendered, "/storage/directories"), json!([{"path": "/etc/a"}]));
}

#[test]
fn keys_and_arguments_unite() {
    let first = json!({"passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["b", "a"]}]},
                       "kernelArguments": {"shouldExist": ["quiet", "nosmt"]}});
    let second = json!({"passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["a", "c"]}]},
                        "kernelArguments": {"shouldExist": ["nosmt", "audit=0"]}});
    let rendered = merged(first, second).unwrap();
    assert_eq!(at(&rendered, "/passwd/users"), json!([{"name": "core", "sshAuthorizedKeys": ["b", "a", "c"]}]));
    assert_eq!(at(&rendered, "/kernelArguments/shouldExist"), json!(["quiet", "nosmt", "audit=0"]));
}

#[test]
fn workers_come_first_then_all_others_by_name() {
    let given = [
        machine_config("10-automount", "worker-automount", json!({"kernelArguments": ["c"]})),
        machine_config("99-worker", "worker", json!({"kernelArguments": ["b"]})),
        machine_config("20-infra", "infra", json!({"kernelArguments": ["d"]})),
        machine_config("00-worker", "worker", json!({"kernelArguments": ["a"]})),
        machine_config("rendered-worker-00", "worker", json!({"kernelArguments": ["never"]})),
    ];
    let rendered = render("worker-automount", &given).unwrap();
    assert_eq!(rendered.sources, ["00-worker", "99-worker", "10-automount", "20-infra"]);
    assert_eq!(rendered.spec.kernel_arguments, ["a", "b", "c", "d"]);
}

#[rstest]
#[case::extensions_append_once(
    json!({"extensions": ["usbguard", "kernel-devel"]}), json!({"extensions": ["usbguard", "sandboxed-containers"]}),
    json!({"extensions": ["usbguard", "kernel-devel", "sandboxed-containers"]})
)]
#[case::arguments_append_always(
    json!({"kernelArguments": ["a b"]}), json!({"kernelArguments": ["a"]}), json!({"kernelArguments": ["a b", "a"]})
)]
#[case::any_fips_wins(json!({"fips": true}), json!({"fips": false}), json!({"fips": true}))]
#[case::the_last_kernel_wins(
    json!({"kernelType": "realtime"}), json!({"kernelType": "64k-pages"}), json!({"kernelType": "64k-pages"})
)]
#[case::the_default_kernel_gives_way(
    json!({"kernelType": "realtime"}), json!({"kernelType": "default"}), json!({"kernelType": "realtime"})
)]
#[case::an_unsaid_kernel_gives_way(
    json!({"kernelType": "realtime"}), json!({"kernelType": ""}), json!({"kernelType": "realtime"})
)]
#[case::the_last_image_wins(
    json!({"osImageURL": "r/a:1"}), json!({"osImageURL": "r/b:2"}), json!({"osImageURL": "r/b:2"})
)]
#[case::an_empty_image_gives_way(
    json!({"osImageURL": "r/a:1"}), json!({"osImageURL": ""}), json!({"osImageURL": "r/a:1"})
)]
#[case::the_last_extensions_image_wins(
    json!({"baseOSExtensionsContainerImage": "r/a:1"}), json!({"baseOSExtensionsContainerImage": "r/b:1"}),
    json!({"baseOSExtensionsContainerImage": "r/b:1"})
)]
fn fields_beside_ignition(#[case] first: Value, #[case] second: Value, #[case] expected: Value) {
    let given = [machine_config("1", "worker", first), machine_config("2", "worker", second)];
    let mut whole = json!({"config": {"ignition": {"version": "3.5.0"}}, "fips": false, "kernelType": "default"});
    for (field, value) in expected.as_object().unwrap() {
        whole[field] = value.clone();
    }
    assert_eq!(serde_json::to_value(render("worker", &given).unwrap().spec).unwrap(), whole);
}

#[test]
fn a_pool_without_machine_configs_renders_empty() {
    let rendered = render("worker", &[]).unwrap();
    assert_eq!(rendered.spec.config, json!({"ignition": {"version": "3.5.0"}}));
    assert_eq!(rendered.sources, Vec::<String>::new());
    assert_eq!(desired::of(&rendered.spec).unwrap(), Desired::default());
}

#[test]
fn a_name_is_the_hash_of_the_spec_and_nothing_else() {
    let plain = render("automount", &[autofs()]).unwrap();
    let digits = plain.name.strip_prefix("rendered-automount-").unwrap();
    assert_eq!(digits.len(), 32);
    assert!(digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));

    let mut relabelled = autofs();
    relabelled.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
    relabelled.metadata.name = Some("98-other".into());
    assert_eq!(render("automount", &[relabelled]).unwrap().name, plain.name);
    assert_ne!(render("automount", &[]).unwrap().name, plain.name);
    assert_eq!(render("other", &[autofs()]).unwrap().name, format!("rendered-other-{digits}"));
}

#[test]
fn canonical_json_sorts_keys_at_every_depth() {
    let value = json!({"b": [{"d": 1, "c": null}], "a": "x"});
    assert_eq!(canonical_json(&value), r#"{"a":"x","b":[{"c":null,"d":1}]}"#);
}

#[test]
fn the_whole_of_a_merge() {
    let base = machine_config(
        "00-worker",
        "worker",
        json!({
            "config": {
                "ignition": {"version": "3.2.0"},
                "storage": {
                    "directories": [{"path": "/etc/shared", "mode": 493}],
                    "files": [file("/etc/shared/b", "b"), file("/etc/shared/a", "a")],
                    "links": [{"path": "/etc/shared/current", "target": "a"}],
                },
            },
            "kernelArguments": ["audit=0"],
        }),
    );
    let rendered = render("worker-automount", &[autofs(), base]).unwrap();
    insta::assert_json_snapshot!(rendered.spec);
}
