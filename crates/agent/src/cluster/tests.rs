//! On the real API server.

use super::*;
use kube::api::{DeleteParams, PostParams};
use onlay_testkit::{ApiServer, objects};

const NODE: &str = "worker-0";

/// A server that knows the kind and has no object of it.
async fn server() -> (ApiServer, Api<MachineConfigNode>) {
    let server = ApiServer::start().await.unwrap();
    let client = server.client().await.unwrap();
    objects::define(&client, &onlay_api::crds().unwrap()).await.unwrap();
    (server, Api::all(client))
}

async fn create(nodes: &Api<MachineConfigNode>) -> MachineConfigNode {
    let object = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigNode", "metadata": {"name": NODE},
        "spec": {
            "node": {"name": NODE}, "pool": {"name": "worker"}, "configVersion": {"desired": "rendered-worker-1"},
            "onlay": {"permit": "Hold"},
        },
    });
    nodes.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
}

fn status(generation: i64) -> MachineConfigNodeStatus {
    MachineConfigNodeStatus { observed_generation: Some(generation), ..Default::default() }
}

#[tokio::test]
async fn a_status_is_written_to_the_object_that_was_seen_and_to_no_other() {
    let (server, nodes) = server().await;
    let cluster = Cluster::new(server.client().await.unwrap(), NODE.to_owned());
    let seen = create(&nodes).await;
    cluster.publish(&seen, &status(1)).await.unwrap();
    cluster.publish(&seen, &status(2)).await.expect("a version that is no longer the newest is no obstacle");
    assert_eq!(nodes.get(NODE).await.unwrap().status.unwrap().observed_generation, Some(2));

    nodes.delete(NODE, &DeleteParams::default()).await.unwrap();
    let error = cluster.publish(&seen, &status(3)).await.unwrap_err();
    assert!(matches!(&error, Error::Api { name, .. } if name == NODE), "{error}");
    create(&nodes).await;
    let error = cluster.publish(&seen, &status(3)).await.unwrap_err();
    assert!(matches!(&error, Error::Recreated { name } if name == NODE), "{error}");
    assert_eq!(nodes.get(NODE).await.unwrap().status, None, "nothing was said of a node that nobody has looked at");
}
