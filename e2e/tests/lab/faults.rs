//! What goes wrong on the way: everything converges, nothing is done twice that must not be.

use crate::cluster::{
    BUILD, Cluster, NAMESPACE, NODE, SOON, WORKERS, digest_of, file, layered, machine_config, pool, updated,
};
use crate::controller::{Controller, holds_the_lease};
use jiff::Timestamp;
use kube::api::Api;
use onlay_api::{MachineConfigNode, MachineConfigPool, UpdatePhase};
use onlay_testkit::node::Node;
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

/// An update of both workers, one after the other.
struct Rollout {
    /// Name of the configuration they go to.
    target: String,
    /// How often each was booted before, since it was switched on.
    boots: [u64; 2],
}

impl Rollout {
    async fn begin(cluster: &Cluster, text: &str) -> Self {
        let before = target(&cluster.pool_is("worker", "there", SOON, |_| true).await);
        let boots = WORKERS.map(|node| boots(cluster, node));
        cluster.apply(machine_config(NAME, "worker", file("/etc/motd", 0o644, text))).await;
        let pool = cluster.pool_is("worker", "on its way to another target", SOON, |pool| target(pool) != before).await;
        Self { target: target(&pool).unwrap(), boots }
    }

    /// Waits until a worker is in `at` or past it.
    async fn reaches(&self, cluster: &Cluster, node: &str, at: UpdatePhase) {
        let words = format!("{at:?} or past it");
        cluster.node_is(node, &words, NODE, |node| phase_of(node, &self.target) >= Some(at)).await;
    }

    /// Waits until one of the workers is in `at` or past it: either may be ready for its turn before the other.
    async fn first_to_reach(&self, cluster: &Cluster, at: UpdatePhase) -> &'static str {
        let nodes = Api::<MachineConfigNode>::all(cluster.client.clone());
        wait::until(&format!("a worker to be {at:?} or past it"), NODE, async || {
            for worker in WORKERS {
                if phase_of(&nodes.get(worker).await?, &self.target) >= Some(at) {
                    return Ok(Some(worker));
                }
            }
            Ok::<_, kube::Error>(None)
        })
        .await
        .unwrap()
    }

    /// Waits until worker-0 has staged the configuration and goes no further.
    async fn is_staged(&self, cluster: &Cluster) {
        let staged = Some(UpdatePhase::Staged);
        cluster.node_is(WORKERS[0], "Staged", NODE, |node| phase_of(node, &self.target) == staged).await;
    }

    /// Waits for the end, and shows that worker-0 has booted exactly `times` and worker-1 once.
    async fn converges(&self, cluster: &Cluster, text: &str, times: u64) {
        ends(cluster, text).await;
        let now = WORKERS.map(|node| boots(cluster, node));
        assert_eq!([now[0] - self.boots[0], now[1] - self.boots[1]], [times, 1], "boots of {WORKERS:?}");
        undo(cluster).await;
    }
}

/// How often a node was booted since it was switched on.
fn boots(cluster: &Cluster, node: &str) -> u64 {
    cluster.lab.node(node).unwrap().state().unwrap().boots
}

/// Waits until both workers have the text.
async fn ends(cluster: &Cluster, text: &str) {
    cluster.pool_is("worker", "Updated with 2 machines", NODE * 2, |pool| updated(pool, 2)).await;
    for node in WORKERS {
        assert_eq!(cluster.on_node(node, "cat /etc/motd").await, text);
    }
}

/// Takes the text away again.
async fn undo(cluster: &Cluster) {
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
        node.exec(&["pkill", "-9", "-f", "^onlayd agent "]).await.map(Some).map_err(|error| error.to_string())
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
    let rollout = Rollout::begin(&cluster, "killed\n").await;
    rollout.reaches(&cluster, WORKERS[0], at).await;
    kill_agent(&cluster, WORKERS[0]).await;
    rollout.converges(&cluster, "killed", 1).await;
}

