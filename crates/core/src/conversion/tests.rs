use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use onlay_api::MachineOSConfig;

use super::*;

const V1: &str = "machineconfiguration.openshift.io/v1";
const V1ALPHA1: &str = "machineconfiguration.openshift.io/v1alpha1";

/// The MachineOSConfig of the guides, with every field that a person may write.
fn written() -> Value {
    json!({
        "apiVersion": V1ALPHA1,
        "kind": "MachineOSConfig",
        "metadata": {"name": "layered", "annotations": {"mine": "1"}},
        "spec": {
            "machineConfigPool": {"name": "layered"},
            "buildInputs": {
                "baseOSImagePullspec": "quay.io/os/base@sha256:aa",
                "baseOSExtensionsImagePullspec": "quay.io/os/extensions@sha256:bb",
                "releaseVersion": "4.16.0",
                "containerFile": [
                    {"containerfileArch": "noarch", "content": "FROM configs AS final"},
                    {"containerfileArch": "x86_64", "content": "FROM configs AS other"},
                ],
                "imageBuilder": {"imageBuilderType": "PodImageBuilder"},
                "baseImagePullSecret": {"name": "global-pull-secret-copy"},
                "renderedImagePushSecret": {"name": "builder-dockercfg-123"},
                "renderedImagePushspec": "image-registry.openshift-image-registry.svc:5000/os/image:latest",
            },
            "buildOutputs": {"currentImagePullSecret": {"name": "builder-dockercfg-123"}},
        },
    })
}

#[test]
fn the_fields_of_a_config_have_their_places() {
    let stored = convert(written(), V1).unwrap();
    assert_eq!(
        stored["spec"],
        json!({
            "machineConfigPool": {"name": "layered"},
            "containerFile": [
                {"containerfileArch": "NoArch", "content": "FROM configs AS final"},
                {"containerfileArch": "AMD64", "content": "FROM configs AS other"},
            ],
            "imageBuilder": {"imageBuilderType": "Job"},
            "baseImagePullSecret": {"name": "global-pull-secret-copy"},
            "renderedImagePushSecret": {"name": "builder-dockercfg-123"},
            "renderedImagePushSpec": "image-registry.openshift-image-registry.svc:5000/os/image:latest",
        })
    );
    let config: MachineOSConfig = serde_json::from_value(stored.clone()).unwrap();
    let kept = kept(&config).unwrap();
    assert_eq!(kept.base_image.as_deref(), Some("quay.io/os/base@sha256:aa"));
    let secret = kept.build_outputs.and_then(|outputs| outputs.current_image_pull_secret);
    assert_eq!(secret.map(|secret| secret.name).as_deref(), Some("builder-dockercfg-123"));
    assert_eq!(stored["metadata"]["annotations"]["mine"], "1");
    assert_eq!(convert(stored, V1ALPHA1).unwrap(), written());
}

#[test]
fn the_fields_of_a_build_have_their_places() {
    let stored = json!({
        "apiVersion": V1,
        "kind": "MachineOSBuild",
        "metadata": {"name": "layered-1"},
        "spec": {
            "machineConfig": {"name": "rendered-layered-1"},
            "machineOSConfig": {"name": "layered"},
            "renderedImagePushSpec": "quay.io/os/image:layered-1",
        },
        "status": {
            "buildStart": "2026-01-01T00:00:00Z",
            "builder": {
                "imageBuilderType": "Job",
                "job": {"group": "batch", "resource": "jobs", "namespace": "a", "name": "build-layered-1"},
            },
            "digestedImagePushSpec": "quay.io/os/image@sha256:aa",
        },
    });
    let shown = convert(stored.clone(), V1ALPHA1).unwrap();
    assert_eq!(
        shown["spec"],
        json!({
            "configGeneration": 1,
            "version": 1,
            "desiredConfig": {"name": "rendered-layered-1"},
            "machineOSConfig": {"name": "layered"},
            "renderedImagePushspec": "quay.io/os/image:layered-1",
        })
    );
    assert_eq!(
        shown["status"],
        json!({
            "buildStart": "2026-01-01T00:00:00Z",
            "builderReference": {
                "imageBuilderType": "PodImageBuilder",
                "buildPod": {"group": "batch", "resource": "jobs", "namespace": "a", "name": "build-layered-1"},
            },
            "finalImagePullspec": "quay.io/os/image@sha256:aa",
        })
    );
    assert_eq!(convert(shown, V1).unwrap(), stored);
}

