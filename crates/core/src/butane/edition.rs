//! Which variants and versions there are, and what tells them apart.
//!
//! Source: the versions that the real tool translates, each to the Ignition specification that it names.

use crate::render::ignition::spec::fields::{Kind, Minor};

/// Version of the `fcos` variant on which an edition is built: 1.x.0.
pub type Level = u8;

/// Specification that each version of `fcos` becomes.
const SPECIFICATIONS: [Minor; 8] = [0, 1, 2, 2, 3, 4, 5, 6];

/// A variant in one of its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    /// The fcos version that it has the fields of.
    pub level: Level,
    /// The x of openshift 4.x.0; none for fcos itself.
    pub openshift: Option<u8>,
}

/// Why there is no such edition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message says it")]
pub enum NoEdition {
    #[error("the variant is missing; write `variant: openshift` or `variant: fcos`")]
    NoVariant,
    #[error("the version {0:?} is none; write three numbers, such as 4.22.0 for openshift or 1.7.0 for fcos")]
    NoVersion(String),
    #[error(
        "the variant {0:?} is not supported; write `variant: openshift` (4.8.0 to 4.22.0) or `variant: fcos` (1.0.0 to 1.7.0)"
    )]
    Variant(String),
    #[error("the variant rhcos is no more; write `variant: openshift` with a version from 4.8.0 to 4.22.0")]
    Rhcos,
    #[error("{variant} has no version {version}; write one from {first} to {last}")]
    Version { variant: String, version: String, first: &'static str, last: &'static str },
}

impl NoEdition {
    /// The field that it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NoVariant | Self::Variant(_) | Self::Rhcos => "variant",
            Self::NoVersion(_) | Self::Version { .. } => "version",
        }
    }
}

impl Edition {
    /// The edition that a file asks for.
    pub fn of(variant: &str, version: &str) -> Result<Self, NoEdition> {
        if variant.is_empty() {
            return Err(NoEdition::NoVariant);
        }
        let numbers = numbers(version).ok_or_else(|| NoEdition::NoVersion(version.to_owned()))?;
        let unknown =
            |first, last| NoEdition::Version { variant: variant.to_owned(), version: version.to_owned(), first, last };
        match (variant, numbers) {
            ("fcos", Some((1, level @ 0..=7))) => Ok(Self { level, openshift: None }),
            ("fcos", _) => Err(unknown("1.0.0", "1.7.0")),
            ("openshift", Some((4, minor @ 8..=22))) => {
                let level = match minor {
                    ..=13 => 3,
                    14..=18 => 5,
                    _ => 6,
                };
                Ok(Self { level, openshift: Some(minor) })
            }
            ("openshift", _) => Err(unknown("4.8.0", "4.22.0")),
            ("rhcos", _) => Err(NoEdition::Rhcos),
            _ => Err(NoEdition::Variant(variant.to_owned())),
        }
    }

    /// The Ignition specification that it becomes.
    pub fn minor(self) -> Minor {
        SPECIFICATIONS.get(usize::from(self.level)).copied().unwrap_or_default()
    }

    /// The version of that specification.
    pub fn specification(self) -> String {
        format!("3.{}.0", self.minor())
    }

    /// Whether it is openshift of at least 4.x.
    pub fn is_openshift_since(self, minor: u8) -> bool {
        self.openshift.is_some_and(|own| own >= minor)
    }

    /// The number that the fields of a record are counted by.
    pub fn count(self, kind: Kind) -> u8 {
        match kind {
            Kind::Foreign(_) => self.level,
            _ => self.minor(),
        }
    }
}

/// Major and minor of a semantic version without prerelease and build and a patch of 0: `Some(None)` for any other
/// version, none for what is no version.
fn numbers(version: &str) -> Option<Option<(i64, u8)>> {
    let (plain, build) = version.split_once('+').unwrap_or((version, ""));
    let (plain, prerelease) = plain.split_once('-').unwrap_or((plain, ""));
    let numbers: Vec<i64> = plain.splitn(3, '.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [major, minor, 0] if prerelease.is_empty() && build.is_empty() => {
            Some(u8::try_from(*minor).ok().map(|minor| (*major, minor)))
        }
        [_, _, _] => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Edition;

    #[rstest]
    #[case("fcos", "1.0.0", "3.0.0")]
    #[case("fcos", "1.2.0", "3.2.0")]
    #[case("fcos", "1.3.0", "3.2.0")]
    #[case("fcos", "1.7.0", "3.6.0")]
    #[case("openshift", "4.8.0", "3.2.0")]
    #[case("openshift", "4.13.0", "3.2.0")]
    #[case("openshift", "4.14.0", "3.4.0")]
    #[case("openshift", "4.18.0", "3.4.0")]
    #[case("openshift", "4.19.0", "3.5.0")]
    #[case("openshift", "4.22.0", "3.5.0")]
    #[case("openshift", "04.022.00-", "3.5.0")]
    fn each_version_has_its_specification(#[case] variant: &str, #[case] version: &str, #[case] specification: &str) {
        assert_eq!(Edition::of(variant, version).map(Edition::specification).as_deref(), Ok(specification));
    }

    #[rstest]
    #[case("fcos", "1.8.0")]
    #[case("fcos", "1.7.1")]
    #[case("fcos", "1.7")]
    #[case("fcos", "1.7.0-experimental")]
    #[case("fcos", "4.14.0")]
    #[case("openshift", "4.7.0")]
    #[case("openshift", "4.23.0")]
    #[case("", "1.0.0")]
    #[case("flatcar", "1.0.0")]
    #[case("rhcos", "0.1.0")]
    fn there_are_no_others(#[case] variant: &str, #[case] version: &str) {
        assert!(Edition::of(variant, version).is_err());
    }
}
