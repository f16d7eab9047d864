//! What a build is given besides: a Containerfile with files beside it, build arguments, secrets, and what the namespace
//! provides for package managers.

use crate::builds::log_of;
use crate::cluster::{BUILD, Cluster, NAMESPACE, SOON, layered, pool};
use kube::ResourceExt;
use onlay_api::MachineOSBuild;
use onlay_testkit::{command, registry, wait};
use serde_json::{Value, json};

const POOL: &str = "test";
/// What no log and no layer may show.
const TOKEN: &str = "correct-horse-battery-staple";
const CONTAINERFILE: &str = "\
ARG TOOL_VERSION
FROM configs AS final
ARG TOOL_VERSION
COPY tool.conf /usr/share/tool.conf
RUN echo version $TOOL_VERSION of $(cat /usr/share/tool.conf) with $(cat /etc/yum.repos.d/corp.repo)
RUN test -s /etc/pki/entitlement/entitlement.pem && echo entitled
RUN --mount=type=secret,id=token echo a token of $(wc -c < /run/secrets/token) bytes
RUN echo proxy ${HTTP_PROXY:-none}
RUN mkdir /var/cache/left && touch /var/cache/left/a /tmp/left && ostree container commit && test ! -e /tmp/left -a ! -e /var/cache/left && echo committed
";

fn object(kind: &str, namespace: &str, name: &str, field: &str, data: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": namespace});
    json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, field: data})
}

async fn provide(cluster: &Cluster, tool: &str) {
    let files = json!({"Containerfile": CONTAINERFILE, "tool.conf": tool});
    cluster.apply(object("ConfigMap", NAMESPACE, "worker-image", "data", &files)).await;
    let repository = json!({"corp.repo": "corp"});
    cluster.apply(object("ConfigMap", NAMESPACE, "etc-yum-repos-d", "data", &repository)).await;
    let of_cluster = "openshift-config-managed";
    cluster.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": of_cluster}})).await;
    let entitlement = json!({"entitlement.pem": "anything"});
    cluster.apply(object("Secret", of_cluster, "etc-pki-entitlement", "stringData", &entitlement)).await;
    // The build waits for this one, and takes what else is there by then.
    cluster.apply(object("Secret", NAMESPACE, "mirror", "stringData", &json!({"password": TOKEN}))).await;
}

async fn take_away(cluster: &Cluster) {
    let gone = ["--ignore-not-found", "-n", NAMESPACE];
    cluster.kubectl(&[&["delete", "configmap", "worker-image", "etc-yum-repos-d"], &gone[..]].concat()).await;
    cluster.kubectl(&[&["delete", "secret", "mirror"], &gone[..]].concat()).await;
    cluster.kubectl(&["delete", "namespace", "openshift-config-managed", "--ignore-not-found"]).await;
}

async fn log(cluster: &Cluster, build: &MachineOSBuild) -> String {
    log_of(cluster, &format!("job/build-{}", build.name_any())).await
}

/// Whether these words are in a layer, the manifest or the configuration of an image.
async fn holds(cluster: &Cluster, image: &str, words: &str) -> bool {
    let layout = cluster.lab.layout();
    let (authfile, certificates) = (registry::auth_file(layout), registry::cert_dir(layout));
    let script = "set -e; there=$(mktemp -d); trap 'rm -rf $there' EXIT; \
        skopeo copy --quiet --src-authfile \"$1\" --src-cert-dir \"$2\" \"docker://$3\" \"dir:$there\"; \
        for file in \"$there\"/*; do if zcat -f \"$file\" | grep -aqF \"$4\"; then echo \"$file\"; fi; done";
    let arguments = ["sh", authfile.as_str(), certificates.as_str(), image, words];
    let mut shell = command::command(&[&["sh", "-c", script], &arguments[..]].concat());
    !command::output(&mut shell).await.unwrap().is_empty()
}

#[tokio::test]
async fn a_build_is_given_all_that_the_policy_and_the_namespace_have() {
    let cluster = Cluster::fresh().await;
    take_away(&cluster).await;
    cluster.apply(pool(POOL)).await;
    let build = json!({
        "containerfile": {"configMapKeyRef": {"name": "worker-image"}},
        "buildArgs": [{"name": "TOOL_VERSION", "value": "1.2"}],
        "secrets": [{"id": "token", "secretKeyRef": {"name": "mirror", "key": "password"}}],
    });
    let metadata = json!({"name": POOL});
    let spec = json!({"build": build});
    cluster
        .apply(json!({
            "apiVersion": "onlay.dev/v1alpha1", "kind": "LayeringPolicy", "metadata": metadata, "spec": spec,
        }))
        .await;
    let mut config = layered(POOL, "");
    config["spec"].as_object_mut().unwrap().remove("containerFile");
    cluster.apply(config).await;
    // Files in any order: what is absent for now is told, and waited for.
    cluster.event("MachineOSConfig", POOL, "ConfigMap openshift-machine-config-operator/worker-image").await;
    provide(&cluster, "first").await;
    let first = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let said = log(&cluster, &first).await;
    for words in ["version 1.2 of first with corp", "entitled", "a token of 28 bytes", "proxy none", "committed"] {
        assert!(said.lines().any(|line| line == words), "{words}: {said}");
    }
    assert!(!said.contains(TOKEN), "{said}");
    let image = first.status.clone().unwrap().digested_image_push_spec.unwrap();
    assert!(holds(&cluster, &image, "TOOL_VERSION").await);
    assert!(!holds(&cluster, &image, TOKEN).await);
    wait::until("the copy of the entitlement to be gone", SOON, async || {
        let left = ["get", "secret", "-n", NAMESPACE, "--ignore-not-found", "-o", "name", "etc-pki-entitlement-test"];
        let left = cluster.kubectl(&left).await;
        if left.is_empty() { Ok(Some(())) } else { Err(left) }
    })
    .await
    .unwrap();

    provide(&cluster, "second").await;
    let second = cluster.next_build(POOL, &first).await;
    assert!(log(&cluster, &second).await.contains("version 1.2 of second with corp"));
    take_away(&cluster).await;
}
