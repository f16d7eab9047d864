//! Go programs, built from the modules in `lab/`: Kubernetes and CoreDNS, which can be taken ready-made, and the judges
//! that tests compare with, Butane and Ignition's validator.
//!
//! What is built lies in the cache below a name that is the hash of everything that decides about the result, so a
//! changed go.mod or flag builds anew and the old one is never taken for it. The programs are static: they also run on
//! nodes whose libc is another one.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::Command;

use crate::cache::{self, CacheError};
use crate::command::{self, CommandError};
use crate::fingerprint::Fingerprint;
use crate::{Layout, Progress, layout};

/// Environment variable that names a directory of ready-made programs.
pub const READY_MADE_VARIABLE: &str = "ONLAY_KUBE_ASSETS";

/// A Go module with nothing but tools, or with a program of its own.
struct Module {
    /// Directory below `lab/`.
    name: &'static str,
    /// The module whose version is the version of the programs.
    versioned: &'static str,
    /// The file with a program of its own.
    program: Option<&'static str>,
    /// What to build.
    packages: &'static [&'static str],
    /// Programs that get another name than the last word of their package.
    renamed: &'static [(&'static str, &'static str)],
    /// Variables of the programs that the linker sets, for a version.
    stamps: fn(&str) -> Vec<(&'static str, String)>,
    /// How long it takes from nothing.
    effort: &'static str,
}

const KUBERNETES: Module = Module {
    name: "controlplane",
    versioned: "k8s.io/kubernetes",
    program: None,
    packages: &[
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-proxy",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        "k8s.io/kubernetes/cmd/kubectl",
        "k8s.io/kubernetes/cmd/kubelet",
    ],
    renamed: &[],
    stamps: kubernetes_stamps,
    effort: "about 6 minutes the first time",
};

const COREDNS: Module = Module {
    name: "coredns",
    versioned: "github.com/coredns/coredns",
    program: Some("main.go"),
    packages: &["."],
    renamed: &[],
    stamps: kubernetes_stamps,
    effort: "about a minute the first time",
};

const JUDGES: Module = Module {
    name: "judges",
    versioned: "github.com/coreos/ignition/v2",
    program: None,
    packages: &["github.com/coreos/ignition/v2/butane/internal", "github.com/coreos/ignition/v2/validate"],
    renamed: &[("internal", "butane"), ("validate", "ignition-validate")],
    stamps: ignition_stamps,
    effort: "about half a minute the first time",
};

