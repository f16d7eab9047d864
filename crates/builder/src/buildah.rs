//! buildah, as it is used here: chroot isolation, and one layer an instruction, which later builds take again.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::cache::{self, Driver};
use onlay_core::build::containerfile::Containerfile;
use onlay_core::build::failure;
use onlay_core::build::spec::{Cause, Failure};
use onlay_host::command::Run as _;
use serde::Deserialize;

use crate::error::Error;
use crate::extras::Bound;
use crate::limits::{Limits, Steps, Talk};
use crate::paths::Paths;
use crate::registries::Registries;
use crate::report::say;
use crate::rootfs::Rootfs;
use crate::store::Store;

/// File in a storage whose driver was found to work.
const WORKS: &str = "onlay-works";

/// buildah with its storage.
#[derive(Debug)]
pub struct Buildah {
    program: Vec<String>,
    driver: Driver,
    /// Which image of several is meant, and what is built.
    architecture: String,
    pull: Vec<String>,
    push: Vec<String>,
    digest: Utf8PathBuf,
    limits: Limits,
}

/// A container of buildah whose file system is mounted; both go away with [`Buildah::close`].
#[derive(Debug)]
pub struct Mounted {
    name: String,
    /// The file system.
    pub rootfs: Rootfs,
}

/// An image to build.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The directory that `ADD` and `COPY` see.
    pub context: &'a Utf8Path,
    /// The Containerfile.
    pub containerfile: &'a Utf8Path,
    /// Name of the image.
    pub image: &'a str,
    /// What of the Containerfile the user wrote.
    pub user: Option<&'a Containerfile>,
    /// Whether it is nothing but the configuration: then the same image every time, whatever is there of earlier builds.
    pub is_fixed: bool,
    /// How many instructions of ours stand behind every `FROM` of the user.
    pub added: usize,
    /// Whether earlier builds' layers of instructions may be taken.
    pub reuse: bool,
    /// Directories that stand in for those of commands.
    pub volumes: &'a [Bound],
    /// More options.
    pub options: &'a [String],
}

/// How a build that failed ended.
enum Ended {
    /// It did not begin, or was ended.
    Error(Error),
    /// It failed, and buildah has lost why.
    Speechless(Failure),
    /// It failed; the same without earlier builds' layers may not.
    Stale(Failure),
    /// It failed.
    Failed(Failure),
}

