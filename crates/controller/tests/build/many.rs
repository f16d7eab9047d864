//! Many builds at once, and a pool of many nodes.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Node;
use kube::api::{GetParams, PostParams};
use kube::core::Request;
use onlay_api::conditions::{BuildConditionType, ConditionType};
use onlay_api::{MachineConfigPool, MachineOSBuild, MachineOSConfig};
use onlay_core::build::spec::Outcome;
use onlay_testkit::{objects, wait};
use serde_json::json;

use crate::world::{World, state_of};

/// Pools that build at once.
const POOLS: usize = 10;
/// Nodes of the first one.
const NODES: usize = 500;
/// How long all of it may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn name(pool: usize) -> String {
    format!("many-{pool}")
}

async fn make_pool(world: &World, pool: usize) {
    let name = name(pool);
    let selector = |label: &str, value: &str| json!({"matchLabels": {label: value}});
    let spec = json!({
        "nodeSelector": selector("role", &name),
        "machineConfigSelector": selector("machineconfiguration.openshift.io/role", "worker"),
    });
    objects::apply(&world.all::<MachineConfigPool>(), &name, json!({"spec": spec})).await.unwrap();
}

/// The MachineOSConfig of a pool, with a Containerfile that names it.
async fn ask(world: &World, pool: usize) {
    let name = name(pool);
    let spec = json!({
        "machineConfigPool": {"name": name},
        "containerFile": [{"content": format!("FROM configs AS final\nRUN echo {name}.\n")}],
        "imageBuilder": {"imageBuilderType": "Job"},
        "renderedImagePushSecret": {"name": "push-secret"},
        "renderedImagePushSpec": format!("{}/os/{name}:latest", world.registry.address()),
    });
    objects::apply(&world.all::<MachineOSConfig>(), &name, json!({"spec": spec})).await.unwrap();
}

async fn add_nodes(world: &World) {
    let api = world.all::<Node>();
    let create = |number: usize| {
        let labels = json!({"role": name(0), "kubernetes.io/arch": "amd64"});
        let node = json!({"metadata": {"name": format!("node-{number}"), "labels": labels}});
        let (api, node): (_, Node) = (api.clone(), serde_json::from_value(node).unwrap());
        async move { api.create(&PostParams::default(), &node).await.unwrap() }
    };
    for hundred in 0..NODES / 100 {
        join_all((hundred * 100..(hundred + 1) * 100).map(create)).await;
    }
}

/// Waits until the controller has seen all nodes of the first pool.
async fn nodes_are_known(world: &World) {
    let (api, name) = (world.all::<MachineConfigPool>(), name(0));
    wait::until(&format!("{name} to have {NODES} nodes"), PATIENCE, async || {
        let pool = api.get(&name).await.map_err(|error| error.to_string())?;
        let count = pool.status.unwrap_or_default().machine_count;
        if usize::try_from(count) == Ok(NODES) { Ok(Some(())) } else { Err(count.to_string()) }
    })
    .await
    .unwrap();
}

/// How often the API server was asked for nodes, and for what is known of them, since it started, by whomever. What is written
/// is not counted: the rollout writes about nodes, whether there are builds or not.
async fn reads_of_nodes(world: &World) -> Vec<String> {
    let request = Request::new("").get("metrics", &GetParams::default()).unwrap();
    let text = world.client.request_text(request).await.unwrap();
    let is_read = |line: &&str| {
        let has =
            |label: &str, values: [&str; 2]| values.iter().any(|each| line.contains(&format!("{label}=\"{each}\"")));
        line.starts_with("apiserver_request_total{")
            && has("resource", ["nodes", "machineconfignodes"])
            && has("verb", ["GET", "LIST"])
    };
    let mut lines: Vec<_> = text.lines().filter(is_read).map(str::to_owned).collect();
    lines.sort();
    assert!(!lines.is_empty(), "the controller lists nodes when it starts: {text}");
    lines
}

/// The build of a pool, once it is in a state.
async fn build(world: &World, pool: usize, state: BuildConditionType) -> MachineOSBuild {
    let (api, name) = (world.all::<MachineOSBuild>(), name(pool));
    wait::until(&format!("a build of {name} that is {}", state.as_str()), PATIENCE, async || {
        let builds = api.list(&Default::default()).await.map_err(|error| error.to_string())?.items;
        let of_pool = builds.into_iter().find(|build| build.spec.machine_os_config.name == name);
        Ok::<_, String>(of_pool.filter(|build| state_of(build) == Some(state)))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn ten_pools_build_at_once_and_none_gets_what_another_one_has_built() {
    let world = World::new().await;
    add_nodes(&world).await;
    join_all((0..POOLS).map(|pool| make_pool(&world, pool))).await;
    nodes_are_known(&world).await;
    let reads = reads_of_nodes(&world).await;
    join_all((0..POOLS).map(|pool| ask(&world, pool))).await;
    let mut jobs = Vec::new();
    for pool in 0..POOLS {
        let build = build(&world, pool, BuildConditionType::Prepared).await;
        let job = world.job(&build).await;
        let spec = world.asked(&job).await.unwrap();
        let others = (0..POOLS).filter(|other| spec.contains(&format!("echo {}.", name(*other))));
        assert_eq!(others.collect::<Vec<_>>(), [pool], "{spec}");
        world.pod_runs(&job).await;
        jobs.push(job);
    }
    // They end in another order than they began.
    let mut images = Vec::new();
    for (pool, job) in jobs.iter().enumerate().rev() {
        build(&world, pool, BuildConditionType::Building).await;
        let played = format!("os/{}:played", name(pool));
        let image = world.registry.push_empty(&played, &json!({"pool": name(pool)})).await.unwrap();
        world.ends(job, &Outcome::Pushed { image: image.clone() }).await;
        images.push((pool, image));
    }
    let configs = world.all::<MachineOSConfig>();
    for (pool, image) in images {
        let done = build(&world, pool, BuildConditionType::Succeeded).await;
        assert_eq!(done.status.unwrap().digested_image_push_spec.as_deref(), Some(image.as_str()));
        wait::until(&format!("the image of {}", name(pool)), PATIENCE, async || {
            let config = configs.get(&name(pool)).await.map_err(|error| error.to_string())?;
            let current = config.status.and_then(|status| status.current_image_pull_spec);
            Ok::<_, String>((current.as_deref() == Some(image.as_str())).then_some(()))
        })
        .await
        .unwrap();
    }
    // What builds know of nodes comes from a watch: they ask for none, however many there are.
    assert_eq!(reads_of_nodes(&world).await, reads);
}
