//! What is wrong with one object, as far as the object alone shows it. Admission and `onlay validate` say the same.
//!
//! What takes more than one object to see (a contradiction between MachineConfigs, a secret that does not exist yet) is told
//! by conditions, so that the objects of a directory can be applied in any order.
//!
//! A mistake can be stored, while the webhook is away (docs/decisions/0006) or before there is a rule. It is told to whoever writes the
//! spec, and not to those who write a label or a finalizer: an object would never be gone that nobody can write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use onlay_api::machine_config::MachineConfig;
use onlay_api::machine_configuration::NAME as MACHINE_CONFIGURATION;
use onlay_api::{MachineConfigPool, MachineConfiguration, MachineOSConfig, names};

use crate::build::containerfile;
use crate::conversion;
use crate::pools::{self, PoolError};
use crate::render::{self, Fault, Problem, RenderError, is_rendered};
use crate::rollout::candidates::max_unavailable;
use crate::rollout::wait::{UNREADABLE, WaitReason};

/// A field, and what there is to say about it. The field is empty if it is about the whole object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if .field.is_empty() { String::new() } else { format!("{}: ", .field) })]
pub struct Finding {
    /// Path of the field.
    pub field: String,
    /// What there is to say, and the way out.
    pub message: String,
    /// Line of the field's text that it is about, counted from 1.
    pub line: Option<usize>,
}

impl Finding {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), line: None }
    }
}

/// What there is to say about an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What keeps it from working.
    pub errors: Vec<Finding>,
    /// What is accepted but probably not meant.
    pub warnings: Vec<Finding>,
}

/// An object that another one names, and that it cannot do without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Path of the field that names it.
    pub field: &'static str,
    /// Its kind.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: String,
}

/// Kinds that objects name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// A MachineConfigPool.
    Pool,
    /// A Secret in the namespace of builds.
    Secret,
}

impl Reference {
    /// What there is to say if the object does not exist.
    pub fn absent(&self, namespace: &str) -> Finding {
        let object = match self.kind {
            ReferenceKind::Pool => format!("MachineConfigPool {}", self.name),
            ReferenceKind::Secret => format!("Secret {} in namespace {namespace}", self.name),
        };
        Finding::new(self.field, format!("{object} does not exist yet: nothing is built until it does"))
    }
}

/// Looks at a MachineConfig that somebody writes, instead of `old` if there is one.
pub fn machine_config(new: &MachineConfig, old: Option<&MachineConfig>) -> Verdict {
    if old.is_some_and(|old| old.spec == new.spec) {
        return Verdict::default();
    }
    if old.is_some() && is_rendered(new) {
        let message = "is a rendered configuration, which never changes; change the MachineConfigs that it is made of";
        return Verdict { errors: vec![Finding::new("spec", message)], ..Verdict::default() };
    }
    if is_going(&new.metadata, old) {
        return Verdict::default();
    }
    let errors = machine_config_errors(new);
    if !errors.is_empty() {
        return Verdict { errors, ..Verdict::default() };
    }
    match render::render("", [new]) {
        Ok(rendered) => {
            let warnings = rendered.warnings.into_iter().map(|each| Finding::new(each.field, each.text)).collect();
            Verdict { warnings, ..Verdict::default() }
        }
        Err(error) => Verdict { errors: vec![of_error(&error)], ..Verdict::default() },
    }
}

/// Whether what is written is an object that is being deleted: it will not be used any more.
fn is_going<O>(new: &ObjectMeta, old: Option<&O>) -> bool {
    old.is_some() && new.deletion_timestamp.is_some()
}

/// All that is wrong with a MachineConfig that somebody makes, but its size.
pub fn machine_config_errors(new: &MachineConfig) -> Vec<Finding> {
    if is_rendered(new) {
        let message =
            "names that begin with `rendered-` are those of configurations that onlay renders; choose another one";
        return vec![Finding::new("metadata.name", message)];
    }
    render::problems(new).iter().map(of_problem).collect()
}

