//! A small cluster: what a decision says is done to it at once, and the test plays the Job and the person.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::api::core::v1::{
    ConfigMap, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus, Pod, PodSpec,
    PodStatus, Secret,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use onlay_api::conditions::{BuildConditionType, ConditionStatus, ConditionType, OSConfigConditionType, find};
use onlay_api::layering_policy::LayeringPolicy;
use onlay_api::machine_config::{MachineConfig, MachineConfigSpec};
use onlay_api::machine_config_pool::MachineConfigPool;
use onlay_api::machine_os_build::MachineOSBuild;
use onlay_api::machine_os_config::{Containerfile, MachineOSConfig, MachineOSConfigSpec};
use onlay_api::names;
use onlay_api::reference::NameReference;
use serde_json::json;

use super::super::*;
use crate::build::Settings;
use crate::build::base::watch::Answer;
use crate::build::extras::{OfPool, Provided};
use crate::build::inputs::repository;
use crate::build::part::Part;
use crate::build::pull_secret::{DOCKER_CONFIG_KEY, Hidden, RegistryEntry};
use crate::build::spec::{Failure, Outcome, SPEC_KEY, Spec};

pub(super) const IMAGE: &str = "registry.example.com/os/image@sha256:11";
pub(super) const REPOSITORY: &str = "registry.example.com/os/image";
const BASE: &str = "registry.example.com/os/base@sha256:aa";

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) config: MachineOSConfig,
    pub(super) pool: Option<MachineConfigPool>,
    pub(super) rendered: Option<MachineConfig>,
    pub(super) base: Base,
    pub(super) credentials: Credentials,
    pub(super) builds: BTreeMap<String, MachineOSBuild>,
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) pods: BTreeMap<String, Vec<Pod>>,
    pub(super) config_maps: BTreeMap<String, ConfigMap>,
    /// What the secrets have for nodes, by repository.
    pub(super) node_entries: BTreeMap<String, RegistryEntry>,
    pub(super) node_secret: Option<Secret>,
    pub(super) copied: Option<Secret>,
    /// What the registry says of the tags of builds when it is asked.
    pub(super) pushed: Result<Option<String>, String>,
    searches: BTreeMap<String, Answer<Option<String>>>,
    pub(super) progress: Option<String>,
    pub(super) images_in_use: BTreeSet<String>,
    /// What the registry says when it is asked for an image: that it has it, if it is not told here.
    pub(super) registry: Result<BTreeSet<String>, String>,
    pub(super) presences: BTreeMap<String, Answer<bool>>,
    pub(super) architectures: BTreeSet<String>,
    /// What the registry says to an index of images.
    pub(super) joins: Result<(), String>,
    joined: BTreeMap<String, Answer<String>>,
    /// After how many writes the controller dies that carries out the next decision.
    pub(super) dies_after: Option<usize>,
    pub(super) events: Vec<Event>,
    pub(super) measures: Vec<Measure>,
    pub(super) policy: Option<LayeringPolicy>,
    pub(super) provided: Provided,
    pub(super) extensions_image: Option<String>,
    pub(super) settings: Settings,
    uids: u32,
}

pub(super) fn material(name: &str, state: MaterialState) -> Material {
    Material { name: name.to_owned(), state }
}

pub(super) fn entry(key: &str, auth: &str) -> RegistryEntry {
    RegistryEntry { key: key.to_owned(), value: Hidden(json!({"auth": auth})) }
}

pub(super) fn usable(digest: &str) -> MaterialState {
    MaterialState::Usable { digest: digest.to_owned() }
}

pub(super) fn rendered(name: &str, spec: MachineConfigSpec) -> MachineConfig {
    MachineConfig::new(name, spec)
}

pub(super) fn with_file(path: &str) -> MachineConfigSpec {
    let config = json!({
        "ignition": {"version": "3.4.0"},
        "storage": {"files": [{"path": path, "contents": {"source": "data:,a"}}]},
    });
    MachineConfigSpec { config, ..MachineConfigSpec::default() }
}

