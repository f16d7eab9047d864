//! What stood at paths outside `/etc` before they were taken for the first time.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::{Error, State};
use crate::content::sha256;

const ORIGINALS: &str = "originals";

/// What stood at one path, its contents by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Original {
    /// The real path.
    pub path: Utf8PathBuf,
    /// What it was.
    pub kind: OriginalKind,
    /// Permission bits; 0 for what has none.
    #[serde(default)]
    pub mode: u32,
    /// Owning user.
    #[serde(default)]
    pub uid: u32,
    /// Owning group.
    #[serde(default)]
    pub gid: u32,
}

/// What stood there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum OriginalKind {
    Absent,
    File { sha256: String },
    Link { target: String },
    Directory,
}

impl State {
    /// Keeps an original.
    pub(crate) fn save_original(&self, original: &Original) -> Result<(), Error> {
        self.write(&file(&original.path), original)
    }

    /// What stood at the path `real`; `None` when it was never taken.
    pub(crate) fn original(&self, real: &Utf8Path) -> Result<Option<Original>, Error> {
        self.read(&file(real))
    }

    /// Forgets the originals of paths that are not in `held`.
    pub(crate) fn keep_originals(&self, held: &BTreeSet<Utf8PathBuf>) -> Result<(), Error> {
        for original in self.originals()? {
            if !held.contains(&original.path) {
                self.delete(&file(&original.path))?;
            }
        }
        Ok(())
    }

    /// Digests of all contents that originals need.
    pub(super) fn originals_contents(&self) -> Result<BTreeSet<String>, Error> {
        let digest = |original: Original| match original.kind {
            OriginalKind::File { sha256 } => Some(sha256),
            _ => None,
        };
        Ok(self.originals()?.into_iter().filter_map(digest).collect())
    }

    fn originals(&self) -> Result<Vec<Original>, Error> {
        let mut originals = Vec::new();
        for name in self.list(ORIGINALS)? {
            if name.ends_with(".json") {
                originals.extend(self.read::<Original>(&format!("{ORIGINALS}/{name}"))?);
            }
        }
        Ok(originals)
    }
}

fn file(real: &Utf8Path) -> String {
    format!("{ORIGINALS}/{}.json", sha256(real.as_str().as_bytes()))
}
