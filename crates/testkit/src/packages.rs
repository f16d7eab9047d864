//! Debian packages: tools are installed, daemons are only unpacked.
//!
//! Installing a package with a daemon starts it on a machine with systemd: docker-registry would listen on port 5000 of
//! every address. So etcd and docker-registry are taken from PATH when they are there, and else unpacked into the cache.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::Command;

use crate::command::{self, CommandError, command};
use crate::{Layout, Progress};

/// Packages that are installed: nodes, images and their storage, the network, the libraries that onlay-ostree is linked with,
/// the compiler of libFuzzer, and the judge of units.
const TOOLS: [&str; 18] = [
    "buildah",
    "ca-certificates",
    "e2fsprogs",
    "fuse-overlayfs",
    "g++",
    "gcc",
    "iproute2",
    "iptables",
    "libc6-dev",
    "libostree-dev",
    "libssl-dev",
    "libzstd-dev",
    "mmdebstrap",
    "ostree",
    "pkg-config",
    "skopeo",
    "systemd",
    "systemd-container",
];

/// Programs that run as daemons, and the packages that hold them.
const DAEMONS: [(&str, &str); 2] = [("etcd", "etcd-server"), ("docker-registry", "docker-registry")];

/// Why a package is not there.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// apt or dpkg failed.
    #[error("failed to get the Debian packages {packages}; the lab needs root and Debian 12 or newer")]
    Install {
        /// The packages, separated by blanks.
        packages: String,
        /// What apt or dpkg said.
        source: CommandError,
    },
    /// No package of the lab holds the program.
    #[error("failed to find the program {program}")]
    Unknown {
        /// The program.
        program: String,
    },
    /// A file operation failed.
    #[error("failed to unpack into {path}")]
    Io {
        /// The directory.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Installs the tools that are missing, and unpacks the daemons that are missing.
pub async fn ensure(layout: &Layout, progress: &Progress) -> Result<(), PackagesError> {
    let missing = missing_tools().await?;
    if !missing.is_empty() {
        let packages = missing.join(" ");
        progress.say(format!("installing {packages}"));
        progress.step("installed them", install(&missing)).await.map_err(failure(&packages))?;
    }
    for (program, _) in DAEMONS {
        self::program(layout, program).await?;
    }
    Ok(())
}

/// The path of a daemon's program, `etcd` or `docker-registry`.
pub async fn program(layout: &Layout, name: &str) -> Result<Utf8PathBuf, PackagesError> {
    if let Some(found) = in_path(name) {
        return Ok(found);
    }
    let package = DAEMONS.iter().find(|(program, _)| *program == name).map(|(_, package)| *package);
    let package = package.ok_or_else(|| PackagesError::Unknown { program: name.to_owned() })?;
    let directory = layout.cache().join(package);
    if !directory.is_dir() {
        unpack(package, &directory).await?;
    }
    Ok(directory.join("usr/bin").join(name))
}

/// PATH, and after it where the daemons are unpacked: for tests that start them by name.
pub fn search_path(layout: &Layout) -> String {
    let unpacked = DAEMONS.map(|(_, package)| layout.cache().join(package).join("usr/bin").into_string());
    std::iter::once(std::env::var("PATH").unwrap_or_default()).chain(unpacked).collect::<Vec<_>>().join(":")
}

fn in_path(program: &str) -> Option<Utf8PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').map(|directory| Utf8Path::new(directory).join(program)).find(|file| file.is_file())
}

async fn missing_tools() -> Result<Vec<&'static str>, PackagesError> {
    let query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n"];
    let listed = command::run(&query).await.map_err(failure("dpkg-query"))?;
    Ok(TOOLS.into_iter().filter(|tool| !is_installed(&listed, tool)).collect())
}

fn is_installed(listed: &str, package: &str) -> bool {
    listed.lines().any(|line| line.split_once(' ') == Some((package, "installed")))
}

/// Runs apt-get; when it does not know a package or its address has changed, once more with fresh lists.
async fn apt_get(words: &[&str], directory: &Utf8Path) -> Result<(), CommandError> {
    let apt = |words: &[&str]| {
        let mut apt = command(&["apt-get", "--quiet=2", "--yes", "--option=APT::Sandbox::User=root"]);
        apt.args(words).env("DEBIAN_FRONTEND", "noninteractive").current_dir(directory);
        apt
    };
    if command::output(&mut apt(words)).await.is_ok() {
        return Ok(());
    }
    command::output(&mut apt(&["update"])).await?;
    command::output(&mut apt(words)).await?;
    Ok(())
}

async fn install(packages: &[&str]) -> Result<(), CommandError> {
    apt_get(&[&["install", "--no-install-recommends"], packages].concat(), Utf8Path::new("/")).await
}

async fn unpack(package: &str, target: &Utf8Path) -> Result<(), PackagesError> {
    let parent = target.parent().unwrap_or(target);
    let io = |source| PackagesError::Io { path: target.to_owned(), source };
    std::fs::create_dir_all(parent).map_err(io)?;
    let work = tempfile::tempdir_in(parent).map_err(io)?;
    let work = Utf8Path::from_path(work.path()).ok_or_else(|| io(io::ErrorKind::InvalidFilename.into()))?;
    apt_get(&["download", package], work).await.map_err(failure(package))?;
    let archives = work.read_dir_utf8().map_err(io)?.flatten().map(|entry| entry.into_path());
    let archive = archives.into_iter().find(|path| path.extension() == Some("deb"));
    let archive = archive.ok_or_else(|| io(io::ErrorKind::NotFound.into()))?;
    let mut extract = Command::new("dpkg-deb");
    extract.arg("--extract").arg(archive).arg(work.join("root"));
    command::output(&mut extract).await.map_err(failure(package))?;
    std::fs::rename(work.join("root"), target).map_err(io)
}

fn failure(packages: &str) -> impl FnOnce(CommandError) -> PackagesError {
    let packages = packages.to_owned();
    move |source| PackagesError::Install { packages, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_package_that_is_installed_counts() {
        let listed = "ostree installed\nskopeo config-files\nostree-boot installed\n";
        assert!(is_installed(listed, "ostree"));
        assert!(!is_installed(listed, "skopeo"));
        assert!(!is_installed(listed, "buildah"));
    }

    #[tokio::test]
    async fn a_program_of_no_package_is_an_error() {
        let layout = Layout::new("/var/lib/onlay-lab-test", "/var/cache/onlay-lab-test").unwrap();
        assert!(matches!(program(&layout, "no-such-daemon").await, Err(PackagesError::Unknown { .. })));
    }
}
