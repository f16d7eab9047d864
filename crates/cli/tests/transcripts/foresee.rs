//! What people see of `onlay diff` and `onlay plan`: of a directory, and of a cluster that a script stands for.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::session::{directory, transcript};

/// A cluster: a pool of three workers, of which the last one is NotReady.
pub const CLUSTER: &str = "\
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfigPool
metadata: {name: worker}
spec:
  machineConfigSelector: {matchLabels: {machineconfiguration.openshift.io/role: worker}}
  nodeSelector: {matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: DoesNotExist}]}
---
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineConfig
metadata: {name: 50-motd, labels: {machineconfiguration.openshift.io/role: worker}}
spec:
  config:
    ignition: {version: 3.4.0}
    storage: {files: [{path: /etc/motd, contents: {source: 'data:,hello%0A'}}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: a, labels: {gpu: ''}}, status: {conditions: [{type: Ready, status: 'True'}]}}
- {apiVersion: v1, kind: Node, metadata: {name: b, labels: {gpu: '', infra: ''}}, status: {conditions: [{type: Ready, status: 'True'}]}}
- {apiVersion: v1, kind: Node, metadata: {name: c}, status: {conditions: [{type: Ready, status: 'False'}]}}
";

/// The same, where all nodes are Ready.
fn healthy() -> String {
    CLUSTER.replace("'False'", "'True'")
}

/// A MachineConfig of the role `worker`: its Ignition configuration, and further fields of its specification.
pub fn machine_config(name: &str, config: &str, more: &str) -> String {
    let indent = |text: &str, by: &str| -> String { text.lines().map(|line| format!("{by}{line}\n")).collect() };
    format!(
        "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\nmetadata:\n  name: {name}\n  labels:\n    \
         machineconfiguration.openshift.io/role: worker\nspec:\n  config:\n{}{}",
        indent(config, "    "),
        indent(more, "  ")
    )
}

/// A MachineConfig with one file.
fn with_file(path: &str, contents: &str) -> String {
    let file = format!("storage: {{files: [{{path: {path}, contents: {{source: 'data:,{contents}'}}}}]}}");
    machine_config("50-motd", &format!("ignition: {{version: 3.4.0}}\n{file}"), "")
}

fn pool(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfigPool\nmetadata: {{name: {name}}}\nspec:\n  \
         machineConfigSelector: {{matchLabels: {{machineconfiguration.openshift.io/role: worker}}}}\n  {spec}\n"
    )
}

const OF_WORKER: &str =
    "nodeSelector: {matchExpressions: [{key: node-role.kubernetes.io/control-plane, operator: DoesNotExist}]}";

const POLICY: &str = "\
---
apiVersion: operator.openshift.io/v1
kind: MachineConfiguration
metadata: {name: cluster}
spec:
  nodeDisruptionPolicy:
    files: [{path: /etc/motd, actions: [{type: Reload, reload: {serviceName: banner.service}}]}]
";

const OS_CONFIG: &str = "\
---
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineOSConfig
metadata: {name: worker}
spec:
  machineConfigPool: {name: worker}
  imageBuilder: {imageBuilderType: Job}
  renderedImagePushSecret: {name: push}
  renderedImagePushSpec: registry.example.com/os/worker:latest
  containerFile: [{content: 'FROM configs AS final'}]
";

const BUILD: &str = "\
---
apiVersion: machineconfiguration.openshift.io/v1
kind: MachineOSBuild
metadata:
  name: worker-1
  annotations: {onlay.dev/base-image-asked: 'registry.example.com/os/base:9', onlay.dev/base-image: 'registry.example.com/os/base@sha256:aa'}
spec:
  machineConfig: {name: rendered-worker-1}
  machineOSConfig: {name: worker}
  renderedImagePushSpec: registry.example.com/os/worker:worker-1
status:
  buildStart: 2026-01-01T10:00:00Z
  buildEnd: 2026-01-01T10:04:00Z
  conditions: [{type: Succeeded, status: 'True', reason: Built, message: '', lastTransitionTime: 2026-01-01T10:04:00Z}]
";

/// What kubectl is told of a cluster that is not there: a port that nobody listens at.
const DEAD: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: dead, cluster: {server: 'http://127.0.0.1:1'}}]
contexts: [{name: dead, context: {cluster: dead, user: ''}}]
current-context: dead
";

/// Files in a directory.
pub fn site(files: &[(&str, &str)]) -> TempDir {
    directory(files)
}

