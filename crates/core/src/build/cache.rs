//! What earlier builds have left for later ones: whether a build may use it, and how buildah stores it.
//!
//! Source of the words: buildah 1.28.2 (Debian 12) where mounts are forbidden or fuse is missing, see the tests, and the
//! errors of its storage library.

use std::fmt;

use onlay_api::layering_policy::{BuildPolicy, CacheType};

/// Bytes that a cache holds at most where a policy does not say.
pub const LIMIT: u64 = 20 << 30;
/// The part of a file system in percent below which a cache gives back what it has, unless it can grow as far as it may: the
/// kubelet begins to evict pods there.
const FREE_PERCENT: u64 = 10;

/// The most bytes that a cache may hold; none if nothing shall be left for later builds.
///
/// # Errors
/// Names the field, the value and the way out.
pub fn limit(policy: &BuildPolicy) -> Result<Option<u64>, String> {
    let cache = policy.cache.as_ref();
    if cache.is_some_and(|cache| cache.type_ == CacheType::None) {
        return Ok(None);
    }
    let Some(text) = cache.and_then(|cache| cache.size_limit.as_deref()) else { return Ok(Some(LIMIT)) };
    bytes(text).map(Some).ok_or_else(|| {
        format!(
            "spec.build.cache.sizeLimit: {text:?} is no size; write a whole number with Ki, Mi, Gi or Ti, such as 20Gi"
        )
    })
}

/// Reads a size: a whole number of bytes, perhaps with a suffix.
fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let (base, power): (u64, u32) = match suffix {
        "" => (1, 0),
        "k" => (1000, 1),
        "M" => (1000, 2),
        "G" => (1000, 3),
        "T" => (1000, 4),
        "Ki" => (1024, 1),
        "Mi" => (1024, 2),
        "Gi" => (1024, 3),
        "Ti" => (1024, 4),
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(base.pow(power)).filter(|bytes| *bytes > 0)
}

/// What is known of a cache when a build begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether no other build uses it.
    pub alone: bool,
    /// Whether a build before ended with an error of the builder itself.
    pub suspect: bool,
    /// Bytes in it.
    pub used: u64,
    /// Bytes that may be in it.
    pub limit: u64,
    /// Bytes that its file system has free.
    pub free: u64,
    /// Bytes of its file system.
    pub size: u64,
}

/// What a build does with a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Use it as it is.
    Use,
    /// Empty it, then use it.
    Empty(Why),
    /// Leave it alone.
    Avoid(Why),
}

/// What is wrong with a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A build before ended with an error of the builder itself.
    Suspect,
    /// There is more in it than there may be.
    TooLarge {
        /// Bytes in it.
        used: u64,
        /// Bytes that may be in it.
        limit: u64,
    },
    /// Its file system is nearly full.
    LittleSpace {
        /// Bytes free.
        free: u64,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspect => f.write_str("a build before found it broken"),
            Self::TooLarge { used, limit } => {
                write!(f, "it has {} MiB and may have {} MiB", used >> 20, limit >> 20)
            }
            Self::LittleSpace { free } => {
                write!(
                    f,
                    "its file system has {} MiB free, less than {FREE_PERCENT} % and than it may hold",
                    free >> 20
                )
            }
        }
    }
}

/// What a build does with a cache.
///
/// A cache that another build uses is never emptied. If it is only too large, it is used all the same: pulling the base
/// once more would take more space.
pub fn judge(seen: Seen) -> Verdict {
    let Seen { alone, suspect, used, limit, free, size } = seen;
    match (alone, suspect) {
        (true, true) => Verdict::Empty(Why::Suspect),
        (false, true) => Verdict::Avoid(Why::Suspect),
        (false, false) => Verdict::Use,
        (true, false) if used > limit => Verdict::Empty(Why::TooLarge { used, limit }),
        (true, false) if used > 0 && free < (size / 100 * FREE_PERCENT).min(limit) => {
            Verdict::Empty(Why::LittleSpace { free })
        }
        (true, false) => Verdict::Use,
    }
}

/// How buildah stores images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Overlays of the kernel.
    Overlay,
    /// Overlays of a program, where the kernel does not let a user make them.
    FuseOverlay,
    /// A copy of everything for each layer.
    Vfs,
}

impl Driver {
    /// All of them, the best one first.
    pub const ALL: [Self; 3] = [Self::Overlay, Self::FuseOverlay, Self::Vfs];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::FuseOverlay => "fuse-overlayfs",
            Self::Vfs => "vfs",
        }
    }

    /// The options that choose it.
    pub const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Overlay => &["--storage-driver", "overlay"],
            Self::FuseOverlay => {
                &["--storage-driver", "overlay", "--storage-opt", "overlay.mount_program=/usr/bin/fuse-overlayfs"]
            }
            Self::Vfs => &["--storage-driver", "vfs"],
        }
    }

    /// Whether a layer for each instruction costs no more than what the instruction changed.
    pub const fn has_cheap_layers(self) -> bool {
        !matches!(self, Self::Vfs)
    }
}

/// Words of a kernel or a file system that does not take a driver, in lower case.
const REFUSED: [&str; 7] = [
    "driver not supported",
    "unsupported for this graph driver",
    "does not support overlay",
    "is not supported over",
    "can't stat program",
    "using mount program",
    "operation not permitted",
];

/// Whether the words of buildah, which could not use its storage, say that the driver does not work here at all.
///
/// Else the storage itself is broken.
pub fn is_refused(said: &str) -> bool {
    let said = said.to_lowercase();
    REFUSED.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests;
