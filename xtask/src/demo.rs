//! `cargo xtask demo`: the story of docs/user/autofs.md, live in a terminal.

mod build;
pub mod report;

use crate::{Outcome, run};
use kube::api::Api;
use onlay_api::{MachineConfigNode, MachineConfigPool};
use onlay_testkit::lab::Options;
use onlay_testkit::timeline::{Moment, Timeline};
use onlay_testkit::{Lab, Progress, install, wait};
use std::time::Duration;

/// The pool of the example.
const POOL: &str = "worker-automount";
/// How long the build may take; it fetches one package.
const BUILD: Duration = Duration::from_secs(600);
/// How long both nodes may take.
const ROLLOUT: Duration = Duration::from_secs(600);

#[derive(clap::Args)]
pub struct Arguments {}

/// What the story came to.
pub struct Told {
    /// The lab it was told in.
    pub lab: Lab,
    /// The nodes that were updated.
    pub nodes: Vec<String>,
    /// The image that was built, by digest.
    pub image: String,
    /// Every milestone of the nodes.
    pub moments: Vec<Moment>,
}

/// `cargo xtask demo`
pub fn run(_arguments: &Arguments) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let told = story(&Options::from_environment()?, &Progress::stderr()).await?;
        println!("\n{}", report::table(&told.nodes, &told.moments));
        println!("{}", report::proof(&told.lab, &told.nodes, &told.image).await?);
        println!("{}", report::next(&told.lab)?);
        Ok(())
    })
}

/// Brings the lab up, installs onlay, applies the example, and moves the workers into its pool.
pub async fn story(options: &Options, progress: &Progress) -> Result<Told, Box<dyn std::error::Error>> {
    let lab = Lab::up_with(options, progress).await?;
    install::onlay(&lab, progress).await?;
    install::example_secrets(&lab).await?;
    begin_anew(&lab, progress).await?;
    progress.say("kubectl apply -k lab/examples/autofs");
    let example = run::root().join("lab/examples/autofs");
    lab.kubectl()?.run(&["apply", "-k", &example.to_string_lossy()]).await?;
    let image = build::follow(&lab, POOL, BUILD, progress).await?;
    let teller = progress.clone();
    let timeline = Timeline::start(&lab.client().await?, move |moment| teller.say(line(moment))).await?;
    let nodes = move_workers(&lab, progress).await?;
    in_pool(&lab, POOL, &nodes).await?;
    let moments = timeline.moments();
    Ok(Told { lab, nodes, image, moments })
}

fn line(moment: &Moment) -> String {
    format!("{} {}", moment.node, moment.milestone)
}

/// Takes away what an earlier demo left, so that the story is told from its beginning.
async fn begin_anew(lab: &Lab, progress: &Progress) -> Outcome {
    let kubectl = lab.kubectl()?;
    kubectl.run(&["delete", "machineosconfig", POOL, "--ignore-not-found"]).await?;
    let workers = lab.workers();
    for worker in &workers {
        let labels = ["node-role.kubernetes.io/worker=", "node-role.kubernetes.io/worker-automount-"];
        kubectl.run(&["label", "--overwrite", "node", worker, labels[0], labels[1]]).await?;
    }
    kubectl.run(&["delete", "mcp", POOL, "--ignore-not-found"]).await?;
    progress.say(format!("waiting for {} to be in pool worker and up to date", workers.join(", ")));
    in_pool(lab, "worker", &workers).await
}

/// Moves the workers into the pool: every other one by adding the role, the rest by taking `worker` away as well.
async fn move_workers(lab: &Lab, progress: &Progress) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let workers = lab.workers();
    for (number, worker) in workers.iter().enumerate() {
        let labels: &[&str] = match number % 2 {
            0 => &["node-role.kubernetes.io/worker-automount="],
            _ => &["node-role.kubernetes.io/worker-", "node-role.kubernetes.io/worker-automount="],
        };
        progress.say(format!("kubectl label node {worker} {}", labels.join(" ")));
        lab.kubectl()?.run(&[&["label", "--overwrite", "node", worker], labels].concat()).await?;
    }
    Ok(workers)
}

/// Waits until all of `nodes` are in the pool, run what it wants, and take pods.
pub async fn in_pool(lab: &Lab, pool: &str, nodes: &[String]) -> Outcome {
    let client = lab.client().await?;
    let (pools, all) = (Api::<MachineConfigPool>::all(client.clone()), Api::<MachineConfigNode>::all(client.clone()));
    let machines = Api::<k8s_openapi::api::core::v1::Node>::all(client);
    wait::until(&format!("{} in pool {pool} to be updated", nodes.join(", ")), ROLLOUT, async || {
        let target = pools.get(pool).await.map_err(text)?.spec.configuration.map(|target| target.name);
        for name in nodes {
            let node = all.get(name).await.map_err(text)?;
            let update = node.status.clone().and_then(|status| status.onlay).and_then(|onlay| onlay.update);
            let current = node.status.and_then(|status| status.config_version).and_then(|version| version.current);
            if node.spec.pool.name != pool || current != target {
                let message = update.map(|update| format!("{:?}: {}", update.phase, update.message));
                return Err(format!("{name}: {}", message.unwrap_or_else(|| "has not begun".to_owned())));
            }
            if machines.get(name).await.map_err(text)?.spec.and_then(|spec| spec.unschedulable).unwrap_or(false) {
                return Err(format!("{name}: is still cordoned"));
            }
        }
        Ok(Some(()))
    })
    .await?;
    Ok(())
}

fn text(error: kube::Error) -> String {
    error.to_string()
}