impl World {
    pub(super) fn new() -> Self {
        let spec = MachineOSConfigSpec {
            machine_config_pool: NameReference::new("worker"),
            rendered_image_push_secret: NameReference::new("push-secret"),
            base_image_pull_secret: Some(NameReference::new("pull-secret")),
            rendered_image_push_spec: "registry.example.com/os/image:latest".to_owned(),
            ..MachineOSConfigSpec::default()
        };
        let mut config = MachineOSConfig::new("worker", spec);
        config.metadata.uid = Some("uid-of-the-config".to_owned());
        config.metadata.generation = Some(1);
        let mut world = Self {
            now: "2026-01-01T00:00:00.5Z".parse().unwrap(),
            config,
            pool: Some(MachineConfigPool::new("worker", Default::default())),
            rendered: Some(rendered("rendered-worker-1", MachineConfigSpec::default())),
            base: Base::Known {
                asked: "registry.example.com/os/base:1".to_owned(),
                image: BASE.to_owned(),
                fault: None,
                standing: Standing::Answered,
            },
            credentials: Credentials {
                nodes: None,
                push: material("push-secret", usable("1")),
                pull: Some(material("pull-secret", usable("2"))),
                authorities: None,
            },
            builds: BTreeMap::new(),
            jobs: BTreeMap::new(),
            pods: BTreeMap::new(),
            config_maps: BTreeMap::new(),
            node_entries: [(REPOSITORY.to_owned(), entry("registry.example.com", "1"))].into(),
            node_secret: None,
            copied: None,
            pushed: Ok(None),
            searches: BTreeMap::new(),
            progress: None,
            images_in_use: BTreeSet::new(),
            registry: Ok(BTreeSet::new()),
            presences: BTreeMap::new(),
            architectures: ["amd64".to_owned()].into(),
            joins: Ok(()),
            joined: BTreeMap::new(),
            dies_after: None,
            events: Vec::new(),
            measures: Vec::new(),
            policy: None,
            provided: Provided::default(),
            extensions_image: None,
            settings: Settings {
                namespace: "onlay".to_owned(),
                node_secrets_namespace: "onlay-node-secrets".to_owned(),
                builder_image: "registry.example.com/builder:1".to_owned(),
                registry_ca: None,
            },
            uids: 0,
        };
        world.containerfile("FROM configs AS final\nRUN apt-get install -y autofs\n");
        world
    }

    pub(super) fn containerfile(&mut self, text: &str) {
        self.config.spec.container_file = vec![Containerfile { content: text.to_owned(), ..Containerfile::default() }];
    }

    /// Decides once and does what was decided; says whether anything was done.
    pub(super) fn step(&mut self) -> bool {
        let part = |build: &MachineOSBuild, part: Part| PartOfBuild {
            job: self.jobs.get(&part.job),
            has_config_map: self.config_maps.contains_key(&part.config_map),
            pods: self.pods.get(&part.job).into_iter().flatten().collect(),
            pushed: self.searches.get(&key(&Search::of(build, &part))).cloned(),
            progress: self.progress.clone(),
            part,
        };
        let builds = self.builds.values().map(|build| Build {
            build,
            parts: Part::of(build).into_iter().map(|each| part(build, each)).collect(),
            joined: self.joined.get(&build.spec.rendered_image_push_spec).cloned(),
        });
        let observed = Observed {
            config: &self.config,
            pool: self.pool.as_ref(),
            rendered: self.rendered.as_ref(),
            base: self.base.clone(),
            extensions_image: self.extensions_image.clone(),
            ask_again: None,
            presences: self.presences.clone(),
            architectures: self.architectures.clone(),
            credentials: self.credentials.clone(),
            builds: builds.collect(),
            images_in_use: self.images_in_use.clone(),
            node_entries: self.node_entries.clone(),
            node_secret: self.node_secret.as_ref(),
            policy: self.policy.as_ref(),
            provided: &self.provided,
            settings: &self.settings,
        };
        let decision = decide(&observed, self.now);
        self.now += SignedDuration::from_secs(1);
        let asks = decision.ask_for.is_some() || decision.join.is_some() || !decision.searches.is_empty();
        let acted = !decision.actions.is_empty() || asks;
        if let Some(writes) = self.dies_after.take() {
            decision.actions.into_iter().take(writes).for_each(|action| self.act(action));
            // What registries have said is forgotten.
            self.presences.clear();
            self.joined.clear();
            self.searches.clear();
            return true;
        }
        for search in decision.searches {
            self.searches.insert(key(&search), Answer { at: self.now, said: self.pushed.clone() });
        }
        if let Some(join) = decision.join {
            let said =
                self.joins.clone().map(|()| format!("{}@sha256:{}", repository(&join.target), join.images.len()));
            self.joined.insert(join.target, Answer { at: self.now, said });
        }
        if let Some(image) = decision.ask_for {
            let said = self.registry.clone().map(|lost| !lost.contains(&image));
            self.presences.insert(image, Answer { at: self.now, said });
        }
        decision.actions.into_iter().for_each(|action| self.act(action));
        acted
    }

    /// Decides until nothing is left to do.
    pub(super) fn settle(&mut self) {
        let steps = (0..20).take_while(|_| self.step()).count();
        assert!(steps < 20, "never settles: {:?}", self.events);
    }

