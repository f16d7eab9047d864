//! What a node downloads of images that differ in their last line.

use super::{Base, POOL, apply, cases, ready};
use crate::bench::{Figure, Goal, Measured, mebibytes};
use crate::{Outcome, demo};
use kube::api::Api;
use onlay_api::MachineConfigNode;
use onlay_testkit::timeline::{Milestone, Timeline};
use onlay_testkit::{Lab, wait};
use std::time::Duration;

/// The node that gets the images; nothing is built on it.
const NODE: &str = "worker-1";
/// How long an update may take.
const PATIENCE: Duration = Duration::from_secs(300);
const HOW: &str =
    "bytes that went to the node over its network from the change until it had staged the image, all of its traffic";

/// Moves the node to the first image of a base and then to that with another last line, and back out of the pool.
pub async fn rows(lab: &Lab, base: &Base) -> Measured<Vec<Figure>> {
    let kubectl = lab.kubectl()?;
    let label = format!("node-role.kubernetes.io/{POOL}");
    let first = ready(lab).await?;
    let joins = async || {
        kubectl.run(&["label", "node", NODE, &format!("{label}=")]).await?;
        Ok(())
    };
    let whole = fetched(lab, joins).await?;
    runs(lab, &first).await?;
    let [.., last] = cases();
    let layer = fetched(lab, async || apply(&kubectl, base, &last.containerfile).await).await?;
    runs(lab, &ready(lab).await?).await?;
    kubectl.run(&["label", "node", NODE, &format!("{label}-")]).await?;
    demo::in_pool(lab, "worker", &[NODE.to_owned()]).await?;
    let row = |what: &str, kibibytes, goal| mebibytes(format!("{}{what}", base.rows), kibibytes, goal, HOW);
    Ok(vec![
        row("first build, downloaded by a node", whole, Goal::Free),
        row("last line changed, downloaded by a node", layer, Goal::Words("only that layer")),
    ])
}

/// KiB that the node is sent from before something is done until it has staged an image.
async fn fetched(lab: &Lab, act: impl AsyncFnOnce() -> Outcome) -> Measured<f64> {
    let timeline = Timeline::start(&lab.client().await?, |_| {}).await?;
    let before = sent()?;
    act().await?;
    wait::until("the node to have staged the image", PATIENCE, async || {
        let moments = timeline.moments();
        let is_staged = moments.iter().any(|moment| moment.node == NODE && moment.milestone == Milestone::Staged);
        if is_staged { Ok(Some(())) } else { Err(format!("{moments:?}")) }
    })
    .await?;
    Ok((sent()? - before) / 1024.0)
}

/// Bytes that this machine has sent to the node since the node started: what is sent and what is received are seen from the bridge.
fn sent() -> Measured<f64> {
    Ok(std::fs::read_to_string(format!("/sys/class/net/vb-{NODE}/statistics/tx_bytes"))?.trim().parse()?)
}

/// Waits until the node runs an image.
async fn runs(lab: &Lab, image: &str) -> Outcome {
    let nodes = Api::<MachineConfigNode>::all(lab.client().await?);
    wait::until(&format!("{NODE} to run {image}"), PATIENCE, async || {
        let status = nodes.get(NODE).await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let current = status.config_image.and_then(|known| known.current_image);
        if current.as_deref() == Some(image) { Ok(Some(())) } else { Err(format!("it runs {current:?}")) }
    })
    .await?;
    Ok(())
}
