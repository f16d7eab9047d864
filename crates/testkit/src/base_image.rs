//! The nodes' operating system: Debian 12 as an ostree commit in a container image, with containerd and Kubernetes.
//!
//! `lab/base/` holds the definition as data: packages, files, the pause container. The image is made by ostree-ext, as
//! every image that a node boots must be derived from one that was. It lies in the cache below a name that is the hash of
//! the definition and of the programs in it.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::buildah::{Buildah, BuildahError};
use crate::cache::{self, CacheError};
use crate::command::{self, CommandError, command};
use crate::fingerprint::{Fingerprint, FingerprintError};
use crate::layout::definitions;
use crate::rootfs::{self, RootfsError};
use crate::{Layout, Progress, registry};

mod ostree_root;
mod overlay;
mod two;

pub use two::{FOR_TWO, copy_other, push_for_two};

/// The image in the lab's registry.
pub const IMAGE: &str = "10.223.0.1:5000/os/base:1";
/// The image of the containers that hold the namespaces of pods; every node has it.
pub const PAUSE_IMAGE: &str = "10.223.0.1:5000/lab/pause:1";

/// The release that the image was made by; a change of the code that makes it must change this.
const MAKER: &str = "1";
const KIND: &str = "base-image";
/// Fixed, so that the same contents give the same commit.
const TIMESTAMP: &str = "2026-01-01T00:00:00Z";
/// What says to bootc and rpm-ostree that a machine can boot the image.
const LABELS: [&str; 2] = ["containers.bootc=1", "ostree.bootable=1"];

