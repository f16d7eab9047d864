use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use onlay_api::names::WEBHOOK_SECRET;
use onlay_webhook::certificates::{Certificate, Pems, begin, facts, sign};

use crate::world::{NAMESPACE, with_webhook};

const KEYS: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];

fn secret(pems: &Pems) -> Secret {
    let texts = [&pems.authorities, &pems.authority_key, &pems.certificate, &pems.key];
    let data = KEYS.into_iter().zip(texts).map(|(key, text)| (key.to_owned(), ByteString(text.clone().into_bytes())));
    let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
    secret.metadata.name = Some(WEBHOOK_SECRET.to_owned());
    secret
}

async fn held(client: &kube::Client) -> Pems {
    let secret = Api::<Secret>::namespaced(client.clone(), NAMESPACE).get(WEBHOOK_SECRET).await.unwrap();
    let data = secret.data.unwrap();
    let [authorities, authority_key, certificate, key] =
        KEYS.map(|key| String::from_utf8(data[key].0.clone()).unwrap());
    Pems { authorities, authority_key, certificate, key }
}

/// Whom the API server trusts when it asks for another version.
async fn trusted(client: &kube::Client) -> Vec<Certificate> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let definition = definitions.get("machineosconfigs.machineconfiguration.openshift.io").await.unwrap();
    let bundle = definition.spec.conversion.unwrap().webhook.unwrap().client_config.unwrap().ca_bundle.unwrap();
    facts(&Pems { authorities: String::from_utf8(bundle.0).unwrap(), ..Pems::default() }).authorities
}

fn hosts() -> Vec<String> {
    vec![format!("onlay-webhook.{NAMESPACE}.svc"), "127.0.0.1".to_owned()]
}

#[tokio::test]
async fn a_new_authority_is_trusted_before_it_signs() {
    let days = |days: i64| Timestamp::now() - SignedDuration::from_hours(24 * days);
    let old = sign(&begin(&hosts(), days(300)).unwrap(), &hosts(), days(10)).unwrap();
    // The API server has asked it when this returns.
    let server = with_webhook(Some(secret(&old))).await;
    let client = server.client().await.unwrap();
    let (before, now, trusted) = (facts(&old), facts(&held(&client).await), trusted(&client).await);
    assert_eq!(now.serving, before.serving);
    assert_eq!(trusted, now.authorities);
    assert_eq!((trusted.len(), &trusted[1]), (2, &before.authorities[0]));
}

#[tokio::test]
async fn a_secret_that_holds_something_else_is_made_anew() {
    let rubbish = Pems { authorities: "x".to_owned(), authority_key: "x".to_owned(), ..Pems::default() };
    let server = with_webhook(Some(secret(&rubbish))).await;
    let client = server.client().await.unwrap();
    let now = facts(&held(&client).await);
    assert!(now.keys_fit);
    assert_eq!(trusted(&client).await, now.authorities);
}
