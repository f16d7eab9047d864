use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Request;
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{cluster, config, object, older_config, refused, v1, v1alpha1};

fn machine_config(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig",
        "metadata": {"name": name}, "spec": spec,
    })
}

#[tokio::test]
async fn a_containerfile_is_refused_in_both_versions_before_anything_is_stored() {
    let client = cluster().await;
    let text = "FROM configs AS final\nINSTALL tree\n";
    let says = "failed to read the Containerfile: line 2: `INSTALL tree`: INSTALL is no instruction";
    let mut newer = config("unknown-instruction");
    newer["spec"]["containerFile"] = json!([{"content": text}]);
    let older = older_config("unknown-instruction", text);
    for (api, value, field) in [
        (v1(&client, "MachineOSConfig"), newer, "spec.containerFile[0].content"),
        (v1alpha1(&client, "MachineOSConfig"), older, "spec.buildInputs.containerFile[0].content"),
    ] {
        let message = refused(api.create(&PostParams::default(), &object(&value)).await);
        assert!(message.contains(&format!("unknown-instruction: {field}: {says}")), "{message}");
    }
    assert_eq!(v1(&client, "MachineOSConfig").get_opt("unknown-instruction").await.unwrap(), None);
}

/// A text as it is read that somebody has saved as UTF-16.
fn utf_16(text: &str) -> String {
    let bytes = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes);
    bytes.map(char::from).collect()
}

/// The beginning of a Containerfile, and as many characters in all.
fn as_long_as(characters: usize) -> String {
    let begin = "FROM configs AS final\n#";
    begin.to_owned() + &"ä".repeat(characters - begin.len())
}

/// Asks for a MachineOSConfig with a Containerfile in both versions: each answer, with where the text is in it.
async fn answers(name: &str, text: &str) -> [(Option<String>, &'static str); 2] {
    let client = cluster().await;
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let mut newer = config(name);
    newer["spec"]["containerFile"] = json!([{"content": text}]);
    let newer = v1(&client, "MachineOSConfig").create(&params, &object(&newer)).await;
    let older = v1alpha1(&client, "MachineOSConfig").create(&params, &object(&older_config(name, text))).await;
    let refusal = |outcome: Result<DynamicObject, kube::Error>| match outcome {
        Ok(_) => None,
        refusal => Some(refused(refusal)),
    };
    [(refusal(newer), "spec.containerFile[0].content"), (refusal(older), "spec.buildInputs.containerFile[0].content")]
}

#[rstest]
#[case::an_unknown_instruction(
    "FROM configs AS final\nINSTALL tree\n",
    "line 2: `INSTALL tree`: INSTALL is no instruction"
)]
#[case::an_unended_heredoc("FROM configs AS final\nRUN <<EOF\ntrue\n", "line 2: `RUN <<EOF`: the heredoc is not ended")]
#[case::another_base("FROM debian:12\nRUN true\n", "line 1: `FROM debian:12`: the last stage begins with `debian:12`")]
#[case::a_copy_from_nowhere(
    "FROM configs AS final\nCOPY a /etc/\n",
    "line 2: `COPY a /etc/`: there is no build context"
)]
#[case::utf_16(&utf_16("FROM configs AS final\n"), "line 1: `ÿþF\0R\0O\0M\0 \0c\0o\0n\0f\0i\0g\0s")]
#[tokio::test]
async fn a_containerfile_that_cannot_be_built_is_refused_in_both_versions(#[case] text: &str, #[case] says: &str) {
    for (refusal, field) in answers("cannot-be-built", text).await {
        let message = refusal.expect("accepted");
        let expected = format!("cannot-be-built: {field}: failed to read the Containerfile: {says}");
        assert!(message.contains(&expected), "{message}");
    }
}

#[rstest]
#[case::crlf("FROM configs AS final\r\nRUN true \\\r\n  && true\r\n")]
#[case::an_argument_without_a_value("FROM configs AS final\nARG VERSION\nRUN echo $VERSION\n")]
#[case::an_argument_whose_value_a_policy_may_give("ARG TOOLS\nFROM $TOOLS AS tools\nFROM configs AS final\n")]
#[case::as_long_as_it_may_be(&as_long_as(4096))]
#[tokio::test]
async fn a_containerfile_that_can_be_built_is_taken_in_both_versions(#[case] text: &str) {
    for (refusal, _) in answers("can-be-built", text).await {
        assert_eq!(refusal, None);
    }
}

#[tokio::test]
async fn one_character_too_many_is_told_by_schema_or_conversion() {
    let [(newer, field), (older, older_field)] = answers("too-long", &as_long_as(4097)).await;
    let (newer, older) = (newer.expect("accepted"), older.expect("accepted"));
    assert!(newer.contains(&format!("{field}: Too long: may not be more than 4096")), "{newer}");
    assert!(older.contains(&format!("too-long: {older_field}: 4097 characters")), "{older}");
}

