//! What can be said before a reboot against a record on an image that is staged.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Error, Pass, Problem, Site};
use crate::record::Record;
use crate::root::Kind;

/// Why `record` cannot be made true on the image of `site`; nothing when it can.
///
/// The image's own merge at shutdown carries local files of `/etc` over the new image's `/usr/etc` and fails as a whole
/// where one of them is a directory and the other is not.
pub fn refusals(site: Site<'_>, record: &Record) -> Result<Vec<Problem>, Error> {
    let mut pass = Pass::begin(site, false)?;
    let wanted = pass.wanted(record);
    let mut refusals = Vec::new();
    for (real, wanted) in wanted.iter().filter(|(real, _)| real.starts_with("/etc")) {
        let named_directory = record.tree.directories.contains_key(&wanted.named);
        let clash = clash(site, real, named_directory).map_err(|source| pass.root_error(source))?;
        refusals.extend(clash.map(|reason| Problem { what: wanted.named.to_string(), reason }));
    }
    let known: Vec<_> = refusals.iter().map(|problem| problem.what.clone()).collect();
    let failed = pass.run(record)?.failed;
    refusals.extend(failed.into_iter().filter(|problem| !known.contains(&problem.what)));
    Ok(refusals)
}

/// How the image's `/usr/etc` and the path `real` differ in kind.
fn clash(site: Site<'_>, real: &Utf8Path, directory: bool) -> Result<Option<String>, crate::root::Error> {
    let shipped =
        |path: &Utf8Path| -> Utf8PathBuf { Utf8Path::new("/usr").join(path.strip_prefix("/").unwrap_or(path)) };
    for parent in real.ancestors().skip(1).filter(|parent| parent.starts_with("/etc")) {
        if let Some(Kind::File | Kind::Other) = site.image.meta(&shipped(parent))?.map(|meta| meta.kind) {
            return Ok(Some(format!("cannot be put into the new image: {parent} is a file there, not a directory")));
        }
    }
    Ok(match (site.image.meta(&shipped(real))?.map(|meta| meta.kind), directory) {
        (Some(Kind::Directory), false) => {
            Some("is a directory in the new image; a file or link cannot replace it, name another path".into())
        }
        (Some(Kind::File | Kind::Other), true) => {
            Some("is a file in the new image; a directory cannot replace it, name another path".into())
        }
        _ => None,
    })
}
