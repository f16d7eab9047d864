//! What goes wrong on the way: everything converges, nothing is done twice that must not be.

use crate::cluster::{Cluster, NAMESPACE, NODE, SOON, WORKERS, file, machine_config, updated};
use jiff::Timestamp;
use onlay_api::{MachineConfigNode, MachineConfigPool, UpdatePhase};
use onlay_testkit::timeline::{Milestone, Timeline};
use onlay_testkit::wait;
use rstest::rstest;
use tokio::process::Command;

const NAME: &str = "60-worker-fault";

/// How far a node is on its way to `target`; an earlier update does not count.
fn phase_of(node: &MachineConfigNode, target: &str) -> Option<UpdatePhase> {
    let update = node.status.clone()?.onlay?.update?;
    (update.config == target).then_some(update.phase)
}

/// Name of the configuration that a pool goes to.
fn target(pool: &MachineConfigPool) -> Option<String> {
    pool.spec.configuration.clone().map(|target| target.name)
}

/// Begins an update of both workers, one after the other, and returns the name of the configuration they go to.
async fn update(cluster: &Cluster, text: &str) -> String {
    let before = target(&cluster.pool_is("worker", "there", SOON, |_| true).await);
    cluster.apply(machine_config(NAME, "worker", file("/etc/motd", 0o644, text))).await;
    let pool = cluster.pool_is("worker", "on its way to another target", SOON, |pool| target(pool) != before).await;
    target(&pool).unwrap()
}

/// Waits for the end of the update, and shows that every node rebooted exactly `reboots` times.
async fn converges(cluster: &Cluster, timeline: &Timeline, text: &str, reboots: usize) {
    cluster.pool_is("worker", "Updated with 2 machines", NODE * 2, |pool| updated(pool, 2)).await;
    for node in WORKERS {
        assert_eq!(cluster.on_node(node, "cat /etc/motd").await, text);
        let seen = timeline
            .moments()
            .iter()
            .filter(|moment| moment.node == node && moment.milestone == Milestone::Rebooted)
            .count();
        let wanted = if node == WORKERS[0] { reboots } else { 1 };
        assert!(seen <= wanted, "{node} rebooted {seen} times, {wanted} at most: {:?}", timeline.moments());
    }
    cluster.kubectl(&["delete", "mc", NAME]).await;
    cluster.pool_is("worker", "Updated without the file", NODE * 2, |pool| updated(pool, 2)).await;
}

/// The deployment that worker-0 runs; `ostree=` of its command line changes whenever the boot entries are written.
async fn deployment(cluster: &Cluster) -> String {
    let status = cluster.on_node(WORKERS[0], "onlay-ostree status").await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status["booted"].as_str().unwrap().to_owned()
}

/// kill -9 of the agent on a node; between two boots there is none for a moment.
async fn kill_agent(cluster: &Cluster, node: &str) {
    wait::until(&format!("the agent on {node} to be killed"), SOON, async || {
        let node = cluster.lab.node(node).map_err(|error| error.to_string())?;
        node.exec(&["pkill", "-9", "-x", "onlayd"]).await.map(Some).map_err(|error| error.to_string())
    })
    .await
    .unwrap();
}

#[rstest]
#[case::while_staging(UpdatePhase::Preparing)]
#[case::while_staged(UpdatePhase::Staged)]
#[case::between_journal_steps(UpdatePhase::Applying)]
#[case::while_verifying(UpdatePhase::Verifying)]
#[tokio::test]
async fn an_agent_killed(#[case] at: UpdatePhase) {
    let cluster = Cluster::fresh().await;
    let timeline = Timeline::start(&cluster.client, |_| {});
    let target = update(&cluster, "killed\n").await;
    cluster.node_is(WORKERS[0], &format!("{at:?} or past it"), NODE, |node| phase_of(node, &target) >= Some(at)).await;
    kill_agent(&cluster, WORKERS[0]).await;
    converges(&cluster, &timeline, "killed", 1).await;
}

#[tokio::test]
async fn a_controller_killed_in_a_rollout() {
    let cluster = Cluster::fresh().await;
    let timeline = Timeline::start(&cluster.client, |_| {});
    let target = update(&cluster, "no controller\n").await;
    cluster.node_is(WORKERS[0], "Applying", NODE, |node| phase_of(node, &target) >= Some(UpdatePhase::Applying)).await;
    cluster
        .kubectl(&[
            "delete",
            "pod",
            "-n",
            NAMESPACE,
            "-l",
            "app.kubernetes.io/name=onlay-controller",
            "--force",
            "--grace-period=0",
        ])
        .await;
    converges(&cluster, &timeline, "no controller", 1).await;
}

#[tokio::test]
async fn an_api_server_away_for_longer_than_the_guards_deadline_sends_no_node_back() {
    let cluster = Cluster::fresh().await;
    let timeline = Timeline::start(&cluster.client, |_| {});
    let first = deployment(&cluster).await;
    let target = update(&cluster, "away\n").await;
    cluster.node_is(WORKERS[0], "Applying", NODE, |node| phase_of(node, &target) >= Some(UpdatePhase::Applying)).await;
    cluster.lab.kill_api_server().await.unwrap();
    // The journal is read from the disk: a command in a node that shuts down would keep it from ending.
    let since = format!("--since=@{}", Timestamp::now().as_second());
    let words = ["--no-pager", "--grep=waiting for the agent until", &since];
    let mut journal = Command::from(cluster.lab.node(WORKERS[0]).unwrap().journal(&words));
    wait::until("the guard of worker-0 to wait longer than its deadline", NODE, async || {
        let found = journal.output().await.map_err(|error| error.to_string())?;
        if found.status.success() { Ok(Some(())) } else { Err(String::from_utf8_lossy(&found.stdout).into_owned()) }
    })
    .await
    .unwrap();
    assert_ne!(deployment(&cluster).await, first, "the new system runs, and nobody could vouch for it yet");
    cluster.lab.start_api_server().await.unwrap();
    converges(&cluster, &timeline, "away", 1).await;
}