/// Why a program is not there.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// The directory of ready-made programs lacks one.
    #[error(
        "failed to find {program} in {directory}, which {READY_MADE_VARIABLE} names; put it there or unset the variable to build it"
    )]
    Missing {
        /// The program.
        program: String,
        /// Where it should be.
        directory: Utf8PathBuf,
    },
    /// Go is not installed or too old, or the build failed.
    #[error("failed to build the Go module {module}; Go 1.24 or newer must be in PATH (https://go.dev/dl)")]
    Build {
        /// Directory of the module.
        module: Utf8PathBuf,
        /// What go said.
        source: CommandError,
    },
    /// go.mod does not require the module.
    #[error("failed to find the version of {versioned} in {path}")]
    Version {
        /// The module.
        versioned: &'static str,
        /// The go.mod.
        path: Utf8PathBuf,
    },
    /// The module could not be read.
    #[error("failed to read {path}")]
    Io {
        /// A file of the module.
        path: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What was built could not be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// The Go programs, ready to start.
#[derive(Debug, Clone)]
pub struct Assets {
    directories: Vec<Utf8PathBuf>,
}

impl Assets {
    /// Kubernetes and CoreDNS, built if needed.
    pub async fn ensure(layout: &Layout, progress: &Progress) -> Result<Self, AssetsError> {
        Self::ensure_modules(layout, progress, &[&KUBERNETES, &COREDNS]).await
    }

    /// Kubernetes alone, built if needed.
    pub async fn ensure_kubernetes(layout: &Layout, progress: &Progress) -> Result<Self, AssetsError> {
        Self::ensure_modules(layout, progress, &[&KUBERNETES]).await
    }

    /// `butane` and `ignition-validate`, the programs that onlay's own answers are compared with; built if needed.
    pub async fn ensure_judges(layout: &Layout, progress: &Progress) -> Result<Self, AssetsError> {
        Ok(Self { directories: vec![built(layout, progress, &JUDGES).await?] })
    }

    async fn ensure_modules(layout: &Layout, progress: &Progress, modules: &[&Module]) -> Result<Self, AssetsError> {
        if let Ok(ready_made) = std::env::var(READY_MADE_VARIABLE) {
            return Ok(Self { directories: vec![ready_made.into()] });
        }
        let mut directories = Vec::new();
        for module in modules {
            directories.push(built(layout, progress, module).await?);
        }
        Ok(Self { directories })
    }

    /// The path of a program, for example `kubelet`.
    pub fn program(&self, name: &str) -> Result<Utf8PathBuf, AssetsError> {
        let paths = self.directories.iter().map(|directory| directory.join(name));
        paths.clone().find(|path| path.is_file()).ok_or_else(|| AssetsError::Missing {
            program: name.to_owned(),
            directory: self.directories.last().cloned().unwrap_or_default(),
        })
    }
}

/// The directory with the programs of `module`, built if it is not in the cache.
async fn built(layout: &Layout, progress: &Progress, module: &Module) -> Result<Utf8PathBuf, AssetsError> {
    let source = layout::definitions().join(module.name);
    let read = |name: &str| {
        let path = source.join(name);
        std::fs::read_to_string(&path).map_err(|source| AssetsError::Io { path, source })
    };
    let (go_mod, go_sum) = (read("go.mod")?, read("go.sum")?);
    let version = version_in(&go_mod, module.versioned)
        .ok_or_else(|| AssetsError::Version { versioned: module.versioned, path: source.join("go.mod") })?;
    let flags = link_flags(&(module.stamps)(&version));
    let compiler = command::output(go(&source).arg("version")).await.map_err(failure(&source))?;
    let packages = module.packages.join(" ");
    let program = module.program.map_or_else(|| Ok(String::new()), read)?;
    let recipe = [&compiler, &go_mod, &go_sum, &program, &flags, &packages].map(String::as_str);
    let names = module.renamed.iter().flat_map(|(from, to)| [*from, *to]);
    let name = recipe.into_iter().chain(names).fold(Fingerprint::default(), |hash, input| hash.text(input)).name();

    let programs = cache::directory(layout, module.name, &name, async |scratch: &Utf8Path| {
        progress.say(format!("building {} {version} ({})", module.versioned, module.effort));
        let mut build = go(&source);
        build.args(["build", "-trimpath", "-ldflags", &flags, "-o", &format!("{scratch}/")]).args(module.packages);
        let done = format!("built {} {version}", module.versioned);
        progress.step(&done, command::output(&mut build)).await.map(drop).map_err(failure(&source))?;
        for (from, to) in module.renamed {
            let path = scratch.join(from);
            std::fs::rename(&path, scratch.join(to)).map_err(|source| AssetsError::Io { path, source })?;
        }
        Ok::<_, AssetsError>(())
    })
    .await?;
    cache::keep_only(layout, module.name, &name).await?;
    Ok(programs)
}

/// The go command in a module; without C, the programs are static.
fn go(module: &Utf8Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(module).env("CGO_ENABLED", "0");
    go
}

fn failure(module: &Utf8Path) -> impl FnOnce(CommandError) -> AssetsError {
    let module = module.to_owned();
    move |source| AssetsError::Build { module, source }
}

/// The version that a go.mod requires of `module`.
fn version_in(go_mod: &str, module: &str) -> Option<String> {
    let words = go_mod.lines().map(|line| line.trim().trim_start_matches("require "));
    let mut versions = words.filter_map(|line| line.strip_prefix(module)?.strip_prefix(' '));
    versions.find_map(|rest| rest.split(' ').next().filter(|word| word.starts_with('v'))).map(str::to_owned)
}

/// Without symbols, and with the variables that say which version it is.
fn link_flags(stamps: &[(&str, String)]) -> String {
    let stamps: String = stamps.iter().map(|(name, value)| format!(" -X {name}={value}")).collect();
    format!("-s -w{stamps}")
}

/// The version that Kubernetes reports. Other programs have no such variables, and the linker ignores them.
fn kubernetes_stamps(version: &str) -> Vec<(&'static str, String)> {
    let mut numbers = version.trim_start_matches('v').split('.');
    let mut number = || numbers.next().unwrap_or_default().to_owned();
    vec![
        ("k8s.io/component-base/version.gitMajor", number()),
        ("k8s.io/component-base/version.gitMinor", number()),
        ("k8s.io/component-base/version.gitTreeState", "clean".to_owned()),
        ("k8s.io/component-base/version.gitVersion", version.to_owned()),
    ]
}

/// The version that Butane and Ignition report; Butane comes with Ignition and has its number.
fn ignition_stamps(version: &str) -> Vec<(&'static str, String)> {
    let variables = [
        "github.com/coreos/ignition/v2/butane/internal/version.Raw",
        "github.com/coreos/ignition/v2/internal/version.Raw",
    ];
    variables.map(|variable| (variable, version.to_owned())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_a_line_or_a_block() {
        assert_eq!(version_in("require k8s.io/kubernetes v1.34.4\n", "k8s.io/kubernetes").unwrap(), "v1.34.4");
        let block = "tool k8s.io/kubernetes/cmd/kubelet\nrequire (\n\tk8s.io/api v0.34.4 // indirect\n\tk8s.io/kubernetes v1.34.4\n)\n";
        assert_eq!(version_in(block, "k8s.io/kubernetes").unwrap(), "v1.34.4");
        assert_eq!(version_in(block, "k8s.io/kube-proxy"), None);
    }

    #[test]
    fn the_modules_of_the_lab_name_their_versions() {
        for module in [&KUBERNETES, &COREDNS, &JUDGES] {
            let go_mod = std::fs::read_to_string(layout::definitions().join(module.name).join("go.mod")).unwrap();
            assert!(version_in(&go_mod, module.versioned).is_some(), "{}", module.name);
        }
    }

    #[test]
    fn the_version_that_nodes_report_is_stamped() {
        assert_eq!(
            link_flags(&kubernetes_stamps("v1.34.4")),
            "-s -w -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34 \
             -X k8s.io/component-base/version.gitTreeState=clean -X k8s.io/component-base/version.gitVersion=v1.34.4"
        );
        assert!(link_flags(&ignition_stamps("v2.27.0")).ends_with("ignition/v2/internal/version.Raw=v2.27.0"));
    }
}