fn of_problem(problem: &Problem) -> Finding {
    let line = if let Fault::UnitSyntax { line, .. } = *problem.fault { Some(line) } else { None };
    Finding { line, ..Finding::new(&problem.field, problem.fault.to_string()) }
}

/// Looks at a MachineConfiguration.
pub fn machine_configuration(configuration: &MachineConfiguration) -> Verdict {
    let name = configuration.metadata.name.as_deref().unwrap_or_default();
    let ignored = (name != MACHINE_CONFIGURATION).then(|| {
        let message = format!("has no effect: only the one named {MACHINE_CONFIGURATION} counts");
        Finding::new("metadata.name", message)
    });
    Verdict { warnings: Vec::from_iter(ignored), ..Verdict::default() }
}

fn of_error(error: &RenderError) -> Finding {
    match error.problem() {
        Some(problem) => of_problem(problem),
        None => Finding::new("", error.to_string()),
    }
}

/// Looks at a MachineConfigPool that somebody writes, instead of `old` if there is one.
pub fn pool(new: &MachineConfigPool, old: Option<&MachineConfigPool>) -> Verdict {
    if is_going(&new.metadata, old) {
        return Verdict::default();
    }
    let before = old.map(pool_errors).unwrap_or_default();
    let errors = pool_errors(new).into_iter().filter(|error| !before.contains(error)).collect();
    Verdict { errors, ..Verdict::default() }
}

fn pool_errors(pool: &MachineConfigPool) -> Vec<Finding> {
    let selectors = pools::check_selectors(pool).err().map(|error| match error {
        PoolError::Selector { field, reason, .. } => Finding::new(field, reason.to_string()),
        PoolError::Conflict { .. } => Finding::new("", error.to_string()),
    });
    // Whether it can be read does not depend on how many nodes there are.
    let limit = max_unavailable(pool.spec.max_unavailable.as_ref(), 1).err();
    let limit = limit.map(|reason| match reason {
        WaitReason::MaxUnavailable(given) => Finding::new("spec.maxUnavailable", format!("{given:?} {UNREADABLE}")),
        other => Finding::new("spec.maxUnavailable", other.to_string()),
    });
    selectors.into_iter().chain(limit).collect()
}

/// Looks at a MachineOSConfig that somebody writes, instead of `old` if there is one.
pub fn os_config(config: &MachineOSConfig, old: Option<&MachineOSConfig>) -> Verdict {
    if is_going(&config.metadata, old) {
        return Verdict::default();
    }
    let is_same = old.is_some_and(|old| old.spec == config.spec);
    let mut errors = if is_same { Vec::new() } else { in_spec(config) };
    let kept =
        |config: &MachineOSConfig| config.metadata.annotations.as_ref()?.get(names::KEPT_V1ALPHA1_ANNOTATION).cloned();
    let is_new = old.is_none_or(|old| kept(old) != kept(config));
    if is_new && conversion::kept(config).is_err() {
        let field = format!("metadata.annotations[{}]", names::KEPT_V1ALPHA1_ANNOTATION);
        let message = "is not what onlay writes there when an object of version v1alpha1 is stored; remove it";
        errors.push(Finding::new(field, message));
    }
    Verdict { errors, ..Verdict::default() }
}

/// What is wrong with the spec of a MachineOSConfig.
fn in_spec(config: &MachineOSConfig) -> Vec<Finding> {
    let mut errors = Vec::new();
    let name = config.metadata.name.as_deref().unwrap_or_default();
    let pool = &config.spec.machine_config_pool.name;
    if name != pool {
        let message = format!("must be the name of the pool, which is {pool}: a pool has one MachineOSConfig");
        errors.push(Finding::new("metadata.name", message));
    }
    for (index, file) in config.spec.container_file.iter().enumerate() {
        if let Err(error) = containerfile::parse(&file.content) {
            let finding = Finding::new(format!("spec.containerFile[{index}].content"), error.to_string());
            errors.push(Finding { line: error.line(), ..finding });
        }
    }
    errors
}

