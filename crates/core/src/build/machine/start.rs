//! The beginning of a build: its object, its ConfigMap, its Job.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use onlay_api::conditions::{self, ConditionStatus, OSConfigConditionType};
use onlay_api::machine_config::MachineConfigSpec;
use onlay_api::machine_os_build::{MachineOSBuild, MachineOSBuildSpec, OSConfigReference, RenderedConfigReference};
use onlay_api::names;

use super::decision::{Action, Decision, Object};
use super::observed::{Build, Observed, PartOfBuild};
use super::presence::{self, Presence};
use super::status::Turn;
use super::target::{Obstacle, Target};
use super::{CREDENTIALS_ANNOTATION, POLL, ask, base, newest_of, serve, wish};
use crate::build::base::{ASKED_ANNOTATION, FAULT_ANNOTATION, RESOLVED_ANNOTATION};
use crate::build::extras::Entitlement;
use crate::build::inputs::{self, repository};
use crate::build::job::{self, Parts};
use crate::build::part::{self, Part};
use crate::build::pull_secret::Hidden;
use crate::build::spec::{Cause, Failure};

/// How many reasons for a build are told.
const REASONS: usize = 5;
/// Most bytes that all values of a ConfigMap may have together, for the API server.
const MAX_CONFIG_MAP: usize = 1 << 20;

/// Makes the build of the target, if it can begin.
pub(super) fn build(observed: &Observed<'_>, target: &Target<'_>, now: Timestamp, decision: &mut Decision) {
    let served = served(observed, target);
    let lost = served.filter(|image| presence::of(observed, image, None, now, decision) == Presence::Gone);
    if let (Some(image), None) = (served, lost) {
        return serve::image(observed, target, image, now, decision);
    }
    let credentials = match credentials(observed, target) {
        Ok(credentials) => credentials,
        Err(_) if target.refusal.is_some() => String::new(),
        Err(obstacle) => {
            serve::wait(observed, &obstacle, Some(target), now, decision);
            return decision.look_again(now + POLL);
        }
    };
    let why = base::moved(observed, target).or(lost.map(presence::lost)).or_else(|| why(observed, target));
    let mut build = object(observed, target, credentials, why.clone());
    let mut annotations = BTreeMap::from([(names::CURRENT_BUILD_ANNOTATION, Some(target.name.clone()))]);
    if observed.rebuild_is_due() {
        let at = wish::granted_now(observed, now);
        build.metadata.annotations.get_or_insert_default().insert(names::REBUILT_ANNOTATION.to_owned(), at.to_string());
        annotations.extend(wish::note(at));
    }
    decision.act(Action::CreateBuild(Box::new(build)));
    decision.act(Action::Annotate(annotations));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let note = format!("{} builds {} on {}{why}", target.name, target.rendered, target.base);
    decision.tell(Object::Config, "BuildStarted", note);
    serve::building(observed, target, "the build begins", now, decision);
}

/// Why the target is another image than the one before, in words; none if there was none, or nobody knows.
fn why(observed: &Observed<'_>, target: &Target<'_>) -> Option<String> {
    if observed.rebuild_is_due() {
        return Some(wish::WHY.to_owned());
    }
    let before = &observed.config.status.as_ref()?.machine_os_build.as_ref()?.name;
    let before = observed.builds.iter().find(|build| build.name() == before)?;
    let record = before.build.metadata.annotations.as_ref()?.get(names::INPUTS_ANNOTATION)?;
    let reasons = inputs::since(record, &target.record);
    let mut words: Vec<_> = reasons.iter().take(REASONS).map(ToString::to_string).collect();
    if let more @ 1.. = reasons.len().saturating_sub(REASONS) {
        words.push(format!("and {more} more"));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

/// A digest of everything that the build talks to registries with, if all that it needs is there.
pub(super) fn credentials(observed: &Observed<'_>, target: &Target<'_>) -> Result<String, Obstacle> {
    if let Some(obstacle) = &target.unmet {
        return Err(obstacle.clone());
    }
    let unusable = |message| Obstacle::new(ConditionStatus::False, "CredentialsUnusable", message);
    observed.fingerprint().map_err(unusable)
}

/// The node where the last build ran that made an image for an architecture, as long as its pod is known.
fn warm<'a>(observed: &Observed<'a>, architecture: &str) -> Option<&'a str> {
    let made = observed.builds.iter().filter_map(|build| {
        let status = build.build.status.as_ref()?;
        status.digested_image_push_spec.as_ref()?;
        let part = build.parts.iter().find(|part| part.part.architecture == architecture)?;
        let pod = newest_of(part.pods.iter().copied())?;
        Some((status.build_end, pod.spec.as_ref()?.node_name.as_deref()?))
    });
    made.max_by_key(|(ended, _)| *ended).map(|(_, node)| node)
}

