//! What the service accounts of `deploy/base` may do, asked of the real API server.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::discovery::Discovery;
use kube::{Api, Client};
use onlay_api::names::{AGENT_ACCOUNT, BUILDER_ACCOUNT, CONTROLLER_ACCOUNT, NAMESPACE, NODE_SECRETS_NAMESPACE};
use rstest::rstest;

use crate::installed::administrator;

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// One question: may `account` do `verb` with `resource` (`GROUP/RESOURCE[/SUBRESOURCE]`) in `namespace`?
async fn may(client: &Client, account: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    may_from(client, NAMESPACE, account, verb, resource, namespace).await
}

/// The same for an account of the namespace `home`.
pub async fn may_from(client: &Client, home: &str, account: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    answer(client, home, account, attributes(verb, resource, namespace)).await
}

fn attributes(verb: &str, resource: &str, namespace: &str) -> ResourceAttributes {
    let mut parts = resource.splitn(3, '/').map(str::to_owned);
    ResourceAttributes {
        group: parts.next(),
        resource: parts.next(),
        subresource: parts.next(),
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    }
}

async fn answer(client: &Client, home: &str, account: &str, resource: ResourceAttributes) -> bool {
    let groups = ["system:serviceaccounts", "system:authenticated", &format!("system:serviceaccounts:{home}")];
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{home}:{account}")),
            groups: Some(groups.map(str::to_owned).to_vec()),
            resource_attributes: Some(resource),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api = Api::<SubjectAccessReview>::all(client.clone());
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

/// Every right of an account that this API server knows of, as `VERB GROUP/RESOURCE NAMESPACE`.
async fn rights(account: &str) -> BTreeSet<String> {
    let client = administrator().await;
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let mut questions = Vec::new();
    for (resource, capabilities) in discovery.groups().flat_map(|group| group.recommended_resources()) {
        let own = format!("{}/{}", resource.group, resource.plural);
        let below = capabilities.subresources.iter().map(|(below, _)| format!("{own}/{}", below.plural));
        for resource in std::iter::once(own.clone()).chain(below) {
            for namespace in ["", "default", "kube-system", NAMESPACE, NODE_SECRETS_NAMESPACE] {
                questions.extend(VERBS.map(|verb| (verb, resource.clone(), namespace)));
            }
        }
    }
    assert!(questions.len() > 1000, "only {} questions", questions.len());
    let client = &client;
    let answers = stream::iter(questions).map(|(verb, resource, namespace)| async move {
        may(client, account, verb, &resource, namespace).await.then(|| format!("{verb} {resource} {namespace}"))
    });
    answers.buffer_unordered(32).filter_map(async |right| right).collect().await
}

/// What every authenticated user may do: ask about themselves.
fn is_common(right: &str) -> bool {
    right.starts_with("create authorization.k8s.io/selfsubject")
        || right.starts_with("create authentication.k8s.io/selfsubjectreviews")
}

fn lines(account: &str, rights: &BTreeSet<String>) -> BTreeSet<String> {
    assert!(!rights.is_empty(), "{account}: not even the common rights");
    rights.iter().filter(|right| !is_common(right)).cloned().collect()
}

#[tokio::test]
async fn a_build_pod_may_do_nothing() {
    let found = lines(BUILDER_ACCOUNT, &rights(BUILDER_ACCOUNT).await);
    assert_eq!(found, BTreeSet::new());
}

#[tokio::test]
async fn an_agent_may_do_this_and_nothing_else() {
    let mut expected = BTreeSet::new();
    for namespace in ["", "default", "kube-system", NAMESPACE, NODE_SECRETS_NAMESPACE] {
        for kind in ["machineconfignodes", "machineconfigs"] {
            for verb in ["get", "list", "watch"] {
                expected.insert(format!("{verb} machineconfiguration.openshift.io/{kind} {namespace}"));
            }
        }
        expected.insert(format!("patch machineconfiguration.openshift.io/machineconfignodes/status {namespace}"));
        expected.insert(format!("get operator.openshift.io/machineconfigurations {namespace}"));
    }
    for verb in ["get", "list", "watch"] {
        expected.insert(format!("{verb} /secrets {NODE_SECRETS_NAMESPACE}"));
    }
    for verb in ["create", "patch"] {
        expected.insert(format!("{verb} events.k8s.io/events default"));
    }
    assert_eq!(lines(AGENT_ACCOUNT, &rights(AGENT_ACCOUNT).await), expected);
}

#[rstest]
#[case::evict("create", "/pods/eviction", "default", true)]
#[case::delete_pods("delete", "/pods", "default", false)]
#[case::create_pods("create", "/pods", NAMESPACE, false)]
#[case::cordon("patch", "/nodes", "", true)]
#[case::write_node_status("patch", "/nodes/status", "", false)]
#[case::delete_nodes("delete", "/nodes", "", false)]
#[case::make_build_jobs("create", "batch/jobs", NAMESPACE, true)]
#[case::make_jobs_elsewhere("create", "batch/jobs", "default", false)]
#[case::read_push_secrets("get", "/secrets", NAMESPACE, true)]
#[case::derive_pull_secrets("patch", "/secrets", NODE_SECRETS_NAMESPACE, true)]
#[case::read_secrets_elsewhere("get", "/secrets", "kube-system", false)]
#[case::list_secrets_everywhere("list", "/secrets", "", false)]
#[case::hold_the_lease("patch", "coordination.k8s.io/leases", NAMESPACE, true)]
#[case::events_beside_cluster_objects("create", "events.k8s.io/events", "default", true)]
#[case::write_pools("patch", "machineconfiguration.openshift.io/machineconfigpools", "", true)]
#[case::delete_pools("delete", "machineconfiguration.openshift.io/machineconfigpools", "", false)]
#[case::delete_rendered("delete", "machineconfiguration.openshift.io/machineconfigs", "", true)]
#[case::delete_builds("delete", "machineconfiguration.openshift.io/machineosbuilds", "", true)]
#[case::read_policies("watch", "onlay.dev/layeringpolicies", "", true)]
#[case::write_policies("patch", "onlay.dev/layeringpolicies", "", false)]
#[case::change_rights("create", "rbac.authorization.k8s.io/clusterrolebindings", "", false)]
#[case::change_policies("delete", "admissionregistration.k8s.io/validatingadmissionpolicies", "", false)]
#[tokio::test]
async fn the_controller(#[case] verb: &str, #[case] resource: &str, #[case] namespace: &str, #[case] allowed: bool) {
    assert_eq!(may(&administrator().await, CONTROLLER_ACCOUNT, verb, resource, namespace).await, allowed);
}

#[rstest]
#[case::read_the_cluster("get", "cluster", true)]
#[case::read_another("get", "other", false)]
#[case::read_all("list", "", false)]
#[case::write_the_cluster("patch", "cluster", false)]
#[tokio::test]
async fn the_controller_and_proxies(#[case] verb: &str, #[case] name: &str, #[case] allowed: bool) {
    let resource =
        ResourceAttributes { name: Some(name.to_owned()), ..attributes(verb, "config.openshift.io/proxies", "") };
    assert_eq!(answer(&administrator().await, NAMESPACE, CONTROLLER_ACCOUNT, resource).await, allowed);
}