    fn uid(&mut self) -> Option<String> {
        self.uids += 1;
        Some(format!("uid-{}", self.uids))
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::CreateBuild(mut build) => {
                build.metadata.uid = self.uid();
                build.metadata.creation_timestamp = Some(Time(self.now));
                assert!(self.builds.insert(name(&build.metadata), *build).is_none(), "made twice");
            }
            Action::DeleteBuild { name, uid } => {
                let build = self.builds.remove(&name).unwrap();
                assert_eq!(build.metadata.uid, Some(uid.clone()));
                // The garbage collector takes what the build owned.
                self.jobs.retain(|_, job| job.metadata.owner_references.as_ref().unwrap()[0].uid != uid);
                self.config_maps.retain(|_, each| each.metadata.owner_references.as_ref().unwrap()[0].uid != uid);
            }
            Action::BuildStatus { name, status } => {
                let build = self.builds.get_mut(&name).unwrap();
                let frozen = build.status.as_ref().filter(|_| status::final_condition(build).is_some());
                assert!(frozen.is_none_or(|old| old.conditions == status.conditions), "a final state was touched");
                if let (Some(start), Some(end)) = (status.build_start, status.build_end) {
                    assert!(start.as_second() < end.as_second(), "the schema wants the end after the start");
                }
                build.status = Some(*status);
            }
            Action::CreateConfigMap(config_map) => {
                self.config_maps.insert(name(&config_map.metadata), *config_map);
            }
            Action::BuildSecret(secret) => {
                assert_eq!(name(&secret.0.metadata), "etc-pki-entitlement-worker");
                self.provided.entitlements.of_pool = Some(OfPool::Build);
                self.copied = Some(secret.0);
            }
            Action::DeleteSecret(name) => {
                assert_eq!(self.copied.take().and_then(|secret| secret.metadata.name), Some(name));
                self.provided.entitlements.of_pool = None;
            }
            Action::CreateJob(job) => {
                self.pods.remove(&name(&job.metadata));
                assert!(self.jobs.insert(name(&job.metadata), *job).is_none(), "made twice");
            }
            Action::DeleteJob(name) => {
                self.jobs.remove(&name);
                self.pods.remove(&name);
            }
            Action::DeleteConfigMap(name) => {
                self.config_maps.remove(&name);
            }
            Action::ConfigStatus(status) => self.config.status = Some(*status),
            Action::Annotate(annotations) => {
                let have = self.config.metadata.annotations.get_or_insert_default();
                for (key, value) in annotations {
                    match value {
                        Some(value) => have.insert(key.to_owned(), value),
                        None => have.remove(key),
                    };
                }
            }
            Action::NodeSecret(secret) => self.node_secret = Some(secret.0),
            Action::Tell(event) => self.events.push(event),
            Action::Count(measure) => self.measures.push(*measure),
        }
    }

    // What the person does.

    pub(super) fn annotate(&mut self, key: &str) {
        self.config.metadata.annotations.get_or_insert_default().insert(key.to_owned(), String::new());
    }

    // What the Job does.

    pub(super) fn run_pod(&mut self) {
        let running = ContainerStateRunning { started_at: Some(Time(self.now)) };
        let running = ContainerState { running: Some(running), ..ContainerState::default() };
        self.pod(running);
    }

    pub(super) fn end_pod(&mut self, outcome: Option<&Outcome>) {
        let terminated = ContainerStateTerminated {
            exit_code: outcome.map_or(137, Outcome::exit_code),
            message: outcome.map(Outcome::to_message),
            finished_at: Some(Time(self.now)),
            reason: outcome.is_none().then(|| "OOMKilled".to_owned()),
            ..ContainerStateTerminated::default()
        };
        let state = ContainerState { terminated: Some(terminated), ..ContainerState::default() };
        self.pods.values_mut().for_each(|pods| {
            pods.pop();
        });
        self.pod(state);
    }

    /// The pod that runs is evicted by its kubelet, and the Job makes another one.
    pub(super) fn evict_pod(&mut self) {
        let pod = self.pods.values_mut().flatten().next_back().unwrap();
        pod.status = Some(PodStatus {
            phase: Some("Failed".to_owned()),
            reason: Some("Evicted".to_owned()),
            message: Some("The node was low on resource: memory. ".to_owned()),
            ..PodStatus::default()
        });
    }

    /// The Jobs that have ended are forgotten, as they are after a day.
    pub(super) fn forget_jobs(&mut self) {
        let has_ended = |job: &Job| job.status.as_ref().is_some_and(|status| status.conditions.is_some());
        self.jobs.retain(|_, job| !has_ended(job));
    }

    /// The Job of the part for an architecture ends, and its pod with it.
    pub(super) fn end_part(&mut self, architecture: &str, outcome: &Outcome) {
        let others: BTreeMap<_, _> = std::mem::take(&mut self.jobs);
        let (own, others) = others.into_iter().partition(|(name, _)| name.ends_with(architecture));
        let pods = std::mem::take(&mut self.pods);
        self.jobs = own;
        self.end_pod(Some(outcome));
        self.end_job(if matches!(outcome, Outcome::Pushed { .. }) { "Complete" } else { "Failed" }, 1);
        self.jobs.extend::<BTreeMap<_, _>>(others);
        self.pods.extend(pods);
    }

    fn pod(&mut self, state: ContainerState) {
        let status = ContainerStatus { name: "build".to_owned(), state: Some(state), ..ContainerStatus::default() };
        let pod = Pod {
            metadata: ObjectMeta {
                name: Some("build-x".to_owned()),
                creation_timestamp: Some(Time(self.now)),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec { node_name: Some("worker-0".to_owned()), ..PodSpec::default() }),
            status: Some(PodStatus { container_statuses: Some(vec![status]), ..PodStatus::default() }),
        };
        let job = self.jobs.keys().next_back().cloned().unwrap();
        self.pods.entry(job).or_default().push(pod);
    }

    pub(super) fn end_job(&mut self, condition: &str, failed: i32) {
        self.end_jobs(condition, failed, "BackoffLimitExceeded");
    }

    /// The Jobs fail for this reason.
    pub(super) fn end_job_for(&mut self, reason: &str) {
        self.end_jobs("Failed", 0, reason);
    }

    fn end_jobs(&mut self, condition: &str, failed: i32, reason: &str) {
        let now = Time(self.now);
        for job in self.jobs.values_mut() {
            let condition = JobCondition {
                type_: condition.to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                last_transition_time: Some(now.clone()),
                ..JobCondition::default()
            };
            let conditions = (!condition.type_.is_empty()).then(|| vec![condition]);
            job.status = Some(JobStatus { conditions, failed: Some(failed), ..JobStatus::default() });
        }
    }

    pub(super) fn succeed(&mut self, image: &str) {
        self.run_pod();
        self.settle();
        self.end_pod(Some(&Outcome::Pushed { image: image.to_owned() }));
        self.end_job("Complete", 0);
        self.settle();
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.run_pod();
        self.settle();
        self.end_pod(Some(&Outcome::Failed(failure)));
        self.end_job("Failed", 1);
        self.settle();
    }

    // What people see.

    /// What the one build that goes on is asked to do.
    pub(super) fn asked(&self) -> Spec {
        let config_map = self.config_maps.values().next().expect("the ConfigMap of a build");
        serde_json::from_str(&config_map.data.as_ref().unwrap()[SPEC_KEY]).unwrap()
    }

    pub(super) fn only_build(&self) -> &MachineOSBuild {
        assert_eq!(self.builds.len(), 1, "{:?}", self.builds.keys());
        self.builds.values().next().unwrap()
    }

    /// The one condition of a build that is True, with its message.
    pub(super) fn state(build: &MachineOSBuild) -> (&'static str, String) {
        let conditions = &build.status.as_ref().unwrap().conditions;
        assert_eq!(conditions.len(), BuildConditionType::ALL.len());
        let is_true = |type_: &BuildConditionType| find(conditions, *type_).unwrap().status == ConditionStatus::True;
        let mut types = BuildConditionType::ALL.iter().copied().filter(is_true);
        let type_ = types.next().expect("no condition is True");
        assert!(types.next().is_none(), "two conditions are True");
        (type_.as_str(), find(conditions, type_).unwrap().message.clone())
    }

    pub(super) fn config_condition(&self, type_: OSConfigConditionType) -> (ConditionStatus, String, String) {
        let condition = find(&self.config.status.as_ref().unwrap().conditions, type_).unwrap();
        (condition.status, condition.reason.clone(), condition.message.clone())
    }

    pub(super) fn ready(&self) -> (ConditionStatus, String, String) {
        self.config_condition(OSConfigConditionType::ImageReady)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.config.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    pub(super) fn served(&self) -> (Option<&str>, Option<&str>) {
        let image = self.config.status.as_ref().and_then(|status| status.current_image_pull_spec.as_deref());
        (image, self.annotation(names::SERVES_ANNOTATION))
    }

    /// What nodes pull with.
    pub(super) fn node_credentials(&self) -> String {
        let data = self.node_secret.as_ref().and_then(|secret| secret.data.as_ref()).expect("the secret of nodes");
        String::from_utf8(data[DOCKER_CONFIG_KEY].0.clone()).unwrap()
    }

    /// How many builds were made.
    pub(super) fn made(&self) -> u32 {
        self.uids
    }

    pub(super) fn told(&self, reason: &str) -> usize {
        self.events.iter().filter(|event| event.reason == reason).count()
    }
}

fn key(search: &Search) -> String {
    format!("{} {}", search.build, search.target)
}

fn name(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap()
}
