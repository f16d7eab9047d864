//! The disk as it was installed, kept in the cache: copying it takes less time than unpacking its image again.
//!
//! Nothing of a node or of a lab is in it. Its roots of deployments are not immutable, unlike those of ostree's other
//! disks, so that the cache can be copied and removed like any directory.

use camino::{Utf8Path, Utf8PathBuf};

use super::DiskError;
use crate::base_image::BaseImage;
use crate::command::{self, command};
use crate::fingerprint::Fingerprint;
use crate::node::supervisor::STATEROOT;
use crate::{Layout, Progress, cache, registry};

const KIND: &str = "disk";
/// The release that the disk was installed by; a change of the code that installs it must change this.
const MAKER: &str = "1";
/// The kernel arguments of a node that nobody has configured.
const KERNEL_ARGUMENTS: [&str; 2] = ["root=LABEL=root", "rw"];
/// Keeps libostree from making the roots of deployments immutable.
pub(super) const MUTABLE: (&str, &str) = ("OSTREE_SYSROOT_DEBUG", "mutable-deployments");

/// What is installed, and by which programs.
pub(super) struct Installation<'a> {
    onlay_ostree: &'a Utf8Path,
    pull_spec: String,
    name: String,
}

impl<'a> Installation<'a> {
    /// The installation of `image`.
    pub(super) async fn of(onlay_ostree: &'a Utf8Path, image: &BaseImage) -> Result<Self, DiskError> {
        let libostree = command::run(&["ostree", "--version"]).await.map_err(DiskError::Version)?;
        let pull_spec = image.pull_spec();
        Ok(Self { onlay_ostree, name: name(&pull_spec, &libostree), pull_spec })
    }

    /// The hash of everything that decides what the disk is like.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The disk in the cache. One that is not there is installed from the lab's registry, which must have the image.
    pub(super) async fn ensure(&self, layout: &Layout, progress: &Progress) -> Result<Utf8PathBuf, DiskError> {
        let disk = cache::directory(layout, KIND, &self.name, async |scratch: &Utf8Path| {
            progress.step("installed a disk from the registry", self.run(layout, scratch)).await
        })
        .await?;
        cache::keep_only(layout, KIND, &self.name).await?;
        Ok(disk)
    }

    async fn run(&self, layout: &Layout, disk: &Utf8Path) -> Result<(), DiskError> {
        let mut deploy = command(&[self.onlay_ostree.as_str(), "deploy", "--stateroot", STATEROOT]);
        deploy.args(["--sysroot", disk.as_str(), "--image", &self.pull_spec]);
        deploy.args(["--authfile", registry::auth_file(layout).as_str()]);
        deploy.args(["--cert-dir", registry::cert_dir(layout).as_str()]);
        deploy.args(KERNEL_ARGUMENTS.iter().flat_map(|argument| ["--karg", argument]));
        deploy.env(MUTABLE.0, MUTABLE.1);
        let installed = command::output(&mut deploy).await.map(drop);
        installed.map_err(|source| DiskError::Install { image: self.pull_spec.clone(), source })
    }
}

/// The digest stands for onlay-ostree too, which is part of the image; it is linked with the libostree of this machine.
fn name(pull_spec: &str, libostree: &str) -> String {
    let inputs = [MAKER, pull_spec, libostree, STATEROOT].into_iter().chain(KERNEL_ARGUMENTS);
    inputs.fold(Fingerprint::default(), |hash, input| hash.text(input)).name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_image_or_another_libostree_is_another_disk() {
        let first = name("10.223.0.1:5000/os/base@sha256:abc", "2022.7");
        assert_eq!(name("10.223.0.1:5000/os/base@sha256:abc", "2022.7"), first);
        assert_ne!(name("10.223.0.1:5000/os/base@sha256:abd", "2022.7"), first);
        assert_ne!(name("10.223.0.1:5000/os/base@sha256:abc", "2024.1"), first);
    }
}