/// Why there is no base image.
#[derive(Debug, thiserror::Error)]
pub enum BaseImageError {
    /// The packages could not be installed.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// The pause image could not be built.
    #[error(transparent)]
    Buildah(#[from] BuildahError),
    /// The definition could not be read or copied.
    #[error(transparent)]
    Definition(#[from] FingerprintError),
    /// A step of the build, or the push, failed.
    #[error("failed to {step}")]
    Step {
        /// What was done.
        step: &'static str,
        /// What the program said.
        source: CommandError,
    },
    /// A file of the system could not be written.
    #[error("failed to {step} in {path}")]
    Io {
        /// What was done.
        step: &'static str,
        /// The root file system.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// onlay-ostree did not answer with the image's digest.
    #[error("failed to read the answer of `onlay-ostree encapsulate`: {answer:?}")]
    Answer {
        /// What it wrote.
        answer: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The image could not be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The programs that go into the image.
#[derive(Debug, Clone, Copy)]
pub struct Programs<'a> {
    /// Static, as all Go programs of the lab.
    pub kubelet: &'a Utf8Path,
    /// As above.
    pub kube_proxy: &'a Utf8Path,
    /// Linked with Debian 12's libraries; also makes the image.
    pub onlay_ostree: &'a Utf8Path,
}

/// A base image in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImage {
    /// OCI directory.
    directory: Utf8PathBuf,
    /// `sha256:…` of the manifest.
    pub digest: String,
}

#[derive(Deserialize)]
struct Encapsulated {
    digest: String,
}

/// The base image, built if it is not in the cache (3 minutes from nothing, 30 s when only a program changed).
pub async fn ensure(layout: &Layout, progress: &Progress, programs: Programs<'_>) -> Result<BaseImage, BaseImageError> {
    let definition = definitions().join("base");
    let archive = rootfs::ensure(layout, progress, "base-rootfs", &packages(&definition)?).await?;
    let recipe = Fingerprint::default().text(MAKER).text(archive.as_str()).tree(&definition)?;
    let recipe = recipe.programs(&[programs.kubelet, programs.kube_proxy, programs.onlay_ostree]).await?;
    let name = recipe.name();
    let directory = cache::directory(layout, KIND, &name, async |scratch: &Utf8Path| {
        let build = Build { layout, programs, definition: &definition, archive: &archive, scratch };
        progress.step("made the base image of the nodes", build.run()).await
    })
    .await?;
    cache::keep_only(layout, KIND, &name).await?;
    let read = |source| BaseImageError::Io { step: "read the digest", path: directory.clone(), source };
    let digest = std::fs::read_to_string(directory.join("digest")).map_err(read)?;
    Ok(BaseImage { directory: directory.join("image"), digest })
}

impl BaseImage {
    /// Pushes the image to the lab's registry as [`IMAGE`]; layers that are there already are not sent again.
    pub async fn push(&self, layout: &Layout) -> Result<(), BaseImageError> {
        let mut skopeo = command(&["skopeo", "copy", "--quiet", "--preserve-digests"]);
        skopeo.args(["--dest-authfile", registry::auth_file(layout).as_str()]);
        skopeo.args(["--dest-cert-dir", registry::cert_dir(layout).as_str()]);
        skopeo.args([format!("oci:{}", self.directory), format!("docker://{IMAGE}")]);
        step("push the base image", &mut skopeo).await.map(drop)
    }

    /// The image by digest, as nodes know it: `10.223.0.1:5000/os/base@sha256:…`.
    pub fn pull_spec(&self) -> String {
        let repository = IMAGE.rsplit_once(':').map_or(IMAGE, |(repository, _)| repository);
        format!("{repository}@{}", self.digest)
    }
}

fn packages(definition: &Utf8Path) -> Result<Vec<String>, FingerprintError> {
    let path = definition.join("packages.txt");
    let text = std::fs::read_to_string(&path).map_err(|source| FingerprintError::Read { path, source })?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

struct Build<'a> {
    layout: &'a Layout,
    programs: Programs<'a>,
    definition: &'a Utf8Path,
    archive: &'a Utf8Path,
    scratch: &'a Utf8Path,
}

impl Build<'_> {
    async fn run(&self) -> Result<(), BaseImageError> {
        let root = self.scratch.join("root");
        std::fs::create_dir(&root).map_err(self.failed("make the root file system"))?;
        rootfs::unpack(self.archive, &root).await.map_err(doing("unpack the root file system"))?;
        self.remove_ballast(&root).map_err(self.failed("remove what no node uses"))?;
        overlay::copy(&self.definition.join("files"), &root)?;
        self.install_programs(&root).map_err(self.failed("install the programs"))?;
        self.add_pause_image(&root).await?;
        self.preset_units(&root).await?;
        ostree_root::arrange(&root).map_err(self.failed("arrange the root file system for ostree"))?;
        let digest = self.encapsulate(&root).await?;
        for spent in ["root", "repo"] {
            cache::remove(&self.scratch.join(spent)).await.map_err(doing("remove what the build needed"))?;
        }
        std::fs::write(self.scratch.join("digest"), digest).map_err(self.failed("write the digest"))
    }

    /// Removes the files that the definition names: every node and every build pulls what is left.
    fn remove_ballast(&self, root: &Utf8Path) -> io::Result<()> {
        let text = std::fs::read_to_string(self.definition.join("remove.txt"))?;
        for path in text.lines().filter(|line| !line.is_empty()).map(|line| root.join(line)) {
            if path.is_dir() { std::fs::remove_dir_all(&path)? } else { std::fs::remove_file(&path)? }
        }
        Ok(())
    }

    fn install_programs(&self, root: &Utf8Path) -> io::Result<()> {
        let Programs { kubelet, kube_proxy, onlay_ostree } = self.programs;
        for (name, from) in [("kubelet", kubelet), ("kube-proxy", kube_proxy), ("onlay-ostree", onlay_ostree)] {
            overlay::copy_file(from, &root.join("usr/bin").join(name), 0o755)?;
        }
        Ok(())
    }

    /// The pause image comes with the system, since no pull secret of a pod counts for it.
    async fn add_pause_image(&self, root: &Utf8Path) -> Result<(), BaseImageError> {
        let context = self.scratch.join("pause");
        overlay::copy(&self.definition.join("pause"), &make_directory(&context).map_err(self.failed("copy"))?)?;
        let (source, program) = (context.join("pause.c"), context.join("pause"));
        let mut compile = command(&["cc", "-static", "-Os", "-s", "-o", program.as_str(), source.as_str()]);
        step("compile the pause program", &mut compile).await?;
        let share = make_directory(&root.join("usr/share/lab")).map_err(self.failed("make usr/share/lab"))?;
        let buildah = Buildah::new(self.layout);
        buildah.build(&context, &context.join("Containerfile"), PAUSE_IMAGE, &[]).await?;
        buildah.archive(PAUSE_IMAGE, &share.join("pause.tar")).await?;
        cache::remove(&context).await.map_err(doing("remove what the build needed"))
    }

    /// Enables and disables the units that the definition's preset names.
    async fn preset_units(&self, root: &Utf8Path) -> Result<(), BaseImageError> {
        let preset = root.join("usr/lib/systemd/system-preset/10-lab.preset");
        let text = std::fs::read_to_string(&preset).map_err(self.failed("read the preset"))?;
        let units = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, unit)| unit.to_owned());
        let mut systemctl = command(&["systemctl", "--quiet"]);
        systemctl.arg(format!("--root={root}")).arg("preset").args(units);
        step("preset the units", &mut systemctl).await.map(drop)
    }

