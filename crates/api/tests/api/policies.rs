//! What `deploy/policies` refuses and accepts, on the real API server, with real tokens.

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Client, Resource};
use onlay_api::MachineConfigNode;
use rstest::rstest;
use serde_json::{Value, json};

use crate::installed::{OLD, administrator, agent, agent_without_a_node, controller};
use crate::objects::{DIGEST, full};
use crate::server::{kind_api, object, with_definitions};

/// The text of a refusal; nothing if the request was accepted.
pub fn refusal<T>(outcome: Result<T, kube::Error>) -> Option<String> {
    match outcome {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(format!("{} {}", status.code, status.message)),
        Err(other) => panic!("no answer: {other}"),
    }
}

#[track_caller]
pub fn assert_refused(refusal: Option<String>, parts: &[&str]) {
    let text = refusal.expect("the request was accepted");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

fn os_config(name: &str, push_spec: &str) -> DynamicObject {
    let mut value = full("MachineOSConfig", name);
    value["spec"]["renderedImagePushSpec"] = json!(push_spec);
    object(&value)
}

async fn admission_of(name: &str, push_spec: &str) -> Option<String> {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    refusal(kind_api(&administrator().await, "MachineOSConfig").create(&params, &os_config(name, push_spec)).await)
}

/// Whether the schema lets the image's digest be written back to the status, with no policy in the way.
async fn can_be_written_back(name: &str, push_spec: &str) -> bool {
    let api = kind_api(&with_definitions().await, "MachineOSConfig");
    let created = refusal(api.create(&PostParams::default(), &os_config(name, push_spec)).await);
    assert_eq!(created, None, "the schema refuses it already: {push_spec}");
    let (repository, _) = push_spec.rsplit_once(':').unwrap();
    let status = Patch::Merge(json!({"status": {"currentImagePullSpec": format!("{repository}@{DIGEST}")}}));
    refusal(api.patch_status(name, &PatchParams::default(), &status).await).is_none()
}

#[rstest]
#[case::no_namespace("push-1", "registry.example.com/node:v1")]
#[case::one_namespace("push-2", "registry.example.com/os/node:v1")]
#[case::address_and_port("push-3", "10.223.0.1:5000/os/node_1.x:latest")]
#[case::registry_of_the_cluster("push-4", "image-registry.openshift-image-registry.svc:5000/ns/os-image:latest")]
#[case::longest_namespace("push-5", &format!("registry.example.com/{}/node:v1", "n".repeat(61)))]
#[case::longest_name("push-6", &format!("registry.example.com/{}:v1", "n".repeat(375 - 21)))]
#[tokio::test]
async fn a_push_specification_whose_digest_fits_the_status_is_accepted(#[case] name: &str, #[case] push_spec: &str) {
    assert_eq!(admission_of(name, push_spec).await, None);
    assert!(can_be_written_back(name, push_spec).await, "{push_spec}");
}

#[rstest]
#[case::two_namespaces(
    "push-7",
    "registry.example.com/a/b/node:v1",
    "push to HOST[:PORT]/[NAMESPACE/]NAME:TAG, for example \"registry.example.com/a/b-node:v1\""
)]
#[case::three_namespaces_on_a_port(
    "push-8",
    "10.0.0.1:5000/a/a/c/node:v1",
    "for example \"10.0.0.1:5000/a/a-c-node:v1\""
)]
#[case::odd_name_in_the_cluster("push-9", "a.b.svc:5000/ns/na~me:v1", "cannot hold")]
#[case::too_long("push-10", &format!("registry.example.com/{}:v1", "n".repeat(376 - 21)), "has 376 characters")]
#[tokio::test]
async fn a_push_specification_whose_digest_does_not_fit_the_status_is_refused(
    #[case] name: &str,
    #[case] push_spec: &str,
    #[case] way_out: &str,
) {
    let named = format!("spec.renderedImagePushSpec: \"{push_spec}\"");
    assert_refused(admission_of(name, push_spec).await, &["422", &named, way_out]);
    assert!(!can_be_written_back(name, push_spec).await, "the policy is too strict: {push_spec}");
}

