//! The proxies of the cluster, where its API has an object for them.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use onlay_api::layering_policy::Proxy;

use crate::report::chain;

/// How long an answer is remembered.
const MEMORY: SignedDuration = SignedDuration::from_secs(30);

/// The proxies of the cluster.
pub struct ClusterProxy {
    api: Api<DynamicObject>,
    known: Mutex<Option<(Timestamp, Option<Proxy>)>>,
}

impl ClusterProxy {
    /// Asks this cluster.
    pub fn new(client: Client) -> Self {
        let kind =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("config.openshift.io", "v1", "Proxy"), "proxies");
        Self { api: Api::all_with(client, &kind), known: Mutex::default() }
    }

    /// What is in force; none where there is no such object or no such kind. An API server that cannot be asked leaves what
    /// it said last.
    pub async fn get(&self, now: Timestamp) -> Option<Proxy> {
        let before = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, known)) = before.as_ref().filter(|(at, _)| now.duration_since(*at) < MEMORY) {
            return known.clone();
        }
        let known = match self.api.get_opt("cluster").await {
            Ok(object) => object.as_ref().and_then(in_force),
            // A cluster without the kind answers with no Status, so that its reason is unknown.
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => {
                tracing::warn!(error = chain(&error), "failed to ask for the proxies of the cluster");
                before.and_then(|(_, known)| known)
            }
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, known.clone()));
        known
    }
}

/// The status says what is in force; none if there is no proxy in it.
fn in_force(object: &DynamicObject) -> Option<Proxy> {
    let text = |name: &str| {
        let value = object.data.get("status")?.get(name)?.as_str()?;
        Some(value.to_owned()).filter(|value| !value.is_empty())
    };
    let proxy = Proxy { http_proxy: text("httpProxy"), https_proxy: text("httpsProxy"), no_proxy: text("noProxy") };
    Some(proxy).filter(|proxy| proxy.http_proxy.is_some() || proxy.https_proxy.is_some())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::in_force(json!({"status": {"httpsProxy": "http://a:1", "noProxy": ".svc"}}), Some(("http://a:1", ".svc")))]
    #[case::only_asked_for(json!({"spec": {"httpsProxy": "http://a:1"}}), None)]
    #[case::empty(json!({"status": {"httpsProxy": "", "noProxy": ".svc"}}), None)]
    fn proxies(#[case] mut object: Value, #[case] expected: Option<(&str, &str)>) {
        object["apiVersion"] = "config.openshift.io/v1".into();
        object["kind"] = "Proxy".into();
        object["metadata"] = json!({"name": "cluster"});
        let found = in_force(&serde_json::from_value(object).unwrap());
        let found = found.map(|proxy| (proxy.https_proxy.unwrap_or_default(), proxy.no_proxy.unwrap_or_default()));
        assert_eq!(found.as_ref().map(|(https, no)| (https.as_str(), no.as_str())), expected);
    }
}
