use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use onlay_api::MachineConfigPool;
use onlay_api::names::{ORIGINS_ANNOTATION, RENDER_ERROR_ANNOTATION, SOURCES_ANNOTATION};
use onlay_core::render::limit::MAX_STORED;
use onlay_testkit::wait;
use serde_json::json;

use crate::world::{PATIENCE, World};

#[tokio::test]
async fn an_empty_pool_renders_empty_and_is_updated() {
    let world = World::new().await;
    world.pool("empty", json!({})).await;
    let name = world.rendered("empty", |_| true).await;
    assert!(name.starts_with("rendered-empty-"), "{name}");
    let pool = world.columns("empty", "True False False 0 0 0 0").await;
    assert_eq!(pool.status.unwrap().configuration.unwrap().name, name);
}

#[tokio::test]
async fn machine_configs_become_one_configuration_with_its_sources() {
    let world = World::new().await;
    world.pool("sources", json!({})).await;
    world.file("50-b", "sources", "/etc/b", "b").await;
    world.file("50-a", "sources", "/etc/a", "a").await;
    let name = world.rendered("sources", |sources| sources == ["50-a", "50-b"]).await;
    let rendered = world.configs.get(&name).await.unwrap();
    let annotations = rendered.metadata.annotations.unwrap();
    assert_eq!(annotations[SOURCES_ANNOTATION], r#"["50-a","50-b"]"#);
    assert_eq!(annotations[ORIGINS_ANNOTATION], r#"{"paths":{"/etc/a":{"contents":[0]},"/etc/b":{"contents":[1]}}}"#);
    assert_eq!(rendered.metadata.owner_references.unwrap()[0].kind, "MachineConfigPool");
    assert_eq!(rendered.spec.config["storage"]["files"].as_array().unwrap().len(), 2);
    let tells_sources = |pool: &MachineConfigPool| {
        let configuration = pool.status.as_ref().and_then(|status| status.configuration.as_ref());
        configuration.is_some_and(|configuration| configuration.source.len() == 2)
    };
    world.see(&world.pools, "sources", "status with both sources", tells_sources).await;

    world.configs.delete("50-b", &DeleteParams::default()).await.unwrap();
    let other = world.rendered("sources", |sources| sources == ["50-a"]).await;
    assert_ne!(name, other);
}

#[tokio::test]
async fn a_deleted_rendered_configuration_is_made_again() {
    let world = World::new().await;
    world.pool("again", json!({})).await;
    let name = world.rendered("again", |_| true).await;
    let before = world.see(&world.configs, &name, "written", |_| true).await.metadata.uid;
    world.configs.delete(&name, &DeleteParams::default()).await.unwrap();
    world.see(&world.configs, &name, "made again", |config| config.metadata.uid != before).await;
}

#[tokio::test]
async fn what_nodes_that_run_cannot_take_is_refused_and_the_target_stays() {
    let world = World::new().await;
    world.pool("running", json!({})).await;
    world.node("running-0", "running").await;
    let good = world.rendered("running", |_| true).await;
    world.see(&world.states, "running-0", "met", |_| true).await;
    world.agent("running-0", &good, None).await;
    world.columns("running", "True False False 1 1 1 0").await;

    let quiet = json!({"ignition": {"version": "3.5.0"}, "kernelArguments": {"shouldExist": ["quiet"]}});
    world.ignition("60-quiet", "running", quiet).await;
    let pool = world.columns("running", "False False True 1 1 1 0").await;
    let error = &pool.metadata.annotations.as_ref().unwrap()[RENDER_ERROR_ANNOTATION];
    assert!(error.contains("kernelArguments.shouldExist cannot change on nodes that run"), "{error}");
    assert_eq!(pool.spec.configuration.as_ref().unwrap().name, good);

    world.configs.delete("60-quiet", &DeleteParams::default()).await.unwrap();
    world.columns("running", "True False False 1 1 1 0").await;
}

#[tokio::test]
async fn what_cannot_be_rendered_is_told_and_repairs_itself() {
    let world = World::new().await;
    world.pool("broken", json!({})).await;
    world.file("50-good", "broken", "/etc/good", "1").await;
    let good = world.rendered("broken", |sources| sources == ["50-good"]).await;
    world.ignition("60-old", "broken", json!({"ignition": {"version": "2.2.0"}})).await;
    let pool = world.columns("broken", "False False True 0 0 0 0").await;
    let annotation = &pool.metadata.annotations.as_ref().unwrap()[RENDER_ERROR_ANNOTATION];
    assert!(annotation.contains("60-old") && annotation.contains("2.2.0"), "{annotation}");
    let status = pool.status.as_ref().unwrap();
    let condition = status.conditions.iter().find(|each| each.type_ == "RenderDegraded").unwrap();
    assert_eq!((condition.status.as_str(), &condition.message), ("True", annotation));
    assert_eq!(pool.spec.configuration.as_ref().unwrap().name, good, "the target stays");

    let events: Api<Event> = Api::namespaced(world.client.clone(), "default");
    wait::until("an Event with the reason", PATIENCE, async || {
        let told = events.list(&ListParams::default().fields("reason=RenderFailed")).await?;
        Ok::<_, kube::Error>(told.iter().any(|event| event.note.as_ref() == Some(annotation)).then_some(()))
    })
    .await
    .unwrap();

    world.ignition("60-old", "broken", json!({"ignition": {"version": "3.2.0"}})).await;
    let pool = world.columns("broken", "True False False 0 0 0 0").await;
    assert!(!pool.metadata.annotations.unwrap_or_default().contains_key(RENDER_ERROR_ANNOTATION));
}

#[tokio::test]
async fn as_much_as_the_store_takes_is_rendered_and_more_is_told() {
    let world = World::new().await;
    world.pool("large", json!({})).await;
    // What Go escapes is stored as six characters.
    let comments = format!("# {}\n", "&".repeat(1_000)).repeat(50);
    let unit = format!("[Service]\nExecStart=/bin/true\n{comments}");
    let unit = json!({"units": [{"name": "large.service", "contents": unit}]});
    world.ignition("50-unit", "large", json!({"ignition": {"version": "3.5.0"}, "systemd": unit})).await;
    world.file("51-a", "large", "/etc/a", &"a".repeat(600_000)).await;
    world.file("52-b", "large", "/etc/b", &"b".repeat(MAX_STORED - 600_000 - 300_000 - 2_000)).await;
    let sources = ["50-unit", "51-a", "52-b"];
    let name = world.rendered("large", |found| found == sources).await;
    world.see(&world.configs, &name, "stored", |_| true).await;

    world.file("53-c", "large", "/etc/c", &"c".repeat(2_000)).await;
    let pool = world.columns("large", "False False True 0 0 0 0").await;
    let status = pool.status.as_ref().unwrap();
    let condition = status.conditions.iter().find(|each| each.type_ == "RenderDegraded").unwrap();
    let largest = "the largest parts: MachineConfig 52-b (6";
    assert!(condition.message.contains(largest) && condition.message.contains("51-a"), "{}", condition.message);
    assert_eq!(pool.spec.configuration.as_ref().unwrap().name, name, "the target stays");
}

#[tokio::test]
async fn what_is_probably_not_meant_is_told_once() {
    let world = World::new().await;
    world.pool("odd", json!({})).await;
    let odd = |spelling: &str| {
        let file = json!({"path": "/etc/odd", "mode": 644, "contents": {"source": "data:,odd"}, spelling: "root"});
        json!({"ignition": {"version": "3.5.0"}, "storage": {"files": [file]}})
    };
    world.ignition("50-odd", "odd", odd("owner")).await;
    let first =
        ["MachineConfig 50-odd: storage.files[0].mode: 644 is octal 1204", "storage.files[0].owner: is ignored"];
    suspicions(&world, "odd", &first).await;

    let before = world.rendered("odd", |sources| sources == ["50-odd"]).await;
    world.file("60-fine", "odd", "/etc/fine", "fine").await;
    world.rendered_anew("odd", &before).await;
    world.ignition("50-odd", "odd", odd("group-owner")).await;
    suspicions(&world, "odd", &[&first[..], &["storage.files[0].group-owner: is ignored"]].concat()).await;
}

/// Waits until the pool has exactly these Events about what is suspicious, each with one of these parts.
async fn suspicions(world: &World, pool: &str, parts: &[&str]) {
    let events: Api<Event> = Api::namespaced(world.client.clone(), "default");
    let what = format!("{} Events about pool {pool}", parts.len());
    wait::until(&what, PATIENCE, async || {
        let told = events.list(&ListParams::default().fields("reason=Suspicious")).await.map_err(|e| e.to_string())?;
        let of_pool = |event: &&Event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(pool);
        let told: Vec<&Event> = told.iter().filter(of_pool).collect();
        let notes: Vec<_> = told.iter().map(|event| event.note.clone().unwrap_or_default()).collect();
        let all = parts.iter().all(|part| notes.iter().filter(|note| note.contains(part)).count() == 1);
        let warnings = told.iter().all(|event| event.type_.as_deref() == Some("Warning"));
        if all && warnings && notes.len() == parts.len() { Ok(Some(())) } else { Err(format!("{notes:?}")) }
    })
    .await
    .unwrap();
}
