//! Where a built image goes.

use camino::Utf8PathBuf;

/// Where a built image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To the registry that the build is asked to push it to.
    Registry,
    /// Into a file, an archive of the OCI image layout.
    Archive(Utf8PathBuf),
    /// Nowhere: it is built and checked.
    Nowhere,
}

impl Destination {
    /// What was done with an image that is there, in words that its name follows.
    pub(crate) const fn done(&self) -> &'static str {
        match self {
            Self::Registry => "pushed",
            Self::Archive(_) => "wrote",
            Self::Nowhere => "built and checked",
        }
    }
}
