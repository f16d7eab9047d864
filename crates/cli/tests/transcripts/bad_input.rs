//! What people see when something is wrong with what they gave.

use crate::session::{directory, transcript};
use rstest::rstest;

/// A MachineConfig of the role `worker` with a configuration, whose lines are indented by four.
fn machine_config(name: &str, config: &str) -> String {
    let head = "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\n";
    let labels = "  labels:\n    machineconfiguration.openshift.io/role: worker\n";
    let config: String = config.lines().map(|line| format!("    {line}\n")).collect();
    format!("{head}metadata:\n  name: {name}\n{labels}spec:\n  config:\n{config}")
}

fn motd(name: &str) -> String {
    machine_config(
        name,
        "ignition: {version: 3.4.0}\nstorage:\n  files:\n  - path: /etc/motd\n    contents: {source: 'data:,hello'}",
    )
}

macro_rules! seen {
    ($name:literal, $files:expr, $line:expr) => {
        insta::assert_snapshot!($name, transcript(directory($files).path(), $line, b""))
    };
}

#[test]
fn a_file_that_is_not_there() {
    seen!("missing_file", &[("a.yaml", &motd("a"))], "onlay validate a.yaml b.yaml");
}

#[test]
fn yaml_that_is_broken() {
    let text = motd("a").replace("contents: {source: 'data:,hello'}", "contents: {source: 'data:,hello'");
    seen!("broken_yaml", &[("a.yaml", &text)], "onlay validate a.yaml");
}

#[test]
fn a_kind_that_onlay_does_not_read() {
    let text = "apiVersion: machineconfiguration.openshift.io/v1\nkind: KubeletConfig\nmetadata:\n  name: a\n";
    seen!("unknown_kind", &[("a.yaml", text)], "onlay validate a.yaml");
}

#[test]
fn ignition_2_2() {
    let config = "ignition:\n  version: 2.2.0\nstorage:\n  files:\n  - filesystem: root\n    path: /etc/motd";
    seen!("ignition_2_2", &[("a.yaml", &machine_config("a", config))], "onlay validate a.yaml");
}

#[test]
fn a_unit_with_a_broken_section() {
    let config = "ignition: {version: 3.4.0}\nsystemd:\n  units:\n  - name: a.service\n    contents: |\n      [Unit]\n      \
                  Description=a\n      [Service\n      ExecStart=/bin/true";
    seen!("broken_unit", &[("a.yaml", &machine_config("a", config))], "onlay validate a.yaml");
}

#[test]
fn one_object_in_two_files() {
    seen!("same_object", &[("a.yaml", &motd("a")), ("b.yaml", &motd("a"))], "onlay validate a.yaml b.yaml");
}

#[test]
fn machine_configs_that_contradict_each_other() {
    let below = motd("b").replace("/etc/motd", "/etc/motd/line");
    seen!("conflict", &[("a.yaml", &motd("a")), ("b.yaml", &below)], "onlay validate .");
}

#[test]
fn fields_of_another_type_and_fields_that_are_not_there() {
    let text = motd("a") + "  kernelArguments: audit=0\n  kernelargs: [x]\n";
    seen!("misfits", &[("a.yaml", &text)], "onlay validate a.yaml");
}

#[test]
fn content_that_does_not_decode() {
    let text = motd("a").replace("data:,hello", "data:;base64,W2F1dG9mc10KdGltZW91dCA9IDMwCg");
    seen!("data_url", &[("a.yaml", &text)], "onlay render a.yaml --pool worker");
}

#[test]
fn a_machine_config_that_no_pool_selects() {
    let text = motd("a").replace("machineconfiguration.openshift.io/role: worker", "role: worker");
    seen!("unselected", &[("a.yaml", &text)], "onlay validate a.yaml");
}

#[test]
fn a_pool_that_nothing_names() {
    seen!("misnamed_pool", &[("a.yaml", &motd("a"))], "onlay render a.yaml --pool wroker -o tree");
    seen!("pool_of_nothing", &[("a.yaml", &motd("a"))], "onlay render a.yaml --pool master -o tree");
}