#[tokio::test]
async fn the_older_version_has_one_config_a_pool_too() {
    let client = cluster().await;
    let mut second = older_config("second", "");
    second["spec"]["machineConfigPool"]["name"] = json!("first");
    let message = refused(v1alpha1(&client, "MachineOSConfig").create(&PostParams::default(), &object(&second)).await);
    assert!(message.contains("metadata.name: must be the name of the pool, which is first"), "{message}");
}

#[tokio::test]
async fn a_machine_config_is_refused_in_the_words_of_render() {
    let client = cluster().await;
    let api = v1(&client, "MachineConfig");
    let old = machine_config("old-ignition", json!({"config": {"ignition": {"version": "2.2.0"}}}));
    let message = refused(api.create(&PostParams::default(), &object(&old)).await);
    assert!(message.contains("MachineConfig old-ignition: ignition.version: "), "{message}");
    let good = machine_config("later-broken", json!({"config": {"ignition": {"version": "3.5.0"}}}));
    api.create(&PostParams::default(), &object(&good)).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"kernelType": "fast"}}));
    let message = refused(api.patch("later-broken", &PatchParams::default(), &patch).await);
    assert!(message.contains("spec.kernelType: "), "{message}");
}

#[rstest]
#[case::a_word("a-word", json!("abc"), Some("\"abc\" is neither a number from 0 on nor a percentage"))]
#[case::a_negative_number("negative", json!(-3), Some("\"-3\" is neither a number"))]
#[case::a_percentage("percentage", json!("10%"), None)]
#[tokio::test]
async fn how_many_nodes_of_a_pool_may_be_out(#[case] name: &str, #[case] written: Value, #[case] says: Option<&str>) {
    let client = cluster().await;
    let pool = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool",
        "metadata": {"name": name}, "spec": {"maxUnavailable": written},
    });
    let outcome = v1(&client, "MachineConfigPool").create(&PostParams::default(), &object(&pool)).await;
    match says {
        None => drop(outcome.unwrap()),
        Some(says) => {
            let message = refused(outcome);
            assert!(message.contains(&format!("MachineConfigPool {name}: spec.maxUnavailable: {says}")), "{message}");
        }
    }
}

#[tokio::test]
async fn all_that_is_wrong_with_a_machine_config_is_told_at_once() {
    let client = cluster().await;
    let value =
        machine_config("all-wrong", json!({"extensions": ["foo"], "kernelType": "rt", "osImageURL": "docker://a"}));
    let message = refused(v1(&client, "MachineConfig").create(&PostParams::default(), &object(&value)).await);
    for field in
        ["spec.extensions[0]: ", "spec.kernelType: ", "spec.osImageURL: \"docker://a\" is no name of an image: "]
    {
        assert!(message.contains(field), "{field}: {message}");
    }
}

/// The warnings of the API server about an object that it takes.
async fn warnings_about(resource: &str, value: &Value) -> Vec<String> {
    let request = Request::new(format!("/apis/{resource}"));
    let request = request.create(&PostParams::default(), serde_json::to_vec(value).unwrap()).unwrap();
    let answer = cluster().await.send(request.map(kube::client::Body::from)).await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    answer.headers().get_all("warning").iter().map(|each| each.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_machine_configuration_that_does_not_count_is_accepted_with_a_warning() {
    let value = json!({
        "apiVersion": "operator.openshift.io/v1", "kind": "MachineConfiguration", "metadata": {"name": "mine"}, "spec": {},
    });
    let warnings = warnings_about("operator.openshift.io/v1/machineconfigurations", &value).await;
    assert!(warnings.len() == 1 && warnings[0].contains("only the one named cluster counts"), "{warnings:?}");
}

#[tokio::test]
async fn a_rendered_configuration_cannot_be_made_by_hand() {
    let client = cluster().await;
    let name = "rendered-worker-0123456789abcdef0123456789abcdef";
    let value = machine_config(name, json!({"config": {"ignition": {"version": "3.5.0"}}}));
    let message = refused(v1(&client, "MachineConfig").create(&PostParams::default(), &object(&value)).await);
    assert!(message.contains("metadata.name: names that begin with `rendered-`"), "{message}");
}

#[tokio::test]
async fn what_is_absent_is_accepted_with_a_warning() {
    let warnings = warnings_about("machineconfiguration.openshift.io/v1/machineosconfigs", &config("alone")).await;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("MachineConfigPool alone does not exist yet"), "{warnings:?}");
    assert!(warnings[1].contains("Secret push in namespace default does not exist yet"), "{warnings:?}");
}
