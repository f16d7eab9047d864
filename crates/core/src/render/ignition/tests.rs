use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::types::{Resource, Verification};
use super::*;

#[rstest]
#[case::oldest("3.0.0")]
#[case::used_by_the_autofs_example("3.4.0")]
#[case::newest("3.5.0")]
fn released_versions_become_the_newest(#[case] version: &str) {
    let config = read(&json!({"ignition": {"version": version}}), &mut Vec::new()).unwrap();
    assert_eq!(config.ignition.version, "3.5.0");
}

#[rstest]
#[case::nothing(json!(null))]
#[case::an_empty_object(json!({}))]
fn nothing_is_an_empty_configuration(#[case] config: Value) {
    let config = read(&config, &mut Vec::new()).unwrap();
    assert_eq!(config.storage, types::Storage::default());
}

#[rstest]
#[case::two(json!("2.2.0"), "Ignition 2.2.0 is not supported; rewrite the configuration for specification 3.5.0")]
#[case::one(json!("1.0.0"), "Ignition 1.0.0 is not supported")]
#[case::newer(json!("3.6.0"), "Ignition 3.6.0 is newer than 3.5.0; write 3.5.0")]
#[case::newer_experimental(json!("3.6.0-experimental"), "Ignition 3.6.0-experimental is newer than 3.5.0")]
#[case::next_major(json!("4.0.0"), "is newer than 3.5.0")]
#[case::never_released(json!("3.4.1"), "\"3.4.1\" is no released version")]
#[case::experimental(json!("3.4.0-experimental"), "is no released version")]
#[case::short(json!("3.4"), "is no released version")]
#[case::words(json!("latest"), "is no released version")]
#[case::empty(json!(""), "is no released version")]
#[case::a_number(json!(3.4), "expected a text such as \"3.5.0\", found 3.4")]
#[case::absent(json!(null), "missing; write the version")]
fn other_versions_are_refused(#[case] version: Value, #[case] says: &str) {
    let text = read(&json!({"ignition": {"version": version}}), &mut Vec::new()).unwrap_err().to_string();
    assert!(text.starts_with("ignition.version: ") && text.contains(says), "{text}");
}

#[test]
fn ignition_two_is_told_before_its_fields_are_read() {
    let config = json!({
        "ignition": {"version": "2.2.0"},
        "storage": {"files": [{"filesystem": "root", "path": "/etc/motd", "append": true, "contents": {"source": "data:,a"}}]},
    });
    let problem = read(&config, &mut Vec::new()).unwrap_err();
    assert_eq!(*problem.fault, Fault::VersionTooOld("2.2.0".into()));
}

#[rstest]
#[case::octal_text(
    json!({"storage": {"files": [{"mode": "0644"}]}}),
    "storage.files[0].mode: expected a whole number in decimal (420 is octal 0644), found \"0644\""
)]
#[case::fraction(json!({"storage": {"files": [{"mode": 420.5}]}}), "storage.files[0].mode: expected a whole number, found 420.5")]
#[case::beyond_all_numbers(
    json!({"storage": {"files": [{"mode": u64::MAX}]}}),
    "storage.files[0].mode: expected a whole number, found 18446744073709551615"
)]
#[case::not_a_list(json!({"systemd": {"units": {"name": "a.service"}}}), "systemd.units: expected a list, found {\"name\":\"a.service\"}")]
#[case::hole_in_a_list(json!({"systemd": {"units": [null]}}), "systemd.units[0]: expected fields with values, found null")]
#[case::yes(json!({"systemd": {"units": [{"enabled": "yes"}]}}), "systemd.units[0].enabled: expected true or false, found \"yes\"")]
#[case::deep(
    json!({"systemd": {"units": [{"dropins": [{"name": 5}]}]}}),
    "systemd.units[0].dropins[0].name: expected a text, found 5"
)]
#[case::disks(json!({"storage": {"disks": [{"device": "/dev/sda"}]}}), "storage.disks: cannot be applied to a running node")]
#[case::raid(json!({"storage": {"raid": [{"name": "md0"}]}}), "storage.raid: cannot be applied to a running node")]
#[case::luks(json!({"storage": {"luks": [{"name": "root"}]}}), "storage.luks: cannot be applied to a running node")]
#[case::filesystems(
    json!({"storage": {"filesystems": [{"device": "/dev/sda1"}]}}),
    "storage.filesystems: cannot be applied to a running node; lay out disks when the node is installed"
)]
#[case::groups(json!({"passwd": {"groups": [{"name": "docs"}]}}), "passwd.groups: cannot be applied to a running node")]
#[case::password(
    json!({"passwd": {"users": [{"name": "core", "passwordHash": "$6$x"}]}}),
    "user core: passwd.users[0].passwordHash: cannot be applied to a running node; use sshAuthorizedKeys"
)]
#[case::removed_arguments(
    json!({"kernelArguments": {"shouldNotExist": ["quiet"]}}),
    "kernelArguments.shouldNotExist: cannot be applied to a running node; remove the argument"
)]
#[case::other_configurations(
    json!({"ignition": {"config": {"merge": [{"source": "https://example.com/a"}]}}}),
    "ignition.config: cannot be applied to a running node; write what it would fetch"
)]
fn fields_are_refused_by_their_path(#[case] mut config: Value, #[case] says: &str) {
    config["ignition"]["version"] = json!("3.5.0");
    let text = read(&config, &mut Vec::new()).unwrap_err().to_string();
    assert!(text.starts_with(says), "{text}");
}

