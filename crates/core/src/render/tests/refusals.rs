use super::*;
use rstest::rstest;

#[rstest]
#[case::relative_path(files(&[file("etc/a", "a")]), "storage.files[0].path: \"etc/a\" is not absolute; start it with \"/\"")]
#[case::path_with_dots(
    files(&[file("/etc/../a//b/", "a")]),
    "storage.files[0].path: \"/etc/../a//b/\" is not normalised; write \"/a/b\""
)]
#[case::no_path(files(&[json!({"contents": {"source": "data:,a"}})]), "storage.files[0].path: missing")]
#[case::the_root(files(&[file("/", "a")]), "storage.files[0].path: \"/\" cannot be the path of a file")]
#[case::mode_too_large(
    files(&[json!({"path": "/etc/a", "mode": 4096})]),
    "file /etc/a: storage.files[0].mode: 4096 is outside of 0 to 4095 (octal 07777); write a decimal number, 420 is octal 0644"
)]
#[case::negative_mode(files(&[json!({"path": "/etc/a", "mode": -1})]), "file /etc/a: storage.files[0].mode: -1 is outside of 0 to 4095")]
#[case::mode_of_a_directory(
    json!({"storage": {"directories": [{"path": "/etc/a", "mode": 7777}]}}),
    "directory /etc/a: storage.directories[0].mode: 7777 is outside of 0 to 4095"
)]
#[case::two_ways_to_name_an_owner(
    files(&[json!({"path": "/etc/a", "user": {"id": 1, "name": "daemon"}})]),
    "file /etc/a: storage.files[0].user: has an id and a name; keep one of them"
)]
#[case::impossible_id(
    files(&[json!({"path": "/etc/a", "group": {"id": 4294967295u32}})]),
    "file /etc/a: storage.files[0].group: 4294967295 is no user or group id"
)]
#[case::impossible_name(
    files(&[json!({"path": "/etc/a", "group": {"name": "a b"}})]),
    "file /etc/a: storage.files[0].group: \"a b\" is no name of a user or group"
)]
#[case::path_named_twice(
    files(&[file("/etc/a", "a"), file("/etc/b", "b"), file("/etc/a", "c")]),
    "storage.files[2].path: \"/etc/a\" is named by storage.files[0].path already; keep one of them"
)]
#[case::path_named_by_two_lists(
    json!({"storage": {"files": [file("/etc/a", "a")], "directories": [{"path": "/etc/a"}]}}),
    "storage.files[0].path: \"/etc/a\" is named by storage.directories[0].path already"
)]
#[case::below_a_file(
    files(&[file("/etc/a/b/c", "a"), file("/etc/a", "a"), file("/etc/a-b", "a")]),
    "storage.files[0].path: /etc/a/b/c lies below /etc/a, which is a file (storage.files[1].path); remove one of them or \
     make /etc/a a directory"
)]
#[case::below_a_link(
    json!({"storage": {"directories": [{"path": "/etc/a/b"}], "links": [{"path": "/etc/a", "target": "/usr/a"}]}}),
    "storage.directories[0].path: /etc/a/b lies below /etc/a, which is a link (storage.links[0].path)"
)]
#[case::link_to_nowhere(
    json!({"storage": {"links": [{"path": "/etc/a"}]}}),
    "link /etc/a: storage.links[0].target: missing"
)]
#[case::hard_link(
    json!({"storage": {"links": [{"path": "/etc/a", "target": "/etc/b", "hard": true}]}}),
    "link /etc/a: storage.links[0].hard: cannot be applied to a running node; hard links do not survive a new image"
)]
#[case::file_in_the_place_of_a_unit(
    json!({"storage": {"files": [file("/etc/systemd/system/a.service", "x")]},
           "systemd": {"units": [{"name": "a.service", "contents": "[Service]\n"}]}}),
    "systemd.units[0]: \"/etc/systemd/system/a.service\" is named by storage.files[0].path already"
)]
#[case::file_in_the_place_of_a_drop_in(
    json!({"storage": {"files": [file("/etc/systemd/system/a.service.d/b.conf", "x")]},
           "systemd": {"units": [{"name": "a.service", "dropins": [{"name": "b.conf", "contents": "[Service]\n"}]}]}}),
    "systemd.units[0].dropins[0]: \"/etc/systemd/system/a.service.d/b.conf\" is named by storage.files[0].path already"
)]
#[case::file_above_a_drop_in(
    json!({"storage": {"files": [file("/etc/systemd/system/a.service.d", "x")]},
           "systemd": {"units": [{"name": "a.service", "dropins": [{"name": "b.conf", "contents": "[Service]\n"}]}]}}),
    "systemd.units[0].dropins[0]: /etc/systemd/system/a.service.d/b.conf lies below /etc/systemd/system/a.service.d"
)]
#[case::unit_without_a_suffix(units(&[json!({"name": "autofs"})]), "systemd.units[0].name: \"autofs\" is no unit name")]
#[case::drop_in_without_a_suffix(
    units(&[json!({"name": "a.service", "dropins": [{"name": "b"}]})]),
    "unit a.service: systemd.units[0].dropins[0].name: \"b\" is no drop-in name; write a file name that ends in .conf"
)]
#[case::unit_with_a_broken_section(
    units(&[json!({"name": "a.service", "contents": "[Unit]\nDescription=a\n[Service\nExecStart=/bin/true\n"})]),
    "unit a.service: systemd.units[0].contents: line 3: a section without its end; write [NAME] and nothing else on the line"
)]
#[case::drop_in_with_a_broken_section(
    units(&[json!({"name": "a.service", "dropins": [{"name": "b.conf", "contents": "Service]\n"}]})]),
    "drop-in b.conf of unit a.service: systemd.units[0].dropins[0].contents: line 1: neither a [SECTION] nor NAME=VALUE"
)]
#[case::key_named_twice(
    json!({"passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["a", "a"]}]}}),
    "passwd.users[0].sshAuthorizedKeys[1]: \"a\" is named already; keep one of the entries"
)]
#[case::what_never_reaches_a_node(
    json!({"ignition": {"version": "3.5.0", "proxy": {"httpProxy": "ftp://a"}}}),
    "ignition.proxy.httpProxy: "
)]
#[case::unit_named_twice(
    units(&[json!({"name": "a.service"}), json!({"name": "a.service"})]),
    "systemd.units[1].name: \"a.service\" is named by systemd.units[0] already"
)]
#[case::drop_in_named_twice(
    units(&[json!({"name": "a.service", "dropins": [{"name": "b.conf"}, {"name": "b.conf"}]})]),
    "systemd.units[0].dropins[1].name: \"b.conf\" is named by systemd.units[0].dropins[0] already"
)]
#[case::overwrite_with_nothing(
    files(&[json!({"path": "/etc/a", "overwrite": true})]),
    "file /etc/a: storage.files[0].overwrite: needs `contents.source` in the same file"
)]
#[case::hash_of_nothing(
    files(&[json!({"path": "/etc/a", "contents": {"verification": {"hash": "sha256-00"}}})]),
    "file /etc/a: storage.files[0].contents.verification.hash: needs `contents.source`"
)]
#[case::appended_contents_from_elsewhere(
    files(&[json!({"path": "/etc/a", "contents": {"source": "data:,"}, "append": [{"source": "https://example.com"}]})]),
    "file /etc/a: storage.files[0].append[0].source: https sources are not fetched by nodes"
)]
#[case::another_user(
    json!({"passwd": {"users": [{"name": "core"}, {"name": "alice"}]}}),
    "passwd.users[1].name: \"alice\" is not managed on a running node; only the user core is"
)]
#[case::user_named_twice(
    json!({"passwd": {"users": [{"name": "core"}, {"name": "core"}]}}),
    "passwd.users[1].name: \"core\" is named by passwd.users[0] already"
)]
#[case::key_of_two_lines(
    json!({"passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 AAAA a\nssh-ed25519 AAAA b"]}]}}),
    "user core: passwd.users[0].sshAuthorizedKeys[0]: is no SSH public key; write one key on one line"
)]
#[case::a_text_where_a_number_belongs(
    files(&[file("/etc/a", "a"), json!({"path": "/etc/b", "mode": "0644"})]),
    "file /etc/b: storage.files[1].mode: expected a whole number in decimal (420 is octal 0644), found \"0644\""
)]
#[case::a_number_where_the_text_of_a_drop_in_belongs(
    units(&[json!({"name": "a.service", "dropins": [{"name": "b.conf", "contents": 1}]})]),
    "drop-in b.conf of unit a.service: systemd.units[0].dropins[0].contents: expected a text, found 1"
)]
#[case::argument_with_an_open_quote(
    json!({"kernelArguments": {"shouldExist": ["a=\"b"]}}),
    "kernelArguments.shouldExist[0]: \"a=\\\"b\" has a double quote without its end"
)]
fn one_machine_config_that_is_wrong_by_itself(#[case] config: Value, #[case] says: &str) {
    let error = render("worker", &[ignition("00-fine", json!({})), ignition("50-wrong", config)]).unwrap_err();
    let text = error.to_string();
    let problem = text.strip_prefix("failed to read MachineConfig 50-wrong: ");
    assert!(problem.is_some_and(|problem| problem.starts_with(says)), "{text}");
    assert_eq!(error.machine_configs(), ["50-wrong"]);
}

