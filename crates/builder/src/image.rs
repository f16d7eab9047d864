//! From the input to the pushed image.

use std::collections::BTreeMap;
use std::fs;

use camino::Utf8Path;
use onlay_core::build::assemble::{self, Install};
use onlay_core::build::containerfile::{self, Containerfile};
use onlay_core::build::deadline::Deadline;
use onlay_core::build::failure::may_be_the_cache;
use onlay_core::build::inputs::repository;
use onlay_core::build::layer::{self, Base as _, Plan};
use onlay_core::build::packages::Manager;
use onlay_core::build::progress::{CHECKING, PULLING, PUSHING};
use onlay_core::build::spec::{Cause, Failure, Spec};
use onlay_core::render::desired::Desired;
use onlay_core::render::origin::Origins;
use onlay_host::command;
use onlay_registry::ostree_fault;

use crate::buildah::{Asked, Buildah, Mounted};
use crate::check;
use crate::context::Context;
use crate::destination::Destination;
use crate::error::Error;
use crate::extras::{self, Bound};
use crate::input::{self, Input};
use crate::limits::Limits;
use crate::ostree;
use crate::paths::Paths;
use crate::registries::Registries;
use crate::report::say;
use crate::seal;
use crate::store::Store;
use crate::trust::Trust;

/// Name of images in buildah's storage; the end of the build's name follows, since builds share a storage.
const IMAGE: &str = "localhost/onlay";
/// The directory that `ADD` and `COPY` see, below the one to work in.
const CONTEXT: &str = "context";
/// Package managers, and where they keep what they have downloaded and can download again.
const DOWNLOADS: [(&str, &str); 3] = [
    ("/usr/bin/apt-get", "/var/cache/apt"),
    ("/usr/bin/dnf", "/var/cache/dnf"),
    ("/usr/bin/dnf5", "/var/cache/libdnf5"),
];

/// Builds the image and brings it to its destination; gives its name there, in a registry that by digest.
pub fn build(paths: &Paths, destination: &Destination, deadline: Option<Deadline>) -> Result<String, Error> {
    let limits = Limits::begin(deadline)?;
    let Input { spec, desired } = input::read(paths)?;
    let file = read(paths, &spec)?;
    say(format!("building {} from {} for {}", spec.build, spec.base, spec.rendered));
    let registries = Registries::prepare(paths, &spec.pull_secret, &spec.push_secret)?;
    let mut store = Store::open(paths, spec.cache_limit)?;
    let trust = Trust::read(paths, &spec.extras)?;
    let mut environment = spec.extras.environment.clone();
    if let Some(trust) = &trust {
        environment.extend([trust.environment(paths)?]);
    }
    let buildah = open(paths, &registries, &mut store, (&spec.architecture, &environment), limits)?;
    let made = Work { paths, spec: &spec, file: file.as_ref(), trust, buildah }.bring(&desired, destination);
    if made.as_ref().is_err_and(is_of_the_cache) {
        store.suspect();
    }
    made
}

/// Whether what earlier builds have left may be why a build has failed.
fn is_of_the_cache(error: &Error) -> bool {
    match error {
        Error::Build(failure) => may_be_the_cache(failure),
        Error::Command(_) => !is_stopped(error),
        _ => false,
    }
}

fn is_stopped(error: &Error) -> bool {
    matches!(error, Error::Command(command::Error::Stopped { .. }))
}

/// Opens the storage; a cache whose storage cannot be opened is emptied by the next try.
fn open(
    paths: &Paths,
    registries: &Registries,
    store: &mut Store,
    meant: (&str, &BTreeMap<String, String>),
    limits: Limits,
) -> Result<Buildah, Error> {
    let buildah = Buildah::new(paths, registries, store, meant, limits).and_then(|buildah| {
        let tidied = if store.is_alone() { buildah.remove_containers() } else { Ok(()) };
        tidied.map(|()| buildah)
    });
    let buildah = buildah.inspect_err(|error| {
        if !is_stopped(error) {
            store.suspect();
        }
    })?;
    store.share()?;
    Ok(buildah)
}

/// A build that goes on.
struct Work<'a> {
    paths: &'a Paths,
    spec: &'a Spec,
    file: Option<&'a Containerfile>,
    trust: Option<Trust>,
    buildah: Buildah,
}