#[test]
fn what_generators_leave_empty_is_no_field() {
    let config = json!({
        "ignition": {"version": "3.2.0", "config": {"replace": {"verification": {}}}, "security": {"tls": {}}, "timeouts": {}},
        "networkd": {},
        "passwd": {"users": null, "groups": []},
        "storage": {"disks": null, "files": [{"path": "/etc/a", "contents": {"verification": {}}, "mode": null}]},
    });
    let mut unknown = Vec::new();
    let config = read(&config, &mut unknown).unwrap();
    assert_eq!(unknown, Vec::<String>::new());
    assert_eq!(config.storage.files[0].contents, Resource::default());
}

#[test]
fn unknown_fields_are_reported_by_their_path() {
    let config = json!({
        "ignition": {"version": "3.2.0", "timeouts": {"httpTotal": 5}},
        "storage": {"files": [{"path": "/etc/a", "permissions": 420}]},
    });
    let mut unknown = Vec::new();
    read(&config, &mut unknown).unwrap();
    assert_eq!(unknown, ["ignition.timeouts", "storage.files[0].permissions"]);
}

fn resource(source: &str, compression: Option<&str>, hash: Option<&str>) -> Resource {
    Resource {
        source: Some(source.to_owned()),
        compression: compression.map(str::to_owned),
        verification: Verification { hash: hash.map(str::to_owned) },
    }
}

fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

fn base64_url(contents: &[u8]) -> String {
    format!("data:;base64,{}", STANDARD.encode(contents))
}

#[rstest]
#[case::nothing("data:,", "")]
#[case::empty_source("", "")]
#[case::percent("data:,hello%20world%0A", "hello world\n")]
#[case::media_type("data:text/plain;charset=utf-8,h%C3%A9", "hé")]
#[case::base64("data:;base64,aGkK", "hi\n")]
#[case::base64_with_media_type("data:text/plain;charset=utf-8;base64,aGkK", "hi\n")]
#[case::scheme_in_capitals("DATA:,a", "a")]
#[case::comma_in_the_contents("data:,a,b;c", "a,b;c")]
fn sources(#[case] source: &str, #[case] contents: &str) {
    let decoded = resource::decode(&resource(source, None, None), "contents").unwrap();
    assert_eq!(decoded, Some(contents.as_bytes().to_vec()));
}

#[rstest]
#[case::http("http://example.com/a", "contents.source: http sources are not fetched by nodes; put the contents here")]
#[case::https("https://example.com/a", "contents.source: https sources are not fetched")]
#[case::s3("s3://bucket/a", "contents.source: s3 sources are not fetched")]
#[case::plain_text("hello", "contents.source: is no data URL: it does not start with \"data:\"")]
#[case::no_comma("data:hello", "the comma before the contents is missing")]
#[case::raw_space("data:,hello world", "character ' ' at 5 of the contents; write %20")]
#[case::raw_umlaut("data:,ä", "character 'ä' at 0 of the contents; write %C3%A4")]
#[case::cut_escape("data:,100%", "\"%\" at 3 of the contents without two hexadecimal digits; write %25")]
#[case::wrong_escape("data:,%zz", "\"%\" at 0 of the contents")]
#[case::unknown_encoding("data:;base46,aGkK", "\"base46\" before the comma is neither base64 nor NAME=VALUE")]
#[case::base64_without_its_end("data:;base64,aGk", "the base64 text must end with \"=\"")]
#[case::base64_without_two("data:;base64,aA", "the base64 text must end with \"==\"")]
#[case::base64_with_too_much("data:;base64,aGkK=", "the base64 text must not end with \"=\"")]
#[case::base64_cut_off("data:;base64,aGkKa", "the base64 text is cut off")]
#[case::base64_of_urls("data:;base64,_-__", "character '_' at 0 of the base64 text")]
#[case::quotes("data:text/plain;a=\"b,c\",d", "quotes before the comma")]
fn unreadable_sources(#[case] source: &str, #[case] says: &str) {
    let text = resource::decode(&resource(source, None, None), "contents").unwrap_err().to_string();
    assert!(text.starts_with("contents.source: ") && text.contains(says), "{text}");
}