/// A script that stands for kubectl, first on the search path of [`live`].
///
/// It answers `get` of the kinds that a plan looks at with the file `cluster.yaml`, and of one MachineConfig with
/// `machineconfig.yaml`; everything else is answered as a cluster does where it is not there. Discovery, rights, versions
/// and timeouts of a real API server are not in it: it shows which questions are asked, and what becomes of the answers.
/// The tests in `cluster` ask a real one.
const KUBECTL: &str = r#"#!/bin/sh
echo "kubectl $*" >> asked
case "$2" in
machineconfigs.*,nodes) exec cat cluster.yaml ;;
machineconfigs.*) [ -f machineconfig.yaml ] && exec cat machineconfig.yaml
  echo "Error from server (NotFound): machineconfigs.machineconfiguration.openshift.io \"$3\" not found" >&2; exit 1 ;;
machineconfigurations.*) echo "error: the server doesn't have a resource type \"machineconfigurations\"" >&2; exit 1 ;;
configmap) ;;
pods) echo '{"apiVersion": "v1", "kind": "List", "items": []}' ;;
esac
"#;

/// The transcript of a line where a script stands for kubectl.
fn live(files: &[(&str, &str)], line: &str) -> String {
    let directory = directory(files);
    let kubectl = directory.path().join("bin/kubectl");
    std::fs::create_dir(directory.path().join("bin")).unwrap();
    std::fs::write(&kubectl, KUBECTL).unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    transcript(directory.path(), &format!("PATH=$PWD/bin:$PATH; {line}"), b"")
}

macro_rules! seen {
    ($name:literal, $files:expr, $line:expr) => {
        insta::assert_snapshot!($name, transcript(directory($files).path(), $line, b""))
    };
}

#[test]
fn nothing_differs() {
    let files = [("now.yaml", CLUSTER), ("same.yaml", &with_file("/etc/motd", "hello%0A"))];
    seen!(
        "nothing_differs",
        &files,
        "onlay diff now.yaml same.yaml --pool worker; echo $?; onlay plan same.yaml --against now.yaml"
    );
}

#[test]
fn everything_that_a_configuration_says_can_differ() {
    let old = "ignition: {version: 3.4.0}\nstorage:\n  files:\n  - {path: /etc/a, mode: 0644, contents: {source: 'data:,a%0Ab%0A'}}\n  - \
               {path: /etc/gone, contents: {source: 'data:,x'}}\n  - {path: /etc/blob, contents: {source: 'data:;base64,AAEC'}}\n  \
               links: [{path: /etc/link, target: /a}]\nsystemd: {units: [{name: a.service, enabled: true}, {name: b.service, mask: true}]}";
    let new = "ignition: {version: 3.4.0}\npasswd: {users: [{name: core, sshAuthorizedKeys: [ssh-ed25519 AAAA one]}]}\nstorage:\n  \
               directories: [{path: /etc/gone, mode: 0700}]\n  files:\n  - {path: /etc/a, mode: 0600, user: {id: 7}, contents: {source: \
               'data:,a%0Ac%0A'}}\n  - {path: /etc/blob, contents: {source: 'data:;base64,AAED'}}\n  links: [{path: /etc/link, target: \
               /b}]\nsystemd: {units: [{name: a.service, enabled: false, dropins: [{name: c.conf, contents: \"[Unit]\\n\"}]}]}";
    let old = machine_config("a", old, "kernelArguments: [audit=0, quiet]\nextensions: [usbguard]");
    let new = machine_config("a", new, "kernelArguments: [audit=1, quiet]\nkernelType: realtime");
    seen!("everything", &[("old.yaml", &old), ("new.yaml", &new)], "onlay diff old.yaml new.yaml");
}

#[test]
fn a_pool_that_is_nowhere() {
    let files = [("now.yaml", CLUSTER), ("wanted.yaml", &with_file("/etc/motd", "other"))];
    seen!("diff_pool_nowhere", &files, "onlay diff now.yaml wanted.yaml --pool wroker");
    let moved = with_file("/etc/motd", "other").replace("role: worker", "role: wroker");
    let build = OS_CONFIG.replace("machineConfigPool: {name: worker}", "machineConfigPool: {name: wroker}");
    let build = build.replace("metadata: {name: worker}", "metadata: {name: wroker}");
    seen!(
        "plan_pool_nowhere",
        &[("now.yaml", CLUSTER), ("wanted.yaml", &(moved + &build))],
        "onlay plan wanted.yaml --against now.yaml"
    );
}

#[test]
fn a_side_with_several_configurations() {
    let two = with_file("/etc/motd", "a") + "---\n" + &with_file("/etc/motd", "b").replace("50-motd", "51-motd");
    seen!("diff_several", &[("two.yaml", &two)], "onlay diff two.yaml two.yaml");
}