#[rstest]
#[case::kernel_argument(json!({"kernelArguments": ["quiet", "a\nb"]}), "spec.kernelArguments[1]: \"a\\nb\" has a line break")]
#[case::kernel_type(json!({"kernelType": "rt"}), "spec.kernelType: \"rt\" is no kernel type; write default, realtime or 64k-pages")]
#[case::extension_that_is_an_option(json!({"extensions": ["--force"]}), "spec.extensions[0]: \"--force\" is no known extension; known are ipsec, kerberos, kernel-devel")]
#[case::extension_with_a_space(json!({"extensions": ["a; rm"]}), "spec.extensions[0]: \"a; rm\" is no known extension")]
#[case::image_with_a_space(json!({"osImageURL": "r/a b"}), "spec.osImageURL: \"r/a b\" is no name of an image: \"a b\" in its path")]
#[case::image_that_is_an_option(json!({"osImageURL": "--help"}), "spec.osImageURL: \"--help\" is no name of an image")]
#[case::image_of_signs(json!({"osImageURL": "@@@"}), "spec.osImageURL: \"@@@\" is no name of an image: \"@@\" is no digest")]
#[case::image_of_slashes(json!({"osImageURL": "///"}), "spec.osImageURL: \"///\" is no name of an image: a part of its path is empty")]
#[case::image_with_a_scheme(json!({"osImageURL": "docker://quay.io/foo"}),
    "spec.osImageURL: \"docker://quay.io/foo\" is no name of an image: names have no scheme; leave out \"docker://\"")]
