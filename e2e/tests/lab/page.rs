//! The commands of docs/user, typed as they stand.

use crate::cluster::{Cluster, NODE, updated};
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

#[tokio::test]
async fn the_page_about_autofs_does_what_it_says() {
    let cluster = Cluster::fresh().await;
    let page = include_str!("../../../docs/user/autofs.md");
    let blocks = blocks(page);
    assert!(blocks.len() > 4, "the page has its commands");
    for block in blocks {
        let mut shell = command::command(&["sh", "-euxc", &block]);
        let programs = cluster.kubectl.program().parent().unwrap();
        shell.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
        shell.env("KUBECONFIG", cluster.lab.layout().kubeconfig()).env("EXAMPLE", "../lab/examples/autofs");
        command::output(&mut shell).await.unwrap();
    }
    cluster.pool_is("worker", "Updated with 2 machines", NODE, |pool| updated(pool, 2)).await;
}
