//! Beside OpenShift's own operator the controller does not start.

#![cfg(test)]

use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use onlay_testkit::{ApiServer, objects, wait};
use serde_json::json;
use tokio::process::Command;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn operators(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("config.openshift.io", "v1", "ClusterOperator");
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

/// The controller as its pod starts it.
fn controller(server: &ApiServer) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onlayd"));
    command.args(["controller", "--namespace=default", "--builder-image=builder", "--metrics-listen=127.0.0.1:0"]);
    command.env("KUBECONFIG", server.kubeconfig()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[tokio::test]
async fn the_controller_does_not_start_beside_openshifts_operator_and_names_it() {
    let server = ApiServer::start().await.unwrap();
    let client = server.client().await.unwrap();
    objects::define(&client, &[objects::cluster_operators()]).await.unwrap();
    let name = "machine-config";
    let operator = json!({
        "apiVersion": "config.openshift.io/v1", "kind": "ClusterOperator", "metadata": {"name": name},
    });
    let operators = operators(&client);
    operators.create(&PostParams::default(), &serde_json::from_value(operator).unwrap()).await.unwrap();
    let leases = Api::<Lease>::namespaced(client, "default");

    let ended = tokio::time::timeout(PATIENCE, controller(&server).output()).await.expect("it ends by itself").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("error: failed to start: OpenShift's own operator runs on this cluster"), "{said}");
    for words in ["ClusterOperator machine-config", "onlay is for clusters without it"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(leases.list(&Default::default()).await.unwrap().items.is_empty(), "it has taken nothing");

    // The kind alone is no operator.
    operators.delete(name, &DeleteParams::default()).await.unwrap();
    let mut running = controller(&server).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait::until("the controller to take its lease", PATIENCE, async || {
        if let Some(ended) = running.try_wait().unwrap() {
            panic!("the controller has ended: {ended}");
        }
        Ok::<_, kube::Error>(leases.list(&Default::default()).await?.items.pop())
    })
    .await
    .unwrap();
    running.kill().await.unwrap();
}