#[case::image_in_capitals(json!({"osImageURL": "UPPER/Case"}), "spec.osImageURL: \"UPPER/Case\" is no name of an image: \"UPPER\" in its path")]
#[case::image_with_a_short_digest(json!({"osImageURL": "quay.io/foo/bar@sha256:abc"}),
    "spec.osImageURL: \"quay.io/foo/bar@sha256:abc\" is no name of an image: \"sha256:abc\" is no digest")]
#[case::image_with_extensions(json!({"baseOSExtensionsContainerImage": "///"}),
    "spec.baseOSExtensionsContainerImage: \"///\" is no name of an image")]
fn fields_beside_ignition(#[case] spec: Value, #[case] says: &str) {
    let text = render("worker", &[machine_config("50-wrong", "worker", spec)]).unwrap_err().to_string();
    let problem = text.strip_prefix("failed to read MachineConfig 50-wrong: ");
    assert!(problem.is_some_and(|problem| problem.starts_with(says)), "{text}");
}

#[rstest]
#[case::one_below_the_other(
    files(&[file("/etc/a", "a")]),
    files(&[file("/etc/a/b", "b")]),
    "storage.files[/etc/a/b].path: /etc/a/b lies below /etc/a, which is a file (storage.files[/etc/a].path)"
)]
#[case::a_file_and_a_unit_at_one_path(
    files(&[file("/etc/systemd/system/a.service", "x")]),
    units(&[json!({"name": "a.service", "contents": "[Service]\n"})]),
    "systemd.units[a.service]: \"/etc/systemd/system/a.service\" is named by storage.files[/etc/systemd/system/a.service]"
)]
#[case::compression_of_plain_contents(
    files(&[file("/etc/a", "a")]),
    files(&[json!({"path": "/etc/a", "contents": {"compression": "gzip"}})]),
    "storage.files[/etc/a].contents.source: does not unpack as gzip"
)]
fn machine_configs_that_contradict_each_other(#[case] first: Value, #[case] second: Value, #[case] says: &str) {
    let given = [ignition("50-first", first), ignition("55-bystander", json!({})), ignition("60-second", second)];
    let error = render("worker", &given).unwrap_err();
    let text = error.to_string();
    let problem = text.strip_prefix("failed to merge MachineConfigs 50-first, 60-second: ");
    assert!(problem.is_some_and(|problem| problem.starts_with(says)), "{text}");
    assert_eq!(error.machine_configs(), ["50-first", "60-second"]);
}