#[test]
fn a_cluster_that_cannot_be_asked() {
    let files = [("wanted.yaml", &*with_file("/etc/motd", "other"))];
    seen!(
        "no_cluster",
        &files,
        "onlay diff pool/worker wanted.yaml --kubeconfig nowhere; echo $?; onlay plan wanted.yaml --kubeconfig nowhere"
    );
    // Nobody answers there; two pools are asked for at once.
    let line = "onlay diff pool/a pool/b --kubeconfig dead.yaml; onlay plan wanted.yaml --kubeconfig dead.yaml";
    seen!("dead_cluster", &[files[0], ("dead.yaml", DEAD)], line);
    seen!("no_kubectl", &files, "PATH=$(dirname $(command -v onlay)); onlay diff machineconfig/50-motd wanted.yaml");
}

#[test]
fn what_cannot_change() {
    let wanted = machine_config("60-fips", "ignition: {version: 3.4.0}", "fips: true");
    let files = [("now.yaml", &*healthy()), ("wanted.yaml", &wanted)];
    seen!("diff_refused", &files, "onlay diff now.yaml wanted.yaml --pool worker");
    seen!("plan_refused", &files, "onlay plan wanted.yaml --against now.yaml");
}

#[test]
fn a_paused_pool() {
    let paused = healthy().replace("spec:\n  machineConfigSelector", "spec:\n  paused: true\n  machineConfigSelector");
    let resumed = pool("worker", &format!("paused: false\n  {OF_WORKER}"));
    let files = [("now.yaml", &*paused), ("wanted.yaml", &with_file("/etc/motd", "other")), ("resumed.yaml", &resumed)];
    seen!(
        "plan_paused",
        &files,
        "onlay plan wanted.yaml --against now.yaml; onlay plan resumed.yaml --against now.yaml"
    );
}

#[test]
fn a_node_that_is_not_ready_keeps_its_slot() {
    let files = [("now.yaml", CLUSTER), ("wanted.yaml", &with_file("/etc/motd", "other"))];
    seen!("plan_not_ready", &files, "onlay plan wanted.yaml --against now.yaml");
}

#[test]
fn a_limit_in_percent_and_one_that_cannot_be_read() {
    let wanted = |limit| {
        with_file("/etc/motd", "other") + "---\n" + &pool("worker", &format!("maxUnavailable: {limit}\n  {OF_WORKER}"))
    };
    let files = [("now.yaml", &*healthy()), ("most.yaml", &wanted("67%")), ("lots.yaml", &wanted("lots"))];
    seen!("plan_limits", &files, "onlay plan most.yaml --against now.yaml; onlay plan lots.yaml --against now.yaml");
}

#[test]
fn nodes_that_come_to_a_new_pool_and_one_that_two_pools_select() {
    let gpu = pool("gpu", "nodeSelector: {matchLabels: {gpu: ''}}");
    let infra = pool("infra", "nodeSelector: {matchLabels: {infra: ''}}");
    let files = [("now.yaml", &*healthy()), ("gpu.yaml", &gpu), ("infra.yaml", &infra)];
    seen!("plan_new_pool", &files, "onlay plan gpu.yaml --against now.yaml");
    seen!("plan_two_pools", &files, "onlay plan gpu.yaml infra.yaml --against now.yaml");
}

#[test]
fn a_node_that_loses_its_pool() {
    let nobody = pool("worker", "nodeSelector: {matchLabels: {nobody: ''}}");
    seen!(
        "plan_lost_nodes",
        &[("now.yaml", &*healthy()), ("wanted.yaml", &nobody)],
        "onlay plan wanted.yaml --against now.yaml"
    );
}

#[test]
fn a_cluster_without_pools() {
    let files = [("now.yaml", &*with_file("/etc/motd", "a")), ("wanted.yaml", &with_file("/etc/motd", "b"))];
    seen!("plan_no_pools", &files, "onlay plan wanted.yaml --against now.yaml");
}

#[test]
fn a_node_that_nothing_is_known_of_and_that_of_the_controller() {
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: c, labels: {app.kubernetes.io/name: onlay-controller}}\nspec: \
               {nodeName: a, containers: []}\n";
    let before = healthy().replace("name: worker}\nspec", "name: other}\nspec").replace("DoesNotExist", "Exists");
    let files = [("now.yaml", &*(before + pod)), ("worker.yaml", &pool("worker", OF_WORKER))];
    seen!("plan_unknown_nodes", &files, "onlay plan worker.yaml --against now.yaml");
}

