//! The commands of docs/user, typed as they stand.

use crate::cluster::{Cluster, NODE, WORKERS, updated};
use onlay_testkit::command;

/// The blocks that a shell can run.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == "```sh" {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

/// Types a block of a page into a shell.
async fn typed(cluster: &Cluster, block: &str) -> String {
    let mut shell = command::command(&["sh", "-euxc", block]);
    let programs = cluster.kubectl.program().parent().unwrap();
    shell.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
    shell.env("KUBECONFIG", cluster.lab.layout().kubeconfig()).env("EXAMPLE", "../lab/examples/autofs");
    command::output(&mut shell).await.unwrap()
}

#[tokio::test]
async fn the_page_about_autofs_does_what_it_says() {
    let cluster = Cluster::fresh().await;
    let blocks = blocks(include_str!("../../../docs/user/autofs.md"));
    assert!(blocks.len() > 4, "the page has its commands");
    for block in blocks {
        typed(&cluster, &block).await;
    }
    cluster.pool_is("worker", "Updated with 2 machines", NODE, |pool| updated(pool, 2)).await;
}

#[tokio::test]
async fn the_page_about_the_cost_of_changes_does_what_it_says() {
    let cluster = Cluster::fresh().await;
    let blocks = blocks(include_str!("../../../docs/user/disruption.md"));
    let [reboots, policy, lives] = blocks.as_slice() else { panic!("the page has other commands: {blocks:?}") };
    let state = "cat /proc/sys/kernel/random/boot_id /run/greeting";
    typed(&cluster, reboots).await;
    let mut boots = Vec::new();
    for node in WORKERS {
        let state = cluster.on_node(node, state).await;
        boots.push(state.strip_suffix("\nhello").expect(&state).to_owned());
    }
    assert!(typed(&cluster, policy).await.ends_with("/etc/example"), "the user's entry comes after the defaults");
    let events = typed(&cluster, lives).await;
    for (node, boot) in WORKERS.iter().zip(boots) {
        assert_eq!(cluster.on_node(node, state).await, format!("{boot}\nhello again"));
        assert!(events.contains(&format!("node/{node}")), "{events}");
    }
}