#[test]
fn a_name_that_no_pool_can_have() {
    let files = [("a.yaml", &*motd("a"))];
    let line = "onlay render a.yaml --pool ''; echo $?; onlay show a.yaml --path /etc/motd --pool Foo_Bar; echo $?; \
                onlay diff a.yaml a.yaml --pool a..b; echo $?; onlay build a.yaml --pool=-a-";
    seen!("no_pool_name", &files, line);
}

#[test]
fn a_selector_that_kubernetes_does_not_have() {
    let pool = "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfigPool\nmetadata:\n  name: infra\nspec:\n  \
                machineConfigSelector:\n    matchExpressions:\n    - {key: role, operator: Is, values: [infra]}\n";
    seen!("selector", &[("pool.yaml", pool)], "onlay validate pool.yaml");
}

#[test]
fn a_directory_without_files_and_a_file_without_objects() {
    seen!(
        "nothing",
        &[("empty.yaml", "# nothing\n"), ("d/readme.txt", "x")],
        "onlay validate empty.yaml; onlay validate d"
    );
}

#[test]
fn a_kustomization_that_takes_itself() {
    let text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../b]\n";
    let files = [("a/kustomization.yaml", text), ("b/kustomization.yaml", &text.replace("../b", "../a"))];
    let text = transcript(directory(&files).path(), "onlay validate a", b"");
    assert!(text.contains("`kubectl kustomize a` failed: accumulating resources") && text.contains("cycle"), "{text}");
    assert!(text.contains("help: correct the kustomization") && text.ends_with("exit 1\n"), "{text}");
}

#[test]
fn arguments_that_are_wrong() {
    seen!(
        "usage",
        &[],
        "onlay render; echo $?; onlay butane a b; echo $?; onlay butane --files-dir nowhere -; echo $?"
    );
}

#[test]
fn butane_takes_no_file_from_outside() {
    let butane = "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n  - path: /etc/a\n    contents: {local: out}\n";
    let directory = directory(&[("a.bu", butane), ("secret", "secret"), ("in/file", "")]);
    std::os::unix::fs::symlink("../secret", directory.path().join("in/out")).unwrap();
    insta::assert_snapshot!("link_out", transcript(directory.path(), "onlay butane -d in a.bu", b""));
}

/// Texts that are no objects: an answer, and never a panic.
#[rstest]
#[case::empty(b"", 1)]
#[case::a_byte_order_mark_alone("\u{feff}".as_bytes(), 1)]
#[case::a_tab(b"a:\n\tb: 1\n", 1)]
#[case::a_scalar(b"hello\n", 1)]
#[case::a_list(b"- a\n- b\n", 1)]
#[case::no_utf_8(b"a: \xff\n", 1)]
#[case::utf_16(b"\xff\xfea\0:\0", 1)]
#[case::a_nul(b"a: \0\n", 1)]
#[case::another_api(b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", 0)]
#[case::no_kind(b"apiVersion: v1\nmetadata: {name: a}\n", 1)]
#[case::an_empty_list(b"apiVersion: v1\nkind: List\nitems: []\n", 1)]
fn any_text_gets_an_answer(#[case] text: &[u8], #[case] code: u8) {
    let empty = directory(&[]);
    let seen = transcript(empty.path(), "onlay validate -", text);
    assert!(seen.ends_with(&format!("exit {code}\n")) && !seen.contains("panicked"), "{seen}");
}

#[test]
fn crlf_and_a_byte_order_mark_change_nothing() {
    let plain = transcript(directory(&[]).path(), "onlay render - --pool worker", motd("a").as_bytes());
    let text = format!("\u{feff}{}", motd("a").replace('\n', "\r\n"));
    assert_eq!(transcript(directory(&[]).path(), "onlay render - --pool worker", text.as_bytes()), plain);
}

#[test]
fn ten_megabytes_get_an_answer() {
    let text = motd("a").replace("hello", &"x".repeat(10 << 20));
    let seen = transcript(directory(&[]).path(), "onlay validate -", text.as_bytes());
    assert!(seen.contains("has more than") && seen.len() < 4000, "{} bytes", seen.len());
}

