//! A real API server with our definitions, and what tests ask of it.

use std::time::Duration;

use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use onlay_testkit::{ApiServer, objects};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::structure::{group, version};

/// How long the API server may take to act on a new definition or policy.
pub const PATIENCE: Duration = Duration::from_secs(30);

static WITH_DEFINITIONS: OnceCell<ApiServer> = OnceCell::const_new();

/// An administrator's client of the server that has our definitions and nothing else.
pub async fn with_definitions() -> Client {
    let server = WITH_DEFINITIONS.get_or_init(|| async {
        let server = ApiServer::start().await.unwrap();
        apply_definitions(&server.client().await.unwrap()).await;
        server
    });
    server.await.client().await.unwrap()
}

/// Applies our definitions and waits until their kinds are served.
pub async fn apply_definitions(client: &Client) {
    objects::define(client, &onlay_api::crds().unwrap()).await.unwrap();
}

/// Access to the objects of one of our kinds as plain JSON.
pub fn kind_api(client: &Client, kind: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(group(kind), version(kind), kind);
    Api::all_with(client.clone(), &ApiResource::from_gvk(&gvk))
}

/// Turns JSON into an object that can be sent.
pub fn object(value: &Value) -> DynamicObject {
    serde_json::from_value(value.clone()).unwrap()
}
