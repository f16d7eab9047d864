//! docs/user/install.md: its overlays and commands as they stand there, and what becomes of the policies in another namespace.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use onlay_api::names::{AGENT_ACCOUNT, CONTROLLER_ACCOUNT, NAMESPACE, NODE_SECRETS_NAMESPACE};
use onlay_testkit::{ApiServer, objects};
use serde_json::{Value, json};

use crate::installed::{Installed, installed, kubectl_in};
use crate::policies::{assert_refused, node_object_by, refusal, report};
use crate::rights::may_from;
use crate::server::kind_api;

/// The namespace of the page's second overlay.
const ELSEWHERE: &str = "machines";

/// A part of the page: its overlays, in a directory beside which the checkout is `onlay`, and its commands.
struct Section {
    directory: tempfile::TempDir,
    commands: Vec<Vec<String>>,
}

impl Section {
    fn of(heading: &str) -> Self {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let page = std::fs::read_to_string(checkout.join("docs/user/install.md")).unwrap();
        let (_, rest) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
        // A comment in an overlay begins like a heading, but not after an empty line.
        let text = rest.split_once("\n\n#").map_or(rest, |(text, _)| text);
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(checkout, directory.path().join("onlay")).unwrap();
        let section = Self { directory, commands: commands(text) };
        for block in text.split("```yaml\n").skip(1) {
            let (block, _) = block.split_once("```").unwrap();
            let name = block.lines().next().unwrap().strip_prefix("# ").unwrap();
            let file = section.overlay().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, block).unwrap();
        }
        section
    }

    fn overlay(&self) -> PathBuf {
        self.directory.path().join("overlay")
    }

    /// Runs the commands; nothing runs Deployments here, so that their rollouts are not waited for.
    async fn run(&self, server: &ApiServer, more: &[&str]) {
        for command in &self.commands {
            let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["rollout", "status", ..] => drop(words.splice(..2, ["get"])),
                _ => words.extend(more),
            }
            let said = kubectl_in(&self.overlay(), server, &words).await;
            assert!(said.is_ok(), "kubectl {words:?}: {}", said.unwrap_err());
        }
    }
}

/// The lines of a page that call kubectl, those that end in a backslash with what follows.
fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    kubectl "));
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn openshifts_operator_is_asked_for_before_anything_is_applied() {
    let section = Section::of("## Before");
    let [command] = section.commands.as_slice() else { panic!("{:?}", section.commands) };
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let server = ApiServer::start().await.unwrap();
    let client = server.client().await.unwrap();
    let ask = async || kubectl_in(section.directory.path(), &server, &words).await;
    let said = ask().await.unwrap_err();
    assert!(said.contains("the server doesn't have a resource type \"clusteroperator\""), "{said}");

    objects::define(&client, &[objects::cluster_operators()]).await.unwrap();
    let said = ask().await.unwrap_err();
    assert!(said.contains("(NotFound)"), "{said}");
    let kind = kube::core::GroupVersionKind::gvk("config.openshift.io", "v1", "ClusterOperator");
    let operators: Api<DynamicObject> = Api::all_with(client, &kube::api::ApiResource::from_gvk(&kind));
    let operator = of(json!({
        "apiVersion": "config.openshift.io/v1", "kind": "ClusterOperator", "metadata": {"name": "machine-config"},
    }));
    let operator = operators.create(&PostParams::default(), &operator).await.unwrap();
    assert!(ask().await.unwrap().contains(&operator.name_any()));
}

#[tokio::test]
async fn the_usual_overlay_is_taken() {
    let section = Section::of("## Overlay");
    assert_eq!(section.commands.len(), 3, "{:?}", section.commands);
    section.run(installed().await, &["--dry-run=server"]).await;
}

#[tokio::test]
async fn in_another_namespace_its_own_accounts_are_ours_and_no_others() {
    let section = Section::of("### Another namespace");
    let server = ApiServer::start().await.unwrap();
    section.run(&server, &[]).await;
    let rendered = kubectl_in(&section.overlay(), &server, &["kustomize", "."]).await.unwrap();
    assert!(!rendered.contains(NAMESPACE) && !rendered.contains("onlay-namespace"), "something stays behind");

    let installed = Installed::on(server, ELSEWHERE).await;
    agents_report_for_their_own_nodes(&installed).await;
    others_are_strangers(&installed).await;
    rights_are_those_of_the_namespace(&installed).await;
    webhooks_are_called_there(&installed).await;

    let mut removal = Section::of("## Remove it");
    assert_eq!(removal.commands.len(), 2, "{:?}", removal.commands);
    removal.commands[1][2] = "crds".to_owned();
    removal.directory = section.directory;
    // Nothing empties namespaces here, so that their end is not waited for.
    removal.run(installed.server(), &["--wait=false"]).await;
}