impl Work<'_> {
    fn bring(&self, desired: &Desired, destination: &Destination) -> Result<String, Error> {
        let Self { spec, buildah, .. } = self;
        say(format!("{PULLING}{}", spec.base));
        buildah.pull(&spec.base, &spec.pull_secret)?;
        check_base(buildah, &spec.base)?;
        let base = buildah.open(&spec.base)?;
        let plan = layer::plan(desired, &base.rootfs)?;
        let image = format!("{IMAGE}:{}", spec.build.rsplit('-').next().unwrap_or_default());
        let install = self.install(&base)?;
        self.make(&image, &plan, install.as_ref(), &base)?;
        self.finish(&image, &plan, desired, &base)?;
        buildah.close(base)?;
        match destination {
            Destination::Registry => {
                say(format!("{PUSHING}{}", spec.target));
                let digest = buildah.push(&image, &spec.target, &spec.push_secret)?;
                Ok(format!("{}@{digest}", repository(&spec.target)))
            }
            Destination::Archive(file) => {
                let name = format!("oci-archive:{file}");
                say(format!("writing {name}"));
                buildah.write(&image, &name).map(|()| name)
            }
            Destination::Nowhere => Ok(spec.build.clone()),
        }
    }

    /// Cleans and completes what instructions have made, and looks whether nodes can use it.
    fn finish(&self, image: &str, plan: &Plan, desired: &Desired, base: &Mounted) -> Result<(), Error> {
        say(format!("{CHECKING}the image"));
        let built = self.buildah.open(image)?;
        let touched = self.runs_commands() && seal::seal(plan, &self.origins(), &base.rootfs, &built.rootfs)?;
        check::check(plan, desired, &base.rootfs, &built.rootfs)?;
        if touched {
            self.buildah.commit(&built, image)?;
        }
        self.buildah.close(built)
    }

    /// Which MachineConfig says what in the configuration; empty if nobody told.
    fn origins(&self) -> Origins {
        Origins::of_annotations(&self.spec.origins).unwrap_or_default()
    }

    /// Whether anything runs in the image.
    fn runs_commands(&self) -> bool {
        self.file.is_some() || !self.spec.packages.is_empty()
    }

    /// What installs the packages that the configuration wants. An image that they come from is pulled.
    fn install(&self, base: &Mounted) -> Result<Option<Install>, Error> {
        let Spec { packages, pull_secret, .. } = self.spec;
        if packages.is_empty() {
            return Ok(None);
        }
        let manager = Manager::of(|program| base.rootfs.entry(Utf8Path::new(program)).is_some());
        let manager = manager.ok_or_else(|| Error::Build(packages.without_manager()))?;
        if let Some(image) = packages.image.as_deref().filter(|_| packages.mount(manager).is_some()) {
            say(format!("{PULLING}{image}"));
            self.buildah.pull(image, pull_secret)?;
        }
        say(format!("{} installs {}", manager.name(), packages.describe()));
        Install::of(packages, manager).map(Some).map_err(Error::Build)
    }

    fn make(&self, image: &str, plan: &Plan, install: Option<&Install>, base: &Mounted) -> Result<(), Error> {
        let context = Context::write(self.paths.below_work(CONTEXT), self.spec, self.file, plan, install, base)?;
        let asked = Asked {
            context: &context.directory,
            containerfile: &context.containerfile,
            image,
            user: self.file,
            is_fixed: !self.runs_commands(),
            added: self.spec.added_steps(),
            reuse: self.file.is_none_or(assemble::is_cacheable),
            options: &extras::options(self.paths, &self.spec.extras),
            volumes: &self.volumes(plan, base)?,
        };
        if !asked.reuse {
            say("every instruction runs anew, since a command mounts another stage, image or file (--mount)");
        }
        if let Some((image, containerfile)) = &context.configs
            && !self.buildah.has(image)?
        {
            let configs =
                Asked { image, containerfile, user: None, is_fixed: true, options: &[], volumes: &[], ..asked };
            self.buildah.build(configs)?;
        }
        self.buildah.build(asked)
    }

    /// What stands in for directories and files of commands.
    fn volumes(&self, plan: &Plan, base: &Mounted) -> Result<Vec<Bound>, Error> {
        let mut volumes = self.downloads(base)?;
        volumes.extend(extras::directories(self.paths, &self.spec.extras)?);
        volumes.extend(ostree::container(self.paths, self.file, &base.rootfs)?);
        if let Some(trust) = &self.trust {
            volumes.extend(trust.bound(self.paths, self.file, plan, &base.rootfs)?);
        }
        Ok(volumes)
    }

    /// Directories of this build for what package managers download: what lies there would be part of a layer for good.
    ///
    /// Only for a single stage: several may have several systems.
    fn downloads(&self, base: &Mounted) -> Result<Vec<Bound>, Error> {
        if !self.runs_commands() || self.file.is_some_and(|file| file.stages.len() > 1) {
            return Ok(Vec::new());
        }
        let here = DOWNLOADS.into_iter().filter(|(program, _)| base.rootfs.entry(Utf8Path::new(program)).is_some());
        here.map(|(_, path)| {
            let directory = self.paths.below_work("downloads").join(path.trim_start_matches('/'));
            fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
            Ok(Bound { directory, path: path.into(), writable: true })
        })
        .collect()
    }
}

fn read(paths: &Paths, spec: &Spec) -> Result<Option<Containerfile>, Error> {
    let Some(text) = extras::containerfile(paths, spec, &paths.below_work(CONTEXT))? else { return Ok(None) };
    let refuse =
        |error: containerfile::ContainerfileError| Error::Build(Failure::new(Cause::InputRefused, error.to_string()));
    containerfile::parse_with(&text, &spec.extras.outside()).map_err(refuse)
}

fn check_base(buildah: &Buildah, base: &str) -> Result<(), Error> {
    match ostree_fault(base, &buildah.labels(base)?) {
        None => Ok(()),
        Some(fault) => Err(Error::Build(Failure::new(Cause::BaseImageNotOstree, fault))),
    }
}