#[test]
fn the_runtime_of_a_host() {
    let containerd = healthy().replace(
        "status: {conditions",
        "status: {nodeInfo: {containerRuntimeVersion: 'containerd://1.7', architecture: amd64, bootID: '', kernelVersion: '', \
         kubeProxyVersion: '', kubeletVersion: '', machineID: '', operatingSystem: '', osImage: '', systemUUID: ''}, conditions",
    );
    let wanted = with_file("/etc/containers/policy.json", "%7B%7D");
    let files = [
        ("nodes.yaml", &*containerd),
        ("wanted.yaml", &wanted),
        ("empty.yaml", &machine_config("e", "ignition: {version: 3.4.0}", "")),
    ];
    let line =
        "onlay diff empty.yaml wanted.yaml | grep costs; onlay plan wanted.yaml --against nodes.yaml | grep reload";
    seen!("runtime", &files, line);
}

#[test]
fn a_reload_by_policy() {
    let wanted = with_file("/etc/motd", "other") + POLICY;
    let files = [("now.yaml", &*healthy()), ("wanted.yaml", &wanted)];
    seen!("plan_policy", &files, "onlay plan wanted.yaml --against now.yaml");
}

#[test]
fn an_image_that_has_to_be_built() {
    let now = healthy() + OS_CONFIG;
    let files = [("now.yaml", &*now), ("source.yaml", &with_file("/etc/apt/sources.list.d/a.list", "a"))];
    let line = "onlay plan source.yaml --against now.yaml; onlay diff now.yaml source.yaml --pool worker | tail -1";
    seen!("plan_rebuild", &files, line);
    // A tag that a build has looked up is the same image on both sides.
    let tagged =
        now.replace("data:,hello%0A'}}]}\n", "data:,hello%0A'}}]}\n  osImageURL: registry.example.com/os/base:9\n");
    let files = [("now.yaml", &*tagged), ("built.yaml", &(tagged.clone() + BUILD))];
    seen!("diff_tag", &files, "onlay diff now.yaml built.yaml --pool worker; onlay plan now.yaml --against built.yaml");
    let files = [("now.yaml", &*now), ("text.yaml", &now.replace("configs AS final", "configs AS mine"))];
    seen!("diff_containerfile", &files, "onlay diff now.yaml text.yaml --pool worker");
    let big_pages = machine_config("60-kernel", "ignition: {version: 3.4.0}", "kernelType: 64k-pages");
    let line = "onlay plan kernel.yaml --against now.yaml";
    seen!("plan_unsupported", &[("now.yaml", &*now), ("kernel.yaml", &big_pages)], line);
    // What a LayeringPolicy gives counts, and the Containerfile that it names.
    let text = "ARG V\\nFROM configs AS final\\nARG V\\nRUN echo $V > /usr/share/v\\n";
    let policy = |version: &str| {
        format!(
            "---\napiVersion: onlay.dev/v1alpha1\nkind: LayeringPolicy\nmetadata: {{name: worker}}\n\
             spec: {{build: {{containerfile: {{configMapKeyRef: {{name: image}}}}, buildArgs: [{{name: V, value: '{version}'}}]}}}}\n\
             ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: image}}\ndata: {{Containerfile: \"{text}\"}}\n"
        )
    };
    let named = now.replace("  containerFile: [{content: 'FROM configs AS final'}]\n", "") + &policy("1");
    let line = "onlay plan policy.yaml --against now.yaml; onlay plan now.yaml --against now.yaml";
    seen!("plan_layering_policy", &[("now.yaml", &*named), ("policy.yaml", &policy("2"))], line);
    let broken = OS_CONFIG.replace("FROM configs AS final", "FORM configs");
    let line = "onlay plan broken.yaml --against now.yaml";
    seen!("plan_broken_build", &[("now.yaml", &*healthy()), ("broken.yaml", &broken)], line);
}

/// A MachineConfig of the role `worker` that names a base image.
fn with_image(digit: &str) -> String {
    let image = format!("osImageURL: registry.example.com/os/base@sha256:{}", digit.repeat(64));
    machine_config("60-image", "ignition: {version: 3.4.0}", &image)
}

/// The ConfigMap of the cluster that names one.
fn image_of_cluster(digit: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: machine-config-osimageurl}}\n\
         data: {{baseOSContainerImage: 'registry.example.com/os/base@sha256:{}'}}\n",
        digit.repeat(64)
    )
}

