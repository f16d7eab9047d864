//! Root file systems of Debian 12, made by mmdebstrap and kept as archives: of the nodes' system and of containers.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cache::{self, CacheError};
use crate::command::{self, CommandError, command};
use crate::fingerprint::Fingerprint;
use crate::{Layout, Progress};

/// Where the packages come from, in the image's own sources.list too: a build that starts from it can install more.
const SOURCE: &str = "deb http://deb.debian.org/debian bookworm main";
/// The time that new files get, 2026-01-01: the same packages give the same bytes.
const EPOCH: &str = "1767225600";

/// What makes the system small and quick to install. The settings of apt and dpkg stay in it.
const OPTIONS: [&str; 10] = [
    "--mode=root",
    "--variant=apt",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    r#"--aptopt=APT::Install-Recommends "false""#,
    r#"--aptopt=Acquire::Languages "none""#,
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
];

/// Why there is no root file system.
#[derive(Debug, thiserror::Error)]
pub enum RootfsError {
    /// mmdebstrap or tar failed.
    #[error("failed to make the root file system {kind}; the packages come from deb.debian.org")]
    Bootstrap {
        /// Name in the cache.
        kind: String,
        /// What the program said.
        source: CommandError,
    },
    /// The result could not be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The archive of a system with `packages` and apt, made if it is not in the cache below `kind`.
pub async fn ensure(
    layout: &Layout,
    progress: &Progress,
    kind: &str,
    packages: &[String],
) -> Result<Utf8PathBuf, RootfsError> {
    let packages = packages.join(",");
    let recipe = OPTIONS.iter().fold(Fingerprint::default().text(SOURCE).text(EPOCH), |hash, option| hash.text(option));
    let name = recipe.text(&packages).name();
    let directory = cache::directory(layout, kind, &name, async |scratch: &Utf8Path| {
        progress.say(format!("making the root file system {kind} from Debian packages (1 to 2 minutes)"));
        progress.step(&format!("made the root file system {kind}"), bootstrap(scratch, kind, &packages)).await
    })
    .await?;
    cache::keep_only(layout, kind, &name).await?;
    Ok(directory.join("rootfs.tar"))
}

async fn bootstrap(scratch: &Utf8Path, kind: &str, packages: &str) -> Result<(), RootfsError> {
    let mut mmdebstrap = command(&["mmdebstrap", "--quiet"]);
    mmdebstrap.args(OPTIONS).arg(format!("--include={packages}"));
    mmdebstrap.args(["bookworm", scratch.join("rootfs.tar").as_str(), SOURCE]);
    mmdebstrap.env("SOURCE_DATE_EPOCH", EPOCH).env("TMPDIR", scratch);
    command::output(&mut mmdebstrap)
        .await
        .map(drop)
        .map_err(|source| RootfsError::Bootstrap { kind: kind.to_owned(), source })
}

/// Unpacks an archive that [`ensure`] made into the directory `root`, with owners, modes and capabilities.
pub async fn unpack(archive: &Utf8Path, root: &Utf8Path) -> Result<(), CommandError> {
    let mut tar = command(&["tar", "--extract", "--preserve-permissions", "--numeric-owner", "--xattrs"]);
    tar.args(["--xattrs-include=*", "--directory", root.as_str(), "--file", archive.as_str()]);
    command::output(&mut tar).await.map(drop)
}
