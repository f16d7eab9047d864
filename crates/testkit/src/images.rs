//! The container images of onlay itself, built from `images/` and pushed to the lab's registry.
//!
//! A tag is the hash of what is in the image, so that nothing is built, pushed or rolled out twice.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::buildah::{Buildah, BuildahError};
use crate::fingerprint::{Fingerprint, FingerprintError};
use crate::layout::{LayoutError, write_whole};
use crate::programs::{ImagePrograms, ProgramsError};
use crate::rootfs::{self, RootfsError};
use crate::{Layout, Progress, registry};

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
    /// Their names.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The note that an image is pushed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A Containerfile.
    #[error("failed to read {path}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The images by tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Controller and agent.
    pub onlayd: String,
    /// What runs in build Jobs.
    pub builder: String,
}

/// One image: its Containerfile, the Debian packages below it, the programs in it.
struct Recipe<'a> {
    name: &'static str,
    packages: &'static [&'static str],
    programs: Vec<&'a Utf8Path>,
}

/// Builds and pushes what is not in the registry yet.
pub async fn ensure(layout: &Layout, progress: &Progress) -> Result<Images, ImagesError> {
    let programs = ImagePrograms::ensure(progress).await?;
    let onlayd = Recipe {
        name: "onlayd",
        packages: &["ca-certificates", "util-linux"],
        programs: vec![&programs.onlayd, &programs.guard],
    };
    let builder = Recipe {
        name: "builder",
        packages: &["buildah", "ca-certificates", "fuse-overlayfs", "libcap2-bin", "uidmap"],
        programs: vec![&programs.onlayd],
    };
    Ok(Images { onlayd: image(layout, progress, &onlayd).await?, builder: image(layout, progress, &builder).await? })
}

async fn image(layout: &Layout, progress: &Progress, recipe: &Recipe<'_>) -> Result<String, ImagesError> {
    let containerfile = Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../images"))
        .join(format!("{}.Containerfile", recipe.name));
    let read = |source| ImagesError::Io { path: containerfile.clone(), source };
    let text = std::fs::read_to_string(&containerfile).map_err(read)?;
    let packages: Vec<_> = recipe.packages.iter().map(|package| (*package).to_owned()).collect();
    let archive = rootfs::ensure(layout, progress, &format!("{}-rootfs", recipe.name), &packages).await?;
    let tag = Fingerprint::default().text(&text).text(archive.as_str()).programs(&recipe.programs).await?.name();
    let image = format!("{}/onlay/{}:{tag}", registry::ADDRESS, recipe.name);
    let note = layout.state().join(format!("pushed/{}-{tag}", recipe.name));
    if note.exists() {
        return Ok(image);
    }
    let buildah = Buildah::new(layout);
    if !buildah.has(&image).await {
        let base = base(&buildah, recipe.name, &archive).await?;
        let context = recipe.programs[0].parent().unwrap_or(Utf8Path::new("/"));
        let arguments = [("BASE", base.as_str())];
        let build = buildah.build(context, &containerfile, &image, &arguments);
        progress.step(&format!("built image {}", recipe.name), build).await?;
    }
    progress.step(&format!("pushed image {}", recipe.name), buildah.push(&image)).await?;
    write_whole(&note, "", 0o644)?;
    Ok(image)
}

/// The image of a root file system, imported once.
async fn base(buildah: &Buildah<'_>, name: &str, archive: &Utf8Path) -> Result<String, ImagesError> {
    let base = format!("localhost/onlay-lab/{name}-base:{}", Fingerprint::default().text(archive.as_str()).name());
    if !buildah.has(&base).await {
        buildah.import(archive, &base).await?;
    }
    Ok(base)
}
