//! The webhook in a cluster: both versions of the API, and refusals before anything is stored.

use crate::cluster::{BUILD, Cluster, NAMESPACE, SOON, layered, machine_config, pool};
use onlay_testkit::wait;
use serde_json::{Value, json};

/// The registry as the guides call it, and a Service of that name that leads to the lab's.
const REGISTRY: &str = "image-registry.openshift-image-registry.svc:5000";

fn registry_in_the_cluster() -> Value {
    let (name, namespace) = ("image-registry", "openshift-image-registry");
    let metadata = json!({"name": name, "namespace": namespace});
    let port = json!({"name": "https", "port": 5000});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [port]}},
        {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [port],
            "metadata": {
                "name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name},
            },
            "endpoints": [{"addresses": ["10.223.0.1"]}],
        },
    ]})
}

/// The secrets that the guide names, with the lab's credentials for both names of its registry.
async fn secrets_of_the_guide(cluster: &Cluster) -> Value {
    let text = "jsonpath={.data.\\.dockerconfigjson}";
    let known = cluster.kubectl(&["get", "secret", "push-secret", "-n", NAMESPACE, "-o", text]).await;
    let decode = format!("echo {known} | base64 -d");
    let known: Value = serde_json::from_str(&cluster.on_node("cp-0", &decode).await).unwrap();
    let entry = known["auths"]["10.223.0.1:5000"].clone();
    let config = json!({"auths": {"10.223.0.1:5000": entry, REGISTRY: entry}}).to_string();
    let secrets = ["global-pull-secret-copy", "builder-dockercfg-123"].map(|name| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": {".dockerconfigjson": config},
        })
    });
    json!({"apiVersion": "v1", "kind": "List", "items": secrets})
}

/// The MachineOSConfig of the guide of 2024; only its line of packages is that of another package manager.
const GUIDE: &str = "
apiVersion: machineconfiguration.openshift.io/v1alpha1
kind: MachineOSConfig
metadata:
  name: layered
spec:
  machineConfigPool:
    name: layered
  buildInputs:
    containerFile:
      - containerfileArch: noarch
        content: |-
          FROM configs AS final
          RUN apt-get update && apt-get install -y tree && \\
            ostree container commit
    imageBuilder:
      imageBuilderType: PodImageBuilder
    baseImagePullSecret:
      name: global-pull-secret-copy
    renderedImagePushSecret:
      name: builder-dockercfg-123
    renderedImagePushspec: image-registry.openshift-image-registry.svc:5000/openshift-machine-config-operator/os-image:latest
  buildOutputs:
    currentImagePullSecret:
      name: builder-dockercfg-123
";

#[tokio::test]
async fn the_guide_in_the_older_version_builds_and_is_read_in_both() {
    let cluster = Cluster::fresh().await;
    cluster.apply(registry_in_the_cluster()).await;
    cluster.apply(secrets_of_the_guide(&cluster).await).await;
    // Applied before its pool: that is a warning, and nothing is lost.
    let said = cluster.kubectl.feed(&["apply", "-f", "-"], GUIDE).await.unwrap();
    assert!(said.contains("machineosconfig.machineconfiguration.openshift.io/layered created"), "{said}");
    cluster.apply(pool("layered")).await;
    let build = cluster.build_is("layered", "Succeeded", BUILD).await;
    let image = build.status.unwrap().digested_image_push_spec.unwrap();
    assert!(image.starts_with(&format!("{REGISTRY}/openshift-machine-config-operator/os-image@sha256:")), "{image}");

    let read = async |field: &str, what: &str| {
        let path = format!("jsonpath={{{field}}}");
        cluster.kubectl(&["get", what, "-o", &path]).await
    };
    let older = "machineosconfigs.v1alpha1.machineconfiguration.openshift.io/layered";
    assert_eq!(read(".spec.buildInputs.imageBuilder.imageBuilderType", older).await, "PodImageBuilder");
    assert_eq!(read(".spec.buildOutputs.currentImagePullSecret.name", older).await, "builder-dockercfg-123");
    let current = async || {
        let seen = read(".status.currentImagePullspec", older).await;
        if seen == image { Ok(Some(())) } else { Err(seen) }
    };
    wait::until("the image in the status of the older version", SOON, current).await.unwrap();
    let builds = cluster.kubectl(&["get", "machineosbuilds.v1alpha1.machineconfiguration.openshift.io"]).await;
    assert!(builds.starts_with("NAME") && builds.contains("INTERRUPTED"), "{builds}");
    let name = build.metadata.name.unwrap();
    let older = format!("machineosbuilds.v1alpha1.machineconfiguration.openshift.io/{name}");
    assert_eq!(read(".status.finalImagePullspec", &older).await, image);
}

#[tokio::test]
async fn what_cannot_work_is_refused_when_it_is_applied() {
    let cluster = Cluster::fresh().await;
    let ignition = json!({"config": {"ignition": {"version": "2.2.0"}}});
    let last = "ostree container commit";
    let long = GUIDE.replace(last, &format!("{last} {}", "#".repeat(5000)));
    for (object, words) in [
        (layered("test", "FROM configs AS final\nRUM echo\n").to_string(), "line 2: `RUM echo`"),
        (machine_config("60-worker-bad", "worker", ignition).to_string(), "ignition.version"),
        (long, "spec.buildInputs.containerFile[0].content"),
    ] {
        let said = cluster.kubectl.apply(&object).await.unwrap_err();
        let said = format!("{said:?}");
        assert!(said.contains(words), "{words:?} is missing in: {said}");
    }
    let left = cluster.kubectl(&["get", "machineosconfigs,mc", "-o", "name"]).await;
    assert!(!left.contains("/test") && !left.contains("/layered") && !left.contains("60-worker-bad"), "{left}");
}

#[tokio::test]
async fn one_instance_after_the_other_may_go_and_none_is_needed_to_repair() {
    let cluster = Cluster::fresh().await;
    let older = "machineosconfigs.v1alpha1.machineconfiguration.openshift.io";
    cluster.apply(layered("test", "FROM configs AS final\nRUN true\n")).await;
    cluster.kubectl(&["rollout", "restart", "deployment/onlay-webhook", "-n", NAMESPACE]).await;
    let restarted = async || {
        let read = cluster.kubectl.run(&["get", older, "test", "-o", "name"]).await;
        read.map_err(|error| format!("not read while instances restart: {error:?}"))
    };
    // While one instance after the other goes, the other answers.
    let rolled = cluster.kubectl(&["rollout", "status", "deployment/onlay-webhook", "-n", NAMESPACE, "--timeout=60s"]);
    tokio::pin!(rolled);
    let mut reads = 0;
    loop {
        tokio::select! {
            _ = &mut rolled => break,
            read = restarted() => { read.unwrap(); reads += 1; },
        }
    }
    assert!(reads > 0, "no read fell into the restart");
    // Without any, everything of the stored version goes on.
    cluster.webhook(0).await;
    cluster.apply(pool("test")).await;
    cluster.build_is("test", "Succeeded", BUILD).await;
}
