//! Builds the images that MachineOSConfigs ask for: the only writer of builds, their Jobs, and the status of both.
//!
//! [`onlay_core::build::machine::decide`] says what shall be; here it is observed and written. What a registry says of a
//! base image is remembered until it is to be asked again.

mod follow;
mod lookup;
mod materials;
mod measure;
mod objects;
mod provided;
mod proxy;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};
use onlay_api::{
    BuildPolicy, LayeringPolicy, MachineConfig, MachineConfigNode, MachineConfigPool, MachineOSBuild, MachineOSConfig,
    names,
};
use onlay_core::build::base::watch::{Answer, Found, Question, Watch};
use onlay_core::build::base::{self, Nodes};
use onlay_core::build::inputs::repository;
use onlay_core::build::machine::{self, Action, Base, Build, Decision, Join, Observed, Search};
use onlay_core::build::{Settings, pull_secret};

use self::lookup::Lookups;
use self::materials::Materials;
use self::objects::Objects;
use crate::context::{Config, Context};
use crate::report::chain;
use crate::wake::{earliest, repeat};

pub use self::write::Error;

/// Builds, whenever a MachineOSConfig or what its image is made of changes.
pub async fn run(ctx: Arc<Context>) -> Infallible {
    let objects = Objects::watch(&ctx).await;
    let lookups = Lookups::new(ctx.wakes.build.clone());
    let settings = settings(&ctx.config);
    let pass = async |now| pass(&ctx, &objects, &lookups, &settings, now).await;
    repeat(&ctx.wakes.build, pass).await
}

fn settings(config: &Config) -> Settings {
    Settings {
        namespace: config.namespace.clone(),
        node_secrets_namespace: config.node_secrets_namespace.clone(),
        builder_image: config.builder_image.clone(),
        registry_ca: config.registry_ca_configmap.clone(),
    }
}

async fn pass(
    ctx: &Context,
    objects: &Objects,
    lookups: &Lookups,
    settings: &Settings,
    now: Timestamp,
) -> Option<Timestamp> {
    let configs = ctx.os_configs.all();
    let work = configs.iter().map(async |config| {
        let outcome = reconcile(ctx, objects, lookups, settings, config, now).await;
        ctx.reporter.outcome(&config.object_ref(&()), outcome, now).await
    });
    join_all(work).await.into_iter().fold(None, earliest)
}

async fn reconcile(
    ctx: &Context,
    objects: &Objects,
    lookups: &Lookups,
    settings: &Settings,
    config: &MachineOSConfig,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let mut decision = decide(ctx, objects, lookups, settings, config, now).await;
    let makes_jobs = decision.actions.iter().any(|action| matches!(action, Action::CreateJob(_)));
    if makes_jobs && is_renewed(ctx, &config.spec.machine_config_pool.name).await {
        decision = decide(ctx, objects, lookups, settings, config, now).await;
    }
    write::apply(ctx, objects, config, decision, now).await
}

/// Asks for a pool's policy, and says whether it is another one than was known: one that a person has applied before the
/// MachineOSConfig may be told here after it, and a Job is made once.
async fn is_renewed(ctx: &Context, pool: &str) -> bool {
    let asked = Api::<LayeringPolicy>::all(ctx.client.clone()).get_opt(pool).await;
    let asked =
        asked.inspect_err(|error| tracing::warn!(pool, error = chain(error), "failed to ask for a LayeringPolicy"));
    let Some(policy) = asked.ok().flatten() else { return false };
    let known = ctx.layering_policies.get(pool);
    let is_new = known.is_none_or(|known| known.resource_version() != policy.resource_version());
    if is_new {
        ctx.layering_policies.put(policy);
    }
    is_new
}

/// Observes, and decides what follows.
async fn decide(
    ctx: &Context,
    objects: &Objects,
    lookups: &Lookups,
    settings: &Settings,
    config: &MachineOSConfig,
    now: Timestamp,
) -> Decision {
    let seen = Seen::of(ctx, config);
    let nodes = nodes_of(ctx, &config.spec.machine_config_pool.name);
    let architectures = nodes.architectures_or_usual();
    let policy = ctx.layering_policies.get(&config.spec.machine_config_pool.name);
    let materials = Materials::read(objects, settings, config, policy.as_deref());
    let watch = Watch::of(policy.as_deref());
    let (base, ask_again) = match seen.asked(objects, &nodes) {
        Ok(asked) => {
            let remembered = seen.remembered(&asked, &architectures);
            let rebuild = lookups.wish(config, machine::rebuild_is_asked(config), now);
            let question = seen.question(&asked, remembered.as_ref(), rebuild, watch);
            lookups.base(question, &materials, &architectures, now).await
        }
        Err(why) => (Base::Unknown { why }, None),
    };
    let builds = seen.builds.iter().map(|build| objects.of_build(build)).collect::<Vec<_>>();
    let mut views: Vec<Build<'_>> = builds.iter().map(objects::OfBuild::view).collect();
    for view in views.iter_mut().filter(|view| !machine::has_ended(view.build)) {
        for part in &mut view.parts {
            part.pushed = lookups.found(&Search::of(view.build, &part.part), &materials, now);
        }
        view.joined = Join::of(view).and_then(|join| lookups.joined(&join, &materials, now));
    }
    let node_secret = objects.node_secrets.get(&format!(
        "{}/{}",
        settings.node_secrets_namespace,
        pull_secret::name(&config.spec.machine_config_pool.name)
    ));
    let of_builds = policy.as_ref().and_then(|policy| policy.spec.build.as_ref());
    let pool = &config.spec.machine_config_pool.name;
    let provided = provided::read(objects, of_builds.unwrap_or(&BuildPolicy::default()), pool, now).await;
    let observed = Observed {
        config,
        pool: seen.pool.as_deref(),
        rendered: seen.rendered.as_deref(),
        base,
        extensions_image: seen.extensions_image(objects),
        ask_again,
        presences: seen.presences(lookups, &materials, now),
        architectures,
        credentials: materials.credentials(),
        builds: views,
        images_in_use: images_in_use(ctx),
        node_entries: materials.node_entries(seen.repositories()),
        node_secret: node_secret.as_deref(),
        policy: policy.as_deref(),
        provided: &provided,
        settings,
    };
    let decision = machine::decide(&observed, now);
    if let Some(image) = &decision.ask_for {
        lookups.ask_for(image, &materials, now);
    }
    decision.searches.iter().for_each(|search| lookups.search(search, &materials, now));
    if let Some(join) = &decision.join {
        lookups.join(join.clone(), &materials, now);
    }
    decision
}

