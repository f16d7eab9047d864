//! buildah, as it is used here: overlay storage of its own, chroot isolation, one layer a stage.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::containerfile::Containerfile;
use onlay_core::build::failure::{self, Progress};
use onlay_core::build::spec::{Cause, Failure};
use onlay_host::command::{Run as _, Runner};
use serde::Deserialize;

use crate::error::Error;
use crate::paths::Paths;
use crate::registries::Registries;
use crate::rootfs::Rootfs;

/// buildah with its storage.
#[derive(Debug)]
pub struct Buildah {
    storage: Vec<String>,
    pull: Vec<String>,
    push: Vec<String>,
    digest: Utf8PathBuf,
}

/// A container of buildah whose file system is mounted; both go away with [`Buildah::close`].
#[derive(Debug)]
pub struct Mounted {
    name: String,
    /// The file system.
    pub rootfs: Rootfs,
}

impl Buildah {
    /// Makes the directories that buildah works in.
    pub fn new(paths: &Paths, registries: &Registries) -> Result<Self, Error> {
        for name in ["storage", "run", "home"] {
            let path = paths.below_work(name);
            fs::create_dir_all(&path).map_err(Error::file("create", path))?;
        }
        let storage = [
            ("--root", paths.below_work("storage").into_string()),
            ("--runroot", paths.below_work("run").into_string()),
            ("--storage-driver", "overlay".to_owned()),
        ];
        let access = |authfile: &Utf8PathBuf| {
            let authorities =
                registries.authorities.iter().flat_map(|path| ["--cert-dir".to_owned(), path.to_string()]);
            ["--authfile".to_owned(), authfile.to_string()].into_iter().chain(authorities).collect()
        };
        Ok(Self {
            storage: storage.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect(),
            pull: access(&registries.pull),
            push: access(&registries.push),
            digest: paths.below_work("digest"),
        })
    }

    fn command<'a>(&'a self, verb: &'a str, access: &'a [String], arguments: &[&'a str]) -> Vec<&'a str> {
        let own = self.storage.iter().map(String::as_str);
        let access = access.iter().map(String::as_str);
        ["buildah"].into_iter().chain(own).chain([verb]).chain(access).chain(arguments.iter().copied()).collect()
    }

    fn output(&self, verb: &str, arguments: &[&str]) -> Result<String, Error> {
        Ok(Runner::here().output(&self.command(verb, &[], arguments))?.trim().to_owned())
    }

    /// Runs a command that talks to a registry; a failure says what was tried.
    fn talk(&self, verb: &str, access: &[String], arguments: &[&str], tried: &str) -> Result<(), Error> {
        let mut output = String::new();
        let status = Runner::here().follow(&self.command(verb, access, arguments), |line| {
            println!("{line}");
            output.push_str(line);
            output.push('\n');
        })?;
        if status.success() {
            return Ok(());
        }
        let (cause, said) = failure::registry_failure(&output);
        let message = format!("failed to {tried}: {said}; {}", failure::way_out(cause));
        Err(Error::Build(Failure::new(cause, message)))
    }

    /// Pulls an image, unless it is here.
    pub fn pull(&self, image: &str, secret: &str) -> Result<(), Error> {
        let tried = format!("pull {image} with Secret {secret}");
        self.talk("pull", &self.pull, &["--policy", "missing", image], &tried)
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
    pub fn open(&self, image: &str, name: &str) -> Result<Mounted, Error> {
        self.output("from", &["--pull-never", "--name", name, image])?;
        let mount = self.output("mount", &[name])?;
        Ok(Mounted { name: name.to_owned(), rootfs: Rootfs::new(mount) })
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

    /// Builds an image from a context; `user` is what of its Containerfile the user wrote.
    pub fn build(
        &self,
        context: &Utf8Path,
        containerfile: &Utf8Path,
        image: &str,
        user: Option<&Containerfile>,
    ) -> Result<(), Error> {
        let mut arguments =
            vec!["--isolation", "chroot", "--network", "host", "--format", "oci", "--tag", image, "--file"];
        arguments.push(containerfile.as_str());
        if user.is_none() {
            // Nothing but the configuration: the same image every time.
            arguments.extend(["--timestamp", "1"]);
        }
        arguments.push(context.as_str());
        let mut progress = Progress::default();
        let status = Runner::here().follow(&self.command("build", &self.pull, &arguments), |line| {
            println!("{line}");
            progress.take(line);
        })?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Build(progress.failure(user, status.code())))
    }

    /// Pushes an image, and gives the digest under which the registry has it.
    pub fn push(&self, image: &str, target: &str, secret: &str) -> Result<String, Error> {
        let tried = format!("push to {target} with Secret {secret}");
        let (digest, destination) = (self.digest.as_str(), format!("docker://{target}"));
        self.talk("push", &self.push, &["--digestfile", digest, image, &destination], &tried)?;
        let text = fs::read_to_string(&self.digest).map_err(Error::file("read", &self.digest))?;
        let digest = text.trim();
        if digest.starts_with("sha256:") {
            return Ok(digest.to_owned());
        }
        let message = format!("failed to {tried}: buildah gave no digest but {digest:?}");
        Err(Error::Build(Failure::new(Cause::BuilderFailed, message)))
    }
}
