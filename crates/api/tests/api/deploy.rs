//! `deploy/` as kubectl renders and applies it.

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
    assert!(has("Service", names::WEBHOOK_SERVICE, names::NAMESPACE));
    assert!(has("ValidatingWebhookConfiguration", names::WEBHOOK_CONFIGURATION, ""));
    for account in [names::CONTROLLER_ACCOUNT, names::AGENT_ACCOUNT, names::WEBHOOK_ACCOUNT, names::BUILDER_ACCOUNT] {
        assert!(has("ServiceAccount", account, names::NAMESPACE), "{account}");
    }
}