async fn agents_report_for_their_own_nodes(installed: &Installed) {
    let controller = installed.account(ELSEWHERE, CONTROLLER_ACCOUNT).await;
    node_object_by(&controller, "worker-0").await;
    node_object_by(&controller, "worker-1").await;
    let agent = installed.agent("worker-0").await;
    assert_eq!(report(&agent, "worker-0").await, None);
    assert_refused(report(&agent, "worker-1").await, &["403", "agent of node \"worker-0\"", "not of \"worker-1\""]);
    let unbound = installed.account(ELSEWHERE, AGENT_ACCOUNT).await;
    assert_refused(report(&unbound, "worker-0").await, &["403", "does not say on which node it runs"]);
}

/// Accounts of the same names where onlay usually lies, one of them with every right that roles can give.
async fn others_are_strangers(installed: &Installed) {
    let administrator = installed.server().client().await.unwrap();
    let create = PostParams::default();
    let namespace: Namespace = of(json!({"metadata": {"name": NAMESPACE}}));
    Api::all(administrator.clone()).create(&create, &namespace).await.unwrap();
    for account in [CONTROLLER_ACCOUNT, AGENT_ACCOUNT] {
        let account: ServiceAccount = of(json!({"metadata": {"name": account}}));
        Api::namespaced(administrator.clone(), NAMESPACE).create(&create, &account).await.unwrap();
    }
    let all_rights: ClusterRoleBinding = of(json!({
        "metadata": {"name": "strangers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": CONTROLLER_ACCOUNT, "namespace": NAMESPACE}],
    }));
    Api::all(administrator.clone()).create(&create, &all_rights).await.unwrap();

    let stranger = installed.account(NAMESPACE, CONTROLLER_ACCOUNT).await;
    for client in [&stranger, &administrator] {
        assert_refused(permit(client).await, &["403", "written by onlay's controller only"]);
    }
    assert_eq!(permit(&installed.account(ELSEWHERE, CONTROLLER_ACCOUNT).await).await, None);
    let stranger = installed.account(NAMESPACE, AGENT_ACCOUNT).await;
    assert_refused(report(&stranger, "worker-0").await, &["403", "cannot patch resource"]);
}

async fn permit(client: &Client) -> Option<String> {
    let permit = Patch::Merge(json!({"spec": {"onlay": {"permit": "Disrupt"}}}));
    refusal(kind_api(client, "MachineConfigNode").patch("worker-0", &PatchParams::default(), &permit).await)
}

async fn rights_are_those_of_the_namespace(installed: &Installed) {
    let client = installed.server().client().await.unwrap();
    let questions = [
        (CONTROLLER_ACCOUNT, "create", "batch/jobs", ELSEWHERE, true),
        (CONTROLLER_ACCOUNT, "create", "batch/jobs", NAMESPACE, false),
        (AGENT_ACCOUNT, "get", "/secrets", NODE_SECRETS_NAMESPACE, true),
        (AGENT_ACCOUNT, "get", "/secrets", ELSEWHERE, false),
    ];
    for (account, verb, resource, namespace, allowed) in questions {
        let answer = may_from(&client, ELSEWHERE, account, verb, resource, namespace).await;
        assert_eq!(answer, allowed, "{account} {verb} {resource} {namespace}");
        let stranger = may_from(&client, "elsewhere", account, verb, resource, namespace).await;
        assert!(!stranger, "{account} of another namespace: {verb} {resource} {namespace}");
    }
}

async fn webhooks_are_called_there(installed: &Installed) {
    let where_is = async |kind: &str, name: &str, path: &str| {
        let path = format!("jsonpath={{{path}.clientConfig.service.namespace}}");
        kubectl_in(Path::new("/"), installed.server(), &["get", kind, name, "-o", &path]).await.unwrap()
    };
    for plural in ["machineosconfigs", "machineosbuilds"] {
        let name = format!("{plural}.machineconfiguration.openshift.io");
        assert_eq!(where_is("customresourcedefinition", &name, ".spec.conversion.webhook").await, ELSEWHERE);
    }
    assert_eq!(where_is("validatingwebhookconfiguration", "onlay-webhook", ".webhooks[0]").await, ELSEWHERE);
}

fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
