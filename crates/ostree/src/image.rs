//! The name of an image: a repository and a manifest digest, or an OCI directory.

use std::fmt;
use std::str::FromStr;

use ostree_ext::container::{ImageReference, OstreeImageReference, SignatureSource, Transport};

const OCI_DIRECTORY: &str = "oci:";
const DIGEST_LENGTH: usize = "sha256:".len() + 64;

/// A text that names no image, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("failed to use image {text:?}: {reason}")]
pub struct BadImage {
    text: String,
    reason: &'static str,
}

/// An image to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// `host:port/repository@sha256:…` in a registry.
    Registry { repository: String, digest: String },
    /// `oci:DIRECTORY[:TAG]`, an image layout on this machine's disk.
    OciDirectory(String),
}

impl Image {
    /// The manifest digest, if the name says it.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Registry { digest, .. } => Some(digest),
            Self::OciDirectory(_) => None,
        }
    }

    /// The name in the form that goes into a deployment's origin. Signatures follow the host's containers policy.
    pub fn reference(&self) -> OstreeImageReference {
        let imgref = match self {
            Self::Registry { .. } => ImageReference { transport: Transport::Registry, name: self.to_string() },
            Self::OciDirectory(path) => ImageReference { transport: Transport::OciDir, name: path.clone() },
        };
        OstreeImageReference { sigverify: SignatureSource::ContainerPolicyAllowInsecure, imgref }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { repository, digest } => write!(f, "{repository}@{digest}"),
            Self::OciDirectory(path) => write!(f, "{OCI_DIRECTORY}{path}"),
        }
    }
}

impl FromStr for Image {
    type Err = BadImage;

    fn from_str(text: &str) -> Result<Self, BadImage> {
        let refuse = |reason| BadImage { text: text.into(), reason };
        if let Some(path) = text.strip_prefix(OCI_DIRECTORY) {
            let empty = path.is_empty();
            return if empty {
                Err(refuse("name the directory: oci:DIRECTORY"))
            } else {
                Ok(Self::OciDirectory(path.into()))
            };
        }
        if text.contains("://") {
            return Err(refuse("write it without a scheme, as HOST/REPOSITORY@sha256:…"));
        }
        let (name, digest) = text
            .split_once('@')
            .ok_or_else(|| refuse("name it by digest, as HOST/REPOSITORY@sha256:…; a tag can move between nodes"))?;
        if !is_digest(digest) {
            return Err(refuse("the digest must be sha256: and 64 lower-case hexadecimal digits"));
        }
        let repository = without_tag(name);
        if repository.is_empty() {
            return Err(refuse("the repository before the @ is empty"));
        }
        Ok(Self::Registry { repository: repository.into(), digest: digest.into() })
    }
}

/// The pull specification by digest of a deployment whose origin names `name` (with a tag, a digest or neither).
pub fn by_digest(name: &str, digest: &str) -> String {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    format!("{}@{digest}", without_tag(name))
}

fn without_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

fn is_digest(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.len() == DIGEST_LENGTH && text.strip_prefix("sha256:").is_some_and(|rest| rest.chars().all(hex))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Image, by_digest};

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[rstest]
    #[case::a_digest_is_kept("reg:5000/os/base@sha256:HEX", "reg:5000/os/base@sha256:HEX")]
    #[case::a_tag_beside_the_digest_is_dropped("reg:5000/os/base:1@sha256:HEX", "reg:5000/os/base@sha256:HEX")]
    #[case::an_oci_directory_may_carry_a_tag("oci:/tmp/x:1", "oci:/tmp/x:1")]
    fn accepts(#[case] text: &str, #[case] expected: &str) {
        let image: Image = text.replace("HEX", HEX).parse().unwrap();
        assert_eq!(image.to_string(), expected.replace("HEX", HEX));
    }

    #[rstest]
    #[case::a_tag_alone_can_move("reg/os/base:1", "name it by digest")]
    #[case::a_short_digest_is_none("reg/os/base@sha256:abc", "64 lower-case")]
    #[case::a_scheme_is_not_part_of_the_name("docker://reg/os@sha256:HEX", "without a scheme")]
    #[case::a_repository_is_needed("@sha256:HEX", "is empty")]
    #[case::a_directory_is_needed("oci:", "name the directory")]
    fn refuses(#[case] text: &str, #[case] reason: &str) {
        let error = text.replace("HEX", HEX).parse::<Image>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[rstest]
    #[case::a_tag_becomes_a_digest("reg:5000/os/base:1")]
    #[case::a_digest_is_replaced("reg:5000/os/base@sha256:old")]
    #[case::a_bare_name_gets_one("reg:5000/os/base")]
    fn names_by_digest(#[case] name: &str) {
        assert_eq!(by_digest(name, "sha256:new"), "reg:5000/os/base@sha256:new");
    }
}