#[test]
fn what_is_appended_needs_contents_from_somewhere() {
    let given =
        [ignition("50-fine", json!({})), ignition("60-wrong", files(&[json!({"path": "/etc/a", "append": [{}]})]))];
    assert_eq!(
        render("worker", &given).unwrap_err().to_string(),
        "failed to read MachineConfig 60-wrong: storage.files[/etc/a].append: needs `contents.source` in the same file; \
         give the whole contents there"
    );
}

#[test]
fn contents_are_limited_together() {
    let large =
        |path: &str| json!({"path": path, "contents": {"source": "data:,", "compression": ""}, "append": [big()]});
    let rendered = merged(files(&[large("/etc/a"), large("/etc/b")]), files(&[large("/etc/c")]));
    let text = rendered.unwrap_err().to_string();
    assert!(
        text.starts_with("failed to read the rendered configuration: storage.files: has more than 16777216 bytes"),
        "{text}"
    );
}

/// Contents of 7 MiB in some kilobytes.
fn big() -> Value {
    use base64::Engine;
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b'a'; 7 << 20]).unwrap();
    let packed = base64::engine::general_purpose::STANDARD.encode(encoder.finish().unwrap());
    json!({"source": format!("data:;base64,{packed}"), "compression": "gzip"})
}

#[test]
fn what_is_probably_not_meant_is_said() {
    let config = json!({
        "storage": {"files": [
            {"path": "/etc/a", "mode": 644, "owner": "root"},
            {"path": "/etc/b", "mode": 420, "overwrite": false},
            {"path": "/etc/c", "mode": 0o1777},
            {"path": "/etc/d", "contents": {"inline": "hello"}},
        ]},
        "passwd": {"users": [{"name": "core", "ssh_authorized_keys": ["a"]}]},
        "systemd": {"units": [
            {"name": "a.service", "enabled": true, "contents": "[Service]\nExecStart=/bin/true\n"},
            {"name": "autofs.service", "enabled": true},
        ]},
    });
    let mut given = ignition("50-odd", config);
    given.spec.fips = Some(true);
    given.spec.base_os_extensions_container_image = Some("quay.io/os/extensions:9".to_owned());
    let warnings: Vec<String> = render("worker", &[given]).unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "MachineConfig 50-odd: passwd.users[0].ssh_authorized_keys: is ignored: it is a field of Butane files; \
             `onlay butane FILE.bu` writes what a MachineConfig says instead",
            "MachineConfig 50-odd: storage.files[0].owner: is ignored: nodes have no use for a field of this name",
            "MachineConfig 50-odd: storage.files[3].contents.inline: is ignored: it is a field of Butane files; \
             `onlay butane FILE.bu` writes what a MachineConfig says instead",
            "MachineConfig 50-odd: storage.files[0].mode: 644 is octal 1204; if octal 0644 is meant, write 420",
            "MachineConfig 50-odd: storage.files[1].overwrite: is ignored: the configuration is the truth about the paths \
             that it names",
            "MachineConfig 50-odd: systemd.units[0].contents: has no [Install] section, so enabling the unit has no effect",
            "MachineConfig 50-odd: spec.fips: is recorded only: FIPS mode is chosen when a node is installed",
            "MachineConfig 50-odd: spec.baseOSExtensionsContainerImage: is named by no digest, and builds with extensions or \
             another kernel refuse that; write REPOSITORY@sha256:DIGEST",
        ]
    );
}