/// The image that is served already for this very target, although its build was deleted.
fn served<'a>(observed: &Observed<'a>, target: &Target<'_>) -> Option<&'a str> {
    let status = observed.config.status.as_ref()?;
    let of_target = status.machine_os_build.as_ref().is_some_and(|build| build.name == target.name);
    let ready = conditions::is_true(&status.conditions, OSConfigConditionType::ImageReady);
    let usable = of_target && ready && !observed.rebuild_is_due();
    status.current_image_pull_spec.as_deref().filter(|_| usable)
}

fn object(observed: &Observed<'_>, target: &Target<'_>, credentials: String, why: Option<String>) -> MachineOSBuild {
    let config = observed.config;
    let config_name = config.metadata.name.clone().unwrap_or_default();
    let pool = &config.spec.machine_config_pool.name;
    let labels = [
        (names::ON_CLUSTER_LAYERING_LABEL, String::new()),
        (names::RENDERED_MACHINE_CONFIG_LABEL, job::label_value(target.rendered)),
        (names::TARGET_POOL_LABEL, job::label_value(pool)),
    ];
    let annotations = [
        (names::MACHINE_OS_CONFIG_ANNOTATION, Some(config_name.clone())),
        (ASKED_ANNOTATION, Some(target.asked.to_owned())),
        (RESOLVED_ANNOTATION, Some(target.base.to_owned())),
        (FAULT_ANNOTATION, target.fault.map(str::to_owned)),
        (CREDENTIALS_ANNOTATION, Some(credentials)),
        (names::REASON_FOR_BUILD_ANNOTATION, why),
        (names::INPUTS_ANNOTATION, Some(target.record.clone())),
        (names::ARCHITECTURES_ANNOTATION, Some(part::write(&target.containerfiles.keys().cloned().collect()))),
    ];
    let annotations = annotations.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let spec = MachineOSBuildSpec {
        machine_config: RenderedConfigReference { name: target.rendered.to_owned() },
        machine_os_config: OSConfigReference { name: config_name.clone() },
        rendered_image_push_spec: push_spec(observed, target),
    };
    let mut build = MachineOSBuild::new(&target.name, spec);
    build.metadata = ObjectMeta {
        name: Some(target.name.clone()),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
        annotations: Some(annotations.collect()),
        owner_references: Some(vec![OwnerReference {
            api_version: format!("{}/{}", names::GROUP, names::VERSION),
            kind: "MachineOSConfig".to_owned(),
            name: config_name,
            uid: config.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: None,
        }]),
        ..ObjectMeta::default()
    };
    build
}

/// Where the image of a target is pushed, with its tag.
pub(super) fn push_spec(observed: &Observed<'_>, target: &Target<'_>) -> String {
    format!("{}:{}", repository(&observed.config.spec.rendered_image_push_spec), target.name)
}