#[test]
fn a_pool_that_gets_or_loses_its_build() {
    let (without, with) = (healthy(), healthy() + OS_CONFIG);
    let alone = with_file("/etc/motd", "hello%0A");
    let files = [("without.yaml", &*without), ("with.yaml", &with), ("alone.yaml", &alone)];
    let line =
        "onlay diff without.yaml with.yaml --pool worker; echo $?; onlay diff with.yaml without.yaml --pool worker";
    seen!("diff_build", &files, line);
    // MachineConfigs alone do not say that nothing is built.
    let line = "onlay diff with.yaml alone.yaml --pool worker; echo $?; onlay diff alone.yaml with.yaml --pool worker";
    seen!("diff_build_of_one_side", &files, line);
    let config =
        "ignition: {version: 3.4.0}\nstorage: {files: [{path: /etc/motd, contents: {source: 'data:,hello%0A'}}]}";
    let rendered = machine_config("rendered-worker-2", config, "kernelType: default\nfips: false");
    let told = |cluster: &str| {
        let spec = "spec:\n  configuration: {name: rendered-worker-2}\n  machineConfigSelector";
        cluster.replace("spec:\n  machineConfigSelector", spec) + "---\n" + &rendered
    };
    let line = "for b in with.yaml without.yaml alone.yaml pool/worker; do onlay diff pool/worker $b; echo $?; done; \
                grep -c ,nodes asked";
    let layered = [files[0], files[1], files[2], ("cluster.yaml", &*told(&with))];
    insta::assert_snapshot!("live_diff_build", live(&layered, line));
    let plain = [files[0], files[1], files[2], ("cluster.yaml", &*told(&without))];
    insta::assert_snapshot!("live_diff_no_build", live(&plain, line));
}

#[test]
fn a_base_image_that_nothing_named_before() {
    let now = healthy() + OS_CONFIG;
    let (named, of_cluster) = (now.clone() + "---\n" + &with_image("1"), now.clone() + &image_of_cluster("2"));
    let (image, map) = (with_image("1"), image_of_cluster("2"));
    let files = [
        ("now.yaml", &*now),
        ("image.yaml", &image),
        ("map.yaml", &map),
        ("named.yaml", &named),
        ("of_cluster.yaml", &of_cluster),
    ];
    seen!(
        "plan_base",
        &files,
        "onlay plan image.yaml --against now.yaml; onlay plan map.yaml --against now.yaml; onlay plan image.yaml --against of_cluster.yaml"
    );
    seen!(
        "diff_base",
        &files,
        "for a in now.yaml,named.yaml named.yaml,now.yaml now.yaml,of_cluster.yaml of_cluster.yaml,now.yaml; do \
         onlay diff ${a%,*} ${a#*,} --pool worker | tail -1; done; onlay diff of_cluster.yaml 'image.yaml' --pool worker | tail -1"
    );
}

/// The nodes of a live cluster that runs an update: `a` is there already, `b` is one behind.
fn midway() -> String {
    let state = |node: &str, runs: &str| {
        format!(
            "---\napiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfigNode\nmetadata: {{name: {node}}}\nspec:\n  \
             node: {{name: {node}}}\n  pool: {{name: worker}}\n  configVersion: {{desired: {runs}}}\n  onlay: {{permit: Hold}}\nstatus: \
             {{configVersion: {{current: {runs}, desired: {runs}}}}}\n"
        )
    };
    let rendered = |name: &str, contents: &str| {
        format!("---\n{}", with_file("/etc/motd", contents).replace("name: 50-motd", &format!("name: {name}")))
    };
    healthy().replace(
        "spec:\n  machineConfigSelector",
        "spec:\n  configuration: {name: rendered-worker-2}\n  machineConfigSelector",
    ) + &rendered("rendered-worker-1", "first%0A")
        + &rendered("rendered-worker-2", "hello%0A")
        + &state("a", "rendered-worker-2")
        + &state("b", "rendered-worker-1")
}

#[test]
fn a_live_cluster_is_asked_through_kubectl() {
    let files = [("cluster.yaml", &*midway()), ("wanted.yaml", &with_file("/etc/motd", "third%0A"))];
    insta::assert_snapshot!(
        "live_plan",
        live(&files, "onlay plan wanted.yaml --context lab --kubeconfig k --namespace n; cat asked")
    );
    insta::assert_snapshot!(
        "live_diff",
        live(&files, "onlay diff pool/worker wanted.yaml; onlay diff pool/nope wanted.yaml")
    );
    insta::assert_snapshot!(
        "live_machine_config",
        live(
            &[
                ("machineconfig.yaml", &*with_file("/etc/motd", "hello")),
                ("wanted.yaml", &with_file("/etc/motd", "third%0A"))
            ],
            "onlay diff machineconfig/50-motd wanted.yaml; cat asked; rm machineconfig.yaml; onlay diff mc/50-motd wanted.yaml"
        )
    );
}
