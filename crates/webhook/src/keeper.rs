//! Keeps the certificates in order: in the Secret, where API servers trust them, and in the server of this instance.
//!
//! Instances need no lease: a write names the version of the Secret that it was decided on, so that of two that decide the
//! same one is refused, and reads again.

use std::convert::Infallible;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use onlay_api::names;
use serde_json::{Value, json};

use crate::Config;
use crate::certificates::{self, IssueError, Next, Pems, facts, next};

/// How often everything is looked at.
const PERIOD: Duration = Duration::from_secs(60);
/// How soon a failure is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// Keys of the Secret.
const KEYS: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];
/// The definitions of kinds with two versions.
const CONVERTED: [&str; 2] = ["machineosconfigs", "machineosbuilds"];

/// Why certificates are not in order.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The API server refused, or could not be reached.
    #[error("failed to {verb} {object}")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Kind and name.
        object: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// No certificate could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The server did not take a certificate.
    #[error("failed to use the certificate of Secret {}", names::WEBHOOK_SECRET)]
    Server(#[source] std::io::Error),
}

/// Keeps the certificates in order.
pub struct Keeper {
    client: Client,
    namespace: String,
    hosts: Vec<String>,
}

impl Keeper {
    /// A keeper for the webhook of these settings.
    pub fn new(client: Client, config: &Config) -> Self {
        Self { client, namespace: config.namespace.clone(), hosts: config.hosts() }
    }

    /// The certificates to begin with; waits for the API server as long as it takes, and says so.
    pub async fn first(&self) -> Pems {
        loop {
            match self.ensure(Timestamp::now()).await {
                Ok(pems) => return pems,
                Err(error) => tracing::warn!(error = &error as &dyn Error, "still waiting for certificates"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Keeps everything in order; `published` turns true when API servers have been told whom to trust.
    pub async fn run(&self, tls: &RustlsConfig, published: &AtomicBool) -> Infallible {
        loop {
            let outcome = self.pass(tls).await;
            published.fetch_or(outcome.is_ok(), Ordering::Relaxed);
            let pause = match outcome {
                Ok(()) => PERIOD,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn Error,
                        "failed to keep the certificates in order; trying again"
                    );
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn pass(&self, tls: &RustlsConfig) -> Result<(), KeeperError> {
        let pems = self.ensure(Timestamp::now()).await?;
        self.publish(&pems.authorities).await?;
        let loaded = tls.reload_from_pem(pems.certificate.into_bytes(), pems.key.into_bytes());
        loaded.await.map_err(KeeperError::Server)
    }

    /// Reads the Secret, and writes what is due.
    async fn ensure(&self, now: Timestamp) -> Result<Pems, KeeperError> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let found = secrets.get_opt(names::WEBHOOK_SECRET).await.map_err(failed("read", secret_name()))?;
        let pems = found.as_ref().map(read).unwrap_or_default();
        let decided = next(&facts(&pems), &self.hosts, now);
        let due = match decided {
            Next::Keep => return Ok(pems),
            Next::Begin => certificates::begin(&self.hosts, now)?,
            Next::AddAuthority => certificates::add_authority(&pems, now)?,
            Next::Sign => certificates::sign(&pems, &self.hosts, now)?,
        };
        tracing::info!(?decided, "writing certificates");
        let params = PostParams { field_manager: Some(names::WEBHOOK_MANAGER.to_owned()), ..PostParams::default() };
        let written = match &found {
            None => secrets.create(&params, &self.secret(&due, Secret::default())).await,
            Some(old) => secrets.replace(names::WEBHOOK_SECRET, &params, &self.secret(&due, old.clone())).await,
        };
        written.map(|_| due).map_err(failed("write", secret_name()))
    }

    /// The Secret with these certificates. Of an older one it keeps its type, which never changes, and its version.
    fn secret(&self, pems: &Pems, old: Secret) -> Secret {
        let texts = [&pems.authorities, &pems.authority_key, &pems.certificate, &pems.key];
        let data = KEYS.into_iter().zip(texts);
        Secret {
            metadata: ObjectMeta {
                name: Some(names::WEBHOOK_SECRET.to_owned()),
                namespace: Some(self.namespace.clone()),
                ..old.metadata
            },
            data: Some(data.map(|(key, text)| (key.to_owned(), ByteString(text.clone().into_bytes()))).collect()),
            type_: old.type_,
            ..Secret::default()
        }
    }

    /// Tells API servers whom to trust, where they do not know it yet.
    async fn publish(&self, authorities: &str) -> Result<(), KeeperError> {
        let bundle = ByteString(authorities.as_bytes().to_vec());
        let definitions = Api::<CustomResourceDefinition>::all(self.client.clone());
        for plural in CONVERTED {
            let name = format!("{plural}.{}", names::GROUP);
            let found = definitions.get(&name).await.map_err(failed("read", format!("definition {name}")))?;
            let webhook = found.spec.conversion.and_then(|conversion| conversion.webhook);
            let known = webhook.and_then(|webhook| webhook.client_config?.ca_bundle);
            if known.as_ref().is_none_or(|known| known.0 != authorities.as_bytes()) {
                let object = json!({
                    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                    "metadata": {"name": name},
                    "spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}},
                });
                apply(&definitions, &name, object).await?;
            }
        }
        let configurations = Api::<ValidatingWebhookConfiguration>::all(self.client.clone());
        let name = names::WEBHOOK_CONFIGURATION;
        let object = || format!("ValidatingWebhookConfiguration {name}");
        let found = configurations.get(name).await.map_err(failed("read", object()))?;
        let webhooks = found.webhooks.unwrap_or_default();
        let is_told =
            |known: &Option<ByteString>| known.as_ref().is_some_and(|known| known.0 == authorities.as_bytes());
        if webhooks.iter().all(|webhook| is_told(&webhook.client_config.ca_bundle)) {
            return Ok(());
        }
        let webhooks: Vec<Value> = webhooks
            .iter()
            .map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": bundle}}))
            .collect();
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name}, "webhooks": webhooks,
        });
        apply(&configurations, name, object).await
    }
}

async fn apply<K>(api: &Api<K>, name: &str, object: Value) -> Result<(), KeeperError>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = PatchParams::apply(names::WEBHOOK_MANAGER).force();
    let kind = K::kind(&()).into_owned();
    let written = api.patch(name, &params, &Patch::Apply(object)).await;
    written.map(drop).map_err(failed("publish the authority in", format!("{kind} {name}")))
}

fn failed(verb: &'static str, object: String) -> impl FnOnce(kube::Error) -> KeeperError {
    move |source| KeeperError::Api { verb, object, source: Box::new(source) }
}

fn secret_name() -> String {
    format!("Secret {}", names::WEBHOOK_SECRET)
}

fn read(secret: &Secret) -> Pems {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        bytes.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok()).unwrap_or_default()
    };
    let [authorities, authority_key, certificate, key] = KEYS.map(text);
    Pems { authorities, authority_key, certificate, key }
}
