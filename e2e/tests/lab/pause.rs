//! `paused` holds everything, and says so; the commands are those of docs/user/rollout.md.

use crate::cluster::{Cluster, NODE, SOON, file, machine_config, pool_condition, updated};
use crate::page::{blocks, typed};
use onlay_testkit::timeline::Milestone;

#[tokio::test]
async fn a_paused_pool_holds_everything_and_says_so() {
    let cluster = Cluster::fresh().await;
    let [hold, go_on] = blocks(include_str!("../../../docs/user/rollout.md")).try_into().unwrap();
    let timeline = cluster.timeline().await;
    typed(&cluster, &hold).await;
    cluster.apply(machine_config("50-worker-motd", "worker", file("/etc/motd", 0o644, "paused\n"))).await;
    let pool = cluster
        .pool_is("worker", "waiting", SOON, |pool| {
            let message = pool.status.iter().flat_map(|status| &status.conditions).map(|known| known.message.clone());
            pool_condition(pool, "Updated") == "False" && message.into_iter().any(|text| text.contains("paused"))
        })
        .await;
    assert_eq!(
        (pool_condition(&pool, "Updating").as_str(), pool_condition(&pool, "Degraded").as_str()),
        ("False", "False")
    );
    let status = pool.status.unwrap();
    assert_eq!((status.machine_count, status.updated_machine_count), (2, 0));
    assert_eq!(timeline.moments(), [], "nothing is staged, cordoned or rebooted while the pool is paused");

    typed(&cluster, &go_on).await;
    cluster.pool_is("worker", "Updated with 2 machines", NODE * 2, |pool| updated(pool, 2)).await;
    assert_eq!(cluster.on_node("worker-0", "cat /etc/motd").await, "paused");
    let reboots = timeline.moments().iter().filter(|moment| moment.milestone == Milestone::Rebooted).count();
    assert_eq!(reboots, 2, "one reboot a node");
    cluster.kubectl(&["delete", "mc", "50-worker-motd"]).await;
}
