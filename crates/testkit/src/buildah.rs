//! buildah on the host, with storage of its own in the cache: images are built from files, without a daemon.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::Command;

use crate::command::{self, CommandError, command};
use crate::{Layout, registry};

/// Why an image could not be built, found or pushed.
#[derive(Debug, thiserror::Error)]
pub enum BuildahError {
    /// buildah failed.
    #[error("failed to {what} image {image}")]
    Failed {
        /// The verb.
        what: &'static str,
        /// Name of the image.
        image: String,
        /// What buildah said.
        source: CommandError,
    },
    /// A leftover could not be removed.
    #[error("failed to replace {path}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// buildah with the lab's storage.
#[derive(Debug, Clone)]
pub struct Buildah<'a> {
    layout: &'a Layout,
}

impl<'a> Buildah<'a> {
    /// The lab's buildah.
    pub fn new(layout: &'a Layout) -> Self {
        Self { layout }
    }

    /// Builds `containerfile` over `context` as `image`, with build arguments `NAME=VALUE`. Runs as root in a chroot on
    /// the host's network, so that instructions can reach package mirrors.
    pub async fn build(
        &self,
        context: &Utf8Path,
        containerfile: &Utf8Path,
        image: &str,
        arguments: &[(&str, &str)],
    ) -> Result<(), BuildahError> {
        let mut build = self.command(&["build", "--quiet", "--layers", "--isolation=chroot", "--network=host"]);
        build.args(arguments.iter().map(|(name, value)| format!("--build-arg={name}={value}")));
        build.args(["--pull=never", "--tag", image, "--file", containerfile.as_str(), context.as_str()]);
        self.run("build", image, build).await
    }

    /// Makes `image` from the archive of a root file system.
    pub async fn import(&self, archive: &Utf8Path, image: &str) -> Result<(), BuildahError> {
        let mut from = self.command(&["from", "--quiet", "scratch"]);
        let container = command::output(&mut from).await.map_err(failed("begin", image))?;
        let container = container.trim();
        let added = async {
            self.run("fill", image, self.command(&["add", "--quiet", container, archive.as_str(), "/"])).await?;
            let configured = [
                "config",
                "--cmd",
                "/bin/bash",
                "--env",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ];
            self.run("configure", image, self.command(&[&configured[..], &[container]].concat())).await?;
            self.run("commit", image, self.command(&["commit", "--quiet", container, image])).await
        };
        let added = added.await;
        self.run("clean up after", image, self.command(&["rm", container])).await?;
        added
    }

    /// Whether the storage holds `image`.
    pub async fn has(&self, image: &str) -> bool {
        command::output(&mut self.command(&["inspect", "--type=image", "--format={{.FromImageID}}", image]))
            .await
            .is_ok()
    }

    /// Whether the lab's registry has `image`.
    pub async fn is_pushed(&self, image: &str) -> bool {
        let mut inspect = command(&["skopeo", "inspect", "--raw"]);
        inspect.args(["--authfile", registry::auth_file(self.layout).as_str()]);
        inspect.args(["--cert-dir", registry::cert_dir(self.layout).as_str()]);
        inspect.arg(format!("docker://{image}"));
        command::output(&mut inspect).await.is_ok()
    }

    /// Writes `image` to a file in the format of `docker save`, under its full name.
    pub async fn archive(&self, image: &str, file: &Utf8Path) -> Result<(), BuildahError> {
        match std::fs::remove_file(file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(BuildahError::Io { path: file.to_owned(), source });
            }
            _ => {}
        }
        let target = format!("docker-archive:{file}:{image}");
        self.run("write", image, self.command(&["push", "--quiet", image, &target])).await
    }

    /// Pushes `image` to the lab's registry, which its name must begin with.
    pub async fn push(&self, image: &str) -> Result<(), BuildahError> {
        let mut push = self.command(&["push", "--quiet"]);
        push.args(["--authfile", registry::auth_file(self.layout).as_str()]);
        push.args(["--cert-dir", registry::cert_dir(self.layout).as_str()]);
        push.args([image, &format!("docker://{image}")]);
        self.run("push", image, push).await
    }

    /// Removes the images that are called like `image` but have another tag.
    pub async fn keep_only(&self, image: &str) -> Result<(), BuildahError> {
        let mut list = self.command(&["images", "--format={{.Name}}:{{.Tag}}"]);
        let listed = command::output(&mut list).await.map_err(failed("list images like", image))?;
        for old in listed.lines().filter(|other| *other != image && repository(other) == repository(image)) {
            self.run("remove", old, self.command(&["rmi", old])).await?;
        }
        Ok(())
    }

    fn command(&self, words: &[&str]) -> Command {
        let storage = self.layout.cache().join("containers");
        let mut buildah = command(&["buildah", "--storage-driver=overlay"]);
        buildah.args(["--root", storage.join("storage").as_str(), "--runroot", storage.join("run").as_str()]);
        buildah.args(words);
        buildah
    }

    async fn run(&self, what: &'static str, image: &str, mut command: Command) -> Result<(), BuildahError> {
        command::output(&mut command).await.map(drop).map_err(failed(what, image))
    }
}

fn failed(what: &'static str, image: &str) -> impl FnOnce(CommandError) -> BuildahError {
    let image = image.to_owned();
    move |source| BuildahError::Failed { what, image, source }
}

/// A name without its tag.
fn repository(image: &str) -> Option<&str> {
    image.rsplit_once(':').map(|(repository, _)| repository)
}
