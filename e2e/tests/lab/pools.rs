//! Which pool a node belongs to, and which image a pool runs without a MachineOSConfig.

use crate::cluster::{BUILD, Cluster, NODE, SOON, WORKERS, layered, machine_config, pool, pool_condition, updated};
use serde_json::json;

#[tokio::test]
async fn a_node_that_two_custom_pools_select_stays_where_it_is_and_says_so() {
    let cluster = Cluster::fresh().await;
    let timeline = cluster.timeline().await;
    for name in ["one", "two"] {
        cluster.apply(pool(name)).await;
        cluster.pool_is(name, "Updated and empty", SOON, |pool| updated(pool, 0)).await;
    }
    let (one, two) = ("node-role.kubernetes.io/one", "node-role.kubernetes.io/two");
    cluster.kubectl(&["label", "node", WORKERS[0], &format!("{one}="), &format!("{two}=")]).await;
    for name in ["one", "two"] {
        let degraded =
            cluster.pool_is(name, "NodeDegraded", SOON, |pool| pool_condition(pool, "NodeDegraded") == "True").await;
        let conditions = degraded.status.unwrap().conditions;
        let message = conditions.into_iter().find(|known| known.type_ == "NodeDegraded").unwrap().message;
        assert!(message.contains(WORKERS[0]) && message.contains("one and two"), "{message}");
        cluster.event("MachineConfigPool", name, "one and two").await;
    }
    let reason = r"jsonpath={.metadata.annotations.machineconfiguration\.openshift\.io/reason}";
    let reason = cluster.kubectl(&["get", "node", WORKERS[0], "-o", reason]).await;
    assert!(reason.contains("one and two"), "{reason}");
    assert_eq!(timeline.moments(), [], "nothing moves");

    cluster.kubectl(&["label", "node", WORKERS[0], &format!("{one}-"), &format!("{two}-")]).await;
    for (name, machines) in [("one", 0), ("two", 0), ("worker", 2)] {
        cluster
            .pool_is(name, "Updated and not Degraded", NODE, |pool| {
                updated(pool, machines) && pool_condition(pool, "Degraded") == "False"
            })
            .await;
    }
    assert_eq!(timeline.moments(), [], "the node is back in the pool that it never left");
}

#[tokio::test]
async fn an_image_that_a_machine_config_names_is_rolled_out_to_workers_and_to_no_master() {
    let cluster = Cluster::fresh().await;
    cluster.apply(pool("test")).await;
    cluster.apply(layered("test", "FROM configs AS final\nRUN echo named > /usr/share/onlay-named\n")).await;
    let build = cluster.build_is("test", "Succeeded", BUILD).await;
    let image = build.status.unwrap().digested_image_push_spec.unwrap();
    cluster.kubectl(&["delete", "machineosconfig", "test"]).await;

    // A master that carries the label of the workers too belongs to `master`.
    cluster.label("cp-0", "node-role.kubernetes.io/worker=").await;
    let timeline = cluster.timeline().await;
    cluster.apply(machine_config("60-worker-image", "worker", json!({"osImageURL": image}))).await;
    for node in WORKERS {
        cluster
            .node_is(node, &format!("on {image}"), NODE * 2, |node| {
                let status = node.status.clone().unwrap_or_default();
                status.config_image.and_then(|known| known.current_image).as_deref() == Some(image.as_str())
            })
            .await;
        assert_eq!(cluster.on_node(node, "cat /usr/share/onlay-named").await, "named");
    }
    cluster.pool_is("worker", "Updated with 2 machines", NODE, |pool| updated(pool, 2)).await;
    cluster.pool_is("master", "Updated with 1 machine", SOON, |pool| updated(pool, 1)).await;
    let master: Vec<_> = timeline.moments().into_iter().filter(|moment| moment.node == "cp-0").collect();
    assert_eq!(master, [], "the master is not touched");

    cluster.label("cp-0", "node-role.kubernetes.io/worker-").await;
    cluster.kubectl(&["delete", "mc", "60-worker-image"]).await;
    cluster.pool_is("worker", "on its way", NODE, |pool| !updated(pool, 2)).await;
    cluster.pool_is("worker", "Updated with 2 machines", NODE * 2, |pool| updated(pool, 2)).await;
    for node in WORKERS {
        assert_eq!(cluster.on_node(node, "ls /usr/share/onlay-named 2>/dev/null; true").await, "");
    }
}
