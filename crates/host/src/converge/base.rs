//! What comes back when a path leaves the configuration.
//!
//! Below `/etc` that is the base image's own copy. An image that onlay built carries the configuration's files in its
//! `/usr/etc` too; there, `/usr/lib/onlay/base` keeps the base's copy of each replaced file and `/usr/lib/onlay/baked`
//! lists every path that the configuration put in. Outside `/etc` it is what stood there when the path was first taken.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Error, Failure, Pass};
use crate::root::{Access, Kind, Root};
use crate::state::{Original, OriginalKind};

const BASE: &str = "/usr/lib/onlay/base";
const BAKED: &str = "/usr/lib/onlay/baked";

/// What stood or shall stand at a path, with its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Copy {
    Absent,
    File { access: Access, contents: Vec<u8> },
    Link { target: String, owner: (u32, u32) },
    Directory { access: Access },
}

/// Copies what stands at `path` of `tree`.
pub(super) fn copy(tree: &Root, path: &Utf8Path) -> Result<Copy, Failure> {
    let Some(meta) = tree.meta(path)? else { return Ok(Copy::Absent) };
    let access = Access { mode: meta.mode, uid: meta.uid, gid: meta.gid };
    match meta.kind {
        Kind::File => Ok(Copy::File { access, contents: tree.read(path)?.unwrap_or_default() }),
        Kind::Directory => Ok(Copy::Directory { access }),
        Kind::Link => Ok(Copy::Link { target: tree.read_link(path)?.unwrap_or_default(), owner: (meta.uid, meta.gid) }),
        Kind::Other => Err(Failure(format!("{path} is a device, socket or pipe"))),
    }
}

/// Paths that the configuration put into the image.
pub(super) fn baked(image: &Root) -> Result<BTreeSet<Utf8PathBuf>, Failure> {
    let text = image.read(Utf8Path::new(BAKED))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&text).lines().map(Utf8PathBuf::from).collect())
}

/// The base image's own copy of the path `real`, which lies below `/etc`.
pub(super) fn shipped(image: &Root, real: &Utf8Path) -> Result<Copy, Failure> {
    let below = |directory: &str| Utf8Path::new(directory).join(real.strip_prefix("/").unwrap_or(real));
    match copy(image, &below(BASE))? {
        Copy::Absent if baked(image)?.contains(real) => Ok(Copy::Absent),
        Copy::Absent => copy(image, &below("/usr")),
        base => Ok(base),
    }
}

impl Pass<'_> {
    /// What comes back at `real` when the record no longer names it.
    pub(super) fn former(&self, real: &Utf8Path) -> Result<Copy, Failure> {
        if real.starts_with("/etc") { shipped(self.site.image, real) } else { self.original(real) }
    }

    /// Keeps what stands at `real`.
    pub(super) fn save_original(&mut self, real: &Utf8Path) -> Result<(), Error> {
        let copy = match copy(self.site.root, real) {
            Ok(copy) => copy,
            Err(failure) => {
                self.fail(real.as_str(), failure);
                return Ok(());
            }
        };
        let mut original = Original { path: real.into(), kind: OriginalKind::Absent, mode: 0, uid: 0, gid: 0 };
        match copy {
            Copy::Absent => {}
            Copy::File { access, contents } => {
                let put = self.site.state.contents().put(&contents);
                match put {
                    Ok(sha256) => original.kind = OriginalKind::File { sha256 },
                    Err(failure) => {
                        self.fail(real.as_str(), failure);
                        return Ok(());
                    }
                }
                (original.mode, original.uid, original.gid) = (access.mode, access.uid, access.gid);
            }
            Copy::Link { target, owner } => {
                original.kind = OriginalKind::Link { target };
                (original.uid, original.gid) = owner;
            }
            Copy::Directory { access } => {
                original.kind = OriginalKind::Directory;
                (original.mode, original.uid, original.gid) = (access.mode, access.uid, access.gid);
            }
        }
        Ok(self.site.state.save_original(&original)?)
    }

    fn original(&self, real: &Utf8Path) -> Result<Copy, Failure> {
        let Some(original) = self.site.state.original(real)? else { return Ok(Copy::Absent) };
        let access = Access { mode: original.mode, uid: original.uid, gid: original.gid };
        Ok(match original.kind {
            OriginalKind::Absent => Copy::Absent,
            OriginalKind::File { sha256 } => Copy::File { access, contents: self.site.state.contents().get(&sha256)? },
            OriginalKind::Link { target } => Copy::Link { target, owner: (access.uid, access.gid) },
            OriginalKind::Directory => Copy::Directory { access },
        })
    }
}