/// The objects that a decision is about.
struct Seen<'a> {
    config: &'a MachineOSConfig,
    pool: Option<Arc<MachineConfigPool>>,
    rendered: Option<Arc<MachineConfig>>,
    builds: Vec<Arc<MachineOSBuild>>,
}

impl<'a> Seen<'a> {
    fn of(ctx: &Context, config: &'a MachineOSConfig) -> Self {
        let pool = ctx.pools.get(&config.spec.machine_config_pool.name);
        let target = pool.as_ref().and_then(|pool| pool.spec.configuration.as_ref());
        let rendered = target.and_then(|target| ctx.configs.get(&target.name));
        let name = config.name_any();
        let mut builds = ctx.os_builds.all();
        builds.retain(|build| build.spec.machine_os_config.name == name);
        Self { config, pool, rendered, builds }
    }

    /// What registries last said of the images that were built.
    fn presences(&self, lookups: &Lookups, materials: &Materials, now: Timestamp) -> BTreeMap<String, Answer<bool>> {
        let of_builds =
            self.builds.iter().filter_map(|build| build.status.as_ref()?.digested_image_push_spec.as_deref());
        let served = self.config.status.as_ref().and_then(|status| status.current_image_pull_spec.as_deref());
        let images = of_builds.chain(served);
        images.filter_map(|image| Some((image.to_owned(), lookups.presence(image, materials, now)?))).collect()
    }

    /// Where the image is pushed, and where the one is that is served.
    fn repositories(&self) -> impl Iterator<Item = &str> {
        let served = self.config.status.as_ref().and_then(|status| status.current_image_pull_spec.as_deref());
        [self.config.spec.rendered_image_push_spec.as_str()].into_iter().chain(served).map(repository)
    }

    /// The base image as it is named; else why that is not known, in words.
    fn asked(&self, objects: &Objects, nodes: &Nodes) -> Result<String, String> {
        let rendered = self.rendered.as_ref().ok_or("the pool has no rendered configuration")?;
        let config_map = objects.config_map(names::BASE_IMAGE_CONFIG_MAP);
        base::choose(Some(self.config), &rendered.spec, config_map.as_deref(), &nodes.adopted)
            .map_err(|error| error.to_string())
    }

    fn extensions_image(&self, objects: &Objects) -> Option<String> {
        let config_map = objects.config_map(names::BASE_IMAGE_CONFIG_MAP);
        base::extensions_image(Some(self.config), &self.rendered.as_ref()?.spec, config_map.as_deref())
    }

    fn remembered(&self, asked: &str, architectures: &BTreeSet<String>) -> Option<Found> {
        base::remembered(Some(self.config), self.builds.iter().map(|build| &**build), asked, architectures)
    }

    fn question<'b>(
        &self,
        asked: &'b str,
        remembered: Option<&'b Found>,
        rebuild: Option<Timestamp>,
        watch: Watch,
    ) -> Question<'b> {
        let newest = self.builds.iter().max_by_key(|build| build.metadata.creation_timestamp.clone());
        Question {
            asked,
            remembered,
            answer: None,
            rebuild,
            failed: newest.is_some_and(|build| machine::has_failed(build)),
            watch,
        }
    }
}

fn nodes_of(ctx: &Context, pool: &str) -> Nodes {
    let (pools, nodes) = (ctx.pools.all(), ctx.nodes.all());
    let pools: Vec<&MachineConfigPool> = pools.iter().map(|pool| &**pool).collect();
    let states: BTreeMap<String, Arc<MachineConfigNode>> =
        ctx.node_states.all().into_iter().map(|state| (state.name_any(), state)).collect();
    let nodes = nodes.iter().map(|node| (&**node, states.get(&node.name_any()).map(|state| &**state)));
    base::nodes_of(pool, &pools, nodes)
}

/// The images that nodes run or shall run.
fn images_in_use(ctx: &Context) -> BTreeSet<String> {
    let states = ctx.node_states.all();
    let of_status = |state: &MachineConfigNode| state.status.as_ref()?.config_image.as_ref()?.current_image.clone();
    let of_spec = |state: &MachineConfigNode| Some(state.spec.config_image.as_ref()?.desired_image.clone());
    states.iter().flat_map(|state| [of_status(state), of_spec(state)]).flatten().collect()
}
