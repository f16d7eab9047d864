//! `deploy/` as kubectl renders and applies it.

use k8s_openapi::api::core::v1::ConfigMap;
use onlay_api::{MachineConfigPool, names};
use serde_json::Value;

use crate::installed::{administrator, installed, kubectl};

/// The documents of a kustomization.
async fn rendered(directory: &str) -> Vec<Value> {
    let text = kubectl(installed().await, &["kustomize", directory]).await.unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

#[tokio::test]
async fn applying_once_more_changes_nothing() {
    let server = installed().await;
    for directory in ["deploy/crds", "deploy/base"] {
        kubectl(server, &["apply", "--server-side", "--dry-run=server", "--validate=strict", "-k", directory])
            .await
            .unwrap();
    }
    // The definitions were applied by another manager from the types: the files hold the same.
    kubectl(server, &["diff", "--server-side", "--force-conflicts", "-k", "deploy/crds"]).await.unwrap();
    kubectl(server, &["diff", "--server-side", "-k", "deploy/base"]).await.unwrap();
}

/// As the page about builds says it.
const FILL: &str = "\
kubectl create configmap onlay-trusted-ca -n openshift-machine-config-operator --from-file=ca-bundle.crt=corporate-ca.pem \\
    --dry-run=client -o yaml | kubectl apply --server-side --field-manager=corporate-ca -f -
";

#[tokio::test]
async fn authorities_that_a_person_has_written_stay_when_everything_is_applied_once_more() {
    let page = include_str!("../../../../docs/user/build.md");
    assert!(page.contains(FILL), "the page has other words");
    let (server, directory) = (installed().await, tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("corporate-ca.pem"), "certificates").unwrap();
    let command = FILL.replace("\\\n", " ").replace("corporate-ca.pem", &at("corporate-ca.pem"));
    let (create, apply) = command.split_once('|').unwrap();
    let words = |line: &str| line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let run = async |words: Vec<String>| {
        kubectl(server, &words.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap()
    };
    std::fs::write(at("made.yaml"), run(words(create)).await).unwrap();
    run(words(&apply.replace("-f -", &format!("-f {}", at("made.yaml"))))).await;

    kubectl(server, &["apply", "--server-side", "-k", "deploy/base"]).await.unwrap();
    let api = kube::Api::<ConfigMap>::namespaced(administrator().await, names::NAMESPACE);
    let config_map = api.get(names::TRUSTED_CA_CONFIG_MAP).await.unwrap();
    assert_eq!(config_map.data.unwrap()[names::TRUSTED_CA_KEY], "certificates");
    assert_eq!(config_map.metadata.labels.unwrap()["config.openshift.io/inject-trusted-cabundle"], "true");
}

#[tokio::test]
async fn the_default_pools_divide_the_nodes() {
    let pools = kube::Api::<MachineConfigPool>::all(administrator().await);
    for (name, operator) in [(names::MASTER_POOL, "Exists"), (names::WORKER_POOL, "DoesNotExist")] {
        let pool = pools.get(name).await.unwrap();
        let selector = pool.spec.node_selector.unwrap().match_expressions.unwrap();
        assert_eq!((selector[0].key.as_str(), selector[0].operator.as_str()), (names::CONTROL_PLANE_LABEL, operator));
        let labels = pool.spec.machine_config_selector.unwrap().match_labels.unwrap();
        assert_eq!(labels[names::ROLE_LABEL], name);
    }
}

#[tokio::test]
async fn names_in_the_files_are_the_names_in_the_code() {
    let documents = rendered("deploy/base").await;
    let has = |kind: &str, name: &str, namespace: &str| {
        documents.iter().any(|document| {
            document["kind"] == kind
                && document["metadata"]["name"] == name
                && document["metadata"]["namespace"].as_str().unwrap_or_default() == namespace
        })
    };
    assert!(has("Namespace", names::NAMESPACE, ""));
    assert!(has("Namespace", names::NODE_SECRETS_NAMESPACE, ""));
    assert!(has("ConfigMap", names::TRUSTED_CA_CONFIG_MAP, names::NAMESPACE));
    assert!(has("Service", names::WEBHOOK_SERVICE, names::NAMESPACE));
    assert!(has("ValidatingWebhookConfiguration", names::WEBHOOK_CONFIGURATION, ""));
    for account in [names::CONTROLLER_ACCOUNT, names::AGENT_ACCOUNT, names::WEBHOOK_ACCOUNT, names::BUILDER_ACCOUNT] {
        assert!(has("ServiceAccount", account, names::NAMESPACE), "{account}");
    }
}