#[rstest]
#[case::a_long_text(
    json!([{"content": "FROM configs AS final\n"}, {"containerfileArch": "s390x", "content": "#".repeat(4097)}]),
    "MachineOSConfig layered: spec.buildInputs.containerFile[1].content: 4097 characters, and version v1, in which objects \
     are stored, holds 4096; move files into MachineConfigs, or scripts into an image and take them with COPY --from"
)]
#[case::two_spellings(
    json!([{"containerfileArch": "amd64", "content": "a"}, {"containerfileArch": "x86_64", "content": "b"}]),
    "MachineOSConfig layered: spec.buildInputs.containerFile[1].containerfileArch: is the architecture of \
     spec.buildInputs.containerFile[0] too; write one text for it"
)]
#[case::more_than_v1_holds(
    json!(["amd64", "arm64", "s390x", "ppc64le", "noarch"].map(|arch| json!({"containerfileArch": arch, "content": "a"}))),
    "MachineOSConfig layered: spec.buildInputs.containerFile: 5 items, and version v1, in which objects are stored, holds 4; \
     leave out the architecture that the pool does not have"
)]
fn what_the_stored_version_cannot_hold_is_refused(#[case] files: Value, #[case] expected: &str) {
    let mut config = written();
    config["spec"]["buildInputs"]["containerFile"] = files;
    assert_eq!(convert(config, V1).unwrap_err().to_string(), expected);
}

#[rstest]
#[case::that_moved("v1alpha1", "spec.containerFile[0].content", "spec.buildInputs.containerFile[0].content")]
#[case::that_is_spelled_otherwise("v1alpha1", "spec.renderedImagePushSpec", "spec.buildInputs.renderedImagePushspec")]
#[case::that_stayed("v1alpha1", "spec.machineConfigPool.name", "spec.machineConfigPool.name")]
#[case::that_only_begins_alike("v1alpha1", "spec.containerFiles", "spec.containerFiles")]
#[case::of_the_stored_version("v1", "spec.containerFile[0].content", "spec.containerFile[0].content")]
fn a_field(#[case] version: &str, #[case] field: &str, #[case] expected: &str) {
    assert_eq!(field_in(version, field), expected);
}

#[test]
fn a_text_as_long_as_the_stored_version_holds_is_taken() {
    let mut config = written();
    config["spec"]["buildInputs"]["containerFile"] = json!([{"content": "ä".repeat(4096)}]);
    convert(config, V1).unwrap();
}

#[rstest]
#[case::a_kind_of_one_version(json!({"apiVersion": V1, "kind": "MachineConfig", "metadata": {"name": "a"}}), V1ALPHA1)]
#[case::a_version_that_nobody_has(written(), "machineconfiguration.openshift.io/v2")]
#[case::another_group(written(), "example.com/v1")]
#[case::no_object(json!(3), V1)]
#[case::no_metadata(json!({"apiVersion": V1, "kind": "MachineOSConfig", "metadata": "layered"}), V1ALPHA1)]
fn others_are_refused(#[case] object: Value, #[case] to: &str) {
    assert!(matches!(convert(object, to), Err(ConversionError::Unknown { .. })));
}

#[test]
fn an_object_of_another_shape_is_refused_by_name() {
    let mut config = written();
    config["spec"]["buildInputs"]["imageBuilder"] = json!("x");
    let error = convert(config, V1).unwrap_err();
    assert_eq!(error.to_string(), "failed to read MachineOSConfig layered as an object of version v1alpha1");
}