#[test]
fn gzip_is_unpacked_and_the_hash_is_that_of_the_unpacked_contents() {
    let hash = "sha256-98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4";
    let packed = base64_url(&gzip(b"hi\n"));
    let decoded = resource::decode(&resource(&packed, Some("gzip"), Some(hash)), "contents").unwrap();
    assert_eq!(decoded.as_deref(), Some(b"hi\n".as_slice()));
    let two = base64_url(&[gzip(b"a"), gzip(b"b")].concat());
    assert_eq!(resource::decode(&resource(&two, Some("gzip"), None), "contents").unwrap(), Some(b"ab".to_vec()));
}

#[rstest]
#[case::plain_as_gzip("data:,hi", Some("gzip"), None, "contents.source: does not unpack as gzip: ")]
#[case::unknown_compression("data:,hi", Some("xz"), None, "contents.compression: \"xz\" is no compression; write gzip")]
#[case::no_function("data:,hi", None, Some("abc"), "contents.verification.hash: \"abc\" is no hash")]
#[case::weak_function("data:,hi", None, Some("md5-49f68a5c8493ec2c0bf489821c21fc3b"), "is no hash; write sha512-")]
#[case::short_digits("data:,hi", None, Some("sha256-abc"), "is no hash")]
#[case::other_contents(
    "data:,hi",
    None,
    Some("sha256-98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"),
    "does not match: the (unpacked) contents have sha256-8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
)]
fn compression_and_verification(
    #[case] source: &str,
    #[case] compression: Option<&str>,
    #[case] hash: Option<&str>,
    #[case] says: &str,
) {
    let text = resource::decode(&resource(source, compression, hash), "contents").unwrap_err().to_string();
    assert!(text.contains(says), "{text}");
}

#[test]
fn contents_that_unpack_without_end_are_refused() {
    let bomb = base64_url(&gzip(&vec![0; resource::MAX_CONTENTS + 1]));
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let problem = resource::decode(&resource(&bomb, Some("gzip"), None), "contents").unwrap_err();
    assert_eq!(*problem.fault, Fault::TooLarge { limit: resource::MAX_CONTENTS });
    let largest = base64_url(&gzip(&vec![0; resource::MAX_CONTENTS]));
    assert!(resource::decode(&resource(&largest, Some("gzip"), None), "contents").is_ok());
}

#[rstest]
#[case::nothing("", &[])]
#[case::a_service("[Unit]\nDescription=a\n\n[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=a\n", &["Unit", "Service", "Install"])]
#[case::comments_and_spaces("# one\n; two\n  [Unit]  \n  A = b\n", &["Unit"])]
#[case::continued_value("[Service]\nExecStart=/bin/sh \\\n  -c \\\n# said between\n  [Unit]\nA=b", &["Service"])]
#[case::continued_to_an_empty_line("[Service]\nA=b \\\n\n[Install]\n", &["Service", "Install"])]
#[case::doubled_backslash_ends("[Service]\nA=b\\\\\n[Install]\n", &["Service", "Install"])]
#[case::windows_line_ends("[Unit]\r\nA=b\r\n", &["Unit"])]
#[case::byte_order_mark("\u{feff}[Unit]\n", &["Unit"])]
#[case::own_section("[X-Mine]\nA=\nanything\n[Install]\n", &["X-Mine", "Install"])]
#[case::continued_section("[Unit\\\n]\n[Install]\\\n\nA=b\n", &["Unit ", "Install"])]
#[case::continued_name("[Unit]\nDescription\\\n=a\\\n", &["Unit"])]
#[case::byte_order_mark_on_a_later_line("\n\u{feff}[Unit]\n", &["Unit"])]
#[case::old_line_ends("[Unit]\rA=b\r", &["Unit"])]
fn readable_units(#[case] contents: &str, #[case] names: &[&str]) {
    assert_eq!(unit::sections(contents).unwrap(), names);
}

