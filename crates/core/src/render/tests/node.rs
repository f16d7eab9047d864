use super::desired::{DesiredDirectory, DesiredFile, DesiredLink, DesiredUnit, DropIn, Owner};
use super::*;

fn desired_of(machine_config: MachineConfig) -> Desired {
    desired::of(&render("worker", &[machine_config]).unwrap().spec).unwrap()
}

#[test]
fn the_automounter_gets_its_map_and_its_unit() {
    let root = Owner::Id(0);
    let desired = desired_of(autofs());
    let map = DesiredFile {
        path: "/etc/auto.master.d/shared.autofs".into(),
        mode: 0o600,
        user: root.clone(),
        group: root,
        contents: b"/var/shared /etc/auto.shared --timeout=30\n".into(),
    };
    let unit = DesiredUnit { name: "autofs.service".into(), enabled: Some(true), ..DesiredUnit::default() };
    assert_eq!(desired, Desired { files: vec![map], units: vec![unit], ..Desired::default() });
}

#[test]
fn what_is_not_said_has_the_defaults_of_ignition() {
    let root = Owner::Id(0);
    let desired = desired_of(ignition(
        "50-all",
        json!({"storage": {
            "directories": [{"path": "/etc/dir", "group": {"name": "docs"}}],
            "files": [{"path": "/etc/empty"}, {"path": "/etc/b", "user": {"id": 7}, "contents": {"source": "data:,1"},
                       "append": [{"source": "data:,2"}, {"source": "data:;base64,Mw=="}]}],
            "links": [{"path": "/etc/link", "target": "../usr/lib/x"}],
        }}),
    ));
    let file = |path: &str, user: u32, contents: &str| DesiredFile {
        path: path.into(),
        mode: 0o644,
        user: Owner::Id(user),
        group: root.clone(),
        contents: contents.into(),
    };
    assert_eq!(desired.files, [file("/etc/b", 7, "123"), file("/etc/empty", 0, "")]);
    let (user, group) = (root.clone(), Owner::Name("docs".into()));
    assert_eq!(desired.directories, [DesiredDirectory { path: "/etc/dir".into(), mode: 0o755, user, group }]);
    let (path, target) = ("/etc/link".to_owned(), "../usr/lib/x".to_owned());
    assert_eq!(desired.links, [DesiredLink { path, target, user: root.clone(), group: root.clone() }]);
}

#[test]
fn a_masked_unit_has_no_contents_and_empty_texts_are_no_files() {
    let desired = desired_of(ignition(
        "50-units",
        units(&[
            json!({"name": "b.service", "mask": true, "contents": "[Service]\n"}),
            json!({"name": "a.service", "contents": "", "dropins": [
                {"name": "20.conf", "contents": "[Unit]\n"}, {"name": "10.conf", "contents": "[Unit]\n"},
                {"name": "30.conf", "contents": ""}, {"name": "40.conf"}]}),
        ]),
    ));
    let drop_in = |name: &str| DropIn { name: name.into(), contents: "[Unit]\n".into() };
    let a = DesiredUnit {
        name: "a.service".into(),
        dropins: vec![drop_in("10.conf"), drop_in("20.conf")],
        ..DesiredUnit::default()
    };
    let b = DesiredUnit { name: "b.service".into(), masked: Some(true), ..DesiredUnit::default() };
    assert_eq!(desired.units, [a, b]);
}

#[test]
fn kernel_arguments_come_one_by_one_those_of_ignition_last() {
    let spec = json!({
        "config": {"ignition": {"version": "3.3.0"}, "kernelArguments": {"shouldExist": ["nosmt"]}},
        "kernelArguments": ["audit=0 quiet", "dyndbg=\"file a +p\""],
    });
    let desired = desired_of(machine_config("50-kargs", "worker", spec));
    assert_eq!(desired.kernel_arguments, ["audit=0", "quiet", "dyndbg=\"file a +p\"", "nosmt"]);
}

#[test]
fn keys_of_core() {
    let config = json!({"passwd": {"users": [{"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 AAAA one "]}]}});
    assert_eq!(desired_of(ignition("50-keys", config)).ssh_authorized_keys, ["ssh-ed25519 AAAA one"]);
}

#[test]
fn a_configuration_that_was_not_rendered_here_is_checked_too() {
    let spec = ignition("50-wrong", files(&[file("/etc/a", "a"), file("/etc/a/b", "b")])).spec;
    assert_eq!(
        desired::of(&spec).unwrap_err().to_string(),
        "failed to read the rendered configuration: storage.files[/etc/a/b].path: /etc/a/b lies below /etc/a, which is a \
         file (storage.files[/etc/a].path); remove one of them or make /etc/a a directory"
    );
}