#[test]
fn an_annotation_that_somebody_else_wrote_does_not_keep_an_object_from_being_read() {
    let mut stored = convert(written(), V1).unwrap();
    stored["metadata"]["annotations"]["onlay.dev/v1alpha1"] = json!("not JSON");
    let shown = convert(stored, V1ALPHA1).unwrap();
    assert_eq!(shown["spec"]["machineConfigPool"]["name"], "layered");
    assert_eq!(shown["metadata"]["annotations"]["onlay.dev/v1alpha1"], "not JSON");
}

/// A field that may be absent.
fn maybe<T: std::fmt::Debug + Clone + Into<Value>>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Value> {
    proptest::option::of(value).prop_map(|value| value.map_or(Value::Null, Into::into))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        other => other,
    }
}

fn secret() -> impl Strategy<Value = Value> {
    "[a-z]{1,3}".prop_map(|name| json!({"name": name}))
}

fn annotations() -> impl Strategy<Value = Value> {
    maybe("[a-z]{1,3}".prop_map(|value| json!({"other": value})))
}

fn condition() -> impl Strategy<Value = Value> {
    ("[A-Z][a-z]{1,4}", "(True|False|Unknown)").prop_map(|(name, status)| {
        json!([{"type": name, "status": status, "reason": "Because", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    })
}

fn files(archs: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let chosen = proptest::sample::subsequence(archs, 0..=archs.len().min(4));
    (chosen, "[a-zA-Z \n]{0,9}").prop_map(|(archs, content)| {
        let files = archs.iter().map(|arch| json!({"containerfileArch": arch, "content": content}));
        if archs.is_empty() { Value::Null } else { files.collect() }
    })
}

prop_compose! {
    fn a_config_of_v1()(
        annotations in annotations(),
        files in files(&["AMD64", "ARM64", "PPC64LE", "S390X", "NoArch"]),
        pull in maybe(secret()),
        push in secret(),
        status in maybe((maybe(0..9_i64), maybe(condition()), maybe("[a-z]{3}@sha256:aa"), maybe("[a-z]{3}")).prop_map(
            |(generation, conditions, image, build)| json!({
                "observedGeneration": generation, "conditions": conditions, "currentImagePullSpec": image,
                "machineOSBuild": build.as_str().map(|name| json!({"group": "a", "resource": "b", "name": name})),
            }),
        )),
    ) -> Value {
        without_nulls(json!({
            "apiVersion": V1, "kind": "MachineOSConfig", "metadata": {"name": "a", "annotations": annotations},
            "spec": {
                "machineConfigPool": {"name": "a"}, "imageBuilder": {"imageBuilderType": "Job"},
                "baseImagePullSecret": pull, "renderedImagePushSecret": push, "containerFile": files,
                "renderedImagePushSpec": "quay.io/a/b:c",
            },
            "status": status,
        }))
    }
}

prop_compose! {
    fn a_config_of_v1alpha1()(
        annotations in annotations(),
        files in prop_oneof![
            files(&["amd64", "arm64", "ppc64le", "s390x", "noarch"]),
            files(&["x86_64", "aarch64", "noarch"]),
            files(&["amd64", "aarch64"]),
        ],
        secrets in (secret(), secret()),
        images in (maybe("[a-z]{3}@sha256:aa"), maybe("[a-z]{3}@sha256:bb"), maybe("4\\.1[0-9]")),
        outputs in maybe(maybe(secret()).prop_map(|secret| json!({"currentImagePullSecret": secret}))),
        status in maybe((maybe(0..9_i64), maybe(condition()), maybe("[a-z]{3}@sha256:aa")).prop_map(
            |(generation, conditions, image)| json!({
                "observedGeneration": generation, "conditions": conditions, "currentImagePullspec": image,
            }),
        )),
    ) -> Value {
        without_nulls(json!({
            "apiVersion": V1ALPHA1, "kind": "MachineOSConfig", "metadata": {"name": "a", "annotations": annotations},
            "spec": {
                "machineConfigPool": {"name": "a"},
                "buildInputs": {
                    "imageBuilder": {"imageBuilderType": "PodImageBuilder"}, "baseImagePullSecret": secrets.0,
                    "renderedImagePushSecret": secrets.1, "containerFile": files, "baseOSImagePullspec": images.0,
                    "baseOSExtensionsImagePullspec": images.1, "releaseVersion": images.2,
                    "renderedImagePushspec": "quay.io/a/b:c",
                },
                "buildOutputs": outputs,
            },
            "status": status,
        }))
    }
}

prop_compose! {
    fn a_build_of_v1alpha1()(
        annotations in annotations(),
        numbers in (1..3_i64, 1..3_i64),
        builder in maybe(("(PodImageBuilder|Job|Other)", maybe("[a-z]{3}")).prop_map(|(kind, name)| json!({
            "imageBuilderType": kind,
            "buildPod": name.as_str().map(|name| json!({"group": "", "resource": "pods", "name": name})),
        }))),
        rest in (maybe(condition()), maybe("[a-z]{3}@sha256:aa"), maybe("2026-01-0[1-9]T00:00:00Z")),
        with_status in any::<bool>(),
    ) -> Value {
        let status = json!({
            "builderReference": builder, "conditions": rest.0, "finalImagePullspec": rest.1, "buildStart": rest.2,
            "relatedObjects": [{"group": "", "resource": "configmaps", "namespace": "a", "name": "b"}],
        });
        without_nulls(json!({
            "apiVersion": V1ALPHA1, "kind": "MachineOSBuild", "metadata": {"name": "a", "annotations": annotations},
            "spec": {
                "configGeneration": numbers.0, "version": numbers.1, "desiredConfig": {"name": "rendered-a"},
                "machineOSConfig": {"name": "a"}, "renderedImagePushspec": "quay.io/a/b:c",
            },
            "status": if with_status { status } else { Value::Null },
        }))
    }
}

prop_compose! {
    fn a_build_of_v1()(
        annotations in annotations(),
        names in ("[a-z]{1,3}", "rendered-[a-z]{1,3}", "quay.io/[a-z]{1,3}/b:c"),
        builder in maybe(("(Job|PodImageBuilder|Other)", maybe("[a-z]{3}")).prop_map(|(kind, name)| json!({
            "imageBuilderType": kind,
            "job": name.as_str().map(|name| json!({"group": "batch", "resource": "jobs", "namespace": "a", "name": name})),
        }))),
        times in (maybe("2026-01-0[1-9]T00:00:00Z"), maybe("2026-01-1[0-9]T00:00:00Z")),
        rest in (maybe(condition()), maybe("[a-z]{3}@sha256:aa")),
        related in maybe("[a-z]{3}".prop_map(|name| json!([
            {"group": "", "resource": "configmaps", "namespace": "a", "name": name},
            {"group": "", "resource": "nodes", "name": name},
        ]))),
        with_status in any::<bool>(),
    ) -> Value {
        let status = json!({
            "builder": builder, "buildStart": times.0, "buildEnd": times.1, "conditions": rest.0,
            "digestedImagePushSpec": rest.1, "relatedObjects": related,
        });
        without_nulls(json!({
            "apiVersion": V1, "kind": "MachineOSBuild", "metadata": {"name": "a", "annotations": annotations},
            "spec": {
                "machineConfig": {"name": names.1}, "machineOSConfig": {"name": names.0},
                "renderedImagePushSpec": names.2,
            },
            "status": if with_status { status } else { Value::Null },
        }))
    }
}

proptest! {
    #[test]
    fn what_was_written_in_v1_comes_back(object in prop_oneof![a_config_of_v1(), a_build_of_v1()]) {
        let shown = convert(object.clone(), V1ALPHA1).unwrap();
        prop_assert_eq!(convert(shown, V1).unwrap(), object);
    }

    #[test]
    fn what_was_written_in_v1alpha1_comes_back(object in prop_oneof![a_config_of_v1alpha1(), a_build_of_v1alpha1()]) {
        let stored = convert(object.clone(), V1).unwrap();
        prop_assert_eq!(convert(stored.clone(), V1ALPHA1).unwrap(), object);
        // A build of v1 is what was stored.
        let shown = convert(stored.clone(), V1ALPHA1).unwrap();
        prop_assert_eq!(convert(shown, V1).unwrap(), stored);
    }
}
