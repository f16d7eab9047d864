//! The container images of onlay itself, built from `images/` and pushed to the lab's registry.
//!
//! A tag is the hash of what is in the image, so that nothing is built, pushed or rolled out twice. Below them lies a
//! Debian made from packages: the lab needs no registry but its own.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::buildah::{Buildah, BuildahError};
use crate::fingerprint::{Fingerprint, FingerprintError};
use crate::programs::{ImagePrograms, Profile, ProgramsError};
use crate::rootfs::{self, RootfsError};
use crate::{Layout, Progress, registry};

/// What the Debian below the images has besides apt.
const PACKAGES: [&str; 2] = ["ca-certificates", "usr-is-merged"];

/// Why the images are not there.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The programs in them.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The distribution below them.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// Building or pushing.
    #[error(transparent)]
    Buildah(#[from] BuildahError),
    /// Their tags.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The directory that a build sees.
    #[error("failed to prepare the build of image {name}")]
    Context {
        /// Name of the image.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The images with their tags, as the cluster pulls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Controller and agent.
    pub onlayd: String,
    /// What runs in build Jobs.
    pub builder: String,
}

/// Builds the programs and the images that are not in the cache, and pushes what is not in the registry.
pub async fn ensure(layout: &Layout, profile: Profile, progress: &Progress) -> Result<Images, ImagesError> {
    let programs = ImagePrograms::ensure(profile, progress).await?;
    let archive = rootfs::ensure(layout, progress, "container-rootfs", &PACKAGES.map(str::to_owned)).await?;
    let buildah = Buildah::new(layout);
    let base = format!("localhost/onlay-lab/debian:{}", Fingerprint::default().text(archive.as_str()).name());
    if !buildah.has(&base).await {
        progress.step("imported the Debian below the images", buildah.import(&archive, &base)).await?;
    }
    let onlayd = Recipe { name: "onlayd", base: &base, programs: &[&programs.onlayd, &programs.guard] };
    let builder = Recipe { name: "builder", base: &base, programs: &[&programs.onlayd] };
    Ok(Images { onlayd: onlayd.ensure(&buildah, progress).await?, builder: builder.ensure(&buildah, progress).await? })
}

/// One image: its Containerfile below `images/`, and the programs that it copies.
struct Recipe<'a> {
    name: &'static str,
    base: &'a str,
    programs: &'a [&'a Utf8Path],
}

impl Recipe<'_> {
    /// The full name of the image, which is in the registry when this returns.
    async fn ensure(&self, buildah: &Buildah<'_>, progress: &Progress) -> Result<String, ImagesError> {
        let containerfile = definitions().join(format!("{}.Containerfile", self.name));
        let text = std::fs::read_to_string(&containerfile).map_err(self.failed())?;
        let tag = Fingerprint::default().text(self.base).text(&text).programs(self.programs).await?.name();
        let image = format!("{}/onlay/{}:{tag}", registry::ADDRESS, self.name);
        if buildah.is_pushed(&image).await {
            return Ok(image);
        }
        if !buildah.has(&image).await {
            let build = self.build(buildah, &containerfile, &image);
            progress.step(&format!("built the image {}", self.name), build).await?;
        }
        progress.step(&format!("pushed the image {}", self.name), buildah.push(&image)).await?;
        buildah.keep_only(&image).await?;
        Ok(image)
    }

    /// Builds in a directory that holds the programs and nothing else.
    async fn build(&self, buildah: &Buildah<'_>, containerfile: &Utf8Path, image: &str) -> Result<(), ImagesError> {
        let context = tempfile::tempdir().map_err(self.failed())?;
        let path = Utf8Path::from_path(context.path()).ok_or_else(|| io::ErrorKind::InvalidFilename.into());
        let path = path.map_err(self.failed())?;
        for program in self.programs {
            let copy = path.join(program.file_name().unwrap_or_default());
            std::fs::copy(program, copy).map_err(self.failed())?;
        }
        Ok(buildah.build(path, containerfile, image, &[("BASE", self.base)]).await?)
    }

    fn failed(&self) -> impl Fn(io::Error) -> ImagesError {
        let name = self.name;
        move |source| ImagesError::Context { name, source }
    }
}

fn definitions() -> Utf8PathBuf {
    Utf8PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../images"))
}