#[tokio::test]
async fn an_object_from_before_the_policy_can_be_changed_but_not_for_the_worse() {
    let api = kind_api(&administrator().await, "MachineOSConfig");
    let patch = async |spec: Value| {
        refusal(api.patch(OLD, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await)
    };
    assert_eq!(patch(json!({"baseImagePullSecret": {"name": "other"}})).await, None);
    let worse = patch(json!({"renderedImagePushSpec": "registry.example.com/a/b/c/node:v1"})).await;
    assert_refused(worse, &["4 path segments"]);
}

/// A MachineConfigNode that the controller made.
async fn node_object(name: &str) {
    node_object_by(&controller().await, name).await;
}

/// A MachineConfigNode that a controller made.
pub async fn node_object_by(controller: &Client, name: &str) {
    let api = kind_api(controller, "MachineConfigNode");
    let patch = Patch::Apply(json!({
        "apiVersion": MachineConfigNode::api_version(&()), "kind": "MachineConfigNode",
        "metadata": {"name": name}, "spec": full("MachineConfigNode", name)["spec"],
    }));
    api.patch(name, &PatchParams::apply("onlay-rollout").force(), &patch).await.unwrap();
}

/// Reports a boot id by server-side apply, as agents do.
pub async fn report(client: &Client, name: &str) -> Option<String> {
    let status = json!({
        "apiVersion": MachineConfigNode::api_version(&()), "kind": "MachineConfigNode", "metadata": {"name": name},
        "status": {"onlay": {"bootId": "01234567-89ab-cdef-0123-456789abcdef"}},
    });
    let api = kind_api(client, "MachineConfigNode");
    refusal(api.patch_status(name, &PatchParams::apply("onlay-agent"), &Patch::Apply(status)).await)
}

#[tokio::test]
async fn an_agent_reports_for_its_own_node_only() {
    node_object("worker-0").await;
    node_object("worker-1").await;
    let on_worker_0 = agent("worker-0").await;
    assert_eq!(report(&on_worker_0, "worker-0").await, None);
    let other = report(&on_worker_0, "worker-1").await;
    assert_refused(other, &["403", "agent of node \"worker-0\"", "not of \"worker-1\""]);
    assert_eq!(report(&agent("worker-1").await, "worker-1").await, None);
}

#[tokio::test]
async fn an_agent_whose_token_names_no_node_reports_nothing() {
    node_object("worker-0").await;
    let refused = report(&agent_without_a_node().await, "worker-0").await;
    assert_refused(refused, &["403", "does not say on which node it runs"]);
}

#[tokio::test]
async fn the_controller_writes_its_conditions_of_every_node() {
    node_object("worker-1").await;
    let cordoned = [condition("Cordoned", "True")];
    assert_eq!(apply_conditions(&controller().await, "worker-1", "onlay-rollout", &cordoned).await, None);
}

/// A condition of a node, as its object has it.
fn condition(name: &str, status: &str) -> Value {
    let time = "2025-01-01T00:00:00Z";
    json!({"type": name, "status": status, "reason": "Test", "message": "", "lastTransitionTime": time})
}

/// Applies conditions of a node, those of others included.
async fn apply_conditions(client: &Client, name: &str, manager: &str, conditions: &[Value]) -> Option<String> {
    let status = json!({
        "apiVersion": MachineConfigNode::api_version(&()), "kind": "MachineConfigNode", "metadata": {"name": name},
        "status": {"conditions": conditions},
    });
    let api = kind_api(client, "MachineConfigNode");
    refusal(api.patch_status(name, &PatchParams::apply(manager).force(), &Patch::Apply(status)).await)
}

#[tokio::test]
async fn an_agent_leaves_the_controllers_conditions_alone() {
    let name = "worker-4";
    node_object(name).await;
    let (agent, controller) = (agent(name).await, controller().await);
    let ours = [condition("Cordoned", "True"), condition("Drained", "False")];
    let own = condition("Updated", "False");
    let apply = async |conditions: &[Value]| apply_conditions(&agent, name, "onlay-agent", conditions).await;
    let api = kind_api(&agent, "MachineConfigNode");
    let merge = async |conditions: Value| {
        let patch = Patch::Merge(json!({"status": {"conditions": conditions}}));
        refusal(api.patch_status(name, &PatchParams::default(), &patch).await)
    };

    assert_eq!(apply(std::slice::from_ref(&own)).await, None);
    for condition in ["Cordoned", "Drained", "Uncordoned"].map(|name| condition(name, "True")) {
        let named = format!("the conditions {} of MachineConfigNode \"worker-4\"", condition["type"].as_str().unwrap());
        assert_refused(apply(&[own.clone(), condition]).await, &["403", &named, "they are the controller's"]);
    }
    assert_eq!(apply_conditions(&controller, name, "onlay-rollout", &ours).await, None);
    assert_eq!(apply(&[condition("Updated", "True")]).await, None, "the controller's stay as they are");

    assert_refused(apply(&[own.clone(), condition("Cordoned", "False")]).await, &["403", "conditions Cordoned of"]);
    assert_refused(merge(json!([own])).await, &["403", "conditions Cordoned, Drained of"]);
    assert_eq!(merge(json!([ours[1], own, ours[0]])).await, None, "in another order they are the same");
    let kept = kind_api(&controller, "MachineConfigNode").get(name).await.unwrap();
    let kept = kept.data["status"]["conditions"].as_array().unwrap();
    assert!(ours.iter().all(|condition| kept.contains(condition)), "{kept:?}");
}

/// Sends a merge patch as the agent of a node, past all roles: only policies are in the way.
async fn patch_past_roles(node: &str, plural: &str, name: &str, patch: Value) -> Option<String> {
    send_past_roles(node, plural, name, &PatchParams::default(), &Patch::Merge(patch)).await
}

/// Creates a MachineConfigNode by server-side apply as the agent of a node, past all roles.
async fn create_past_roles(node: &str, name: &str, mut object: Value) -> Option<String> {
    object["apiVersion"] = json!(MachineConfigNode::api_version(&()));
    object["kind"] = json!("MachineConfigNode");
    object["metadata"] = json!({"name": name});
    send_past_roles(node, "machineconfignodes", name, &PatchParams::apply("onlay-agent"), &Patch::Apply(object)).await
}

async fn send_past_roles(
    node: &str,
    plural: &str,
    name: &str,
    params: &PatchParams,
    patch: &Patch<Value>,
) -> Option<String> {
    let resource = ApiResource { plural: plural.to_owned(), ..ApiResource::erase::<MachineConfigNode>(&()) };
    let path = DynamicObject::url_path(&resource, None);
    let mut request = Request::new(path).patch(name, params, patch).unwrap();
    let account = "system:serviceaccount:openshift-machine-config-operator:onlay-agent";
    let headers = request.headers_mut();
    headers.insert("impersonate-user", account.parse().unwrap());
    headers.insert("impersonate-group", "system:masters".parse().unwrap());
    headers.insert("impersonate-extra-authentication.kubernetes.io%2fnode-name", node.parse().unwrap());
    refusal(administrator().await.request::<Value>(request).await)
}

#[tokio::test]
async fn an_agent_writes_no_other_object_whatever_its_role_allows() {
    node_object("worker-0").await;
    let label = json!({"metadata": {"labels": {"touched": "yes"}}});
    let refused = patch_past_roles("worker-0", "machineconfignodes", "worker-0", label.clone()).await;
    assert_refused(refused, &["403", "may only write the status of its MachineConfigNode, not machineconfignodes"]);
    let refused = patch_past_roles("worker-0", "machineconfigpools", "worker", label.clone()).await;
    assert_refused(refused, &["403", "not machineconfigpools \"worker\""]);
    let made = json!({"spec": full("MachineConfigNode", "worker-9")["spec"]});
    let refused = create_past_roles("worker-9", "worker-9", made).await;
    // Two policies refuse this one, and the API server tells the words of either.
    assert_refused(refused, &["403", "ValidatingAdmissionPolicy 'onlay-machineconfignode-", "\"worker-9\""]);
    let status = json!({"status": {"onlay": {"bootId": "11234567-89ab-cdef-0123-456789abcdef"}}});
    assert_eq!(patch_past_roles("worker-0", "machineconfignodes", "worker-0/status", status).await, None);
}

#[tokio::test]
async fn only_the_controller_writes_the_spec_of_a_node() {
    node_object("worker-2").await;
    let api = kind_api(&administrator().await, "MachineConfigNode");
    let created = api.create(&PostParams::default(), &object(&full("MachineConfigNode", "worker-3"))).await;
    assert_refused(refusal(created), &["403", "MachineConfigNode \"worker-3\"", "not by \"lab-admin\"", "instead"]);

    let merge =
        async |patch: Value| refusal(api.patch("worker-2", &PatchParams::default(), &Patch::Merge(patch)).await);
    let permit = json!({"spec": {"onlay": {"permit": "Disrupt"}}});
    assert_refused(merge(permit.clone()).await, &["403", "written by onlay's controller only"]);
    assert_eq!(merge(json!({"metadata": {"labels": {"seen": "yes"}}})).await, None);

    let own: Api<DynamicObject> = kind_api(&controller().await, "MachineConfigNode");
    let given = own.patch("worker-2", &PatchParams::default(), &Patch::Merge(permit)).await.unwrap();
    assert_eq!(given.data["spec"]["onlay"]["permit"], "Disrupt");
    assert_eq!(refusal(api.delete("worker-2", &Default::default()).await), None);
}
