use camino::{Utf8Path, Utf8PathBuf};
use onlay_core::build::job;

/// Where a build finds and leaves things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The build's ConfigMap.
    pub spec: Utf8PathBuf,
    /// The secret to pull with.
    pub pull: Utf8PathBuf,
    /// The secret to push with.
    pub push: Utf8PathBuf,
    /// More authorities for registries; may not exist.
    pub authorities: Utf8PathBuf,
    /// Authorities that the build and its commands trust; not there if there are none.
    pub trusted: Utf8PathBuf,
    /// The Containerfile and the files beside it, if it does not lie in the specification.
    pub context: Utf8PathBuf,
    /// Secrets for commands, each by what the Containerfile calls it.
    pub secrets: Utf8PathBuf,
    /// Directories that commands see, each by its own name.
    pub mounts: Utf8PathBuf,
    /// What earlier builds have left; may not exist.
    pub cache: Utf8PathBuf,
    /// A directory to work in, on a file system that is no overlay.
    pub work: Utf8PathBuf,
    /// The file that the outcome is left in.
    pub message: Utf8PathBuf,
}

impl Default for Paths {
    /// The places of the pod.
    fn default() -> Self {
        Self {
            spec: job::SPEC_DIRECTORY.into(),
            pull: job::PULL_DIRECTORY.into(),
            push: job::PUSH_DIRECTORY.into(),
            authorities: job::CA_DIRECTORY.into(),
            trusted: job::TRUSTED_DIRECTORY.into(),
            context: job::CONTEXT_DIRECTORY.into(),
            secrets: job::SECRETS_DIRECTORY.into(),
            mounts: job::MOUNTS_DIRECTORY.into(),
            cache: job::CACHE_DIRECTORY.into(),
            work: job::WORK_DIRECTORY.into(),
            message: "/dev/termination-log".into(),
        }
    }
}

impl Paths {
    /// The places of a build on a workstation, all below one directory but for what earlier builds have left.
    pub fn below(directory: &Utf8Path, cache: &Utf8Path) -> Self {
        let at = |name: &str| directory.join(name);
        Self {
            spec: at("spec"),
            pull: at("pull"),
            push: at("push"),
            authorities: at("authorities"),
            trusted: at("trusted-ca"),
            context: at("context"),
            secrets: at("secrets"),
            mounts: at("mounts"),
            cache: cache.to_owned(),
            work: at("work"),
            message: at("message"),
        }
    }

    /// Directories that are made for the build, below the one to work in.
    pub(crate) fn below_work(&self, name: &str) -> Utf8PathBuf {
        self.work.join(name)
    }
}