#[test]
fn more_than_an_object_can_hold() {
    let large = |name: &str, bytes: usize| motd(name).replace("motd", name).replace("hello", &"x".repeat(bytes));
    let line = "onlay render a.yaml --pool worker; onlay validate a.yaml";
    seen!("too_large", &[("a.yaml", &large("a", 2 << 20))], line);
    let files = [("a.yaml", large("a", 900_000)), ("b.yaml", large("b", 800_000)), ("c.yaml", motd("c"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    seen!("too_large_together", &files, "onlay validate .");
    // None of them is at fault by itself.
    let many: String = (0..170).map(|at| format!("---\n{}", large(&format!("a{at:03}"), 10_000))).collect();
    seen!("too_large_of_many", &[("a.yaml", &many)], "onlay render a.yaml --pool worker");
}

#[test]
fn the_objects_of_a_list_are_read_with_their_places() {
    let item: String = motd("a").lines().map(|line| format!("  {line}\n")).collect();
    let item = item.replacen("  api", "- api", 1).replace("3.4.0", "2.2.0");
    let text = format!("apiVersion: v1\nkind: List\nitems:\n{item}");
    let seen = transcript(directory(&[]).path(), "onlay validate -", text.as_bytes());
    assert!(seen.contains("<stdin>:12:") && seen.contains("Ignition 2.2.0"), "{seen}");
}

#[test]
fn a_path_that_the_configuration_does_not_have() {
    seen!("no_such_path", &[("a.yaml", &motd("a"))], "onlay show a.yaml --pool worker --path /etc/nothing");
}

#[test]
fn a_unit_without_contents_and_a_kernel_argument_have_an_origin() {
    let units = "ignition: {version: 3.4.0}\nsystemd:\n  units:\n  - {name: on.service, enabled: true}\n  - {name: off.service, mask: \
                 true}\n  - {name: more.service, dropins: [{name: a.conf, contents: '[Unit]'}]}";
    let first = machine_config("a", units) + "  kernelArguments: [audit=0 quiet, console=tty0]\n";
    let second =
        machine_config("b", "ignition: {version: 3.4.0}\nsystemd: {units: [{name: on.service, enabled: false}]}");
    let second = second + "  kernelArguments: [console=ttyS0, quiet]\n";
    let line = "show='onlay show . --pool worker'; for unit in on off more; do $show --path //etc/systemd/system/$unit.service/; done; \
                $show --argument console; $show --argument quiet; $show --argument audit=0 -o json; \
                $show --path /usr/lib/systemd/system/on.service; $show --argument audit=1; $show";
    seen!("units_and_arguments", &[("a.yaml", &first), ("b.yaml", &second)], line);
}

#[test]
fn a_rendered_configuration_alone_tells_its_origins() {
    let unit = "ignition: {version: 3.4.0}\nsystemd:\n  units:\n  - name: a.service\n    dropins:\n    - name: 10-a.conf\n      \
                contents: '[Service]'";
    let late = machine_config("b", "ignition: {version: 3.4.0}\nstorage:\n  files:\n  - {path: /etc/motd, mode: 384}");
    seen!(
        "origin_of_rendered_alone",
        &[("a.yaml", &motd("a")), ("b.yaml", &late), ("c.yaml", &motd("c")), ("d.yaml", &machine_config("d", unit))],
        "onlay render . --pool worker -o json > rendered; grep onlay.dev rendered; \
         onlay show - --path /etc/motd < rendered; onlay show - --path /etc/systemd/system/a.service.d/10-a.conf < rendered"
    );
}

#[test]
fn a_rendered_configuration_without_index_and_sources_has_no_origin() {
    let files = [("a.yaml", &*motd("a"))];
    seen!(
        "no_origin",
        &files,
        "onlay render a.yaml --pool worker | grep -v onlay.dev/origins | onlay show - --path /etc/motd; echo; \
         onlay show a.yaml --path /etc/motd"
    );
}

#[test]
fn sources_that_changed_since_tell_no_origin() {
    let directory = directory(&[("a.yaml", &motd("a"))]);
    let line = "onlay render a.yaml --pool worker | grep -v onlay.dev/origins > rendered.yaml; \
                sed -i s/hello/changed/ a.yaml; onlay show . --path /etc/motd";
    let seen = transcript(directory.path(), line, b"");
    assert!(seen.contains("hello") && seen.contains("origin not known"), "{seen}");
}

/// A MachineOSConfig in the older version, as guides have it; `files` is its list of Containerfiles, indented by four.
fn older_os_config(files: &str) -> String {
    format!(
        "apiVersion: machineconfiguration.openshift.io/v1alpha1\nkind: MachineOSConfig\nmetadata:\n  name: layered\n\
         spec:\n  machineConfigPool:\n    name: layered\n  buildInputs:\n    containerFile:\n{files}    imageBuilder:\n      \
         imageBuilderType: PodImageBuilder\n    baseImagePullSecret:\n      name: pull-secret\n    \
         renderedImagePushSecret:\n      name: push-secret\n    renderedImagePushspec: quay.io/os/image:latest\n"
    )
}

#[test]
fn a_config_of_the_older_version() {
    let text = older_os_config("    - containerfileArch: noarch\n      content: |-\n        FROM configs AS final\n");
    seen!("older_os_config", &[("a.yaml", &text)], "onlay validate a.yaml");
}

#[test]
fn a_containerfile_that_cannot_be_built() {
    let text = older_os_config("    - content: |-\n        FROM configs AS final\n        INSTALL tree\n");
    seen!("older_containerfile", &[("a.yaml", &text)], "onlay validate a.yaml");
    let text = text.replace("INSTALL", "RUN dnf install").replace("configs", "debian");
    seen!("containerfile_of_another_base", &[("a.yaml", &text)], "onlay validate a.yaml");
}

#[test]
fn two_spellings_of_one_architecture() {
    let file = |arch: &str| format!("    - containerfileArch: {arch}\n      content: FROM configs AS final\n");
    let text = older_os_config(&(file("amd64") + &file("x86_64")));
    seen!("two_spellings", &[("a.yaml", &text)], "onlay validate a.yaml");
}

/// A pool that selects its own MachineConfigs and those of workers.
fn pool(name: &str, fields: &str) -> String {
    format!(
        "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfigPool\nmetadata:\n  name: {name}\nspec:\n  \
         machineConfigSelector:\n    matchExpressions:\n    - {{key: machineconfiguration.openshift.io/role, operator: In, \
         values: [worker, {name}]}}\n{fields}"
    )
}

#[test]
fn a_pool_whose_limit_cannot_be_read() {
    let files = [("a.yaml", &*pool("a", "  maxUnavailable: abc\n")), ("b.yaml", &pool("b", "  maxUnavailable: -3\n"))];
    seen!("max_unavailable", &files, "onlay validate .");
}

#[test]
fn images_that_nobody_can_pull() {
    let image = |image: &str| format!("{}  osImageURL: '{image}'\n", motd("a"));
    let scheme = image("docker://quay.io/foo");
    let digest = image("quay.io/foo/bar@sha256:abc") + "  baseOSExtensionsContainerImage: quay.io/os/extensions:9\n";
    let tag = image("quay.io/foo/bar:9") + "  baseOSExtensionsContainerImage: quay.io/os/extensions:9\n";
    let files = [("scheme.yaml", &*scheme), ("digest.yaml", &digest), ("tag.yaml", &tag)];
    seen!("images", &files, "onlay validate scheme.yaml; onlay validate digest.yaml; onlay validate tag.yaml");
}

#[test]
fn objects_that_have_no_effect() {
    let configuration =
        "apiVersion: operator.openshift.io/v1\nkind: MachineConfiguration\nmetadata:\n  name: mine\nspec: {}\n";
    let rendered = motd("rendered-worker-x");
    let misspelt = motd("a").replace("role: worker", "role: wroker");
    let files = [
        ("configuration.yaml", configuration),
        ("rendered.yaml", &*rendered),
        ("role/a.yaml", &misspelt),
        ("role/pool.yaml", &pool("automount", "")),
    ];
    seen!(
        "without_effect",
        &files,
        "onlay validate configuration.yaml; onlay validate rendered.yaml; onlay validate role"
    );
}

#[test]
fn what_a_cluster_or_onlay_has_rendered_is_no_mistake() {
    let line = "onlay render a.yaml --pool worker | onlay validate -";
    let seen = transcript(directory(&[("a.yaml", &motd("a"))]).path(), line, b"");
    assert!(seen.ends_with("1 valid object, 0 errors, 0 warnings\nexit 0\n"), "{seen}");
}

#[test]
fn butane_where_ignition_belongs() {
    let butane = "variant: openshift\nversion: 4.19.0\nmetadata:\n  name: a\n";
    let inline = motd("a").replace("source: 'data:,hello'", "inline: hello");
    let source = motd("a").replace("data:,hello", "hello there");
    let files = [("motd.bu", butane), ("inline.yaml", &*inline), ("source.yaml", &source)];
    seen!("butane", &files, "onlay validate motd.bu; onlay validate inline.yaml; onlay validate source.yaml");
}

#[test]
fn all_mistakes_of_one_object() {
    let config = "ignition: {version: 3.4.0}\npasswd:\n  groups: [{name: docs}]\n  users: [{name: bob}, {name: core, uid: 5}]\n\
                  storage:\n  disks: [{device: /dev/sda}]\n  luks: [{name: root}]";
    let text = machine_config("a", config) + "  extensions: [foo]\n  kernelType: rt\n";
    seen!("all_mistakes", &[("a.yaml", &text)], "onlay validate a.yaml");
}

#[test]
fn what_an_api_server_would_refuse() {
    let os_config = |push: &str| {
        format!(
            "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineOSConfig\nmetadata:\n  name: layered\nspec:\n  \
             machineConfigPool: {{name: layered}}\n  imageBuilder: {{imageBuilderType: Job}}\n  renderedImagePushSecret: \
             {{name: push}}\n  renderedImagePushSpec: '{push}'\n"
        )
    };
    let configuration = "apiVersion: operator.openshift.io/v1\nkind: MachineConfiguration\nmetadata:\n  name: cluster\nspec:\n  \
                         nodeDisruptionPolicy:\n    files:\n    - path: /etc/a\n      actions: [{type: None}, {type: Reboot}]\n    \
                         - path: /etc/b\n      actions: [{type: Restart}]\n";
    let policy = "apiVersion: onlay.dev/v1alpha1\nkind: LayeringPolicy\nmetadata:\n  name: worker\nspec:\n  build: \
                  {timeoutSeconds: -5, retries: 1000}\n";
    let label = motd("a").replace("role: worker", "role: 'a b!'");
    let files = [
        ("foo.yaml", &*os_config("foo")),
        ("empty.yaml", &os_config("")),
        ("scheme.yaml", &os_config("https://reg.io/foo/bar:1")),
        ("digest.yaml", &os_config("reg.io/foo/bar@sha256:abc")),
        ("configuration.yaml", configuration),
        ("policy.yaml", policy),
        ("label.yaml", &label),
    ];
    let line = "for each in foo empty scheme digest configuration policy label; do onlay validate $each.yaml; done";
    seen!("refused_by_schema", &files, line);
}

#[test]
fn files_are_named_as_kubectl_has_it() {
    let directory = directory(&[("a.yaml", &motd("a")), ("b.yaml", &motd("b"))]);
    let seen = transcript(directory.path(), "onlay validate -f a.yaml --filename b.yaml", b"");
    assert!(seen.contains("from a, b\n2 valid objects, 0 errors"), "{seen}");
    let seen =
        transcript(directory.path(), "onlay help validate | head -1; onlay butane --color=never --help | head -1", b"");
    assert!(seen.contains("Check MachineConfigs and pools\nTranslate a Butane file\n"), "{seen}");
}