/// What a MachineOSConfig cannot be built without.
pub fn references(config: &MachineOSConfig) -> Vec<Reference> {
    let spec = &config.spec;
    let secret = |field, name: &str| Reference { field, kind: ReferenceKind::Secret, name: name.to_owned() };
    let pool = Reference {
        field: "spec.machineConfigPool.name",
        kind: ReferenceKind::Pool,
        name: spec.machine_config_pool.name.clone(),
    };
    let push = secret("spec.renderedImagePushSecret.name", &spec.rendered_image_push_secret.name);
    let pull = spec.base_image_pull_secret.as_ref();
    let pull = pull.map(|reference| secret("spec.baseImagePullSecret.name", &reference.name));
    [pool].into_iter().chain(pull).chain([push]).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use onlay_api::machine_os_config::{Containerfile, MachineOSConfigSpec};
    use onlay_api::reference::NameReference;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn written(name: &str, spec: Value) -> MachineConfig {
        let value = json!({
            "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfig",
            "metadata": {"name": name}, "spec": spec,
        });
        serde_json::from_value(value).unwrap()
    }

    fn file(mode: i64) -> Value {
        let files = json!([{"path": "/etc/motd", "mode": mode, "contents": {"source": "data:,hello"}}]);
        json!({"config": {"ignition": {"version": "3.5.0"}, "storage": {"files": files}}})
    }

    fn lines(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_machine_config_that_renders_is_accepted() {
        assert_eq!(machine_config(&written("a", file(0o644)), None), Verdict::default());
    }

    #[rstest]
    #[case::old_ignition(json!({"config": {"ignition": {"version": "2.2.0"}}}), "ignition.version: ")]
    #[case::an_unknown_kernel(json!({"kernelType": "fast"}), "spec.kernelType: ")]
    fn a_machine_config_that_cannot_be_rendered_is_refused(#[case] spec: Value, #[case] begins: &str) {
        let verdict = machine_config(&written("a", spec), None);
        assert!(verdict.errors[0].to_string().starts_with(begins), "{verdict:?}");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_lines() {
        let units = json!([{"name": "a.service", "contents": "[Unit]\n[Service\n"}, {"name": "b"}]);
        let spec =
            json!({"config": {"ignition": {"version": "3.5.0"}, "systemd": {"units": units}}, "kernelType": "rt"});
        let found = machine_config(&written("a", spec), None).errors;
        let places: Vec<_> = found.iter().map(|finding| (finding.field.as_str(), finding.line)).collect();
        let expected =
            [("systemd.units[0].contents", Some(2)), ("systemd.units[1].name", None), ("spec.kernelType", None)];
        assert_eq!(places, expected);
    }

    #[test]
    fn a_machine_configuration_of_another_name_has_no_effect() {
        let warnings = |name: &str| {
            let configuration = MachineConfiguration::new(name, Default::default());
            lines(&super::machine_configuration(&configuration).warnings)
        };
        assert_eq!(warnings("cluster"), Vec::<String>::new());
        assert_eq!(warnings("mine"), ["metadata.name: has no effect: only the one named cluster counts"]);
    }

    #[test]
    fn what_is_probably_not_meant_is_a_warning() {
        let verdict = machine_config(&written("a", file(644)), None);
        let text = "storage.files[0].mode: 644 is octal 1204; if octal 0644 is meant, write 420";
        assert_eq!((lines(&verdict.errors), lines(&verdict.warnings)), (vec![], vec![text.to_owned()]));
    }

    #[rstest]
    #[case::made("metadata.name: names that begin with `rendered-`", None)]
    #[case::changed("spec: is a rendered configuration, which never changes", Some(0o600))]
    fn a_rendered_configuration_is_nobody_elses(#[case] begins: &str, #[case] before: Option<i64>) {
        let name = "rendered-worker-0123456789abcdef0123456789abcdef";
        let old = before.map(|mode| written(name, file(mode)));
        let verdict = machine_config(&written(name, file(0o644)), old.as_ref());
        assert!(verdict.errors[0].to_string().starts_with(begins), "{verdict:?}");
    }

    #[test]
    fn an_object_from_before_a_rule_can_still_be_changed_elsewhere() {
        let broken = written("a", json!({"config": {"ignition": {"version": "2.2.0"}}}));
        assert_eq!(machine_config(&broken, Some(&broken)), Verdict::default());
        let mut other = written("a", json!({"config": {"ignition": {"version": "2.3.0"}}}));
        assert_eq!(machine_config(&other, Some(&broken)).errors.len(), 1);
        other.metadata.deletion_timestamp = Some(going());
        assert_eq!(machine_config(&other, Some(&broken)), Verdict::default());
    }

    #[test]
    fn a_pool_with_a_selector_that_nobody_can_read_is_refused() {
        let selector = json!({"matchExpressions": [{"key": "a", "operator": "In", "values": []}]});
        let value = json!({
            "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool",
            "metadata": {"name": "a"}, "spec": {"nodeSelector": selector},
        });
        let broken: MachineConfigPool = serde_json::from_value(value).unwrap();
        let text = "spec.nodeSelector: In of key a has no values; write at least one";
        assert_eq!(lines(&pool(&broken, None).errors), [text]);
        let mut changed = broken.clone();
        changed.spec.paused = true;
        assert_eq!(pool(&changed, Some(&broken)), Verdict::default());
        assert_eq!(pool(&broken, Some(&broken)), Verdict::default());
        changed.metadata.deletion_timestamp = Some(going());
        assert_eq!(pool(&changed, Some(&broken)), Verdict::default());
    }

    fn pool_with(max_unavailable: Value) -> MachineConfigPool {
        let value = json!({
            "apiVersion": "machineconfiguration.openshift.io/v1", "kind": "MachineConfigPool",
            "metadata": {"name": "a"}, "spec": {"maxUnavailable": max_unavailable},
        });
        serde_json::from_value(value).unwrap()
    }

    #[rstest]
    #[case::a_word(json!("abc"), Some("\"abc\""))]
    #[case::a_negative_number(json!(-3), Some("\"-3\""))]
    #[case::a_negative_percentage(json!("-10%"), Some("\"-10%\""))]
    #[case::nothing(Value::Null, None)]
    #[case::none(json!(0), None)]
    #[case::no_percentage(json!("0%"), None)]
    #[case::more_than_all(json!("150%"), None)]
    fn how_many_nodes_may_be_out(#[case] written: Value, #[case] refused: Option<&str>) {
        let text = refused.map(|given| {
            format!("spec.maxUnavailable: {given} is neither a number from 0 on nor a percentage; write 1 or \"10%\", for example")
        });
        assert_eq!(lines(&pool(&pool_with(written), None).errors), Vec::from_iter(text));
    }

    #[test]
    fn a_pool_from_before_a_rule_can_still_be_changed_elsewhere() {
        let old = pool_with(json!("abc"));
        let mut paused = old.clone();
        paused.spec.paused = true;
        assert_eq!(pool(&paused, Some(&old)), Verdict::default());
        assert_eq!(pool(&pool_with(json!("abd")), Some(&old)).errors.len(), 1);
    }

    fn os_config_with(content: &str) -> MachineOSConfig {
        let file = Containerfile { content: content.to_owned(), ..Containerfile::default() };
        let spec = MachineOSConfigSpec {
            machine_config_pool: NameReference::new("layered"),
            base_image_pull_secret: Some(NameReference::new("pull")),
            rendered_image_push_secret: NameReference::new("push"),
            container_file: vec![file],
            ..MachineOSConfigSpec::default()
        };
        MachineOSConfig::new("layered", spec)
    }

    #[rstest]
    #[case::a_good_one("FROM configs AS final\nRUN true\n", &[])]
    #[case::none_at_all("", &[])]
    #[case::an_unknown_instruction("FROM configs AS final\nINSTALL tree\n", &["line 2: `INSTALL tree`"])]
    #[case::another_base("FROM debian\n", &["line 1: `FROM debian`: the last stage begins with `debian`"])]
    #[case::an_open_heredoc("FROM configs AS final\nRUN <<EOF\ntrue\n", &["the heredoc is not ended"])]
    fn a_containerfile(#[case] content: &str, #[case] words: &[&str]) {
        let verdict = os_config(&os_config_with(content), None);
        assert_eq!(verdict.errors.len(), words.len(), "{verdict:?}");
        for (finding, words) in verdict.errors.iter().zip(words) {
            assert_eq!(finding.field, "spec.containerFile[0].content");
            assert!(finding.message.contains(words), "{finding}");
        }
    }

    #[test]
    fn a_config_has_the_name_of_its_pool() {
        let mut config = os_config_with("");
        config.metadata.name = Some("other".to_owned());
        let text = "metadata.name: must be the name of the pool, which is layered: a pool has one MachineOSConfig";
        assert_eq!(lines(&os_config(&config, None).errors), [text]);
    }

    #[test]
    fn the_annotation_of_the_conversion_is_not_written_by_hand() {
        let mut config = os_config_with("");
        config.metadata.annotations = Some([(names::KEPT_V1ALPHA1_ANNOTATION.to_owned(), "x".to_owned())].into());
        assert!(lines(&os_config(&config, None).errors)[0].starts_with("metadata.annotations[onlay.dev/v1alpha1]: "));
    }

    /// What somebody does to a stored MachineOSConfig whose Containerfile and annotation are wrong.
    #[rstest]
    #[case::asks_to_build_once_more(|config: &mut MachineOSConfig| annotate(config, names::REBUILD_ANNOTATION, ""), &[])]
    #[case::takes_a_finalizer_off(|config: &mut MachineOSConfig| config.metadata.finalizers = None, &[])]
    #[case::changes_the_annotation(
        |config: &mut MachineOSConfig| annotate(config, names::KEPT_V1ALPHA1_ANNOTATION, "y"),
        &["metadata.annotations"]
    )]
    #[case::writes_another_wrong_text(
        |config: &mut MachineOSConfig| config.spec.container_file[0].content = "FROM debian".to_owned(),
        &["spec.containerFile[0]"]
    )]
    #[case::writes_a_wrong_text_while_it_is_deleted(
        |config: &mut MachineOSConfig| {
            config.metadata.deletion_timestamp = Some(going());
            config.spec.container_file[0].content = "FROM debian".to_owned();
        },
        &[]
    )]
    fn a_stored_mistake_is_told_to_who_writes_it(#[case] change: fn(&mut MachineOSConfig), #[case] fields: &[&str]) {
        let mut stored = os_config_with("INSTALL tree");
        stored.metadata.finalizers = Some(vec!["foregroundDeletion".to_owned()]);
        annotate(&mut stored, names::KEPT_V1ALPHA1_ANNOTATION, "x");
        let mut changed = stored.clone();
        change(&mut changed);
        let said = lines(&os_config(&changed, Some(&stored)).errors);
        assert!(
            said.len() == fields.len() && said.iter().zip(fields).all(|(said, field)| said.starts_with(field)),
            "{said:?}"
        );
    }

    fn annotate(config: &mut MachineOSConfig, name: &str, value: &str) {
        config.metadata.annotations.get_or_insert_default().insert(name.to_owned(), value.to_owned());
    }

    fn going() -> Time {
        Time(jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_is_absent_for_now_is_named() {
        let absent = references(&os_config_with("")).into_iter().map(|each| each.absent("machines").to_string());
        assert_eq!(
            absent.collect::<Vec<_>>(),
            [
                "spec.machineConfigPool.name: MachineConfigPool layered does not exist yet: nothing is built until it does",
                "spec.baseImagePullSecret.name: Secret pull in namespace machines does not exist yet: nothing is built until \
                 it does",
                "spec.renderedImagePushSecret.name: Secret push in namespace machines does not exist yet: nothing is built \
                 until it does",
            ]
        );
    }
}