    async fn encapsulate(&self, root: &Utf8Path) -> Result<String, BaseImageError> {
        let repo = self.scratch.join("repo");
        let ostree = |words: &[&str]| {
            let mut ostree = command(&["ostree", &format!("--repo={repo}")]);
            ostree.args(words);
            ostree
        };
        step("make an ostree repository", &mut ostree(&["init", "--mode=bare-user"])).await?;
        step("configure the ostree repository", &mut ostree(&["config", "set", "core.fsync", "false"])).await?;
        let tree = format!("--tree=dir={root}");
        let timestamp = format!("--timestamp={TIMESTAMP}");
        let metadata = "--add-metadata-string=version=1";
        let commit = ["commit", "--branch=os/base", "--bootable", &tree, &timestamp, metadata, "--subject=lab base"];
        step("commit the root file system", &mut ostree(&commit)).await?;

        let mut encapsulate = command(&[self.programs.onlay_ostree.as_str(), "encapsulate", "--commit", "os/base"]);
        encapsulate.args(["--repo", repo.as_str(), "--output", self.scratch.join("image").as_str()]);
        encapsulate.args(LABELS.iter().flat_map(|label| ["--label", label]));
        let answer = step("make an image of the commit", &mut encapsulate).await?;
        let read: Result<Encapsulated, _> = serde_json::from_str(&answer);
        Ok(read.map_err(|source| BaseImageError::Answer { answer, source })?.digest)
    }

    fn failed(&self, step: &'static str) -> impl Fn(io::Error) -> BaseImageError {
        let path = self.scratch.join("root");
        move |source| BaseImageError::Io { step, path: path.clone(), source }
    }
}

fn make_directory(path: &Utf8Path) -> io::Result<Utf8PathBuf> {
    std::fs::create_dir_all(path)?;
    Ok(path.to_owned())
}

fn doing(step: &'static str) -> impl FnOnce(CommandError) -> BaseImageError {
    move |source| BaseImageError::Step { step, source }
}

async fn step(step: &'static str, command: &mut tokio::process::Command) -> Result<String, BaseImageError> {
    command::output(command).await.map_err(doing(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_knows_the_image_by_digest() {
        let image = BaseImage { directory: "/cache/image".into(), digest: "sha256:abc".to_owned() };
        assert_eq!(image.pull_spec(), "10.223.0.1:5000/os/base@sha256:abc");
    }

    #[test]
    fn the_definition_names_its_packages() {
        let packages = packages(&definitions().join("base")).unwrap();
        for needed in ["ostree-boot", "containerd", "systemd-sysv", "skopeo"] {
            assert!(packages.iter().any(|package| package == needed), "{needed}");
        }
    }

    #[test]
    fn the_pause_image_is_the_one_that_containerd_asks_for() {
        let config = definitions().join("base/files/etc/containerd/config.toml");
        assert!(std::fs::read_to_string(config).unwrap().contains(&format!("sandbox_image = \"{PAUSE_IMAGE}\"")));
    }
}