/// Makes ConfigMaps and Jobs of parts of a build.
pub(super) fn jobs(
    observed: &Observed<'_>,
    target: &Target<'_>,
    build: &Build<'_>,
    parts: &[&PartOfBuild<'_>],
    now: Timestamp,
    decision: &mut Decision,
) {
    if let Err(obstacle) = credentials(observed, target) {
        serve::wait(observed, &obstacle, Some(target), now, decision);
        return decision.look_again(now + POLL);
    }
    let mut actions = Vec::new();
    for part in parts {
        match objects(observed, target, build, &part.part, now) {
            Ok(objects) => actions.extend(objects),
            Err(NotMade::Obstacle(obstacle)) => {
                serve::wait(observed, &obstacle, Some(target), now, decision);
                return decision.look_again(now + POLL);
            }
            Err(NotMade::Failure(failure)) => return super::fail(observed, target, build, &failure, now, decision),
        }
    }
    actions.into_iter().for_each(|action| decision.act(action));
    let message = match build.parts.as_slice() {
        [_] => "the Job is made, and its pod is awaited",
        _ => "the Jobs are made, and their pods are awaited",
    };
    super::come_into(observed, build, Turn::prepared(message.to_owned()), now, decision);
    serve::building(observed, target, message, now, decision);
}

/// Why the objects of a part of a build are not made.
enum NotMade {
    /// Something has to be there first.
    Obstacle(Obstacle),
    /// The build cannot be described.
    Failure(Failure),
}

/// What makes the objects of a part of a build.
fn objects(
    observed: &Observed<'_>,
    target: &Target<'_>,
    build: &Build<'_>,
    part: &Part,
    now: Timestamp,
) -> Result<Vec<Action>, NotMade> {
    let place = (part.architecture.as_str(), part.target.clone());
    let spec = ask::of(observed, target, place, now).map_err(NotMade::Obstacle)?;
    let policy = observed.policy.and_then(|policy| policy.spec.build.clone()).unwrap_or_default();
    let parts = Parts {
        build: build.build,
        spec: &spec,
        pool: &observed.config.spec.machine_config_pool.name,
        part,
        policy: &policy,
        warm: warm(observed, &part.architecture),
        settings: observed.settings,
        now,
    };
    let config_map = config_map(&parts, target.spec).map_err(NotMade::Failure)?;
    let secret = entitlement(observed, &parts).map(|secret| Action::BuildSecret(Box::new(secret)));
    let job = Action::CreateJob(Box::new(job::job(&parts)));
    Ok([Action::CreateConfigMap(Box::new(config_map))].into_iter().chain(secret).chain([job]).collect())
}

/// The copy of the cluster's entitlements, if the build is given one.
fn entitlement(observed: &Observed<'_>, parts: &Parts<'_>) -> Option<Hidden<Secret>> {
    let Some(Entitlement::Copied(name, contents)) = observed.provided.entitlements.choose(parts.pool) else {
        return None;
    };
    let is_given = parts.spec.extras.mounts.iter().any(|mount| mount.name == name);
    is_given.then(|| job::entitlement(parts, name, contents))
}

fn config_map(parts: &Parts<'_>, spec: &MachineConfigSpec) -> Result<ConfigMap, Failure> {
    let refuse = |why: String| Failure::new(Cause::InputRefused, why);
    let packed = pack(spec).map_err(|error| refuse(format!("the configuration cannot be packed: {error}")))?;
    let configuration = packed.len();
    let made =
        job::config_map(parts, packed).map_err(|error| refuse(format!("the build cannot be described: {error}")))?;
    let others: usize = made.data.iter().flat_map(BTreeMap::values).map(String::len).sum();
    if configuration + others > MAX_CONFIG_MAP {
        return Err(refuse(format!(
            "the rendered configuration {} has {configuration} bytes when packed, and what is said of it and of the build \
             {others}; a build takes at most {MAX_CONFIG_MAP} together; move large files from MachineConfigs into the \
             Containerfile",
            parts.spec.rendered
        )));
    }
    Ok(made)
}

/// A configuration as the builder reads it.
pub(super) fn pack(spec: &MachineConfigSpec) -> std::io::Result<Vec<u8>> {
    let mut packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packer.write_all(&serde_json::to_vec(spec)?)?;
    packer.finish()
}
