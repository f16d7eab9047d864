//! From files to what a builder is asked to do: the decision is the controller's.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use onlay_api::{MachineOSConfig, names};
use onlay_core::build::extras::{Contents, Kind};
use onlay_core::build::machine::{self, Base, Credentials, Material, Observed, Standing};
use onlay_core::build::spec::Spec;
use onlay_core::build::{Settings, base, trust};
use onlay_core::change::foresee::Configuration;
use onlay_registry::{DockerConfig, Registry};

use crate::finding::Finding;
use crate::input::Object;
use crate::output::rendered;
use crate::world::World;
use crate::{provided, selection};

/// Kinds that people know by these names.
const OS_CONFIG: &str = "MachineOSConfig";

/// What registries are shown, and by what they are known.
pub struct Access {
    /// Credentials.
    pub credentials: DockerConfig,
    /// More authorities, in PEM.
    pub authorities: Option<String>,
}

impl Access {
    /// Reads the files; without a name, the credentials that podman or docker have kept, if there are any.
    pub fn read(authfile: Option<&Utf8Path>, authorities: Option<&Utf8Path>) -> Result<Self, Finding> {
        let kept = kept_credentials().into_iter().find(|path| path.exists());
        let credentials = match authfile.map(Utf8Path::to_owned).or(kept) {
            None => DockerConfig::default(),
            Some(path) => DockerConfig::parse(read(&path)?.as_bytes())
                .map_err(|error| Finding::error(path.as_str(), error.to_string()))?,
        };
        Ok(Self { credentials, authorities: authorities.map(read).transpose()? })
    }
}

/// Where `podman login` and `docker login` keep credentials.
fn kept_credentials() -> Vec<Utf8PathBuf> {
    let below = |variable: &str, path: &str| Some(Utf8PathBuf::from(std::env::var(variable).ok()?).join(path));
    let named = std::env::var("REGISTRY_AUTH_FILE").ok().map(Utf8PathBuf::from);
    let all = [named, below("XDG_RUNTIME_DIR", "containers/auth.json"), below("HOME", ".docker/config.json")];
    all.into_iter().flatten().collect()
}

fn read(path: &Utf8Path) -> Result<String, Finding> {
    std::fs::read_to_string(path).map_err(|error| Finding::error(path.as_str(), format!("cannot be read: {error}")))
}

/// What a builder is asked to do, and everything that it is given.
pub struct Asked {
    /// What it is asked to do.
    pub spec: Spec,
    /// The configuration, packed.
    pub configuration: Vec<u8>,
    objects: Vec<Object>,
}

impl Asked {
    /// What is in a ConfigMap or Secret of the files.
    pub fn contents(&self, kind: Kind, name: &str) -> Option<Contents> {
        provided::contents(&self.objects, kind, name)
    }
}

/// Reads the build of a pool from files; the registry is asked for the digest of a base image that is named by tag.
pub fn build(
    objects: Vec<Object>,
    pool: Option<&str>,
    base: Option<&str>,
    access: &Access,
    findings: &mut Vec<Finding>,
) -> Result<Asked, Finding> {
    let world = World::of(objects)?;
    let os_config = os_config(&world, pool)?;
    let title = format!("{OS_CONFIG} {}", os_config.metadata.name.as_deref().unwrap_or_default());
    let refuse = |message: String| Finding::error(&title, message);
    let name = os_config.spec.machine_config_pool.name.as_str();
    let pool = selection::pool(&world.objects, name);
    let selected = selection::selected(&pool, &world.objects)?;
    let (result, warnings) = selection::render(name, &selected, &world.objects)?;
    findings.extend(warnings);
    let machine_config = rendered::machine_config(&result);
    let configuration = Configuration::of(result).map_err(|error| refuse(error.to_string()))?;
    let asked = base.map(str::to_owned).or_else(|| World::base(name, &configuration, &world.named(name), &[&world]));
    let asked = asked.ok_or_else(|| {
        refuse(
            "nothing names the base image; give it with --base IMAGE, or set osImageURL in a MachineConfig".to_owned(),
        )
    })?;
    let policy = provided::policy(&world.objects, name)?;
    let of_builds = policy.as_ref().and_then(|policy| policy.spec.build.clone()).unwrap_or_default();
    let provided = provided::provided(&world.objects, &of_builds, name);
    let trusted = trust::authorities(&of_builds, provided.trusted_ca.as_ref()).ok().flatten();
    let settings = Settings {
        namespace: names::NAMESPACE.to_owned(),
        node_secrets_namespace: String::new(),
        builder_image: String::new(),
        registry_ca: None,
    };
    let observed = Observed {
        config: os_config,
        pool: Some(&pool),
        rendered: Some(&machine_config),
        base: known(asked, access, trusted.as_deref()),
        extensions_image: base::extensions_image(Some(os_config), &machine_config.spec, None),
        ask_again: None,
        presences: BTreeMap::new(),
        architectures: [architecture().to_owned()].into(),
        credentials: Credentials { push: Material::usable("", b""), pull: None, nodes: None, authorities: None },
        builds: Vec::new(),
        images_in_use: BTreeSet::new(),
        node_entries: BTreeMap::new(),
        node_secret: None,
        policy: policy.as_ref(),
        provided: &provided,
        settings: &settings,
    };
    let (spec, configuration) = machine::offline(&observed, Timestamp::now()).map_err(&refuse)?;
    Ok(Asked { spec, configuration, objects: world.objects })
}

/// The MachineOSConfig of the pool, or the only one.
fn os_config<'a>(world: &'a World, pool: Option<&str>) -> Result<&'a MachineOSConfig, Finding> {
    let pools: BTreeSet<&str> =
        world.os_configs.iter().map(|each| each.spec.machine_config_pool.name.as_str()).collect();
    let known = pools.iter().copied().collect::<Vec<_>>().join(", ");
    let name = match (pool, pools.first()) {
        (Some(pool), _) => pool,
        (None, Some(only)) if pools.len() == 1 => only,
        (None, None) => return Err(Finding::error(OS_CONFIG, "the files have none; it says what is built")),
        (None, Some(_)) => {
            let message = format!("the files have those of several pools ({known}); choose one with --pool");
            return Err(Finding::error(OS_CONFIG, message));
        }
    };
    world.os_config(name).ok_or_else(|| {
        let finding = Finding::error(OS_CONFIG, format!("the files have none of the pool {name}"));
        if known.is_empty() { finding } else { finding.help(format!("they have those of {known}")) }
    })
}

/// The architecture of this machine, as Kubernetes names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// The base image by digest, or why its registry does not say it.
fn known(asked: String, access: &Access, trusted: Option<&str>) -> Base {
    let image = if asked.contains("@sha256:") { Ok(asked.clone()) } else { resolve(&asked, access, trusted) };
    match image {
        Ok(image) => Base::Known { asked, image, fault: None, standing: Standing::Digest },
        Err(why) => Base::Unknown { why },
    }
}

/// Asks the registry, with authorities that builds trust besides.
fn resolve(image: &str, access: &Access, trusted: Option<&str>) -> Result<String, String> {
    let words = |error: &dyn std::error::Error| {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    // An error only says that it was chosen before.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| words(&error))?;
    let authorities = [access.authorities.as_deref(), trusted].into_iter().flatten().collect::<Vec<_>>().join("\n");
    let found = runtime.block_on(async {
        let own = [architecture().to_owned()].into();
        Registry::new(Some(&authorities))?.resolve(image, &own, &access.credentials).await
    });
    found.map(|found| found.reference).map_err(|error| words(&error))
}