#[rstest]
#[case::section_without_its_end("[Unit]\nA=b\n[Service\nC=d\n", "line 3: a section without its end")]
#[case::words_after_a_section("[Unit] # why\n", "line 1: a section without its end")]
#[case::section_without_a_name("[]\n", "line 1: a section with a broken name")]
#[case::doubled_bracket("[[Unit]]\n", "line 1: a section with a broken name")]
#[case::option_before_all_sections("\nA=b\n[Unit]\n", "line 2: an option before the first [SECTION]")]
#[case::words("[Unit]\nhello\n", "line 2: neither a [SECTION] nor NAME=VALUE")]
#[case::words_after_a_value_that_ended("[Unit]\nA=b \\\nc\nd\n", "line 4: neither a [SECTION] nor NAME=VALUE")]
#[case::no_name("[Unit]\n =b\n", "line 2: a value without a name")]
#[case::words_after_an_old_line_end("[Unit]\nA=b\rc\n", "line 2: neither a [SECTION] nor NAME=VALUE")]
#[case::second_byte_order_mark("\u{feff}[Unit]\n\u{feff}[Install]\n", "line 2: neither a [SECTION] nor NAME=VALUE")]
#[case::a_comment_behind_another_blank("[Unit]\n\u{a0}# no comment\n", "line 2: neither a [SECTION] nor NAME=VALUE")]
#[case::quotes_in_a_section("[\"Unit\"]\n", "line 1: a section with a broken name")]
#[case::nul("[Unit]\nA=\0\n", "line 2: a NUL character")]
fn broken_units(#[case] contents: &str, #[case] says: &str) {
    let text = unit::sections(contents).unwrap_err().to_string();
    assert!(text.starts_with(says), "{text}");
}

#[rstest]
#[case::service("autofs.service", true)]
#[case::instance("getty@tty1.service", true)]
#[case::escaped("var-lib-my\\x2ddata.mount", true)]
#[case::no_suffix("autofs", false)]
#[case::unknown_suffix("autofs.conf", false)]
#[case::only_a_suffix(".service", false)]
#[case::a_path("../autofs.service", false)]
#[case::spaces("auto fs.service", false)]
#[case::empty("", false)]
fn unit_names(#[case] name: &str, #[case] taken: bool) {
    assert_eq!(unit::check_name(name).is_ok(), taken);
}

#[rstest]
#[case::conf("10-limits.conf", true)]
#[case::other_suffix("10-limits.config", false)]
#[case::only_a_suffix(".conf", false)]
#[case::a_path("a/b.conf", false)]
fn drop_in_names(#[case] name: &str, #[case] taken: bool) {
    assert_eq!(unit::check_drop_in_name(name).is_ok(), taken);
}

proptest! {
    #[test]
    fn any_contents_survive_packing(contents in prop::collection::vec(any::<u8>(), 0..200), packed in any::<bool>()) {
        let (bytes, compression) = if packed { (gzip(&contents), Some("gzip")) } else { (contents.clone(), None) };
        let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        for source in [base64_url(&bytes), format!("data:,{percent}")] {
            let decoded = resource::decode(&resource(&source, compression, None), "contents").unwrap();
            prop_assert_eq!(decoded.as_deref(), Some(contents.as_slice()));
        }
    }

    #[test]
    fn no_text_breaks_the_readers(text in any::<String>(), gz in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = unit::sections(&text);
        let _ = unit::check_name(&text);
        for source in [text.clone(), format!("data:{text}"), format!("data:,{text}"), format!("data:;base64,{text}")] {
            let _ = resource::decode(&resource(&source, None, Some(&text)), "contents");
        }
        let _ = resource::decode(&resource(&base64_url(&gz), Some("gzip"), None), "contents");
    }

    #[test]
    fn lines_of_a_unit_are_counted_from_the_first(before in 0usize..50) {
        let contents = format!("[Unit]\n{}broken\n", "A=b\n".repeat(before));
        let fault = unit::sections(&contents).unwrap_err();
        let line = if let Fault::UnitSyntax { line, .. } = fault { Some(line) } else { None };
        prop_assert_eq!(line, Some(before + 2));
    }
}