#[tokio::test]
async fn an_agent_killed_while_it_pulls_an_image() {
    let cluster = Cluster::fresh().await;
    cluster.apply(pool("test")).await;
    cluster.apply(layered("test", "FROM configs AS final\nRUN echo pulled > /usr/share/onlay-pulled\n")).await;
    let build = cluster.build_is("test", "Succeeded", BUILD).await;
    let image = build.status.unwrap().digested_image_push_spec.unwrap();
    let target = target(&cluster.pool_is("test", "there", SOON, |_| true).await).unwrap();
    let (node, before) = (cluster.lab.node(WORKERS[0]).unwrap(), boots(&cluster, WORKERS[0]));
    // The registry takes the connection and says nothing, so that the pull cannot end before the agent does.
    let registry = cluster.lab.freeze_registry().unwrap();
    cluster.label(WORKERS[0], "node-role.kubernetes.io/test=").await;
    let pull = wait::until("the agent to pull the image", NODE, async || {
        // Brackets, since the words of this command are those of a process too.
        node.exec(&["pgrep", "-f", "onlay-ostree[ ]stage"]).await.map(Some).map_err(|error| error.to_string())
    });
    pull.await.unwrap();
    let preparing = Some(UpdatePhase::Preparing);
    cluster.node_is(WORKERS[0], "Preparing", SOON, |node| phase_of(node, &target) == preparing).await;
    kill_agent(&cluster, WORKERS[0]).await;
    drop(registry);
    cluster.pool_is("test", "Updated with 1 machine", NODE, |pool| updated(pool, 1)).await;
    assert_eq!(cluster.booted_digest(WORKERS[0]).await, digest_of(&image));
    assert_eq!(cluster.on_node(WORKERS[0], "cat /usr/share/onlay-pulled").await, "pulled");
    assert_eq!(boots(&cluster, WORKERS[0]) - before, 1);
}

#[tokio::test]
async fn a_controller_killed_in_a_rollout_loses_its_lease_to_another() {
    let cluster = Cluster::fresh().await;
    let rollout = Rollout::begin(&cluster, "no controller\n").await;
    rollout.reaches(&cluster, WORKERS[0], UpdatePhase::Applying).await;
    let controller = Controller::find(&cluster).await;
    // Without its pod nobody starts it again, and standing still it cannot give the lease away.
    controller.signal(&cluster, "STOP").await;
    cluster.kubectl(&["delete", "pod", "-n", NAMESPACE, &controller.pod, "--force", "--grace-period=0"]).await;
    controller.signal(&cluster, "KILL").await;
    let holder = holds_the_lease(&cluster, Timestamp::now()).await;
    assert_ne!(holder, controller.pod);
    rollout.converges(&cluster, "no controller", 1).await;
}

#[tokio::test]
async fn an_api_server_away_for_longer_than_the_guards_deadline_sends_no_node_back() {
    let cluster = Cluster::fresh().await;
    let first = deployment(&cluster).await;
    let rollout = Rollout::begin(&cluster, "away\n").await;
    rollout.reaches(&cluster, WORKERS[0], UpdatePhase::Applying).await;
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
    rollout.converges(&cluster, "away", 1).await;
}

#[tokio::test]
async fn a_power_cut_while_staged_while_going_down_and_while_booting() {
    let cluster = Cluster::fresh().await;
    let node = |name| cluster.lab.node(name).unwrap();
    let rollout = Rollout::begin(&cluster, "dark\n").await;
    power_is_away(&node(rollout.first_to_reach(&cluster, UpdatePhase::Staged).await)).await;
    let first = rollout.first_to_reach(&cluster, UpdatePhase::Rebooting).await;
    let other = *WORKERS.iter().find(|worker| **worker != first).unwrap();
    let _held = node(other).hold_at_boot().unwrap();
    let before = boots(&cluster, other);
    power_is_away(&node(first)).await;

    rollout.reaches(&cluster, other, UpdatePhase::Rebooting).await;
    let what = format!("{other} to be booting");
    let booting = wait::until(&what, NODE, async || match node(other).state() {
        Ok(state) if state.boots > before => Ok(Some(state)),
        Ok(state) => Err(format!("boot {}", state.boots)),
        Err(error) => Err(error.to_string()),
    });
    let booting = booting.await.unwrap();
    assert!(!booting.ready, "a boot that is held has ended: {booting:?}");
    power_is_away(&node(other)).await;

    ends(&cluster, "dark").await;
    // Each power cut begins the count anew. A shutdown that was cut off before it had made the new system the next one to boot
    // takes another one; that of the other node had ended.
    assert!((1..=2).contains(&boots(&cluster, first)), "boots of {first} after its last power cut");
    assert_eq!(boots(&cluster, other), 1, "boots of {other} after its power cut");
    undo(&cluster).await;
}

