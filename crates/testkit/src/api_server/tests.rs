use super::*;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::PostParams;

/// Processes whose command line names `directory`.
fn processes_of(directory: &Utf8Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(directory.as_str())).collect()
}

#[tokio::test]
async fn it_answers_knows_its_clients_and_leaves_nothing_behind() {
    let server = ApiServer::start().await.unwrap();
    let namespaces = Api::<Namespace>::all(server.client().await.unwrap());
    assert!(namespaces.get_opt("default").await.unwrap().is_some());

    let node = User { name: "system:node:worker-0", group: Some("system:nodes") };
    let node = server.client_as(node).await.unwrap();
    let review = Api::<SelfSubjectReview>::all(node.clone());
    let said = review.create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    assert_eq!(said.status.unwrap().user_info.unwrap().username.as_deref(), Some("system:node:worker-0"));
    let refused = Api::<ConfigMap>::default_namespaced(node).list(&Default::default()).await.unwrap_err();
    assert!(refused.to_string().contains("forbidden"), "{refused}");

    let directory = server.kubeconfig().parent().unwrap().to_owned();
    assert!(!processes_of(&directory).is_empty());
    drop(server);
    assert!(!directory.exists());
    assert_eq!(processes_of(&directory), Vec::<String>::new());
}