#[tokio::test]
async fn a_power_cut_while_staged_and_while_booting() {
    let cluster = Cluster::fresh().await;
    let timeline = Timeline::start(&cluster.client, |_| {});
    let target = update(&cluster, "dark\n").await;
    cluster.node_is(WORKERS[0], "Staged", NODE, |node| phase_of(node, &target) >= Some(UpdatePhase::Staged)).await;
    let node = cluster.lab.node(WORKERS[0]).unwrap();
    node.power_cut().await.unwrap();
    node.start().await.unwrap();
    cluster
        .node_is(WORKERS[0], "Rebooting", NODE, |node| phase_of(node, &target) >= Some(UpdatePhase::Rebooting))
        .await;
    node.power_cut().await.unwrap();
    node.start().await.unwrap();
    converges(&cluster, &timeline, "dark", 3).await;
}

#[tokio::test]
async fn a_reboot_typed_by_hand_while_an_image_is_staged_boots_the_old_system() {
    let cluster = Cluster::fresh().await;
    let timeline = Timeline::start(&cluster.client, |_| {});
    // A budget that allows no eviction keeps the rollout at the drain, with the image staged and locked.
    cluster.apply(crate::cluster::held_workload()).await;
    cluster.kubectl(&["rollout", "status", "deployment/held", "--timeout=60s"]).await;
    let booted = deployment(&cluster).await;
    let target = update(&cluster, "by hand\n").await;
    cluster.node_is(WORKERS[0], "Staged", NODE, |node| phase_of(node, &target) == Some(UpdatePhase::Staged)).await;
    let before =
        cluster.on_node(WORKERS[0], "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running; true").await;
    cluster.lab.node(WORKERS[0]).unwrap().reboot().await.unwrap();
    cluster
        .node_is(WORKERS[0], "Staged again", NODE, |node| phase_of(node, &target) == Some(UpdatePhase::Staged))
        .await;
    assert_eq!(deployment(&cluster).await, booted, "the old system boots; before: {before}");
    cluster.kubectl(&["delete", "pdb,deployment", "held"]).await;
    converges(&cluster, &timeline, "by hand", 2).await;
}

#[tokio::test]
async fn a_node_object_deleted_while_its_node_drains() {
    let cluster = Cluster::fresh().await;
    let timeline = Timeline::start(&cluster.client, |_| {});
    cluster.apply(crate::cluster::held_workload()).await;
    cluster.kubectl(&["rollout", "status", "deployment/held", "--timeout=60s"]).await;
    let target = update(&cluster, "deleted").await;
    cluster.node_is(WORKERS[0], "Staged", NODE, |node| phase_of(node, &target) == Some(UpdatePhase::Staged)).await;
    cluster.kubectl(&["delete", "node", WORKERS[0]]).await;
    cluster.on_node(WORKERS[0], "systemctl restart kubelet").await;
    comes_again(&cluster).await;
    cluster.kubectl(&["delete", "pdb,deployment", "held"]).await;
    converges(&cluster, &timeline, "deleted", 1).await;
}

#[tokio::test]
async fn a_node_object_deleted_while_its_node_goes_down() {
    let cluster = Cluster::fresh().await;
    let timeline = Timeline::start(&cluster.client, |_| {});
    let target = update(&cluster, "going").await;
    let (words, down) = ("Rebooting", Some(UpdatePhase::Rebooting));
    cluster.node_is(WORKERS[0], words, NODE, |node| phase_of(node, &target) >= down).await;
    cluster.kubectl(&["delete", "node", WORKERS[0]]).await;
    comes_again(&cluster).await;
    converges(&cluster, &timeline, "going", 1).await;
}

/// Waits until kubelet, which does so when it starts, has made the Node again, and gives it its role.
async fn comes_again(cluster: &Cluster) {
    cluster.kubectl(&["wait", "--for=create", &format!("node/{}", WORKERS[0]), "--timeout=60s"]).await;
    cluster.label(WORKERS[0], "node-role.kubernetes.io/worker=").await;
}

#[tokio::test]
async fn an_image_whose_kubelet_cannot_start_comes_back_alone() {
    let cluster = Cluster::fresh().await;
    cluster.apply(crate::cluster::pool("test")).await;
    cluster
        .apply(crate::cluster::layered("test", "FROM configs AS final\nRUN ln -sf /bin/false /usr/bin/kubelet\n"))
        .await;
    cluster.build_is("test", "Succeeded", crate::cluster::BUILD).await;
    let target = target(&cluster.pool_is("test", "there", SOON, |_| true).await).unwrap();
    let booted = deployment(&cluster).await;
    cluster.label(WORKERS[0], "node-role.kubernetes.io/test=").await;
    let node = cluster
        .node_is(WORKERS[0], "RolledBack", NODE * 2, |node| phase_of(node, &target) == Some(UpdatePhase::RolledBack))
        .await;
    let message = node.status.unwrap().onlay.unwrap().update.unwrap().message;
    for words in ["was not confirmed within 45 s of its boot", "kubelet.service"] {
        assert!(message.contains(words), "{words:?} is missing in: {message}");
    }
    assert_eq!(deployment(&cluster).await, booted);
    cluster.pool_is("test", "Degraded", SOON, |pool| crate::cluster::pool_condition(pool, "Degraded") == "True").await;
    cluster.label(WORKERS[0], "node-role.kubernetes.io/test-").await;
    cluster.pool_is("worker", "Updated with 2 machines", NODE, |pool| updated(pool, 2)).await;
}