/// Cuts the power of a node, and gives it back.
async fn power_is_away(node: &Node) {
    node.power_cut().await.unwrap();
    node.start().await.unwrap();
}

#[tokio::test]
async fn a_reboot_typed_by_hand_while_an_image_is_staged_boots_the_old_system() {
    let cluster = Cluster::fresh().await;
    // A budget that allows no eviction keeps the rollout at the drain, with the image staged and locked.
    cluster.apply(crate::cluster::held_workload()).await;
    cluster.kubectl(&["rollout", "status", "deployment/held", "--timeout=60s"]).await;
    let booted = deployment(&cluster).await;
    let rollout = Rollout::begin(&cluster, "by hand\n").await;
    rollout.is_staged(&cluster).await;
    let before =
        cluster.on_node(WORKERS[0], "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running; true").await;
    cluster.lab.node(WORKERS[0]).unwrap().reboot().await.unwrap();
    rollout.is_staged(&cluster).await;
    assert_eq!(deployment(&cluster).await, booted, "the old system boots; before: {before}");
    cluster.kubectl(&["delete", "pdb,deployment", "held"]).await;
    rollout.converges(&cluster, "by hand", 2).await;
}

#[tokio::test]
async fn a_node_object_deleted_while_its_node_drains() {
    let cluster = Cluster::fresh().await;
    cluster.apply(crate::cluster::held_workload()).await;
    cluster.kubectl(&["rollout", "status", "deployment/held", "--timeout=60s"]).await;
    let rollout = Rollout::begin(&cluster, "deleted").await;
    rollout.is_staged(&cluster).await;
    cluster.kubectl(&["delete", "node", WORKERS[0]]).await;
    cluster.on_node(WORKERS[0], "systemctl restart kubelet").await;
    comes_again(&cluster).await;
    cluster.kubectl(&["delete", "pdb,deployment", "held"]).await;
    rollout.converges(&cluster, "deleted", 1).await;
}

#[tokio::test]
async fn a_node_object_deleted_while_its_node_goes_down() {
    let cluster = Cluster::fresh().await;
    // kubelet makes a Node when it starts, and not again: the deletion has to come before.
    let held = cluster.lab.node(WORKERS[0]).unwrap().hold_at_boot().unwrap();
    let rollout = Rollout::begin(&cluster, "going").await;
    rollout.reaches(&cluster, WORKERS[0], UpdatePhase::Rebooting).await;
    cluster.kubectl(&["delete", "node", WORKERS[0]]).await;
    drop(held);
    comes_again(&cluster).await;
    rollout.converges(&cluster, "going", 1).await;
}

/// Waits until kubelet, which does so when it starts, has made the Node again, and gives it its role.
async fn comes_again(cluster: &Cluster) {
    cluster.kubectl(&["wait", "--for=create", &format!("node/{}", WORKERS[0]), "--timeout=60s"]).await;
    cluster.label(WORKERS[0], "node-role.kubernetes.io/worker=").await;
}

#[tokio::test]
async fn an_image_whose_kubelet_cannot_start_comes_back_alone() {
    let cluster = Cluster::fresh().await;
    cluster.apply(pool("test")).await;
    cluster.apply(layered("test", "FROM configs AS final\nRUN ln -sf /bin/false /usr/bin/kubelet\n")).await;
    cluster.build_is("test", "Succeeded", BUILD).await;
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