#[rstest]
#[case::in_one(&[("50-a", json!({"extensions": ["kernel-devel"], "kernelType": "64k-pages"}))],
    "failed to read MachineConfig 50-a: spec.kernelType: is \"64k-pages\", and the extension kernel-devel")]
#[case::in_two(&[
    ("50-a", json!({"extensions": ["usbguard", "kernel-devel"]})), ("60-b", json!({"kernelType": "realtime"}))],
    "failed to merge MachineConfigs 50-a, 60-b: spec.kernelType: is \"realtime\"")]
fn headers_of_the_default_kernel_beside_another_one(#[case] given: &[(&str, Value)], #[case] says: &str) {
    let given: Vec<_> = given.iter().map(|(name, spec)| machine_config(name, "worker", spec.clone())).collect();
    let text = render("worker", &given).unwrap_err().to_string();
    assert!(text.starts_with(says), "{text}");
}

fn ignition_3_5(mut config: Value) -> Value {
    config["ignition"] = json!({"version": "3.5.0"});
    json!({"config": config})
}

#[rstest]
#[case::fields_beside_ignition(
    json!({"extensions": ["foo"], "kernelType": "rt", "osImageURL": "@"}),
    &["spec.extensions[0]", "spec.kernelType", "spec.osImageURL"]
)]
#[case::accounts(
    ignition_3_5(json!({"passwd": {"groups": [{"name": "docs"}], "users": [{"name": "bob"}, {"name": "core", "uid": 5}]}})),
    &["passwd.groups", "passwd.users[1].uid", "passwd.users[0].name"]
)]
#[case::first_boot(
    ignition_3_5(json!({"storage": {
        "disks": [{"device": "/dev/sda"}], "filesystems": [{"device": "/dev/sda1"}], "luks": [{"name": "root"}]}})),
    &["storage.disks", "storage.filesystems", "storage.luks"]
)]
#[case::values_of_several_files(
    ignition_3_5(files(&[
        json!({"path": "etc/a", "contents": {"source": "data:,"}}),
        json!({"path": "/etc/b", "mode": 9999}),
        json!({"path": "/etc/c", "contents": {"source": "hello"}}),
    ])),
    &["storage.files[0].path", "storage.files[1].mode", "storage.files[2].contents.source"]
)]
#[case::nothing_follows_from_a_value_of_another_type(
    ignition_3_5(files(&[json!({"path": 1}), json!({"path": 2}), json!({"path": "etc/c"})])),
    &["storage.files[0].path", "storage.files[1].path"]
)]
#[case::nothing_is_said_of_an_unknown_version(
    json!({"config": {"ignition": {"version": "2.2.0"}, "storage": {"disks": [{}]}}, "kernelType": "rt"}),
    &["ignition.version", "spec.kernelType"]
)]
#[case::a_kernel_beside_the_headers_of_another_one(
    json!({"kernelType": "realtime", "extensions": ["foo", "kernel-devel"]}),
    &["spec.extensions[0]", "spec.kernelType"]
)]
#[case::nothing(json!({"kernelType": "", "extensions": ["kernel-devel"]}), &[])]
fn no_correction_uncovers_the_next_error(#[case] spec: Value, #[case] fields: &[&str]) {
    let found = problems(&machine_config("50-wrong", "worker", spec));
    assert_eq!(found.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), fields, "{found:?}");
}

#[test]
fn as_many_problems_are_told_as_people_read() {
    let wrong: Vec<Value> = (0..1000).map(|index| json!({"path": format!("etc/{index}"), "mode": 5000})).collect();
    assert_eq!(problems(&machine_config("50-wrong", "worker", ignition_3_5(files(&wrong)))).len(), 20);
}