impl Buildah {
    /// Makes the directories that buildah works in, and finds a driver that works there.
    pub fn new(
        paths: &Paths,
        registries: &Registries,
        store: &Store,
        (architecture, environment): (&str, &BTreeMap<String, String>),
        limits: Limits,
    ) -> Result<Self, Error> {
        let run = paths.below_work("run");
        fs::create_dir_all(&run).map_err(Error::file("create", &run))?;
        let access = |authfile: &Utf8PathBuf| {
            let authorities =
                registries.authorities.iter().flat_map(|path| ["--cert-dir".to_owned(), path.to_string()]);
            ["--authfile".to_owned(), authfile.to_string()].into_iter().chain(authorities).collect()
        };
        let with = |driver: Driver| Self {
            program: program(store, driver, &run, environment),
            driver,
            architecture: architecture.to_owned(),
            pull: access(&registries.pull),
            push: access(&registries.push),
            digest: paths.below_work("digest"),
            limits,
        };
        for driver in Driver::ALL {
            let (buildah, mark) = (with(driver), store.storage(driver).join(WORKS));
            if mark.exists() {
                return Ok(buildah);
            }
            match buildah.try_storage() {
                Ok(()) => return fs::write(&mark, "").map(|()| buildah).map_err(Error::file("write", mark)),
                Err(error) if cache::is_refused(&error.to_string()) && driver != Driver::Vfs => {
                    say(format!("warning: storage by {} does not work here: {error}", driver.name()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(with(Driver::Vfs))
    }

    /// Mounts an empty container, as every container of a build is mounted.
    fn try_storage(&self) -> Result<(), Error> {
        let container = self.output("from", &["scratch"])?;
        let mounted = self.output("mount", &[&container]).map(drop);
        self.output("rm", &[&container])?;
        mounted
    }

    /// Removes the containers that builds have left which were killed.
    pub fn remove_containers(&self) -> Result<(), Error> {
        self.output("rm", &["--all"]).map(drop)
    }

    fn command<'a>(&'a self, verb: &'a str, access: &'a [String], arguments: &[&'a str]) -> Vec<&'a str> {
        let own = self.program.iter().map(String::as_str);
        let access = access.iter().map(String::as_str);
        own.chain([verb]).chain(access).chain(arguments.iter().copied()).collect()
    }

    fn output(&self, verb: &str, arguments: &[&str]) -> Result<String, Error> {
        let output = self.limits.runner().output(&self.command(verb, &[], arguments));
        let tried = || format!("run buildah {verb}");
        Ok(output.map_err(|error| self.limits.explain(error, &tried(), "the build's node"))?.trim().to_owned())
    }

    /// Runs a command that talks to the registry of an image; a failure says what was tried.
    fn talk(
        &self,
        verb: &str,
        access: &[String],
        arguments: &[&str],
        (tried, image): (&str, &str),
    ) -> Result<(), Error> {
        let mut talk = Talk::new(&self.limits);
        let status = self.limits.runner().follow(&self.command(verb, access, arguments), &mut talk);
        let registry = format!("registry {}", image.split('/').next().unwrap_or(image));
        let status = status.map_err(|error| self.limits.explain(error, tried, &registry))?;
        if status.success() {
            return Ok(());
        }
        let (cause, said) = failure::registry_failure(&talk.output);
        let message = format!("failed to {tried}: {said}; {}", failure::way_out(cause, &said));
        Err(Error::Build(Failure::new(cause, message)))
    }

    /// Pulls an image, unless it is here.
    pub fn pull(&self, image: &str, secret: &str) -> Result<(), Error> {
        let tried = format!("pull {image} with Secret {secret}");
        let arguments = ["--policy", "missing", "--arch", &self.architecture, image];
        self.talk("pull", &self.pull, &arguments, (&tried, image))
    }

    /// Whether there is an image of this name.
    pub fn has(&self, image: &str) -> Result<bool, Error> {
        let found = self.output("images", &["--quiet", "--filter", &format!("reference={image}")])?;
        Ok(!found.is_empty())
    }

    /// The labels of an image that is here.
    pub fn labels(&self, image: &str) -> Result<BTreeMap<String, String>, Error> {
        #[derive(Deserialize)]
        struct Inspected {
            #[serde(rename = "OCIv1")]
            oci: Image,
        }
        #[derive(Deserialize)]
        struct Image {
            config: Option<Config>,
        }
        #[derive(Deserialize)]
        struct Config {
            #[serde(rename = "Labels")]
            labels: Option<BTreeMap<String, String>>,
        }
        let text = self.output("inspect", &["--type", "image", image])?;
        let inspected: Inspected =
            serde_json::from_str(&text).map_err(|source| Error::Inspect { image: image.to_owned(), source })?;
        Ok(inspected.oci.config.and_then(|config| config.labels).unwrap_or_default())
    }

    /// Makes a container of an image that is here, and mounts its file system.
    pub fn open(&self, image: &str) -> Result<Mounted, Error> {
        let name = self.output("from", &["--pull-never", image])?;
        let mount = self.output("mount", &[&name])?;
        Ok(Mounted { name, rootfs: Rootfs::new(mount) })
    }

    /// Makes an image of a container.
    pub fn commit(&self, container: &Mounted, image: &str) -> Result<(), Error> {
        self.output("commit", &["--quiet", "--format", "oci", &container.name, image]).map(drop)
    }

    /// Unmounts and removes a container.
    pub fn close(&self, container: Mounted) -> Result<(), Error> {
        self.output("umount", &[&container.name])?;
        self.output("rm", &[&container.name]).map(drop)
    }

    /// Builds an image; once more if nobody knows why it fails, and once more with every instruction, if layers of earlier builds
    /// may be why.
    pub fn build(&self, asked: Asked<'_>) -> Result<(), Error> {
        let ended = match self.try_build(asked) {
            Err(Ended::Speechless(failure)) => {
                say(failure.describe());
                say("building once more, to learn what it printed");
                self.try_build(asked)
            }
            ended => ended,
        };
        let ended = match ended {
            Err(Ended::Stale(failure)) => {
                say(format!("{}; earlier builds' layers may be why", failure.describe()));
                say("building once more, every instruction anew");
                self.try_build(Asked { reuse: false, ..asked })
            }
            ended => ended,
        };
        ended.map_err(|ended| match ended {
            Ended::Error(error) => error,
            Ended::Speechless(failure) | Ended::Stale(failure) | Ended::Failed(failure) => Error::Build(failure),
        })
    }

    fn try_build(&self, asked: Asked<'_>) -> Result<(), Ended> {
        let options = self.build_options(asked);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let mut steps = Steps::new(&self.limits);
        let status = self.limits.runner().follow(&self.command("build", &self.pull, &options), &mut steps);
        let status = status.map_err(|error| {
            let error = self.limits.explain(error, "build the image", "the registry or server that is asked");
            Ended::Error(steps.explain(error, asked.user, asked.added))
        })?;
        if status.success() {
            return Ok(());
        }
        let progress = steps.progress;
        let failure = progress.failure(asked.user, asked.added, status.code());
        Err(match failure {
            failure if progress.words_are_lost() => Ended::Speechless(failure),
            failure if progress.may_be_stale(&failure) => Ended::Stale(failure),
            failure => Ended::Failed(failure),
        })
    }

    fn build_options(&self, asked: Asked<'_>) -> Vec<String> {
        let mut options = vec!["--isolation", "chroot", "--network", "host", "--format", "oci"];
        options.extend(["--arch", &self.architecture]);
        if asked.is_fixed {
            options.extend(["--no-cache", "--timestamp", "1"]);
        } else if self.driver.has_cheap_layers() {
            options.push("--layers");
        }
        if !asked.reuse && !asked.is_fixed {
            options.push("--no-cache");
        }
        options.extend(["--tag", asked.image, "--file", asked.containerfile.as_str()]);
        let mut options: Vec<String> = options.into_iter().map(str::to_owned).collect();
        options.extend(asked.volumes.iter().map(|Bound { directory, path, writable }| {
            format!("--volume={directory}:{path}:{}", if *writable { "rw" } else { "ro" })
        }));
        options.extend(asked.options.iter().cloned());
        options.push(asked.context.to_string());
        options
    }

    /// Writes an image to a place of this machine, as the containers tools name it.
    pub fn write(&self, image: &str, place: &str) -> Result<(), Error> {
        self.output("push", &["--quiet", image, place]).map(drop)
    }

    /// Pushes an image, and gives the digest under which the registry has it.
    pub fn push(&self, image: &str, target: &str, secret: &str) -> Result<String, Error> {
        let tried = format!("push to {target} with Secret {secret}");
        let (digest, destination) = (self.digest.as_str(), format!("docker://{target}"));
        self.talk("push", &self.push, &["--digestfile", digest, image, &destination], (&tried, target))?;
        let text = fs::read_to_string(&self.digest).map_err(Error::file("read", &self.digest))?;
        let digest = text.trim();
        if digest.starts_with("sha256:") {
            return Ok(digest.to_owned());
        }
        let message = format!("failed to {tried}: buildah gave no digest but {digest:?}");
        Err(Error::Build(Failure::new(Cause::BuilderFailed, message)))
    }
}

/// The words that begin every command. buildah gives proxies in its environment to commands, but not to the image.
fn program(store: &Store, driver: Driver, run: &Utf8Path, environment: &BTreeMap<String, String>) -> Vec<String> {
    let variables = environment.iter().map(|(name, value)| format!("{name}={value}"));
    let (home, storage) = (format!("HOME={}", store.home()), store.storage(driver));
    let words = ["buildah", "--root", storage.as_str(), "--runroot", run.as_str()];
    let words = words.iter().chain(driver.options()).map(|word| (*word).to_owned());
    ["env".to_owned(), home].into_iter().chain(variables).chain(words).collect()
}
